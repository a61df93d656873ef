"""Rows on the terminal."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDTH = 120  # if the output is a file


def show_rows(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print rows, by the headings of their columns, as a table as wide as the terminal, with right-aligned numbers."""
    table = Table(title=escape(title) or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for number, (heading, value) in enumerate(rows[0].items() if rows else ()):
        table.add_column(
            heading,
            justify="right" if isinstance(value, int) else "left",
            style="bold cyan" if number == 0 else None,
            no_wrap=number == 0,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else escape(str(value)) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
