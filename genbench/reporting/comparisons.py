"""A plot for a wide and for a narrow window, with its caption: how every part of a page shows its curves."""

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
# Of a page, of half of it, and of a narrow window: the style sheet shows the one that fits.
WIDE, HALF, NARROW = (12.5, 4.4), (6.1, 3.2), (4.9, 3.8)


@dataclass(frozen=True)
class Comparison:
    """The same plot for a wide and for a narrow window, and what it shows; `full` where it takes the page's width."""

    title: str
    caption: str
    wide: Plot
    narrow: Plot
    full: bool = False


def comparison(
    title: str, caption: str, draw: Callable[..., Plot | None], sizes: tuple[Size, Size] = (HALF, NARROW)
) -> Comparison | None:
    """What `draw`, which takes a size, gives at both sizes; None where it gives nothing."""
    wide, narrow = (draw(size=size) for size in sizes)
    return Comparison(title, caption, wide, narrow, sizes[0] == WIDE) if wide and narrow else None


def points_of(rows: Iterable[tuple[Row, Mapping[str, Any]]], lead: Column) -> pd.DataFrame:
    """The numbers of `lead` as points of curves: seed, value, std, and the columns beside each row; rows without a
    number are left out."""
    return pd.DataFrame(
        {"seed": 0, "value": cell.value * lead.scale, "std": np.nan if cell.std is None else cell.std * lead.scale}
        | dict(columns)
        for row, columns in rows
        if (cell := row.cells[lead.key]).value is not None
    )


def read_as(lead: Column, bars: str) -> str:
    """The end of a caption: which end of the axis is better, and what the bars are."""
    better = f" {lead.direction.capitalize()} is better." if lead.direction else ""
    return better + (f" {bars}" if bars else "")
