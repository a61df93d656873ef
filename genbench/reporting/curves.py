"""Curves over training, for one model or several on the same axes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from genbench.reporting.drawing import (
    BARS,
    DASHES,
    HUES,
    MARKERS,
    SOFT,
    Plot,
    around,
    blank,
    legible,
    scale_values,
    styled,
    to_svg,
)
from genbench.reporting.numerals import Number, count, significant

CURVE_POINTS = 200  # more are invisible at the size of a plot
MARKED_POINTS = 20  # more marks would hide the line
FEW_PLACES = 12  # on a logarithmic axis, up to so many places each get a tick


def learning_curve(history: pd.DataFrame, title: str) -> Plot | None:
    """Values against the training steps, a line for each name and seed of `history` (seed, step, name, value).

    Long curves are thinned to means over blocks of steps. None if no value is finite.
    """
    finite = history[np.isfinite(history["value"])]
    if finite.empty:
        return None
    runs = [(legible(name, 24), thin(run)) for (name, _), run in finite.groupby(["name", "seed"], sort=False)]
    names = list(dict.fromkeys(name for name, _ in runs))
    hues, dashes, named = around(HUES, names), around(DASHES, names), set[str]()
    with styled():
        figure, axes = blank((4.4, 2.4))
        for name, curve in runs:
            look = {"color": hues[name], "linestyle": dashes[name], "label": "_" if name in named else name}
            axes.plot(curve["step"], curve["value"], linewidth=1.4, **look)
            named.add(name)  # only its first run is in the legend
        axes.set(xlabel="step", ylabel="")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: count(step)))
        scale_values(axes, [value for _, curve in runs for value in curve["value"]])
        axes.legend(title=None, fontsize=10, handlelength=1.8)
        return to_svg(figure, f"{title}: {', '.join(names)} over the training steps")


def compare_curves(
    points: pd.DataFrame,
    x_label: str,
    y_label: str,
    size: tuple[Number, Number],
    apart: str = "",
    *,
    log_x: bool = False,
    log_y: bool = False,
    ticks: Mapping[Number, str] | None = None,
) -> Plot | None:
    """Curves of several rows on the same axes, told apart by colour, dashes and marks. None if no value is finite.

    points: name, seed, x, value and, optionally, apart and std. Several seeds are thin lines around their mean, with
    bars of their standard deviation at its marks; std is drawn as a bar. A point that is `apart` belongs to its curve
    but is not comparable with it: it is hollow and not joined. size: in inches, without the legend. apart: the name of
    such points in the legend. log_y: a logarithmic axis even for values that are close. ticks: the label of each place
    on the x axis, if there are no other places.
    """
    points = points[np.isfinite(points["x"]) & np.isfinite(points["value"])]
    if points.empty:
        return None
    points = points if "apart" in points else points.assign(apart=False)
    names = list(dict.fromkeys(points["name"]))
    longest = max(len(legible(name, 32)) for name in [*names, apart])
    legend_columns = max(1, int((size[0] - 0.6) / (0.6 + 0.078 * longest)))
    legend_rows = -(-(len(names) + bool(apart)) // legend_columns)
    handles, tooltips = [], []
    with styled():
        figure, axes = blank((size[0], size[1] + 0.21 * legend_rows))
        for number, name in enumerate(names):
            curve = points[points["name"] == name]
            handles.append(draw_curve(axes, curve, number))
            handles[-1].set_label(legible(name, 32))
            for x, value in zip(*marked(curve), strict=True):
                place = f"{x_label} {ticks[x]}" if ticks else f"{count(x)} {x_label}"
                tooltips.append(f"{name}: {significant(value)} at {place}")
        if apart:
            handles.append(Line2D([], [], color=SOFT, marker="o", fillstyle="none", linestyle="none", label=apart))
        axes.set(xlabel=x_label, ylabel=legible(y_label))
        if ticks:
            axes.set_xticks(list(ticks), list(ticks.values()))
        elif log_x:
            scale_log_x(axes, points["x"].tolist())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6 if size[0] > 5 else 4, integer=True))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: count(x)))
        bars = points["std"].fillna(0).tolist() if "std" in points else [0]
        scale_values(axes, points["value"].tolist(), bars, log_y)
        axes.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=legend_columns, handlelength=2.4
        )
        return to_svg(figure, f"{y_label} against {x_label}: {', '.join(names)}", tooltips)


def draw_curve(axes: Axes, curve: pd.DataFrame, number: int) -> Line2D:
    """Draw the curve of the `number`-th row; returns its handle for the legend."""
    # From the ninth row on, colours repeat with other marks and dashes.
    hue, other = HUES[number % len(HUES)], (number + number // len(HUES)) % len(MARKERS)
    joined = curve[~curve["apart"]]
    if curve["seed"].nunique() > 1:
        for _, run in joined.groupby("seed"):
            run = thin(run.sort_values("x"), "x")
            axes.plot(run["x"], run["value"], color=hue, linewidth=0.6, alpha=0.5)
    mean = thin(over_seeds(joined), "x")
    axes.plot(mean["x"], mean["value"], color=hue, linestyle=DASHES[other], linewidth=1.6)
    style: dict[str, Any] = {"color": hue, "marker": MARKERS[other], "markersize": 5, "markeredgewidth": 1.3}
    hollow = over_seeds(curve[curve["apart"]])
    barred = curve[curve["std"].notna()] if "std" in curve else curve[:0]
    if len(barred):
        axes.errorbar(barred["x"], barred["value"], barred["std"], ecolor=hue, **BARS)
    elif curve["seed"].nunique() > 1:
        axes.errorbar(*marked(curve), np.nan_to_num(marked(curve, "std")[1]), ecolor=hue, **BARS)
    for (x, values), fill in ((marked(joined), "full"), ((hollow["x"], hollow["value"]), "none")):
        if len(x):
            axes.plot(x, values, linestyle="none", fillstyle=fill, gid="points", zorder=3, **style)
    return Line2D([], [], linestyle=DASHES[other], linewidth=1.6, **style)


def scale_log_x(axes: Axes, places: Sequence[Number]) -> None:
    """A logarithmic x axis. Few places each get a tick where there is room, the most frequent ones first."""
    axes.set_xscale("log")
    distinct = sorted(set(places), key=lambda place: (-list(places).count(place), place))
    if len(distinct) <= FEW_PLACES:
        room = 0.07 * math.log(max(distinct) / min(distinct))
        shown: list[Number] = []
        for place in distinct:
            if all(abs(math.log(place / other)) > room for other in shown):
                shown.append(place)
        axes.xaxis.set_major_locator(FixedLocator(shown))
    else:
        axes.xaxis.set_major_locator(LogLocator())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: count(x)))


def marked(curve: pd.DataFrame, over: str = "mean") -> tuple[list[Number], list[Number]]:
    """The points of a curve that get a mark: MARKED_POINTS of its mean over seeds, evenly, and all that are apart.

    over: "mean", or "std" for the standard deviations over seeds at the same points.
    """
    line, apart = thin(over_seeds(curve[~curve["apart"]], over), "x"), over_seeds(curve[curve["apart"]], over)
    chosen = np.linspace(0, len(line) - 1, min(len(line), MARKED_POINTS)).round().astype(int)
    shown = pd.concat([line.iloc[chosen], apart])
    return shown["x"].tolist(), shown["value"].tolist()


def over_seeds(curve: pd.DataFrame, over: str = "mean") -> pd.DataFrame:
    """The mean over seeds at each x, in order; with `over` "std" their standard deviation."""
    return curve.groupby("x")["value"].agg(over).reset_index()


def thin(curve: pd.DataFrame, x: str = "step") -> pd.DataFrame:
    """Means of x and value over blocks, so that at most CURVE_POINTS remain."""
    if len(curve) <= CURVE_POINTS:
        return curve[[x, "value"]].reset_index(drop=True)
    block = np.arange(len(curve)) * CURVE_POINTS // max(len(curve), CURVE_POINTS)
    return curve[[x, "value"]].groupby(block).mean()
