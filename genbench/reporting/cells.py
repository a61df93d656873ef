"""One number of a comparison: its mean over seeds, how far it varies, and whether it is the best of its column."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from genbench.reporting.columns import TIME, Column
from genbench.reporting.numerals import Number, plus_minus, proportion, significant

Group = Mapping[str, Sequence[Any]]  # rows of the tidy table by column: pandas takes 30 times as long for a few rows
PAIRS = 3  # of fewer, the standard deviation of differences is small by chance too often


@dataclass
class Cell:
    """One number as it is printed; `value` and `std` are over seeds, in the unit of the results.

    runs: what they are of: the number of each run, by its seeds. repeat_std: in their place, of what is measured once
    for all trainings, between repeats of that.
    """

    text: str = "–"
    title: str = ""
    value: Number | None = None
    std: Number | None = None
    repeat_std: Number | None = None
    best: bool = False
    doubtful: bool = False
    notes: Sequence[str] = ()
    runs: Mapping[tuple[Any, ...], Number] = field(default_factory=dict)


def print_cell(group: Group, column: Column) -> Cell:
    """One number: its mean over seeds, and the standard deviation between them if there are several.

    With one training seed it is that between draws with other sampling seeds, if there are several of these.
    """
    values = [float(value) for value in seen(group, column.key)]
    if not values:
        return Cell(doubtful=column.doubtful)
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
    text, title = column.text(mean * column.scale), exact(mean)
    between = [exact(value) for value in values]
    runs = runs_of(group, column.key)
    repeat_std = next(iter(seen(group, f"{column.key}_repeat_std")), None)
    if repeat_std is not None:
        std = None
    elif std is None and (draws := seen(group, f"{column.key}_values")):
        std, between = float(seen(group, f"{column.key}_draw_std")[0]), list(map(exact, draws[0]))
        seeds = next(iter(seen(group, "sample_seeds")), None)
        runs = {(seeds, number): value for number, value in enumerate(draws[0])}
    if std is not None:
        title = f"{title} ± {exact(std)}, from {', '.join(between)}"
        if column.text in (significant, proportion):
            text = plus_minus(text, std * column.scale)
    elif within := seen(group, f"{column.key}_std"):
        title = f"{title} ± {exact(within[0])}"
    if column == TIME and True in seen(group, "extrapolated"):
        text = f"≈ {text}"
    notes = list(dict.fromkeys(note for found in seen(group, f"{column.key}_note") for note in found.split("; ")))
    return Cell(text, title, mean, std, repeat_std, doubtful=column.doubtful, notes=notes, runs=runs)


def runs_of(group: Group, key: str) -> dict[tuple[Any, ...], Number]:
    """The numbers of a row's trainings, by the seed of each and the seeds of its samples."""
    unknown = [""] * len(group[key])
    seeds = zip(group.get("seed", unknown), group.get("sample_seeds", unknown), group[key], strict=True)
    return {(seed, drawn if known(drawn) else ""): value for seed, drawn, value in seeds if known(value)}


def mark_best(cells: Sequence[Cell], column: Column) -> None:
    """Mark the best number and its ties: printed alike or, over several runs, less than two standard deviations apart.

    The standard deviation is that of the difference between two runs, one of each row, or two repeats of a timing.
    Nothing is marked where no end is better, where there is nothing to compare with, where all tie, or where a number
    says little.
    """
    present = sorted((cell for cell in cells if cell.value is not None), key=lambda cell: rank(cell, column))
    if column.direction is None or column.doubtful or not present:
        return
    best = present[0]
    ties = [
        cell
        for cell in present
        if cell.text == best.text or abs(rank(cell, column) - rank(best, column)) < 2 * deviation(cell, best)
    ]
    for cell in ties if len(ties) < len(present) else []:
        cell.best = True


def deviation(a: Cell, b: Cell) -> float:
    """The standard deviation of the difference between two rows' numbers, of one run each.

    Rows of the same seeds, at least PAIRS of them, are compared seed by seed: what a seed does to both cancels.
    """
    if a.repeat_std is not None or b.repeat_std is not None:
        return math.hypot(a.repeat_std or a.std or 0, b.repeat_std or b.std or 0)
    if len(a.runs) >= PAIRS and a.runs.keys() == b.runs.keys():
        return statistics.stdev(a.runs[seeds] - b.runs[seeds] for seeds in a.runs)
    return math.hypot(a.std or 0, b.std or 0)


def rank(cell: Cell, column: Column) -> float:
    """A number that sorts cells best first, and absent ones last."""
    if cell.value is None:
        return float("inf")
    return -cell.value if column.direction == "higher" else cell.value


def seen(rows: pd.DataFrame | Group, key: str) -> list[Any]:
    """The values that are there, in a column that may be absent."""
    values = rows.get(key, [])
    return [value for value in (values.tolist() if isinstance(values, pd.Series) else values) if known(value)]


def known(value: Any) -> bool:
    """Whether a value of the tidy table is there."""
    return value is not None and value is not pd.NaT and value == value  # not-a-number differs from itself


def exact(value: Number) -> str:
    """A number in full."""
    return f"{value:,.0f}" if float(value).is_integer() else repr(float(value))
