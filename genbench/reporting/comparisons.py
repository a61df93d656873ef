"""A plot in two sizes, for a wide and a narrow window, with its caption. Every part of a page shows its curves so."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from genbench.reporting.columns import Column
from genbench.reporting.drawing import Plot
from genbench.reporting.numerals import Number
from genbench.reporting.table import Row

Size = tuple[Number, Number]  # in inches
# Sizes for the page's width, for half of it, and for a narrow window. The style sheet shows the one that fits.
WIDE, HALF, NARROW = (12.5, 4.4), (6.1, 3.2), (4.9, 3.8)


@dataclass(frozen=True)
class Comparison:
    """One plot for a wide and a narrow window, with title and caption; `full` if it takes the page's whole width."""

    title: str
    caption: str
    wide: Plot
    narrow: Plot
    full: bool = False


def comparison(
    title: str, caption: str, draw: Callable[..., Plot | None], sizes: tuple[Size, Size] = (HALF, NARROW)
) -> Comparison | None:
    """The plot that `draw(size=...)` returns, at both sizes; None if it returns none."""
    wide, narrow = (draw(size=size) for size in sizes)
    return Comparison(title, caption, wide, narrow, sizes[0] == WIDE) if wide and narrow else None


def points_of(rows: Iterable[tuple[Row, Mapping[str, Any]]], lead: Column) -> pd.DataFrame:
    """The numbers of `lead` as points of curves: seed, value, std, and the columns given with each row. Rows without a
    number are left out."""
    return pd.DataFrame(
        {"seed": 0, "value": cell.value * lead.scale, "std": np.nan if cell.std is None else cell.std * lead.scale}
        | dict(columns)
        for row, columns in rows
        if (cell := row.cells[lead.key]).value is not None
    )


def read_as(lead: Column, bars: str) -> str:
    """The end of a caption: whether higher or lower is better, and what the bars are."""
    better = f" {lead.direction.capitalize()} is better." if lead.direction else ""
    return better + (f" {bars}" if bars else "")
