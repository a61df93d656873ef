"""Hand-ins of a class as entries of a suite: one for each file and folder in a folder, with the same name.

A hand-in that is wrong or late becomes a row with the reason, and does not affect the others.
"""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from genbench.data.as_found import ARRAYS
from genbench.errors import InputError
from genbench.suites.entry_keys import Entry
from genbench.suites.foreign import with_formats
from genbench.suites.keys import Card
from genbench.suites.read import read_yaml
from genbench.suites.values import moment

HAND_IN = "hand_in"  # key of a complete entry: its file, its stated parameters, and why it is refused
CARD = "card.yaml"
PROGRAMS = {".onnx": "onnx", ".pt2": "torch_export", ".py": "callable"}
CODE = ("torch_export", "callable")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz")
ABOUT = ("author", "note", "parameters")  # keys of a card; its other keys are options of the samples or generator


def add_hand_ins(suite: dict[str, Any], folder: Path) -> None:
    """Add the entries of a suite's `submissions` to its models, in place. folder: the folder of the suite's file.

    Raises InputError if there is no such folder of hand-ins.
    """
    given = suite.pop("submissions", None)
    if given is None:
        return
    options: Mapping[str, Any] = {"path": given} if isinstance(given, str) else given
    place = Path(os.path.abspath(folder / options["path"]))
    if not place.is_dir():
        raise InputError(f"submissions: found {options['path']!r}, and no such folder in {folder}")
    deadline = moment(options["deadline"]) if "deadline" in options else None
    for path in _handed_in(place):
        name = _free_name(path, suite["models"])
        suite["models"][name] = _entry(path, folder, deadline, bool(options.get("run_code")))


def _handed_in(folder: Path) -> Iterator[Path]:
    """The contents of the folder, without hidden files and the cards of other contents."""
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    others = {path.stem if path.is_file() else path.name for path in found if path.suffix not in (".yaml", ".yml")}
    yield from (path for path in found if not (path.suffix in (".yaml", ".yml") and path.stem in others))


def _free_name(path: Path, taken: Mapping[str, Any]) -> str:
    """A free name for its folder in results/, made from the file's name."""
    for text in (path.name if path.is_dir() else path.name.partition(".")[0], path.name):
        name = re.sub(r"[^A-Za-z0-9_+.-]+", "-", text).strip("-._+")[:60] or "hand-in"
        if name not in taken and name != "real":
            return name
    number = next(number for number in range(2, 10**6) if f"{name}-{number}" not in taken)
    return f"{name}-{number}"


def _entry(path: Path, folder: Path, deadline: datetime | None, run_code: bool) -> dict[str, Any]:
    """The complete entry of a hand-in. If it can't be judged, it is an entry of samples with the reason."""
    file, reason, card = path, None, dict[str, Any]()
    try:
        card = _card(path)
        handed_in = datetime.fromtimestamp(_newest(path)).astimezone()
        if deadline is not None and handed_in > deadline:
            raise InputError(f"late: changed {handed_in:%Y-%m-%d %H:%M}, the deadline was {deadline:%Y-%m-%d %H:%M}")
        kind, file = _what(path)
        options = {key: value for key, value in card.items() if key not in ABOUT}
        entry = _judged(kind, file, options, folder, run_code)
    except (InputError, OSError) as error:
        reason = " ".join(str(error).replace(f"{path.parent}/", "").split())
        entry = Entry.complete({"samples": os.path.relpath(path)}, path.name)
    words = [f"By {card['author'].rstrip('.')}." if "author" in card else "", card.get("note", "")]
    entry["label"], entry["description"] = path.name if path.is_dir() else path.stem, " ".join(filter(None, words))
    entry[HAND_IN] = {"file": path.name, "parameters": card.get("parameters"), "refused": reason}
    return entry


def _judged(kind: str, file: Path, options: dict[str, Any], folder: Path, run_code: bool) -> dict[str, Any]:
    if kind in CODE and not run_code:
        raise InputError(f"{file.name}: found code, which genbench does not run; expected images or an ONNX program")
    if kind == "samples":
        return Entry.complete({"samples": {"path": os.path.relpath(file), **options}}, file.name)
    trusted = {"trusted": True} if kind == "torch_export" else {}
    entry = Entry.complete({kind: {"file": str(file), **options, **trusted}}, file.name)
    with_formats(entry, folder)
    return entry


def _what(path: Path) -> tuple[str, Path]:
    """`samples` or the key of a generator, and its file: the path itself, or the relevant file in that folder."""
    if path.is_symlink():
        raise InputError(f"{path.name}: found a link, expected a file or folder")
    if path.is_file():
        suffix = path.suffix.lower()
        if suffix in PROGRAMS:
            return PROGRAMS[suffix], path
        if suffix in (*ARRAYS, *ARCHIVES):
            return "samples", path
        expected = ", ".join([*ARRAYS, *ARCHIVES[:2], *PROGRAMS])
        raise InputError(f"{path.name}: found {suffix or 'no suffix'}, expected one of {expected}, or a folder")
    inside = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    programs = [file for file in inside if file.suffix in (".onnx", ".pt2") or file.name == "sample.py"]
    arrays = [file for file in inside if file.suffix.lower() in ARRAYS]
    if len(programs or arrays) > 1:
        names = ", ".join(file.name for file in programs or arrays)
        raise InputError(f"{path.name}: found {names}, expected one of them")
    if programs:
        return PROGRAMS[programs[0].suffix], programs[0]
    return "samples", arrays[0] if arrays else path


def _card(path: Path) -> dict[str, Any]:
    """The card of a hand-in, beside it or in it; empty without one."""
    beside = [path.parent / f"{path.name if path.is_dir() else path.stem}{suffix}" for suffix in (".yaml", ".yml")]
    for file in [path / CARD, *beside] if path.is_dir() else beside:
        if file.is_file() and file != path:
            return Card.complete(read_yaml(file), file.name)
    return {}


def _newest(path: Path) -> float:
    """When a file, or any file in a folder, was last changed, in seconds since 1970."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return max(file.lstat().st_mtime for file in files)


def refused(entry: Mapping[str, Any]) -> str | None:
    """Why a hand-in is not judged, if that is known before it is read."""
    reason: str | None = entry.get(HAND_IN, {}).get("refused")
    return reason
