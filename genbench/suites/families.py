"""What a family's class states of itself, read without an import of it: rules and suites need no torch to plan.

The class says what its samples start from (`needs`) and whether it builds upon another entry's training
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
    """The model's description in a suite's entry, as far as it has one: some formats of checkpoints are given it."""
    found: Mapping[str, Any] = entry.get("model") or entry.get("pretrained", {}).get("model") or {}
    return found


def needed(model: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """What a sampler with these options starts from: "nothing", "images" or "labels" of the data set's test split.

    As `Model.condition` of the built model says, which has the last word.
    """
    known = {**_stated(model).get("defaults", {}), **model, **options}
    for what, keys in _stated(model).get("needs", {}).items():
        if all(known.get(key) == value for key, value in keys.items()):
            return str(what)
    return "nothing"


def default_of(model: Mapping[str, Any], key: str) -> Any:
    """The literal default that a model's class has for a key of its constructor; None without one."""
    return _stated(model).get("defaults", {}).get(key)


def kind_of(model: Mapping[str, Any], key: str) -> str | None:
    """How the constructor of a model's class annotates a key, such as "StepCount"; None where it has no such key."""
    kind: str | None = _stated(model).get("kinds", {}).get(key)
    return kind


def check_stated(entry: Mapping[str, Any], model: "Model") -> None:
    """Check that the built model needs what the rules read in the source of its class, and has its first stage."""
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
    return _read(path, name, digest) if path.is_file() else {}  # an unknown class is refused by the check of entries


def _place(dotted: str) -> tuple[Path, str, str | None]:
    """The file, the name and the file's hash of a class: `gan.GAN`, or `my.py:Flow#HASH` of a user's own file."""
    if (own := parse(dotted)) is not None:
        return file_of(own), own.name, own.digest
    module, _, name = dotted.rpartition(".")
    return MODELS / f"{module}.py", name, None


@cache
def _read(path: Path, name: str, digest: str | None) -> dict[str, Any]:
    """The statements of a class and of those that it is derived from, and its constructor's literal defaults."""
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
    """Where a base class is defined: in a module of genbench.models, as the file imports it, or in the file."""
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
