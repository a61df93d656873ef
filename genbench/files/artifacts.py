"""Files that are written whole or not at all, with hashes that identify them. Imports nothing heavy."""

import hashlib
import json
import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError

RECORD_SHA256 = "record_sha256"  # the key of a record's own hash


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it over `path`.

    The file gets the mode that the umask gives, whatever its writer chose: safetensors lets only the owner read its
    files, but results are shared. The temporary name keeps the suffix of `path`, since some writers choose the format
    by it. On an exception the temporary file is removed and `path` stays as it was; an OSError, for example on a full
    disk, names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.tmp{os.getpid()}{path.suffix}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode  # the mode of any new file here
        temporary.unlink()
        yield temporary
        with open(temporary, "rb") as file:
            if os.fstat(file.fileno()).st_mode != mode:
                os.chmod(temporary, stat.S_IMODE(mode))
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, atomically. An object gets a hash, which `read_json` checks and removes.

    Raises ValueError for NaN, which JSON does not have.
    """
    if isinstance(value, Mapping):
        value = json.loads(json.dumps(value, allow_nan=False))  # as it will be read
        value[RECORD_SHA256] = sha256_json(value)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike[str], ours: bool = True) -> Any:
    """Read a JSON file. Raises InputError if it is missing, broken or changed since genbench wrote it.

    ours: Whether genbench may have written it; the error may then advise to delete it.
    """
    return read_hashed_json(path, ours)[0]


def read_hashed_json(path: str | os.PathLike[str], ours: bool = True) -> tuple[Any, bool]:
    """As `read_json`, and whether the file had a hash, that is, whether some version of `write_json` wrote it."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {str(error.strerror).lower()}, expected a JSON file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}){repair_if_ours(path) if ours else ''}") from None
    hashed = isinstance(value, dict) and RECORD_SHA256 in value  # not in a user's own file
    if hashed:
        expected = value.pop(RECORD_SHA256)
        try:
            found = sha256_json(value)
        except ValueError:  # Python reads NaN, which is not JSON and which `write_json` does not write
            found = "none, for a number that is not finite"
        if found != expected:
            raise InputError(
                f"{path}: damaged, or changed by hand: found SHA-256 {found}, expected {expected}{repair(path)}"
            )
    return value, hashed


def repair(path: str | os.PathLike[str]) -> str:
    """The end of an error about a damaged file that genbench made: what to do about it.

    No rule has results/{suite}/preflight.json as its output: a run makes it if there is a job to run, such as the page.
    """
    path = Path(path)
    if path.name == "preflight.json" and (page := path.parent.parent / f"report/{path.parent.name}.html").exists():
        return f"; delete it and the suite's page, and run again: rm {shlex.join(map(str, (path, page)))}"
    return f"; delete it and run again: rm {shlex.quote(str(path))}"


def repair_if_ours(path: str | os.PathLike[str]) -> str:
    """As `repair`, for a file that may not be genbench's; "" for a folder or device, which genbench never makes."""
    return repair(path).replace("; ", "; if genbench wrote it, ", 1) if Path(path).is_file() else ""


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_sha1(path: str | os.PathLike[str]) -> str:
    """The hash that git has for a file's content, in hexadecimal."""
    content = Path(path).read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def check_sha256(path: str | os.PathLike[str], expected: str) -> None:
    """Raise InputError unless the file at `path`, which genbench made, exists and has this hash."""
    found = sha256_file(path) if Path(path).exists() else None
    if found != expected:
        raise InputError(f"{path}: damaged: found SHA-256 {found}, expected {expected}{repair(path)}")


def sha256_json(value: Any) -> str:
    """SHA-256 of a JSON value in its canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def array_sha256(*arrays: NDArray[Any]) -> str:
    """SHA-256 over each array's dtype, shape and bytes (little-endian), in hexadecimal."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(json.dumps([array.dtype.str, array.shape]).encode())
        digest.update(array.data)
    return digest.hexdigest()
