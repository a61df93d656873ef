"""The comparison as files for a paper: CSV and JSON with full precision, LaTeX (booktabs) and Markdown as printed."""

import base64
import json
import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from genbench.reporting.cells import Cell
from genbench.reporting.columns import FLOPS, NFE, PARAMETERS, TIME, TRAINING_TIME, Column
from genbench.reporting.latex import escape_latex, lacking_letters
from genbench.reporting.numerals import one_line
from genbench.reporting.table import Row, Table

PRINTED = (TIME, NFE, FLOPS, PARAMETERS, TRAINING_TIME)  # the costs for which a printed page has room
PAGE_ROWS = 40  # rows of a table* that fills a page
ARROWS = {"higher": "↑", "lower": "↓"}


def described(row: Row) -> dict[str, Any]:
    """What CSV and JSON state about a row besides its numbers."""
    names = {"model": row.label, "family": row.family, "sampler": row.sampler_label}
    return names | {key: getattr(row, key) for key in ("checkpoint", "budget", "samples", "device")}


def comma_separated(table: Table) -> str:
    """Every number with full precision, and its standard deviation if there is one."""
    lines = []
    for row in table.rows:
        lines.append(described(row) | {"role": row.role, "place": row.place})
        for key in (column.key for column in table.columns):
            lines[-1] |= {key: row.cells[key].value, f"{key}_std": row.cells[key].std}
    keys = [key for column in table.columns for key in (column.key, f"{column.key}_std")]
    heading = ["model", "family", "sampler", "checkpoint", "budget", "samples", "device"]
    if any(row.role for row in table.rows):  # the suite has hand-ins
        heading += ["role", "place"]
    heading += [key for key in keys if any(line[key] is not None for line in lines)]
    return pd.DataFrame(lines, columns=heading, dtype=object).to_csv(index=False)


def as_json(table: Table) -> str:
    """Every number with full precision, definition and notes; `best` marks the best of a column and its ties."""
    columns = {
        column.key: {
            "label": column.label,
            "definition": column.definition,
            "better": column.direction,
            "notes": list(table.notes[column.key]),
        }
        for column in table.columns
    }
    rows = [
        described(row)
        | {"device": row.device or None, "remarks": list(row.remarks), "values": numbers(row.cells)}
        | ({"role": row.role, "place": row.place} if row.role else {})
        for row in table.rows
    ]
    real = numbers(table.floor) if table.floor else None
    record = {"columns": columns, "rows": rows, "real_images": real, "remarks": list(table.remarks)}
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def numbers(cells: Mapping[str, Cell]) -> dict[str, dict[str, object]]:
    """The cells that have a number."""
    found: dict[str, dict[str, object]] = {}
    for key, cell in cells.items():
        if cell.value is not None and math.isfinite(cell.value):  # JSON has no other numbers
            found[key] = {"value": cell.value, "std": cell.std, "best": cell.best, "notes": list(cell.notes)}
            found[key] |= {} if cell.met is None else {"met": cell.met}
    return found


def latex(table: Table) -> str:
    """A table* for a paper that loads booktabs and graphicx: quality, then costs below it, shrunk if too wide.

    The best numbers are bold, notes stand below. If the rows do not fit on a page, they are split into several table*,
    and the notes are text after them.
    """
    columns = printed_columns(table)
    parts = [[column for column in columns if (column in PRINTED) == cost] for cost in (False, True)]
    rows = len(table.rows)
    pieces = [table.rows[start : start + PAGE_ROWS] for start in range(0, max(rows, 1), PAGE_ROWS)]
    tabulars = [
        [
            r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
            *latex_tabular(table, part, piece),
            r"}\par\medskip",
        ]
        for part in filter(None, parts)
        for piece in pieces
    ]
    begin = [r"\begin{table*}", r"\centering\small\setlength{\tabcolsep}{4pt}"]
    end = [r"\end{table*}"]
    lacking = sorted({letter for row in table.rows for letter in lacking_letters(f"{named(row)}{row.sampler_label}")})
    unprinted = [f"A question mark stands for a letter that LaTeX's default fonts lack ({len(lacking)} of them)."]
    notes = [r"\footnotesize\raggedright", *(f"{escape_latex(remark)}\\par" for remark in remarks(table))]
    notes += [f"{escape_latex(note)}\\par" for note in unprinted if lacking]
    notes += [f"$^{{{mark}}}$~{escape_latex(note)}\\par" for mark, note in marked_notes(table, columns)]
    if rows * len(tabulars) // len(pieces) <= PAGE_ROWS:
        body = [*begin, *(line for lines in tabulars for line in lines), *notes, *end]
    else:
        body = [line for lines in tabulars for line in [*begin, *lines, *end]] + ["{" + notes[0], *notes[1:], "}"]
    comments = [f"% printed as ?: {' '.join(lacking)}"] if lacking else []
    return "\n".join([r"% \usepackage{booktabs,graphicx}", *comments, *body, ""])


def latex_tabular(table: Table, columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """The lines of a tabular: models, samplers and `columns` of `rows`, with the real images below the last row."""

    def line(name: str, sampler: str, cells: Sequence[str]) -> str:
        return " & ".join([name, sampler, *cells]) + r" \\"

    lines = [r"\begin{tabular}{ll" + "r" * len(columns) + "}", r"\toprule"]
    lines += [line("Model", "Sampler", [stacked(heading(column)) for column in columns]), r"\midrule"]
    lines += [line(*LATEX.names(row), LATEX.cells(row.cells, columns, table)) for row in rows]
    last = not rows or rows[-1] is table.rows[-1]
    if last and table.floor and any(table.floor[column.key].value is not None for column in columns):
        lines += [r"\midrule", line("Real images", "", LATEX.cells(table.floor, columns, table))]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def stacked(text: str, width: int = 11) -> str:
    """A heading of several words on several lines, flush right."""
    words = [escape_latex(line) for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)]
    return words[0] if len(words) == 1 else r"\shortstack[r]{" + r" \\ ".join(words) + "}"


def markdown(table: Table) -> str:
    """A table for a README; the best numbers are bold, notes stand below."""
    columns = printed_columns(table)
    rows = [["Model", "Sampler", *(escape_markdown(heading(column)) for column in columns)]]
    rows += [["---", "---", *["---:"] * len(columns)]]
    rows += [[*MARKDOWN.names(row), *MARKDOWN.cells(row.cells, columns, table)] for row in table.rows]
    rows += [["Real images", "", *MARKDOWN.cells(table.floor, columns, table)]] if table.floor else []
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", *(f"{escape_markdown(remark)}  " for remark in remarks(table))]
    lines += [f"<sup>{mark}</sup> {escape_markdown(note)}  " for mark, note in marked_notes(table, columns)]
    return "\n".join([*lines, ""])


def printed_columns(table: Table) -> list[Column]:
    """The columns of quality, and the costs in PRINTED."""
    return [column for column in table.columns if column.group == "Quality" or column in PRINTED]


def heading(column: Column) -> str:
    """A column's label with an arrow in its better direction."""
    return f"{column.label} {ARROWS[column.direction]}" if column.direction else column.label


def named(row: Row) -> str:
    """A model's label with its budget (always, since it may be reduced) and its checkpoint unless it is final."""
    parts = [row.budget, row.checkpoint if row.checkpoint != "final" else None]
    told = ", ".join(part for part in parts if part)
    return f"{row.label} ({told})" if told else row.label


def remarks(table: Table) -> list[str]:
    """Sentences about the table as a whole."""
    return ["Bold: the best of its column and its ties. ↓ lower and ↑ higher is better.", *table.remarks]


def marked_notes(table: Table, columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Each note with its mark; notes on whole columns or rows name them."""
    cells = [row.cells[column.key] for row in table.rows for column in columns]
    cells += [table.floor[column.key] for column in columns] if table.floor else []
    own = {note for cell in cells for note in cell.notes}
    found = [(mark, note) for note, mark in table.footnotes.items() if note in own]
    for note, mark in table.footnotes.items():
        where = [column.label for column in columns if note in table.notes[column.key]]
        where += [row.name for row in table.rows if note in row.remarks]
        if where:
            found.append((mark, f"{', '.join(dict.fromkeys(where))}: {note}"))
    return found


def escape_markdown(text: str) -> str:
    """Text escaped for Markdown, on one line: no markup and no HTML."""
    escaped = re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True)
class Markup:
    """A language of printed tables: how it writes text, the best number, and the marks of notes."""

    escape: Callable[[str], str]
    bold: str
    raised: str

    def names(self, row: Row) -> tuple[str, str]:
        """The model and the sampler of a row."""
        return self.escape(named(row)), self.escape(row.sampler_label)

    def cells(self, cells: Mapping[str, Cell], columns: Sequence[Column], table: Table) -> list[str]:
        """The numbers of a row with the marks of their notes; the best of a column is bold."""
        found = []
        for cell in (cells[column.key] for column in columns):
            text = self.bold % self.escape(cell.text) if cell.best else self.escape(cell.text)
            found.append(text + (self.raised % ",".join(table.marks(cell.notes)) if cell.notes else ""))
        return found


LATEX, MARKDOWN = Markup(escape_latex, r"\textbf{%s}", "$^{%s}$"), Markup(escape_markdown, "**%s**", "<sup>%s</sup>")


def data_uri(text: str) -> str:
    """A text file as a data URI."""
    return "data:text/plain;charset=utf-8;base64," + base64.b64encode(text.encode(errors="replace")).decode()


EXPORTS: dict[str, Callable[[Table], str]] = {"csv": comma_separated, "json": as_json, "tex": latex, "md": markdown}
