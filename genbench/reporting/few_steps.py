"""The best row for each limit on network evaluations: one, a few, or no limit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from genbench.records.plan import ModelPlan
from genbench.reporting.cells import rank, tied
from genbench.reporting.columns import NFE
from genbench.reporting.numerals import Number
from genbench.reporting.table import Row, Table

LIMITS = (1, 2, 4, 10, 50, None)  # network evaluations per image; None: no limit


@dataclass(frozen=True)
class Best:
    """The best row within a limit, and the rows that tie with it."""

    row: Row
    ties: Sequence[Row]


@dataclass(frozen=True)
class FewSteps:
    """The best rows of each limit, by training budget; the budget None holds the rows that state none."""

    budgets: Sequence[Number | None]
    best: Mapping[int | None, Mapping[Number | None, Best]]  # by limit, then by budget


def best_by_evaluations(models: Mapping[str, ModelPlan], table: Table) -> FewSteps | None:
    """The best row within each of LIMITS; None if all rows need the same number of evaluations, or it is unknown.

    models: the plan's. Rows are compared within their training budget, if several models share a budget.
    """
    lead = table.columns[0]
    if lead.direction is None or NFE.key not in [column.key for column in table.columns]:
        return None
    grouped: dict[Number | None, list[Row]] = {}
    for row in table.rows:
        if row.generates and row.cells[lead.key].value is not None and row.cells[NFE.key].value is not None:
            grouped.setdefault(budget_of(models[row.model]), []).append(row)
    if len({row.cells[NFE.key].value for rows in grouped.values() for row in rows}) < 2:
        return None
    budgets = sorted(budget for budget, rows in grouped.items() if budget and len({row.model for row in rows}) > 1)
    grouped = {budget: grouped[budget] for budget in budgets or grouped}
    best = {limit: dict(best_within(grouped, limit, table)) for limit in LIMITS}
    return FewSteps(list(grouped), {limit: found for limit, found in best.items() if found})


def budget_of(entry: ModelPlan) -> Number | None:
    """The FLOPs that a recipe of a series states, else None."""
    budget: Number | None = entry.spec.get("training", {}).get("flops") if entry.series else None
    return budget


def best_within(
    grouped: Mapping[Number | None, Sequence[Row]], limit: int | None, table: Table
) -> Iterator[tuple[Number | None, Best]]:
    """The best row of each budget with at most `limit` evaluations, if there is one."""
    lead = table.columns[0]
    for budget, rows in grouped.items():
        within = [row for row in rows if limit is None or (row.cells[NFE.key].value or 0) <= limit]
        if within:
            best = min(within, key=lambda row: rank(row.cells[lead.key], lead))
            ties = tied([row.cells[lead.key] for row in within], best.cells[lead.key])
            others = [row for row, tie in zip(within, ties, strict=True) if tie and row is not best]
            yield budget, Best(best, others)
