"""Generators in a suite that are not models of genbench: their keys are converted to those of a checkpoint.

`callable`, `onnx` and `torch_export` are short for `pretrained` with a format, so everything about checkpoints also
holds for them. Files that may run code are named with their hash: own_code.py.
"""

import os
from pathlib import Path
from typing import Any

from genbench.errors import InputError

FOREIGN_KEYS = {"callable": "callable", "onnx": "onnx", "torch-export": "torch_export"}  # by format


def with_formats(entry: dict[str, Any], folder: Path) -> None:
    """Replace such a key, whose file is in `folder`, by `pretrained`, in place. Raises InputError."""
    found = {format: entry.pop(key) for format, key in FOREIGN_KEYS.items() if key in entry}
    if not found:
        return
    if len(found) > 1 or "pretrained" in entry:
        names = ", ".join([*(FOREIGN_KEYS[format] for format in found), *(["pretrained"] * ("pretrained" in entry))])
        raise InputError(f"found {names}, expected one of them")
    ((format, given),) = found.items()
    entry["pretrained"] = {"format": format, **_options(format, dict(given), folder)}


def _options(format: str, given: dict[str, Any], folder: Path) -> dict[str, Any]:
    file = given.pop("file")
    path = Path(file)
    where = f"{FOREIGN_KEYS[format]}: file"
    found = {**given, "path": _shown(file, folder, where)}
    if "files" in given:
        found["files"] = [_shown(name, folder, f"{FOREIGN_KEYS[format]}: files") for name in given["files"]]
    suffix = {"callable": ".py", "torch-export": ".pt2"}.get(format, path.suffix)
    if path.suffix != suffix:
        raise InputError(f"{where}: found {file!r}, expected a file {suffix}")
    if format == "callable":
        return {**found, "function": f"{file}:{given['function']}"}
    if format == "torch-export":
        if not found.pop("trusted"):
            raise InputError(
                f"torch_export: trusted: found false, but reading {file} may run code in it; expected trusted: "
                "true if you trust its author, or the program in ONNX"
            )
        return {**found, "program": f"{file}:program"}
    return found


def _shown(file: str, folder: Path, where: str) -> str:
    """A file in the suite's folder, relative to the working directory if it lies below that, or else absolute."""
    path, here = Path(os.path.abspath(folder / file)), Path.cwd()
    if not path.is_file():
        raise InputError(f"{where}: found {file!r}, and no such file in {folder}")
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix()
