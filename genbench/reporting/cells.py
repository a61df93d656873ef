"""One number of a comparison: its mean over seeds, its standard deviation, and whether it is the best of its column."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from genbench.metrics.intervals import deviation
from genbench.references.same import Difference, are_different, difference, difference_by_images, ranks
from genbench.reporting.columns import TIME, Column
from genbench.reporting.numerals import Number, plus_minus, proportion, significant

BY_DRAWS = "between draws with different sampling seeds"
BY_GROUPS = "between draws, estimated from groups of images of one draw"
Group = Mapping[str, Sequence[Any]]  # rows of the tidy table, by column: for a few rows pandas is 30 times slower


@dataclass
class Cell:
    """One number as it is printed; `value` and `std` are over seeds, in the unit of the results.

    runs: the number of each training, by its seeds; with `repeated`, the number of each repeat of a measurement that is
    made once for all trainings. draws: of one training with several draws, the number of each. without: of one
    training, the number without each group of images; drawn: the seeds of these images. estimated: whether `std` comes
    from these groups. met: whether the number is within the suite's bound, if there is one.
    """

    text: str = "–"
    title: str = ""
    value: Number | None = None
    std: Number | None = None
    repeated: bool = False
    best: bool = False
    doubtful: bool = False
    notes: Sequence[str] = ()
    runs: Mapping[tuple[Any, ...], Number] = field(default_factory=dict)
    draws: Mapping[tuple[Any, ...], Number] = field(default_factory=dict)
    without: Sequence[float] = ()
    drawn: str = ""
    estimated: bool = False
    met: bool | None = None


def print_cell(group: Group, column: Column) -> Cell:
    """One number: its mean over training seeds, and their standard deviation if there are several.

    With one training seed it is the standard deviation between draws with different sampling seeds; with a single draw
    it is estimated from that draw's groups of images.
    """
    values = [float(value) for value in seen(group, column.key)]
    if not values:
        return Cell(doubtful=column.doubtful)
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
    text, title = column.text(mean * column.scale), exact(mean)
    between = [exact(value) for value in values]
    runs, of_one = runs_of(group, column.key), dict[tuple[Any, ...], Number]()
    repeats = next(iter(seen(group, f"{column.key}_repeats")), None)
    if repeats is not None:
        std, runs = None, {(number,): value for number, value in enumerate(repeats)}
    elif std is None and (draws := seen(group, f"{column.key}_values")):
        std, between = float(seen(group, f"{column.key}_draw_std")[0]), list(map(exact, draws[0]))
        seeds = next(iter(seen(group, "sample_seeds")), None)
        of_one = {(seeds, number): value for number, value in enumerate(draws[0])}
    without, drawn, estimated = list[float](), "", False
    if len(values) == 1 and (groups := seen(group, f"{column.key}_without")):
        without, drawn = groups[0], next(iter(seen(group, "sample_seeds")), "")
        estimated = std is None
        std = deviation(np.array(without)) if std is None else std
    if std is not None:
        title = f"{title} ± {exact(std)}" + ("" if estimated else f", from {', '.join(between)}")
        if without and (ends := seen(group, f"{column.key}_interval")):
            title += f"; 95 % interval {exact(ends[0][0])} to {exact(ends[0][1])}"
        if column.text in (significant, proportion):
            text = plus_minus(text, std * column.scale)
    elif within := seen(group, f"{column.key}_std"):
        title = f"{title} ± {exact(within[0])}"
    if column == TIME and True in seen(group, "extrapolated"):
        text = f"≈ {text}"
    notes = list(dict.fromkeys(note for found in seen(group, f"{column.key}_note") for note in found.split("; ")))
    return Cell(
        text,
        title,
        mean,
        std,
        repeats is not None,
        doubtful=column.doubtful,
        notes=notes,
        runs=runs,
        draws=of_one,
        without=without,
        drawn=drawn,
        estimated=estimated,
    )


def bars_of(cells: Sequence[Cell]) -> str:
    """A sentence that says what the bars of these numbers are in a plot; "" if none has a standard deviation."""
    estimated = [cell.estimated for cell in cells if cell.std is not None]
    if not estimated:
        return ""
    if not any(estimated):
        return "Bars are ± one standard deviation over seeds or draws."
    seeds = "" if all(estimated) else "over seeds or draws; with one set of images, "
    return f"Bars are ± one standard deviation {seeds}{BY_GROUPS}."


def runs_of(group: Group, key: str) -> dict[tuple[Any, ...], Number]:
    """The numbers of a row's trainings, by the seed of each and the seeds of its samples."""
    unknown = [""] * len(group[key])
    seeds = zip(group.get("seed", unknown), group.get("sample_seeds", unknown), group[key], strict=True)
    return {(seed, drawn if known(drawn) else ""): value for seed, drawn, value in seeds if known(value)}


def mark_best(cells: Sequence[Cell], column: Column) -> None:
    """Mark the best number and its ties: numbers that are printed alike, or differ by no more than chance explains.

    The test in genbench/references/same.py compares each number with the best, at one level for the column. It needs
    several runs or groups of images; without them, only numbers that are printed alike tie. Nothing is marked in a
    column that is doubtful or has no better direction, if all numbers tie, or if there is only one.
    """
    present = sorted((cell for cell in cells if cell.value is not None), key=lambda cell: rank(cell, column))
    if column.direction is None or column.doubtful or not present:
        return
    ties = [cell for cell, tie in zip(present, tied(present, present[0]), strict=True) if tie]
    for cell in ties if len(ties) < len(present) else []:
        cell.best = True


def mark_expected(cells: Sequence[Cell], bound: str) -> None:
    """Mark whether each number is within a bound such as `< 60`."""
    sign = bound[:2] if bound[1] == "=" else bound[0]
    within = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[sign]
    limit = float(bound.removeprefix(sign))
    for cell in cells:
        if cell.value is not None:
            cell.met = bool(within(cell.value, limit))
            cell.title += f"; expected {bound}"


def tied(cells: Sequence[Cell], best: Cell) -> list[bool]:
    """Which numbers tie with `best`: printed alike, or different by no more than chance explains, at one level."""
    tested = [cell for cell in cells if cell is not best and cell.runs and best.runs]
    found = [between(cell, best) for cell in tested]
    chance = {id(cell) for cell, differs in zip(tested, are_different(found), strict=True) if differs is False}
    return [cell.text == best.text or id(cell) in chance for cell in cells]


def between(a: Cell, b: Cell) -> Difference:
    """The difference between two numbers: over trainings, or by the images or draws of one training each."""
    if a.without and b.without and a.value is not None and b.value is not None:
        paired = bool(a.drawn) and a.drawn == b.drawn
        return difference_by_images(a.value, b.value, a.without, b.without, paired)
    if len(a.runs) == len(b.runs) == 1 and (a.draws or b.draws):
        return difference(a.draws or a.runs, b.draws or b.runs)
    return difference(a.runs, b.runs, not (a.repeated or b.repeated))


def places(cells: Sequence[Cell], column: Column) -> list[str]:
    """The place of each number, with ties: "2", or "2–4" if it may be any of these; "" without a number.

    It follows from how many numbers are better and how many are worse, by the test in genbench/references/same.py for
    all pairs at one level.
    """
    there = [number for number, cell in enumerate(cells) if cell.value is not None and cell.runs]
    found = ["" for _ in cells]
    if column.direction is None or column.doubtful or len(there) < 2:
        return found
    pairs = {(a, b): between(cells[there[a]], cells[there[b]]) for b in range(len(there)) for a in range(b)}
    if all(one.p is None for one in pairs.values()):
        return found
    for number, (first, last) in zip(there, ranks(pairs, len(there), column.direction == "lower"), strict=True):
        found[number] = f"{first}" if first == last else f"{first}–{last}"
    return found


def rank(cell: Cell, column: Column) -> float:
    """A sort key: the best cells first, those without a number last."""
    if cell.value is None:
        return float("inf")
    return -cell.value if column.direction == "higher" else cell.value


def seen(rows: pd.DataFrame | Group, key: str) -> list[Any]:
    """The known values of a column; none if the column is absent."""
    values = rows.get(key, [])
    return [value for value in (values.tolist() if isinstance(values, pd.Series) else values) if known(value)]


def known(value: Any) -> bool:
    """Whether a value of the tidy table is known: neither None, NaT nor NaN."""
    return value is not None and value is not pd.NaT and value == value  # NaN differs from itself


def exact(value: Number) -> str:
    """A number in full."""
    return f"{value:,.0f}" if float(value).is_integer() else repr(float(value))
