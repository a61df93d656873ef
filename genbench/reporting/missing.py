"""Why a row has no numbers: a step failed, was stopped or has not begun. The last line of its log gives the reason.

A report can be made at any time: it shows the results that exist, and a reason for each that is missing.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genbench.errors import InputError
from genbench.reporting.numerals import one_line

LONGEST = 400  # letters of a reason
SHOWN = 8  # lines from the end of a log
NOT_BEGUN = "training has not begun: there is no training.json"
UNREADABLE = (InputError, OSError)  # raised for a file that is damaged or not readable
# For each step: the record that it writes at its end, its logs, and its name.
TRAINING = ("training.json", ("logs/train.log", "logs/import.log"), "training")
DRAWING = (
    ("timing.json", ("logs/sample.log", "logs/import.log"), "sampling"),
    ("metrics.json", ("logs/evaluate.log", "logs/features-*.log"), "evaluation"),
)


def untrained(run: Path) -> str | None:
    """Why a training run has no record; None if it has one."""
    return reason(run, *TRAINING)


def undrawn(place: Path) -> str | None:
    """Why a set of samples has no numbers; None if it has been drawn and evaluated."""
    return next(filter(None, (reason(place, *step) for step in DRAWING)), None)


def reason(folder: Path, record: str, logs: tuple[str, ...], step: str) -> str | None:
    """Why a step has not written its `record`, from the newest of its logs; None if it has."""
    if (folder / record).exists():
        return None
    lines = _log(folder, logs)
    if not lines:
        return f"{step} has not begun: there is no {record}"
    last = one_line(lines[-1].strip())[:LONGEST]
    if last.startswith("error: "):
        return f"{step} failed: {last.removeprefix('error: ')}"
    if re.match(r"[\w.]*(Error|Exception|Exit)\b", last):
        return f"{step} failed: {last}"
    return f"{step} is not finished; its log ends with: {last}"


def ending(run: Path, place: Path) -> list[str]:
    """The last lines of the log of a row's first unfinished step; none if it has not begun. run: the folder of the
    training; place: the folder of its samples."""
    for folder, (record, logs, _) in ((run, TRAINING), *((place, step) for step in DRAWING)):
        if not (folder / record).exists():
            return [one_line(line)[:LONGEST] for line in _log(folder, logs)[-SHOWN:]]
    return []


def _log(folder: Path, logs: tuple[str, ...]) -> list[str]:
    """The lines of the newest of these logs, without empty lines."""
    found = sorted((path for log in logs for path in folder.glob(log)), key=lambda path: path.stat().st_mtime)
    text = found[-1].read_text(encoding="utf-8", errors="replace") if found else ""
    return [line for line in text.splitlines() if line.strip()]


def unreadable(step: str, error: Exception, root: Path) -> str:
    """Why a row has no numbers if its training or result cannot be read. File names are relative to `root`."""
    return f"its {step} cannot be read: {_below(error, root)}"


def left_out(path: Path, error: Exception, root: Path) -> str:
    """A remark that an optional file is left out, and why."""
    return f"{path.name} is left out, since it cannot be read: {_below(error, root)}"


def _below(error: Exception, root: Path) -> str:
    """An error with file names relative to `root`, except in the command at its end, which the user types."""
    said, command, path = str(error).partition("rm ")
    return one_line(said.replace(f"{root}/", "") + command + path)[:LONGEST]


def without_numbers(known: Mapping[str, Any], why: str, several: bool) -> dict[str, Any]:
    """The row of a draw without numbers. known: its plan; several: whether its model has several training seeds."""
    remark = f"seed {known['seed']}: {why}" if several else why
    return {**known, "missing": why, "remarks": [*known["remarks"], remark], "warnings": []}
