"""Quality against cost: the plots that sum up a suite."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from genbench.reporting.cells import Cell, rank
from genbench.reporting.columns import NFE, TIME, TRAINING_TIME, Column
from genbench.reporting.comparisons import Comparison, Size, comparison
from genbench.reporting.curves import scale_log_x
from genbench.reporting.drawing import (
    BARS,
    HUES,
    LINE,
    MARKERS,
    SOFT,
    Plot,
    around,
    blank,
    lay_out,
    legible,
    scale_values,
    styled,
    to_svg,
)
from genbench.reporting.numerals import Number, significant
from genbench.reporting.table import Row, Table

TICKS = {0.001: "1 ms", 0.01: "10 ms", 0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h"}
TICKS |= {3600 * hours: f"{hours} h" for hours in (10, 100, 1000)}
SIDES = [(8, 0, "left"), (-8, 0, "right"), (0, 12, "center"), (0, -12, "center")]  # where the label of a point may be
SIDES += [(7, 9, "left"), (7, -9, "left"), (-7, 9, "right"), (-7, -9, "right")]
MANY_POINTS = 150  # so many have smaller marks
Array = NDArray[np.float64]
WIDE, BESIDE, NARROW = (12.5, 5.6), (6.1, 4.6), (4.9, 5.4)  # inches: full width, half width, a narrow window
AXES = {TIME: "time to sample 50,000 images", NFE: "network evaluations (NFE)", TRAINING_TIME: "time to train"}
TOLD = {  # the title and caption for each cost
    TIME: (
        "Quality against time",
        "Quality against the time to sample 50,000 images. Time has a logarithmic scale, and so has quality if it is a "
        "distance. The line is the Pareto front: no row on the plot is both better and faster than a row on this line. "
        "The rows on it are labelled; hover over any other point for its name.",
    ),
    NFE: (
        "Quality against network evaluations",
        "Quality against the number of network evaluations (NFE) per sample, on a logarithmic scale; networks can "
        "differ in size. The line is the Pareto front; its rows are labelled.",
    ),
    TRAINING_TIME: (
        "Quality against the cost of training",
        "Quality of each model's best row against its training time, with that of a first stage, on a logarithmic "
        "scale. The line is the Pareto front; its models are labelled.",
    ),
}


def quality_against(table: Table, cost: Column) -> Comparison | None:
    """`quality_against_cost` for a wide and for a narrow window, with its caption."""
    title, caption = TOLD[cost]
    sizes = WIDE if cost == TIME else BESIDE, NARROW
    return comparison(title, f"{caption} {table.bars}".rstrip(), partial(quality_against_cost, table, cost=cost), sizes)


def quality_against_cost(table: Table, size: Size, cost: Column = TIME) -> Plot | None:
    """The first column of `table` against a cost of AXES, with the Pareto front. `size` in inches.

    There is a point for each row of new images, or, against the training time, for the best row of each model. Families
    differ in colour and shape; only rows on the front are labelled. A distance has a logarithmic axis. None unless two
    rows with both numbers differ in cost.
    """
    lead = table.columns[0]
    if cost.key not in [column.key for column in table.columns]:  # no row has it
        return None
    both = [row for row in table.rows if None not in (row.cells[lead.key].value, row.cells[cost.key].value)]
    rows = [row for row in both if row.generates]
    if cost == TRAINING_TIME:
        rows = list({row.model: row for row in reversed(rows)}.values())[::-1]
    if len({row.cells[cost.key].value for row in rows}) < 2:
        return None
    points = pd.DataFrame(
        {
            "cost": [row.cells[cost.key].value for row in rows],
            "quality": [scaled(row.cells[lead.key], lead) for row in rows],
            "family": [legible(row.family, 24) for row in rows],
            "label": [
                legible(row.label if cost == TRAINING_TIME else row.name, min(48, int(7 * size[0]))) for row in rows
            ],
            "front": on_front(rows, table, cost),
            "std": [(row.cells[lead.key].std or 0) * lead.scale for row in rows],
            "cost_std": [row.cells[cost.key].std or 0 for row in rows],
        }
    )
    families = sorted(set(points["family"]))
    legend_columns = int(size[0] / (0.5 + 0.1 * max(map(len, families))))
    floor = scaled(table.floor[lead.key], lead) if table.floor else None
    with styled():
        figure, axes = blank(size)
        hues = around(HUES, families)
        sns.scatterplot(
            points,
            x="cost",
            y="quality",
            hue="family",
            style="family",
            hue_order=families,
            style_order=families,
            palette=hues,
            markers=around(MARKERS, families, shift=1),
            s=70 if len(rows) < MANY_POINTS else 30,
            linewidth=0,
            zorder=3,
            ax=axes,
        )
        axes.collections[0].set_gid("points")
        axes.set_xscale("log")
        axes.margins(x=0.1, y=0.12)
        (scale_log_x if cost == NFE else scale_time)(axes, points["cost"].tolist())
        scale_values(axes, points["quality"].tolist(), points["std"].tolist(), lead.distance)
        draw_bars(axes, points, hues)
        front = points[points["front"]].sort_values("cost")
        axes.step(front["cost"], front["quality"], where="post", color=SOFT, linewidth=1, zorder=2)
        axes.set_xlabel(AXES[cost])
        axes.set_ylabel(legible(lead.label) + (f", {lead.direction} is better" if lead.direction else ""))
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=max(1, legend_columns), handletextpad=0.1)
        band = ((table.floor or {})[lead.key].std or 0) * lead.scale if table.floor else 0
        taken = [] if floor is None else [draw_floor(axes, floor, band)]
        label_points(figure, axes, points, taken)
        tooltips = [f"{row.name}: {row.cells[lead.key].text}, {row.cells[cost.key].text}" for row in rows]
        return to_svg(figure, f"{lead.label} against the {AXES[cost]}: {', '.join(row.name for row in rows)}", tooltips)


def draw_bars(axes: Axes, points: pd.DataFrame, hues: Mapping[str, str]) -> None:
    """Bars of one standard deviation of quality and of cost, where known."""
    for family, several in points.groupby("family"):
        style = BARS | {"ecolor": hues[str(family)]}
        up = several[several["std"] > 1e-9 * several["quality"].abs()]
        if len(up):
            axes.errorbar(up["cost"], up["quality"], yerr=up["std"], **style)
        along = several[several["cost_std"] > 1e-9 * several["cost"]]  # less is rounding
        if len(along):
            left = np.minimum(along["cost_std"], 0.9 * along["cost"])  # a logarithmic axis has no 0
            axes.errorbar(along["cost"], along["quality"], xerr=[left, along["cost_std"]], **style)


def scaled(cell: Cell, column: Column) -> Number | None:
    """A number in the unit in which its column prints it."""
    return None if cell.value is None else cell.value * column.scale


def on_front(rows: Sequence[Row], table: Table, cost: Column = TIME) -> list[bool]:
    """Whether each row is on the Pareto front: no other is at least as good and cheap, and better in one of the two."""
    lead = table.columns[0]
    costs = [(rank(row.cells[lead.key], lead), rank(row.cells[cost.key], cost)) for row in rows]
    front, least = set(), float("inf")
    for quality, price in sorted(set(costs)):
        if price < least:
            front.add((quality, price))
            least = price
    return [found in front for found in costs]


def scale_time(axes: Axes, seconds: Sequence[Number]) -> None:
    """Ticks of a logarithmic axis at times that have names."""
    ticks = [tick for tick in TICKS if min(seconds) / 2 <= tick <= max(seconds) * 2]
    axes.xaxis.set_major_locator(FixedLocator(ticks) if len(ticks) > 1 else LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: TICKS.get(tick, f"{tick:g} s")))


def draw_floor(axes: Axes, floor: Number, band: Number = 0) -> Text:
    """The line of real images; if it is so far off that it would squeeze the points, only its value at that edge.

    band: one standard deviation, drawn on both sides of the line. Returns the text.
    """
    _, height = axes.transAxes.inverted().transform(axes.transData.transform((axes.get_xlim()[0], floor)))
    if -0.5 < height < 1.5:
        if band > 0:
            low = max(floor - band, floor / 2) if floor > 0 else floor - band  # a logarithmic axis has no 0
            axes.axhspan(low, floor + band, color=LINE, zorder=0)
        axes.axhline(floor, color=SOFT, linewidth=1.2, linestyle=(0, (1, 2)))
        text = axes.text(1, floor, "real images", transform=axes.get_yaxis_transform(), va="bottom")
    else:
        edge, arrow, side = (0.02, "↓", "bottom") if height < 0 else (0.98, "↑", "top")
        text = axes.text(1, edge, f"{arrow} real images {significant(floor)}", transform=axes.transAxes, va=side)
    text.set(color=SOFT, fontsize=10, ha="right")
    return text


def label_points(figure: Figure, axes: Axes, points: pd.DataFrame, taken: Sequence[Text]) -> None:
    """Label the points of the front, each where it covers least of the other points, bars and labels and of `taken`."""
    lay_out(figure)
    space = np.array([axes.get_window_extent().extents])
    centres = axes.transData.transform(points[["cost", "quality"]])
    left = points["cost"] - np.minimum(points["cost_std"], 0.9 * points["cost"])
    ends = [(points["cost"], points["quality"] + side * points["std"]) for side in (-1, 1)]  # of the bars
    ends += [(x, points["quality"]) for x in (left, points["cost"] + points["cost_std"])]
    reached = [axes.transData.transform(np.column_stack(place)) for place in ends]
    bars = [np.hstack([np.minimum(centres, end) - 3, np.maximum(centres, end) + 3]) for end in reached]
    bars = [boxes[(end != centres).any(axis=1)] for boxes, end in zip(bars, reached, strict=True)]
    front = points[points["front"]]
    corners = axes.transData.transform(front.sort_values("cost")[["cost", "quality"]])
    steps = [
        box
        for (x1, y1), (x2, y2) in pairwise(corners)
        for box in ([x1, y1 - 1, x2, y1 + 1], [x2 - 1, min(y1, y2), x2 + 1, max(y1, y2)])
    ]
    covered = [text.get_window_extent().extents for text in taken] + steps
    boxes = np.vstack([np.hstack([centres - 5, centres + 5]), *bars, np.reshape(covered, (-1, 4))])
    for text, x, y in zip(*(front[key] for key in ("label", "cost", "quality")), strict=True):
        label = axes.annotate(text, (x, y), (0, 0), textcoords="offset points", fontsize=10, va="center")
        label.set_in_layout(False)  # space for long labels on both sides would leave none for the plot
        places = beside(np.array(label.get_window_extent().extents), figure.dpi / 72)
        outside = (places[:, 2:] - places[:, :2]).prod(axis=1) - shared_area(places, space)[:, 0]
        hidden = outside + shared_area(places, boxes).sum(axis=1)
        best = int(hidden.argmin())
        label.set(position=SIDES[best][:2], ha=SIDES[best][2])
        boxes = np.vstack([boxes, places[best]])


def beside(box: Array, scale: float) -> Array:
    """The boxes of a label at each of SIDES, (S, 4). box: the label starting at its point. scale: pixels per point."""
    width = box[2] - box[0]
    shift = {"left": 0, "right": -width, "center": -width / 2}
    moved = np.array([[scale * x + shift[ha], scale * y] for x, y, ha in SIDES])
    return box + np.hstack([moved, moved])


def shared_area(a: Array, b: Array) -> Array:
    """The area that each box (x0, y0, x1, y1) of `a` shares with each of `b`: (A, B)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.maximum(high - low, 0).prod(axis=2)
