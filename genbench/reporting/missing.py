"""Why a row has no numbers: a step that failed, was stopped or has not begun, as its log's last line says.

A report can be made at any time: of what there is, with a reason for what there is not.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genbench.errors import InputError
from genbench.reporting.numerals import one_line

LONGEST = 400  # letters of a reason
SHOWN = 8  # lines of a log that say how it ended
NOT_BEGUN = "training has not begun: there is no training.json"
UNREADABLE = (InputError, OSError)  # what a damaged file, or one that may not be read, raises
# Of each step: the record that it ends with, its logs, and what it is called.
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
    """Why a step has not written its `record`; None if it has. The newest of its logs says so."""
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
    """The last lines of the log of the first step that is missing of a row, whose samples are in the folder `place` of
    a training `run`; none where it has not begun."""
    for folder, (record, logs, _) in ((run, TRAINING), *((place, step) for step in DRAWING)):
        if not (folder / record).exists():
            return [one_line(line)[:LONGEST] for line in _log(folder, logs)[-SHOWN:]]
    return []


def _log(folder: Path, logs: tuple[str, ...]) -> list[str]:
    """The lines of the newest of these logs, without empty ones."""
    found = sorted((path for log in logs for path in folder.glob(log)), key=lambda path: path.stat().st_mtime)
    text = found[-1].read_text(encoding="utf-8", errors="replace") if found else ""
    return [line for line in text.splitlines() if line.strip()]


def unreadable(step: str, error: Exception, root: Path) -> str:
    """Why a row has no numbers whose training or result cannot be read. The names of files begin below `root`."""
    return f"its {step} cannot be read: {_below(error, root)}"


def left_out(path: Path, error: Exception, root: Path) -> str:
    """That an optional file is left out, and why."""
    return f"{path.name} is left out, since it cannot be read: {_below(error, root)}"


def _below(error: Exception, root: Path) -> str:
    """An error in which files begin below `root`, but not in the command at its end, which a user types."""
    said, command, path = str(error).partition("rm ")
    return one_line(said.replace(f"{root}/", "") + command + path)[:LONGEST]


def without_numbers(known: Mapping[str, Any], why: str, several: bool) -> dict[str, Any]:
    """A row of which only the plan is known. several: whether its model has other training seeds."""
    remark = f"seed {known['seed']}: {why}" if several else why
    return {**known, "missing": why, "remarks": [*known["remarks"], remark], "warnings": []}
