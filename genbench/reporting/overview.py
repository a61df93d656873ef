"""Several suites on one page: each from its summary, and all rows in one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pandas as pd

from genbench.reporting.averages import compare, share_notes
from genbench.reporting.cells import Cell, rank
from genbench.reporting.columns import COSTS, TIME, Column, comparison_columns, own_metrics
from genbench.reporting.numerals import count
from genbench.reporting.pictures import Picture
from genbench.reporting.plots import quality_against
from genbench.reporting.sections import Strip
from genbench.reporting.table import Table

SAMPLES = Column("num_fake", "Samples", "how many images of the row were judged", text=count)


@dataclass(frozen=True)
class Highlight:
    """The best number of a column, and the names of the best row and those that tie with it."""

    column: Column
    text: str
    names: Sequence[str]


class Overview:
    """One suite on the page over all of them, from its summary."""

    def __init__(self, summary: Mapping[str, Any]) -> None:
        self.preflight = summary
        self.name = str(summary["suite"])
        self.title = str(summary.get("title") or self.name)
        self.page = f"{quote(self.name)}.html"
        self.rows = pd.DataFrame(summary["rows"])
        links = {model: f"{self.page}#{anchor}" for model, anchor in summary["anchors"].items()}
        self.own = own_metrics(summary)
        dataset, counted = summary.get("dataset") or {}, summary.get("num_samples")
        columns = comparison_columns(summary["metrics"], summary["headline"], counted, dataset, own=self.own)
        self.table = compare(self.rows, columns, summary["floor"], counted, links)
        self.elsewhere: list[str] = summary.get("elsewhere", [])
        self.highlights = highlights(self.table)
        self.quality = quality_against(self.table, TIME)
        self.strips = [
            Strip(strip["name"], Picture(strip["uri"], strip["width"], strip["height"])) for strip in summary["strips"]
        ]

    @property
    def joint_columns(self) -> list[Column]:
        """The columns shown beside other suites'. Headings omit the number of samples, which differs between suites."""
        dataset = self.preflight.get("dataset") or {}
        found = comparison_columns(self.preflight["metrics"], self.preflight["headline"], None, dataset, own=self.own)
        lead, *others = (replace(column, notes=()) for column in found)
        return [lead, *(column for column in others if (column.info and column.info.overview) or column in COSTS)]


def overviews_of(summaries: Sequence[Mapping[str, Any]]) -> list[Overview]:
    """The suites in order; a title that several share is followed by the suite's name."""
    found = [Overview(summary) for summary in summaries]
    titles = [overview.title for overview in found]
    for overview in found:
        if titles.count(overview.title) > 1:
            overview.title = f"{overview.title} ({overview.name})"
    return found


def joint_table(overviews: Sequence[Overview]) -> Table:
    """The rows of all suites in one table, suite by suite, best first; each best mark is within its own suite."""
    columns = {column.key: column for overview in overviews for column in overview.joint_columns}
    ordered = [SAMPLES, *sorted(columns.values(), key=lambda column: column in COSTS)]
    rows = []
    for overview in overviews:
        for row in overview.table.rows:
            samples = Cell() if row.samples is None else Cell(count(row.samples), f"{row.samples:,}", row.samples)
            cells = {SAMPLES.key: samples} | {column.key: Cell() for column in ordered[1:]}
            for key, cell in row.cells.items():
                if key in cells:  # with its column's notes, since columns of several suites share fewer
                    notes = [] if cell.value is None else [*overview.table.notes[key], *cell.notes]
                    cells[key] = replace(cell, notes=notes)
            rows.append(replace(row, suite=overview.title, cells=cells))
    shown = [column for column in ordered if any(row.cells[column.key].value is not None for row in rows)]
    remarks = []
    for remark in dict.fromkeys(remark for overview in overviews for remark in overview.table.remarks):
        where = [overview.title for overview in overviews if remark in overview.table.remarks]
        remarks.append(remark if len(where) == len(overviews) else f"{', '.join(where)}: {remark}")
    return Table(shown, share_notes(rows, shown), rows, None, remarks)


def highlights(table: Table) -> list[Highlight]:
    """The best of the columns that sum up a suite: the headline, the time to sample, and metrics with `highlight`."""
    found = []
    for column in table.columns:
        leads = column in (table.columns[0], TIME) or bool(column.info and column.info.highlight)
        best = [row for row in table.rows if row.cells[column.key].best]
        best.sort(key=lambda row: rank(row.cells[column.key], column))
        if leads and best:
            found.append(Highlight(column, best[0].cells[column.key].text, [row.name for row in best]))
    return found
