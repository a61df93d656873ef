"""Quality against the cost of training: a line for each series (a recipe at several budgets), and what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from genbench.records.plan import ModelPlan
from genbench.reporting.cells import rank, tied
from genbench.reporting.columns import TRAINING_TIME, Column
from genbench.reporting.comparisons import NARROW, WIDE, Comparison, comparison, points_of, read_as
from genbench.reporting.curves import compare_curves
from genbench.reporting.numerals import Number, count
from genbench.reporting.table import Row, Table

BUDGET = "FLOPs of training"
CAPTION = "on a logarithmic scale: a line for each family, through its best row at each budget."


@dataclass(frozen=True)
class Point:
    """The best row of a series at one budget, in FLOPs."""

    budget: Number
    row: Row


@dataclass(frozen=True)
class Line:
    """A series: its name, its points by rising budget, and sentences about what they show."""

    name: str
    points: Sequence[Point]
    finding: str = ""

    @property
    def last(self) -> Row:
        """The row at its largest budget."""
        return self.points[-1].row

    def at(self, budget: Number) -> Row | None:
        """Its row at a budget, if it has one."""
        return next((point.row for point in self.points if point.budget == budget), None)


@dataclass(frozen=True)
class Compute:
    """The part of a page about compute: its plots, its lines (the best first), and all their budgets."""

    plots: Sequence[Comparison]
    lines: Sequence[Line]
    budgets: Sequence[Number]


def quality_against_compute(models: Mapping[str, ModelPlan], table: Table) -> Compute | None:
    """The quality that each series of a suite reaches at its budgets; None if no series has results at two budgets.

    models: the plan's. A budget is the one that the suite states, or else the FLOPs of the training.
    """
    lead = table.columns[0]
    lines = [Line(name, points) for name, points in series_of(models, table).items()]
    if all(len(line.points) < 2 for line in lines):
        return None
    lines.sort(key=lambda line: rank(line.last.cells[lead.key], lead))
    budgets = sorted({point.budget for line in lines for point in line.points})
    costs = {
        BUDGET: {point.row.model: point.budget for line in lines for point in line.points},
        "seconds of training": training_times(models, table),
    }
    plots = [plot for cost, found in costs.items() if (plot := plotted(cost, found, lines, lead, table.bars))]
    told = [Line(line.name, line.points, finding(line, lines, lead)) for line in lines]
    return Compute(plots, told, budgets)


def series_of(models: Mapping[str, ModelPlan], table: Table) -> dict[str, list[Point]]:
    """By series, the best measured row of each of its models, by rising budget."""
    lead, found = table.columns[0], dict[str, dict[str, Point]]()
    for row in table.rows:  # the best first
        entry = models[row.model]
        if entry.series is None or row.cells[lead.key].value is None or not row.generates:
            continue
        budget = entry.spec.get("training", {}).get("flops") or entry.training_flops
        if budget:
            found.setdefault(entry.series, {}).setdefault(row.model, Point(budget, row))
    return {name: sorted(of.values(), key=lambda point: point.budget) for name, of in found.items()}


def training_times(models: Mapping[str, ModelPlan], table: Table) -> dict[str, Number]:
    """The mean training time of each model in seconds, first stage included, for models of which both are known."""
    own = {row.model: cell.value for row in table.rows if (cell := row.cells.get(TRAINING_TIME.key)) and cell.value}
    stages = {model: models[model].first_stage for model in own}
    return {
        model: seconds + (own[stage] if stage else 0)
        for model, seconds in own.items()
        if (stage := stages[model]) is None or stage in own
    }


def with_first_stages(models: Mapping[str, ModelPlan], table: Table) -> Table:
    """`table` with training times that include a first stage; without the rows of which one of both is unknown."""
    times, key = training_times(models, table), TRAINING_TIME.key
    rows = [
        replace(row, cells={**row.cells, key: replace(row.cells[key], value=times[row.model])})
        for row in table.rows
        if row.model in times and key in row.cells
    ]
    return replace(table, rows=rows)


def plotted(
    cost: str, costs: Mapping[str, Number], lines: Sequence[Line], lead: Column, bars: str
) -> Comparison | None:
    """Quality against one cost; `costs`: by model. None if fewer than two different costs are known."""
    shown = points_of(
        (
            (point.row, {"name": line.name, "x": float(costs[point.row.model])})
            for line in lines
            for point in line.points
            if point.row.model in costs
        ),
        lead,
    )
    if shown.empty or shown["x"].nunique() < 2:
        return None
    draw = partial(compare_curves, shown, cost, lead.label, log_x=True, log_y=lead.distance)
    title = f"Quality against the {cost}"
    times = "" if cost == BUDGET else " A first stage's time counts; times are of the machine that trained."
    caption = f"{title}, {CAPTION}" + times + read_as(lead, bars)
    return comparison(title, caption, draw, (WIDE, NARROW))


# --- What was found, in words -----------------------------------------------------------------------------------------


def finding(line: Line, lines: Sequence[Line], lead: Column) -> str:
    """One or two sentences about a line: at which budgets it leads, and what more compute achieved."""
    place, gains = place_of(line, lines, lead), gains_of(line, lead)
    return f"{place or f'{line.name}.'} {gains}" if gains else place


def place_of(line: Line, lines: Sequence[Line], lead: Column) -> str:
    """At which budgets a line is the best or ties with the best, of the budgets that another line shares."""
    leads: list[Number] = []
    ties: list[Number] = []
    behind: list[Number] = []
    for point in line.points:
        others = [row for other in lines if other is not line and (row := other.at(point.budget))]
        if not others or lead.direction is None:
            continue
        cell = point.row.cells[lead.key]
        best = min((row.cells[lead.key] for row in others), key=lambda other: rank(other, lead))
        if tied([cell], best)[0]:
            ties.append(point.budget)
        else:
            (leads if rank(cell, lead) < rank(best, lead) else behind).append(point.budget)
    if behind and not (leads or ties):
        return f"{line.name} is the best at no budget."
    said = [f"is the best at {sums(leads)}"] if leads else []
    said += [f"ties with the best at {sums(ties)}"] if ties else []
    return f"{line.name} {' and '.join(said)}." if said else ""


def gains_of(line: Line, lead: Column) -> str:
    """How each larger budget changed the headline number."""
    said = []
    for less, more in pairwise(line.points):
        before, after = less.row.cells[lead.key], more.row.cells[lead.key]
        times = f"{more.budget / less.budget:.3g} times the compute ({count(less.budget)} to {count(more.budget)})"
        if before.value is None or after.value is None:
            continue
        if before.text == after.text:
            said.append(f"{times} left it at {after.text}")
        elif tied([after], before)[0]:
            said.append(f"{times} changed it by no more than chance, from {before.text} to {after.text}")
        else:
            verb = "took" if rank(after, lead) < rank(before, lead) else "worsened"
            said.append(f"{times} {verb} it from {before.text} to {after.text}")
    text = "; ".join(said)
    return f"{lead.label}: {text}." if text else ""


def sums(budgets: Sequence[Number]) -> str:
    """1T, 4T and 16T FLOPs."""
    *first, last = [count(budget) for budget in budgets]
    return f"{', '.join(first)} and {last} FLOPs" if first else f"{last} FLOPs"
