"""What has changed since the last run, row by row.

A small file beside the page holds the numbers that it shows, and those of the page before. A report with the same
numbers leaves this file unchanged: the page depends only on the results and on those before them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from genbench.errors import InputError
from genbench.files.artifacts import read_json, write_json
from genbench.reporting.averages import groups_of, images_of
from genbench.reporting.cells import seen
from genbench.reporting.table import Table, row_key

NAME = "numbers.json"
DIGITS = 6  # significant; smaller differences are no change


@dataclass(frozen=True)
class Change:
    """A row that is new, gone or has changed: the headline before and now, and the other numbers that differ."""

    name: str
    what: str
    before: str
    now: str
    others: str


@dataclass(frozen=True)
class Since:
    """What has changed since the last run; time: when the newest of its results was made."""

    time: str
    changes: Sequence[Change]
    same: Sequence[str]

    @property
    def sentence(self) -> str:
        """How many rows are new, changed, gone and the same."""
        kinds = [change.what.split(" ")[0] for change in self.changes] + ["same"] * len(self.same)
        counts = {kind: kinds.count(kind) for kind in ("new", "changed", "gone", "same")}
        return ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)


def since_last_run(table: Table, rows: pd.DataFrame, origins: pd.DataFrame, path: Path) -> Since | None:
    """The changes of `table` since the last different numbers in the file `path`, which is updated.

    rows: the tidy rows of the table; origins: where they come from. None at the first run.
    """
    numbers = numbers_of(table, rows)
    now = {"time": max(map(str, seen(origins, "time")), default="")[:16].replace("T", " "), "rows": numbers}
    kept = read_kept(path)
    last = kept["now"]
    if last is None or last["rows"] != numbers:
        kept = {"now": now, "before": last}
        write_json(path, kept)
    before = kept["before"]
    return None if before is None else changes(before, numbers, table)


def read_kept(path: Path) -> dict[str, Any]:
    """What the file has of the last two runs, `now` and `before`; without a file, or in a damaged one, None of both."""
    nothing: dict[str, Any] = {"now": None, "before": None}
    try:
        kept: Any = read_json(path) if path.exists() else nothing
    except InputError:
        return nothing
    whole = isinstance(kept, dict) and {"now", "before"} <= kept.keys()
    return dict(kept) if whole and isinstance(kept["now"], dict) and "rows" in kept["now"] else nothing


def numbers_of(table: Table, rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """For each row its name, its quality numbers, and a hash of its images."""
    images = {
        row_key(group["model"][0], group["checkpoint"][0], group["sampler"][0]): "".join(images_of(group))
        for group in groups_of(rows)
    }
    quality = [column.key for column in table.columns if column.group == "Quality"]
    return {
        row.key: {
            "name": row.name,
            "images": hashlib.sha256(images.get(row.key, "").encode()).hexdigest()[:12],
            "numbers": {
                key: float(f"{value:.{DIGITS}g}") for key in quality if (value := row.cells[key].value) is not None
            },
        }
        for row in table.rows
    }


def changes(last: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]], table: Table) -> Since:
    """The rows that differ from `last`, in their order, then rows that are gone; and the names of unchanged rows."""
    lead, *others = [column for column in table.columns if column.group == "Quality"]
    found, same = list[Change](), list[str]()

    def text(numbers: Mapping[str, float], key: str) -> str:
        column = next(column for column in (lead, *others) if column.key == key)
        return column.text(numbers[key] * column.scale) if key in numbers else "–"

    for key, row in rows.items():
        old = last["rows"].get(key)
        if old is None:
            found.append(Change(row["name"], "new", "–", text(row["numbers"], lead.key), ""))
            continue
        a, b = old["numbers"], row["numbers"]
        if a == b and old["images"] == row["images"]:
            same.append(row["name"])
            continue
        differing = [column for column in others if a.get(column.key) != b.get(column.key)]
        difference = (b[lead.key] - a[lead.key]) * lead.scale if lead.key in a and lead.key in b else 0
        what = f"changed by {difference:+.3g}" if difference else "changed"
        told = [f"{column.label} {text(a, column.key)} → {text(b, column.key)}" for column in differing]
        if a == b:
            told = ["other images, the same numbers"]
        found.append(Change(row["name"], what, text(a, lead.key), text(b, lead.key), "; ".join(told)))
    gone = [old for key, old in last["rows"].items() if key not in rows]
    found += [Change(old["name"], "gone", text(old["numbers"], lead.key), "–", "") for old in gone]
    return Since(last["time"], found, same)
