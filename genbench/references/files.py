"""Read and write records of results. Records from elsewhere are not trusted: sizes are limited, and text is checked."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from genbench.errors import InputError, place
from genbench.files.artifacts import RECORD_SHA256, atomic_path, sha256_json
from genbench.machine.checkout import ROOT
from genbench.mappings import explain
from genbench.records.record import OTHER_VERSION
from genbench.records.reference import FORMAT, Reference

LARGEST = 10_000_000  # bytes; a suite of about a hundred rows takes less than 300,000
LONGEST = 2_000  # characters of a text
LONGEST_NAME = 200  # characters of a key
MOST = 50_000  # parts of a list or mapping
DEEPEST = 30  # levels
GREATEST = 1e30  # of numbers: above a training's FLOPs, up to 1e27, and small enough to be squared


def packaged(suite: str) -> Path | None:
    """The reference results of a suite that come with genbench, or None."""
    path = ROOT / "reference" / f"{suite}.json"
    return path if path.is_file() else None


def references(suite: str, given: str | None = None, stored: bool = False) -> list[str]:
    """The record for a suite's page, as a list of one or no path: a file, {suite}.json in a folder, or genbench's.

    given: the file or folder. stored: whether files are in remote storage, which has none of genbench's records.
    Raises InputError for a file that is not a record of the suite, unless it is in remote storage.
    """
    if given is None:
        found = None if stored else packaged(suite)
        return [] if found is None else [str(found)]
    path = Path(given)
    if path.is_dir():
        path /= f"{suite}.json"
        if not path.is_file():
            return []
    if not stored:
        with place("config: reference"):
            read_reference(path, suite)
    return [str(path)]


def write_reference(path: Path, record: Reference) -> None:
    """Write a record atomically, with its own hash and one line for each training, draw and model."""
    content = json.loads(json.dumps(record.model_dump(exclude_none=True, exclude_defaults=True), allow_nan=False))
    content[RECORD_SHA256] = sha256_json(content)
    with atomic_path(path) as temporary:
        temporary.write_text(_lines(content) + "\n", encoding="utf-8")


def _lines(content: Mapping[str, Any]) -> str:
    found = []
    for key, value in content.items():
        text = json.dumps(value)
        if value and isinstance(value, list):
            text = "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"
        elif value and key == "models":
            text = "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(part)}" for name, part in value.items()) + "\n}"
        found.append(f"{json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(found) + "\n}"


def read_reference(path: Path, suite: str | None = None) -> Reference:
    """Read the record at `path`, which must be of `suite` if that is given.

    Raises InputError, with file and key, for a file that is too large, not JSON, damaged, or of another format version
    or suite; and for wrong keys, numbers that are not finite or too large, and texts that are too long or cannot be
    printed.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise InputError(f"{path}: found {size:,} bytes, expected a record of at most {LARGEST:,}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path}: no such file; expected a record, such as `genbench record` writes") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: found no valid JSON ({error}), expected a whole record; is it cut off?") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: found {type(content).__name__}, expected a JSON object")
    check_plain(content, str(path))
    if (found := content.get("format")) != FORMAT:
        raise InputError(f"{path}: format: found {found!r}, expected {FORMAT!r}: make it with this version of genbench")
    expected = content.pop(RECORD_SHA256, None)
    if expected is not None and (found := sha256_json(content)) != expected:
        raise InputError(
            f"{path}: {RECORD_SHA256}: found {expected}, expected {found}: the file is damaged, or was changed by hand"
        )
    try:
        record = Reference.model_validate(content, context=OTHER_VERSION if expected is not None else None)
    except ValidationError as error:
        raise explain(error, content, str(path)) from None
    if suite is not None and record.suite != suite:
        raise InputError(f"{path}: suite: found {record.suite!r}, expected {suite!r}")
    _check_names(record, path)
    return record


def _check_names(record: Reference, path: Path) -> None:
    """Check that draws and trainings belong to models of the record, and that none is listed twice."""
    places: dict[str, list[tuple[Any, ...]]] = {
        "trainings": [(part.model, part.seed) for part in record.trainings],
        "draws": [(part.model, part.seed, part.sampler) for part in record.draws],
    }
    for key, found in places.items():
        seen = set()
        for number, one in enumerate(found):
            if one[0] not in record.models:
                raise InputError(f"{path}: {key}: {number}: model: found {one[0]!r}, expected one of `models`")
            if one in seen:
                raise InputError(f"{path}: {key}: {number}: found {one[0]!r}, seed {one[1]} twice, expected once")
            seen.add(one)
    for number, draw in enumerate(record.draws):
        if draw.sampler not in record.models[draw.model].samplers:
            raise InputError(
                f"{path}: draws: {number}: sampler: found {draw.sampler!r}, expected one of its model's `samplers`"
            )


def check_plain(value: Any, where: str, depth: int = 0) -> None:
    """Check that everything in a JSON value is finite, printable, and neither too long nor too large.

    Raises InputError that begins with `where`.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where}: found {value}, expected a finite number")
    if isinstance(value, float) and abs(value) > GREATEST:
        raise InputError(f"{where}: found {value:g}, expected a number from {-GREATEST:g} to {GREATEST:g}")
    if isinstance(value, int) and abs(value) > 2**63:
        raise InputError(f"{where}: found a number of more than 19 digits, expected fewer")
    if isinstance(value, str):
        _check_text(value, where, LONGEST)
    if isinstance(value, (list, dict)):
        if depth == DEEPEST:
            raise InputError(f"{where}: found more than {DEEPEST} levels, expected fewer")
        if len(value) > MOST:
            raise InputError(f"{where}: found {len(value):,} parts, expected at most {MOST:,}")
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, str):
                _check_text(key, where, LONGEST_NAME)
            check_plain(part, f"{where}: {key}", depth + 1)


def _check_text(text: str, where: str, longest: int) -> None:
    if len(text) > longest:
        raise InputError(f"{where}: found {len(text):,} characters, expected at most {longest:,}")
    if not text.isprintable():
        letter = next(letter for letter in text if not letter.isprintable())
        raise InputError(f"{where}: found the character U+{ord(letter):04X}, expected only printable ones")
