"""The comparison as files for a paper: CSV and JSON in full, LaTeX (booktabs) and Markdown as it is printed."""

import base64
import csv
import io
import json
import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence

from genbench.reporting.cells import Cell
from genbench.reporting.columns import FLOPS, NFE, PARAMETERS, TIME, TRAINING_TIME, Column
from genbench.reporting.latex import escape_latex, lacking_letters
from genbench.reporting.numerals import Number, one_line
from genbench.reporting.table import Row, Table

PRINTED = (TIME, NFE, FLOPS, PARAMETERS, TRAINING_TIME)  # the costs for which a printed page has room
PAGE_ROWS = 40  # of a table* on a page of its own
ARROWS = {"higher": "↑", "lower": "↓"}


def comma_separated(table: Table) -> str:
    """Every number in full, with its standard deviation where there is one."""
    columns = [column for column in table.columns if any(row.cells[column.key].value is not None for row in table.rows)]
    with_std = [column for column in columns if any(row.cells[column.key].std is not None for row in table.rows)]
    heading = ["model", "family", "sampler", "checkpoint", "budget", "samples", "device"]
    roles = any(row.role for row in table.rows)  # of a suite with hand-ins
    heading += ["role", "place"] if roles else []
    for column in columns:
        heading += [column.key, f"{column.key}_std"] if column in with_std else [column.key]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(heading)
    for row in table.rows:
        line: list[str | Number | None] = [
            row.label,
            row.family,
            row.sampler_label,
            row.checkpoint,
            row.budget,
            row.samples,
            row.device,
            *([row.role, row.place] if roles else []),
        ]
        for column in columns:
            cell = row.cells[column.key]
            line += [cell.value, cell.std] if column in with_std else [cell.value]
        writer.writerow(["" if value is None else value for value in line])
    return buffer.getvalue()


def as_json(table: Table) -> str:
    """Every number in full with its definition and its notes; `best` marks the best of a column and its ties."""
    record = {
        "columns": {
            column.key: {
                "label": column.label,
                "definition": column.definition,
                "better": column.direction,
                "notes": list(table.notes[column.key]),
            }
            for column in table.columns
        },
        "rows": [
            {
                "model": row.label,
                "family": row.family,
                "sampler": row.sampler_label,
                "checkpoint": row.checkpoint,
                "budget": row.budget,
                "samples": row.samples,
                "device": row.device or None,
                "remarks": list(row.remarks),
                "values": numbers(row.cells),
                **({"role": row.role, "place": row.place} if row.role else {}),
            }
            for row in table.rows
        ],
        "real_images": numbers(table.floor) if table.floor else None,
        "remarks": list(table.remarks),
    }
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
    """A table* for a paper that loads booktabs and graphicx: quality, and costs below; what is too wide is shrunk.

    The best numbers are bold, notes stand below. Of more rows than a page has, each part is a table* of its own, in
    pieces, and the notes are text after them.
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
    """The lines of a tabular: models, samplers and some columns of some rows; real images below the last row."""
    headings = [stacked(heading(column)) for column in columns]
    lines = [r"\begin{tabular}{ll" + "r" * len(columns) + "}", r"\toprule"]
    lines += [" & ".join(["Model", "Sampler", *headings]) + r" \\", r"\midrule"]
    for row in rows:
        cells = [latex_cell(row.cells[column.key], table) for column in columns]
        lines.append(" & ".join([escape_latex(named(row)), escape_latex(row.sampler_label), *cells]) + r" \\")
    last = not rows or rows[-1] is table.rows[-1]
    if last and table.floor and any(table.floor[column.key].value is not None for column in columns):
        cells = [latex_cell(table.floor[column.key], table) for column in columns]
        lines += [r"\midrule", " & ".join(["Real images", "", *cells]) + r" \\"]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def stacked(text: str, width: int = 11) -> str:
    """A heading of several words on several lines, flush right."""
    words = [escape_latex(line) for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)]
    return words[0] if len(words) == 1 else r"\shortstack[r]{" + r" \\ ".join(words) + "}"


def latex_cell(cell: Cell, table: Table) -> str:
    """A number with the marks of its notes, bold if it is the best of its column."""
    text = escape_latex(cell.text)
    text = rf"\textbf{{{text}}}" if cell.best else text
    return text + (f"$^{{{','.join(table.marks(cell.notes))}}}$" if cell.notes else "")


def markdown(table: Table) -> str:
    """A table for a README; the best numbers are bold, notes stand below."""
    columns = printed_columns(table)
    lines = [
        markdown_row(["Model", "Sampler", *(escape_markdown(heading(column)) for column in columns)]),
        markdown_row(["---", "---", *["---:"] * len(columns)]),
    ]
    for row in table.rows:
        cells = [markdown_cell(row.cells[column.key], table) for column in columns]
        lines.append(markdown_row([escape_markdown(named(row)), escape_markdown(row.sampler_label), *cells]))
    if table.floor:
        lines.append(markdown_row(["Real images", "", *(markdown_cell(table.floor[c.key], table) for c in columns)]))
    lines += ["", *(f"{escape_markdown(remark)}  " for remark in remarks(table))]
    lines += [f"<sup>{mark}</sup> {escape_markdown(note)}  " for mark, note in marked_notes(table, columns)]
    return "\n".join([*lines, ""])


def markdown_row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def markdown_cell(cell: Cell, table: Table) -> str:
    """A number with the marks of its notes, bold if it is the best of its column."""
    text = escape_markdown(cell.text)
    text = f"**{text}**" if cell.best else text
    return text + (f"<sup>{','.join(table.marks(cell.notes))}</sup>" if cell.notes else "")


def printed_columns(table: Table) -> list[Column]:
    """The columns of quality, and those costs for which there is room."""
    return [column for column in table.columns if column.group == "Quality" or column in PRINTED]


def heading(column: Column) -> str:
    """A column's name with an arrow to where it is better."""
    return f"{column.label} {ARROWS[column.direction]}" if column.direction else column.label


def named(row: Row) -> str:
    """A model with its budget and, if it is not the final one, its checkpoint: a reduced budget is never left out."""
    parts = [row.budget, row.checkpoint if row.checkpoint != "final" else None]
    told = ", ".join(part for part in parts if part)
    return f"{row.label} ({told})" if told else row.label


def remarks(table: Table) -> list[str]:
    """What holds for the table as a whole."""
    return ["Bold: the best of its column and its ties. ↓ lower and ↑ higher is better.", *table.remarks]


def marked_notes(table: Table, columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Each note with its mark; those of whole columns name them instead."""
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
    """Text as Markdown shows it, on one line: no markup and no HTML."""
    escaped = re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def data_uri(text: str) -> str:
    """A text file as an address that holds it."""
    return "data:text/plain;charset=utf-8;base64," + base64.b64encode(text.encode(errors="replace")).decode()


EXPORTS: dict[str, Callable[[Table], str]] = {"csv": comma_separated, "json": as_json, "tex": latex, "md": markdown}
