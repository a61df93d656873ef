"""Attributes of a family's class, read from its source without importing it: planning does not need torch.

The class states what its samples start from (`needs`) and whether it builds on another entry's training
(`first_stage`): see genbench/models/__init__.py.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.errors import InputError, place
from genbench.own_code import file_of, parse

if TYPE_CHECKING:
    from genbench.models import Model

MODELS = Path(__file__).parents[1] / "models"
STATED = ("first_stage", "needs")


def first_stage_key(model: Mapping[str, Any]) -> str | None:
    """The key of a model's entry that holds its first stage, such as `vae`, or None for a model of one stage."""
    key: str | None = _stated(model).get("first_stage")
    return key


def model_of(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The key `model` of a suite's entry, or that of its checkpoint's format; empty without one."""
    found: Mapping[str, Any] = entry.get("model") or entry.get("pretrained", {}).get("model") or {}
    return found


def needed(model: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """What a sampler with these options starts from: "nothing", "images" or "labels" of the data set's test split.

    If it differs from `Model.condition` of the built model, the check of the entry fails.
    """
    known = {**_stated(model).get("defaults", {}), **model, **options}
    for what, keys in _stated(model).get("needs", {}).items():
        if all(known.get(key) == value for key, value in keys.items()):
            return str(what)
    return "nothing"


def default_of(model: Mapping[str, Any], key: str) -> Any:
    """The literal default of a key in the constructor of a model's class; None without one."""
    return _stated(model).get("defaults", {}).get(key)


def kind_of(model: Mapping[str, Any], key: str) -> str | None:
    """The annotation of a key in the constructor of a model's class, such as "StepCount"; None without such a key."""
    kind: str | None = _stated(model).get("kinds", {}).get(key)
    return kind


def check_stated(entry: Mapping[str, Any], model: "Model") -> None:
    """Check that the built model has the needs that the rules read from its source, and that it has its first stage."""
    if model.first_stage is not None and "first_stage" not in entry:
        raise InputError(
            f"key 'first_stage' is missing: {type(model).__name__} builds upon another entry's training; expected "
            f"first_stage: NAME beside model, instead of {model.first_stage!r} in it"
        )
    for name, options in entry["samplers"].items():
        with place("samplers", name):
            stated, needs = needed(entry["model"], options), model.condition(options)
            if stated != needs:
                raise InputError(
                    f"found a sampler that starts from {needs}, but the class states that it starts from {stated}; "
                    f"expected `needs` of {type(model).__name__} to say so"
                )


def _stated(model: Mapping[str, Any]) -> dict[str, Any]:
    path, name, digest = _place(str(model.get("class", "")))
    return _read(path, name, digest) if path.is_file() else {}  # the check of entries refuses an unknown class


def _place(dotted: str) -> tuple[Path, str, str | None]:
    """The file, the name and the file's hash of a class: `gan.GAN`, or `my.py:Flow#HASH` of a user's own file."""
    if (own := parse(dotted)) is not None:
        return file_of(own), own.name, own.digest
    module, _, name = dotted.rpartition(".")
    return MODELS / f"{module}.py", name, None


@cache
def _read(path: Path, name: str, digest: str | None) -> dict[str, Any]:
    """The attributes of a class and its bases, and its constructor's literal defaults and annotations."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise InputError(f"{path}: line {error.lineno}: not valid Python: {error.msg}") from None
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for base in node.bases:
                if (origin := _origin(tree, path, ast.unparse(base))) != (path, name):
                    found |= _read(*origin, digest)
            with place(path):
                found |= dict(_assigned(node))
            given = list(_arguments(node))
            defaults = {argument.arg: value.value for argument, value in given if isinstance(value, ast.Constant)}
            kinds = {argument.arg: ast.unparse(argument.annotation) for argument, _ in given if argument.annotation}
            found |= {"defaults": found.get("defaults", {}) | defaults, "kinds": found.get("kinds", {}) | kinds}
    return found


def _origin(tree: ast.Module, path: Path, name: str) -> tuple[Path, str]:
    """The file and name of a base class: a module of genbench.models that the file imports, or the file itself."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            source = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                local = alias.asname or alias.name
                if f"{name}.".startswith(f"{local}."):
                    module, _, origin = f"{source}{alias.name}{name.removeprefix(local)}".rpartition(".")
                    if module.startswith("genbench.models."):
                        return MODELS / f"{module.removeprefix('genbench.models.')}.py", origin
    return path, name


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for statement in node.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        value = getattr(statement, "value", None)
        if isinstance(target, ast.Name) and target.id in STATED and value is not None:
            try:
                yield target.id, ast.literal_eval(value)
            except ValueError:
                raise InputError(
                    f"{node.name}: {target.id}: found {ast.unparse(value)}, expected a literal: it is read without "
                    "running the file"
                ) from None


def _arguments(node: ast.ClassDef) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """The keyword-only arguments of a class's constructor, each with its default or None."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            yield from zip(statement.args.kwonlyargs, statement.args.kw_defaults, strict=True)
