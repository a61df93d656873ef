"""Plots as SVG that is part of the page: it speaks with the page's fonts, and its colours change with the theme.

Matplotlib draws with placeholder colours, which `to_svg` replaces by the CSS variables of style.css. Text stays text,
so that it can be found, copied and read aloud.
"""

import io
import re
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox, BboxBase

from genbench.reporting.columns import TIME, Column
from genbench.reporting.numerals import Number, count, significant
from genbench.reporting.table import Cell, Row, Table, rank

INK, SOFT, LINE = "#010001", "#010002", "#010003"
HUES = [f"#0200{number:02x}" for number in range(1, 9)]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "p"]
DASHES = ["", (4, 1.5), (1.2, 1.2), (6, 1.5, 1.2, 1.5), (2, 1), (8, 2), (1, 2), (3, 3)]
VARIABLES = {INK: "var(--ink)", SOFT: "var(--soft)", LINE: "var(--line)"} | {
    hue: f"var(--hue-{number})" for number, hue in enumerate(HUES, start=1)
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "genbench",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}
TICKS = {0.001: "1 ms", 0.01: "10 ms", 0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h"}
TICKS |= {3600 * hours: f"{hours} h" for hours in (10, 100, 1000)}
CURVE_POINTS = 200  # more cannot be seen at the size of a curve


def quality_against_time(table: Table, size: tuple[Number, Number]) -> Markup | None:
    """The first column of `table` against the time to sample 50,000 images, with the Pareto front. `size` in inches.

    A point for each row, families told by colour and shape; rows on the front are labelled, others where there is
    room. None without two rows that have both numbers.
    """
    lead = table.columns[0]
    rows = [row for row in table.rows if None not in (row.cells[lead.key].value, row.cells[TIME.key].value)]
    if len(rows) < 2:
        return None
    points = pd.DataFrame(
        {
            "seconds": [row.cells[TIME.key].value for row in rows],
            "quality": [scaled(row.cells[lead.key], lead) for row in rows],
            "family": [legible(row.family, 24) for row in rows],
            "label": [legible(row.name) for row in rows],
            "front": on_front(rows, table),
        }
    )
    families = sorted(set(points["family"]))
    legend_columns = int(size[0] / (0.5 + 0.1 * max(map(len, families))))
    floor = scaled(table.floor[lead.key], lead) if table.floor else None
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has its own fonts
        figure, axes = blank(size)
        sns.scatterplot(
            points,
            x="seconds",
            y="quality",
            hue="family",
            style="family",
            hue_order=families,
            style_order=families,
            palette=around(HUES, families),
            markers=around(MARKERS, families),
            s=70,
            linewidth=0,
            zorder=3,
            ax=axes,
        )
        axes.collections[0].set_gid("points")
        axes.set_xscale("log")
        axes.margins(x=0.1, y=0.12)
        scale_time(axes, points["seconds"].tolist())
        scale_values(axes, points["quality"].tolist())
        front = points[points["front"]].sort_values("seconds")
        axes.step(front["seconds"], front["quality"], where="post", color=SOFT, linewidth=1, zorder=2)
        axes.set_xlabel("time to sample 50,000 images")
        axes.set_ylabel(legible(lead.label) + (f", {lead.direction} is better" if lead.direction else ""))
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=max(1, legend_columns), handletextpad=0.1)
        taken = [] if floor is None else [draw_floor(axes, floor)]
        label_points(axes, points, taken)
        tooltips = [f"{row.name}: {row.cells[lead.key].text}, {row.cells[TIME.key].text}" for row in rows]
        return to_svg(figure, f"{lead.label} against the time to sample 50,000 images", tooltips)


def learning_curve(history: pd.DataFrame, title: str, size: tuple[Number, Number] = (4.4, 2.4)) -> Markup | None:
    """Values over the training steps, a line for each name and seed of `history` (seed, step, name, value).

    Long curves are thinned to means over blocks of steps. None if no value is finite.
    """
    finite = history[np.isfinite(history["value"])]
    if finite.empty:
        return None
    curves = pd.concat(
        [
            thin(curve).assign(name=legible(name, 24), seed=seed)
            for (name, seed), curve in finite.groupby(["name", "seed"], sort=False)
        ]
    )
    names = list(dict.fromkeys(curves["name"]))
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure, axes = blank(size)
        sns.lineplot(
            curves,
            x="step",
            y="value",
            hue="name",
            style="name",
            units="seed",
            estimator=None,
            palette=around(HUES, names),
            dashes=around(DASHES, names),
            linewidth=1.4,
            ax=axes,
        )
        axes.set(xlabel="step", ylabel="")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: count(step)))
        scale_values(axes, curves["value"].tolist())
        axes.legend(title=None, fontsize=10, handlelength=1.8)
        return to_svg(figure, f"{title}: {', '.join(names)} over the training steps")


def blank(size: tuple[Number, Number]) -> tuple[Figure, Axes]:
    """An empty figure, without the global state of pyplot."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)  # measures text
    return figure, figure.subplots()


def scaled(cell: Cell, column: Column) -> Number | None:
    """A number in the unit in which its column is printed."""
    return None if cell.value is None else cell.value * column.scale


def on_front(rows: Sequence[Row], table: Table) -> list[bool]:
    """Whether each row is on the Pareto front: no other is as good and as fast, and better in one of the two."""
    lead = table.columns[0]
    costs = [(rank(row.cells[lead.key], lead), rank(row.cells[TIME.key], TIME)) for row in rows]
    return [not any(a <= c and b <= d and (a, b) != (c, d) for a, b in costs) for c, d in costs]


def scale_time(axes: Axes, seconds: Sequence[Number]) -> None:
    """Ticks of a logarithmic axis at times that have names."""
    ticks = [tick for tick in TICKS if min(seconds) / 2 <= tick <= max(seconds) * 2]
    axes.xaxis.set_major_locator(FixedLocator(ticks) if len(ticks) > 1 else LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: TICKS.get(tick, f"{tick:g} s")))


def scale_values(axes: Axes, values: Sequence[Number]) -> None:
    """A logarithmic axis for positive values that span more than a factor of twenty, and short numbers."""
    low, high = min(values), max(values)
    if low > 0 and high > 20 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value) if abs(value) >= 1000 else f"{value:g}"))


def draw_floor(axes: Axes, floor: Number) -> BboxBase:
    """The line of real images; where it is so far off that it would squeeze the points, only its value at that edge.

    Returns the place of the text.
    """
    axes.figure.canvas.draw()
    _, height = axes.transAxes.inverted().transform(axes.transData.transform((axes.get_xlim()[0], floor)))
    if -0.5 < height < 1.5:
        axes.axhline(floor, color=SOFT, linewidth=1.2, linestyle=(0, (1, 2)))
        text = axes.text(1, floor, "real images", transform=axes.get_yaxis_transform(), va="bottom")
    else:
        edge, arrow, side = (0.02, "↓", "bottom") if height < 0 else (0.98, "↑", "top")
        text = axes.text(1, edge, f"{arrow} real images {significant(floor)}", transform=axes.transAxes, va=side)
    text.set(color=SOFT, fontsize=10, ha="right")
    axes.figure.canvas.draw()
    return text.get_window_extent()


def label_points(axes: Axes, points: pd.DataFrame, taken: Sequence[BboxBase]) -> None:
    """Write labels beside the points where they cover nothing, nor what is `taken`; those of the front always."""
    axes.figure.canvas.draw()
    space = axes.get_window_extent()
    centres = axes.transData.transform(points[["seconds", "quality"]])
    taken = [*taken, *(Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in centres)]
    corners = points[points["front"]].sort_values("seconds")[["seconds", "quality"]]
    for (x1, y1), (x2, y2) in pairwise(axes.transData.transform(corners)):  # the steps of the front
        taken += [Bbox([[x1, y1 - 1], [x2, y1 + 1]]), Bbox([[x2 - 1, min(y1, y2)], [x2 + 1, max(y1, y2)]])]
    sides = [(8, 0, "left"), (-8, 0, "right"), (0, 12, "center"), (0, -12, "center")]
    sides += [(7, 9, "left"), (7, -9, "left"), (-7, 9, "right"), (-7, -9, "right")]
    ordered = points.sort_values("front", ascending=False, kind="stable")
    for text, x, y, front in zip(*(ordered[key] for key in ("label", "seconds", "quality", "front")), strict=True):
        label = axes.annotate(text, (x, y), (0, 0), textcoords="offset points", fontsize=10, va="center")
        boxes, covered = {}, {}
        for side in sides:
            label.set(position=side[:2], ha=side[2])
            boxes[side] = box = label.get_window_extent()
            outside = box.width * box.height - area(box, space)
            covered[side] = outside + sum(area(box, other) for other in taken)
        best = min(sides, key=lambda side: covered[side])
        if covered[best] > 1 and not front:
            label.remove()
        else:
            label.set(position=best[:2], ha=best[2])
            taken.append(boxes[best])


def area(a: BboxBase, b: BboxBase) -> float:
    """The area that two boxes share."""
    shared = Bbox.intersection(a, b)
    return float(shared.width * shared.height) if shared else 0.0


def thin(curve: pd.DataFrame) -> pd.DataFrame:
    """Means of step and value over blocks, so that at most CURVE_POINTS remain."""
    block = np.arange(len(curve)) * CURVE_POINTS // max(len(curve), CURVE_POINTS)
    return curve[["step", "value"]].groupby(block).mean()


def around(styles: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """A style for each name, from the start again when there are more names than styles."""
    return {name: styles[number % len(styles)] for number, name in enumerate(names)}


def legible(text: str, length: int = 48) -> str:
    """A text that a plot can take: one line, not too long; matplotlib leaves out what begins with an underscore."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = text if len(text) <= length else text[: length - 1] + "…"
    return f" {text}" if text.startswith("_") else text


def to_svg(figure: Figure, description: str, tooltips: Sequence[str] = ()) -> Markup:
    """The figure as an SVG element of an HTML page. `tooltips` belong to the artist with the gid "points", in order."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        element.tail = None
        element.attrib = {key.partition("}")[2] or key: tidy(value) for key, value in element.attrib.items()}
        element.attrib.pop("clip-path", None)
    # A page has many plots, whose identifiers would clash: a shape is written out wherever it is used.
    shapes = {f"#{shape.get('id')}": shape for shape in root.iter("path")}
    for use in list(root.iter("use")):
        shape, position = shapes[use.attrib["href"]], f"translate({use.attrib['x']} {use.attrib['y']})"
        style = f"{shape.get('style', '')}; {use.get('style', '')}"
        use.tag, use.attrib = "path", {"d": shape.attrib["d"], "transform": position, "style": style}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("metadata", "defs"):
                parent.remove(child)
    if tooltips:
        points = root.find(".//g[@id='points']")
        assert points is not None
        for mark, tooltip in zip(list(points.iter("path")), tooltips, strict=True):
            ElementTree.SubElement(mark, "title").text = legible(tooltip, 200)
    for element in root.iter():
        element.attrib.pop("id", None)
    root.attrib = {"viewBox": root.attrib["viewBox"], "class": "plot", "role": "img"}
    root.set("aria-label", legible(description, 400))
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def tidy(text: str) -> str:
    """Shorten the numbers of an attribute, and let the page choose colours and fonts."""
    text = re.sub(r"#0[12]00\w\w", lambda match: VARIABLES[match[0]], text)
    text = re.sub(r"font: [^;]*?([\d.]+px)[^;]*", r"font-size: \1", text)  # matplotlib 3.9
    text = re.sub(r"font-family: [^;]*;?", "", text)
    return re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), text)
