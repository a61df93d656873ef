"""A user's own code: `PATH.py:NAME` in a suite is an object in the user's file, outside the package.

Loading a suite completes it to `PATH.py:NAME#HASH`, with the first 16 hex digits of the file's SHA-256. This text is
part of training fingerprints, checkpoints and records, so an edit of the file repeats exactly the work that depends on
it. A program of torch.export (.pt2), which may run code when it is read, is named in the same way.

Files such as checkpoints may come from anyone. Code that they name runs only if it is allowed in this process: by a
suite, by `allow`, or by the environment variable GENBENCH_OWN_CODE.
"""

import hashlib
import os
import re
import shlex
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from genbench.errors import InputError, place, unknown_name

VARIABLE = "GENBENCH_OWN_CODE"  # code that may run, one reference per line
_PATTERN = re.compile(
    r"(?P<path>[^\x00-\x1f\x7f<>{}#]+\.(?:py|pt2)):(?P<name>[^\W\d]\w*)(?:#(?P<digest>[0-9a-f]{16}))?"
)
_allowed: dict[tuple[str, str], Path] = {}  # by name and hash
_modules: dict[str, ModuleType] = {}  # by hash


class Reference(NamedTuple):
    """An object in a user's file, as a text `PATH.py:NAME` or `PATH.py:NAME#HASH`."""

    path: str
    name: str
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" + (f"#{self.digest}" if self.digest else "")


def parse(text: object) -> Reference | None:
    """Parse a reference; None for any other text, such as `gan.GAN`, and for values of other types."""
    found = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    return Reference(**found.groupdict()) if found else None


def complete(value: Any, folder: Path = Path(), but: Collection[str] = ()) -> Any:
    """Complete and allow every reference in a user's value, which comes from a YAML file in `folder`.

    Values of the keys in `but` are left unchanged.
    """
    if isinstance(value, Mapping):
        return {key: part if key in but else _complete_part(key, part, folder, but) for key, part in value.items()}
    if isinstance(value, list):
        return [complete(part, folder, but) for part in value]
    return allow(value, folder) if parse(value) else value


def _complete_part(key: str, part: Any, folder: Path, but: Collection[str]) -> Any:
    with place(key):
        return complete(part, folder, but)


def allow(text: str, folder: str | os.PathLike[str] = ".") -> str:
    """Let this process run `PATH.py:NAME`, where PATH is relative to `folder`; returns the complete reference.

    Its PATH is relative to the working directory if the file lies below that. Raises InputError for a missing file, and
    for a file that does not match the HASH of a complete reference.
    """
    given = parse(text)
    if given is None:
        raise InputError(f"own code: found {text!r}, expected PATH.py:NAME, such as ./my.py:Flow")
    path = Path(os.path.abspath(Path(folder) / given.path))
    digest = _digest(_read(path))
    _check_digest(path, digest, given.digest)
    _allowed[given.name, digest] = path
    return str(Reference(_shown(path), given.name, digest))


def allowed() -> list[str]:
    """The code that this process may run, as complete references, for the environment of its subprocesses."""
    return [str(Reference(_shown(path), name, digest)) for (name, digest), path in _known().items()]


def load(text: str) -> Any:
    """The object that a complete reference names.

    Its file runs once, from the bytes that were hashed. Raises InputError if this process may not run it, and for a
    file that is missing, was edited, fails, or has no such name.
    """
    path, reference = allowed_file(text), parse(text)
    assert reference is not None
    module = _module(path, str(reference.digest))
    if reference.name not in vars(module):
        raise unknown_name(_shown(path), reference.name, _own_names(module))
    return getattr(module, reference.name)


def _own_names(module: ModuleType) -> list[str]:
    """The names that a user's file defines: functions and classes of its own, and objects such as a Metric."""

    def is_own(value: Any) -> bool:
        if isinstance(value, type) or callable(value):
            return bool(getattr(value, "__module__", None) == module.__name__)
        return not isinstance(value, ModuleType) and type(value).__module__ != "builtins"

    return [name for name, value in vars(module).items() if not name.startswith("_") and is_own(value)]


def allowed_file(text: str) -> Path:
    """The file that a complete reference names. Raises InputError if this process may not run it."""
    reference = parse(text)
    if reference is None or reference.digest is None:
        raise InputError(
            f"own code: found {text!r}, expected PATH.py:NAME#HASH, as a suite that is loaded has it, and "
            "genbench.own_code.allow returns it"
        )
    known = _known()
    path = known.get((reference.name, reference.digest))
    if path is None:
        for (name, digest), other in known.items():
            if name == reference.name and other.name == Path(reference.path).name:
                _check_digest(other, digest, reference.digest)
        plain = str(reference._replace(digest=None))
        raise InputError(
            f"own code: found {text}, which this process may not run; if you trust that file, set the "
            f"environment variable {VARIABLE}={shlex.quote(plain)}"
        )
    return path


def references(value: Any) -> Iterator[Reference]:
    """Every reference in a value, such as a model's entry."""
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    for part in parts:
        yield from references(part)
    if (reference := parse(value)) is not None:
        yield reference


def without_paths(value: Any) -> Any:
    """A value whose references have no paths, because no result depends on where a file lies."""
    if isinstance(value, Mapping):
        return {key: without_paths(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_paths(part) for part in value]
    reference = parse(value)
    return value if reference is None else str(reference._replace(path="own.py"))


def file_of(reference: Reference) -> Path:
    """The file of a reference: the one that this process allows, or else the reference's own path."""
    return _known().get((reference.name, str(reference.digest)), Path(reference.path))


def _known() -> dict[tuple[str, str], Path]:
    """The files that may run, by name and hash. A line in the environment without a hash allows the current file."""
    known = dict(_allowed)
    for line in os.environ.get(VARIABLE, "").splitlines():
        if line.strip():
            given = parse(line.strip())
            if given is None:
                raise InputError(f"{VARIABLE}: found {line!r}, expected PATH.py:NAME on each line")
            path = Path(os.path.abspath(given.path))
            known[given.name, given.digest or _digest(_read(path))] = path
    return known


def _module(path: Path, digest: str) -> ModuleType:
    if digest not in _modules:
        source = _read(path)
        _check_digest(path, _digest(source), digest)
        module = ModuleType(f"genbench_own_{digest}")
        module.__file__ = str(path)
        sys.modules[module.__name__] = module  # dataclasses and annotations look names up there
        try:
            exec(compile(source, str(path), "exec"), vars(module))
        except (Exception, SystemExit) as error:
            del sys.modules[module.__name__]
            raise _failed(path, error) from error
        _modules[digest] = module
    return _modules[digest]


def _failed(path: Path, error: BaseException) -> InputError:
    """An error in a user's file, in one line: its place and its message."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    place = f"{_shown(path)}: line {line}" if line else _shown(path)
    hint = ""
    if isinstance(error, ModuleNotFoundError) and (path.parent / f"{str(error.name).partition('.')[0]}.py").exists():
        hint = "; own code is one file, which may import installed packages and genbench, and no file beside it"
    return InputError(f"{place}: {type(error).__name__}: {' '.join(str(error).split())}{hint}")


@contextmanager
def naming_lines() -> Iterator[None]:
    """Turn errors that pass through a user's file into InputErrors that name its line; others pass unchanged."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if said := located(error):
            raise InputError(said) from error
        raise


def located(error: Exception) -> str | None:
    """An error that passed through a user's file, in one line: place, type and message; None for any other error."""
    files = {module.__file__ for module in _modules.values()}
    passed = [frame.filename for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return str(_failed(Path(passed[-1]), error)) if passed else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"own code: {_shown(path)}: no such file") from None
    except OSError as error:
        raise InputError(f"own code: {_shown(path)}: {error.strerror}") from None


def _digest(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()[:16]


def _check_digest(path: Path, found: str, expected: str | None) -> None:
    if expected not in (None, found):
        raise InputError(
            f"{_shown(path)}: found SHA-256 {found}..., expected {expected}...: the file was edited since; restore "
            "it, or run again what depends on it"
        )


def _shown(path: Path) -> str:
    """A path, relative to the working directory if it lies below that."""
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.as_posix()
