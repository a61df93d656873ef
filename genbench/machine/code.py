"""Which code computed a result, as a hash that does not change when code moves to another file.

A result is computed by some modules and everything that they import. The hash covers only what computes: the syntax
tree of each definition, without comments, docstrings, imports, log lines, error messages and file names. An edit of
one family therefore leaves the results of the others valid, and tidying the package leaves all results valid.
"""

import ast
import fnmatch
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from genbench.machine.checkout import PACKAGE, WORKFLOW
from genbench.own_code import file_of, parse, references

# Modules that compute nothing in a result: they read, write, check, report, or were hashed before (the data).
PLUMBING = (
    "errors",
    "schema",
    "mappings",
    "ranges",
    "own_code",
    "files",
    "machine",
    "data",
    "suites",
    "records",
    "commands",
    "reporting",
    "training.history",
)
COMPUTING = ("machine.distributed",)  # exceptions to PLUMBING: this one adds up gradients
EARLIER = Path(__file__).with_name("earlier_code.json")  # written by tools/same_code.py
# The modules that compute each kind of result, besides those of the model's classes. Every file of metrics/ counts: the
# table of metrics is built from them without importing them by name.
ROOTS = {
    "training": ("training.run",),
    "sampling": ("sampling.generation", "sampling.quantisation"),
    "metrics": ("metrics.*",),
    "paired": ("metrics.paired",),
    "likelihood": ("sampling.likelihood",),
    "objects": ("metrics.object_accuracy", "features.object_training"),
    "given": ("data.given", "data.as_found"),
    "imported": ("importing.*",),
    "language": ("language.*",),
}
BY_A_MODEL = ("training", "sampling", "likelihood")  # the others depend only on images, whatever made them


def code_sha256(kind: str, model: Mapping[str, Any] | None = None) -> str:
    """SHA-256 over the code that computes a kind of result (a key of ROOTS).

    model: the entry of the model that is trained or sampled, {"class": ..., ...}; no classes of other models count.
    """
    return hashlib.sha256("\n".join(sorted(definitions(kind, model))).encode()).hexdigest()


@cache
def package_sha256() -> str:
    """SHA-256 over all files of the package except the report's, whatever their names."""
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(path.read_bytes()).digest() for path in _files()))).hexdigest()


def is_this_code(code: str | None, kind: str, model: Mapping[str, Any] | None = None) -> bool:
    """Whether `code`, the hash in a record, stands for code that computes the same results as this checkout.

    Before 0.2 a record had a hash of all files of the package. Such a hash is accepted if the code that computes the
    result has not changed since tools/same_code.py noted, after a look at the numbers, that the results are the same.
    """
    if code == code_sha256(kind, model):
        return True
    earlier = _earlier().get(str(code), {}).get(kind)
    return earlier is not None and all(definition[:8] in earlier for definition in definitions(kind, model))


def definitions(kind: str, model: Mapping[str, Any] | None = None) -> frozenset[str]:
    """SHA-256 of each definition that `code_sha256` covers; for a user's file, its hash and those of its imports."""
    roots = [name for root in ROOTS[kind] for name in (fnmatch.filter(_modules(), root) if "*" in root else [root])]
    model = model if model and kind in BY_A_MODEL else {}
    own = list(references(model))
    roots += [module for reference in own for module in _imports_of_own(file_of(reference))]
    hashes = {hashlib.sha256(f"{reference.name}#{reference.digest}".encode()).hexdigest() for reference in own}
    return _definitions(frozenset((*roots, *_classes(model)))) | hashes


def all_definitions(kind: str) -> frozenset[str]:
    """As `definitions`, for models of every class of the package."""
    classes = fnmatch.filter(_modules(), "models.*") + fnmatch.filter(_modules(), "networks.*")
    return definitions(kind) | (_definitions(frozenset(classes)) if kind in BY_A_MODEL else frozenset())


@cache
def _definitions(roots: frozenset[str]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module not in found and (module in roots or not _is_plumbing(module)):
            found.add(module)
            waiting += _imports(module)
    return frozenset().union(*(_own_definitions(module) for module in found))


@cache
def _earlier() -> dict[str, dict[str, frozenset[str]]]:
    """{hash of an earlier version of the package: {kind of result: first eight digits of each definition that computes
    the same as that version did}}."""
    if not EARLIER.exists():
        return {}
    known = json.loads(EARLIER.read_text(encoding="utf-8"))
    return {
        code: {kind: frozenset(digests.split()) for kind, digests in kinds.items()} for code, kinds in known.items()
    }


@cache
def _modules() -> dict[str, Path]:
    """The files of the package by dotted name, without the report's, which compute no result."""
    names = {path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path for path in _files()}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


def _files() -> Iterator[Path]:
    left_out = {"reporting", WORKFLOW}  # an installed package holds scripts/
    return (path for path in PACKAGE.rglob("*.py") if left_out.isdisjoint(path.relative_to(PACKAGE).parts))


def _is_plumbing(module: str) -> bool:
    def within(rooms: tuple[str, ...]) -> bool:
        return any(module == room or module.startswith(f"{room}.") for room in rooms)

    return within(PLUMBING) and not within(COMPUTING)


def _classes(entry: Mapping[str, Any], package: str = "models") -> Iterator[str]:
    """The modules of the classes that a model's entry names, and those of its parts, which are networks or models."""
    module = "" if parse(entry.get("class")) else str(entry.get("class", "")).rpartition(".")[0]
    yield from (name for name in (f"{package}.{module}", f"models.{module}") if name in _modules())
    for part in entry.values():
        if isinstance(part, Mapping):
            yield from _classes(part, "networks")


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_modules()[module].read_bytes())  # _own_definitions removes parts of it


@cache
def _imports(module: str) -> frozenset[str]:
    """The modules of the package that a module imports, at its start or in a function."""
    return _imported(_tree(module))


def _imported(tree: ast.Module) -> frozenset[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("genbench."):
            source = str(node.module).removeprefix("genbench.")
            inside = {f"{source}.{alias.name}" for alias in node.names}
            found |= (inside & _modules().keys()) | {source}
    return frozenset(found & _modules().keys())


def _imports_of_own(path: Path) -> frozenset[str]:
    return _imported(ast.parse(path.read_bytes())) if path.suffix == ".py" and path.is_file() else frozenset()


@cache
def _own_definitions(module: str) -> frozenset[str]:
    _imports(module)  # cached before the imports are removed from the tree
    statements = _Computing().visit(_tree(module)).body
    return frozenset(hashlib.sha256(ast.unparse(statement).encode()).hexdigest() for statement in statements)


class _Computing(ast.NodeTransformer):
    """Removes what computes nothing: docstrings, imports, log lines and error messages."""

    def visit_Import(self, node: ast.Import) -> None: ...

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        value = node.value
        if isinstance(value, ast.Constant):
            return None
        logged = isinstance(value, ast.Call) and ast.unparse(value.func).startswith("log.")
        return None if logged else node

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        return ast.Raise()

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.If | ast.With | ast.For) and not node.body:
            node.body = [ast.Pass()]
        return node
