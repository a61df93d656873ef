"""Sampling studies: how the number of steps and the noise in each affect the quality of one model, and what fewer steps
cost each of several models."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import pandas as pd

from genbench.records.plan import ModelPlan
from genbench.reporting.cells import bars_of
from genbench.reporting.columns import Column
from genbench.reporting.comparisons import HALF, NARROW, WIDE, Comparison, Size, comparison, points_of, read_as
from genbench.reporting.curves import compare_curves
from genbench.reporting.numerals import Number, count
from genbench.reporting.pictures import Picture
from genbench.reporting.table import Row

FEWEST_STEPS = 3  # a curve over steps needs so many different numbers of steps
FEWEST_ETAS = 2
FEWEST_MODELS = 2
MANY_LINES = 8  # more need the width of the page
SIGMA_HAT = "sigma-hat"
SIGMA_HAT_SIGN = "\u03c3\u0302"


@dataclass(frozen=True)
class Setting:
    """The sampler of a row. kind: the method with the options that distinguish it; steps: S; eta: None if it has none.

    nfe: network evaluations of all steps.
    """

    row: Row
    method: str
    kind: str
    steps: int
    eta: float | str | None
    nfe: int

    @property
    def name(self) -> str:
        """The kind with its eta: DDIM, η = 0.2."""
        if self.eta is None:
            return self.kind
        return f"{self.kind}, η = {SIGMA_HAT_SIGN if self.eta == SIGMA_HAT else format(self.eta, 'g')}"


@dataclass(frozen=True)
class Matrix:
    """The first samples of each setting, from the same seeds: a row for each name, a column for each S."""

    steps: Sequence[int]
    rows: Sequence[tuple[str, Sequence[tuple[Setting, Picture] | None]]]


@dataclass(frozen=True)
class Study:
    """The plots of one model with several samplers, and its samples side by side."""

    name: str
    anchor: str
    plots: Sequence[Comparison]
    matrix: Matrix | None


def settings(entry: ModelPlan, rows: Sequence[Row]) -> list[Setting]:
    """The samplers of a model's `rows` in the suite's order: not quantised, and with a walk in the plan's `entry`.

    The name of a method is followed by the options that differ between its samplers.
    """
    samplers = entry.samplers
    found = [
        (row, walk, dict(other_options(option.options)) | in_words(option.precision), option.nfe)
        for row in sorted(rows, key=lambda row: list(samplers).index(row.sampler))
        if not (option := samplers[row.sampler]).quantisation and (walk := option.walk)
    ]
    methods = [walk.label or entry.family or "sampler" for _, walk, _, _ in found]
    listed = []
    for (row, walk, extra, nfe), method in zip(found, methods, strict=True):
        alike = [other for (_, _, other, _), name in zip(found, methods, strict=True) if name == method]
        told = [words for key, words in extra.items() if any(other.get(key) != words for other in alike)]
        listed.append(Setting(row, method, " ".join([method, *told]), walk.steps, walk.eta, nfe or walk.steps))
    return listed


def in_words(precision: str) -> dict[str, str]:
    """A precision other than float32, as an option: it affects quality, and so gets a separate line."""
    return {} if precision == "fp32" else {"precision": f"in {precision}"}


def other_options(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The options other than method, S and eta, in words; OpenAI's respacing only if it is not a plain number."""
    for key, value in options.items():
        if key in ("method", "steps", "eta") or value is None:
            continue
        if key == "respacing":
            if "," in value:
                yield key, f"{value.count(',') + 1} sections"
            elif value.startswith("ddim"):
                yield key, "equal strides"
        elif key == "spacing":
            yield key, str(value)
        elif key == "variance":
            yield key, f"{value} variance"
        elif key == "clip":
            yield key, "clipped" if value else "not clipped"
        else:
            yield key, f"{key} {value}"


def quality_plots(chosen: Sequence[Setting], lead: Column) -> list[Comparison]:
    """The headline `lead` against S, and against eta, each if there are enough points."""
    points = points_of(((setting.row, columns_of(setting)) for setting in chosen), lead)
    if points.empty:
        return []
    more = read_as(lead, bars_of([setting.row.cells[lead.key] for setting in chosen]))
    return [plot for draw in (against_steps, against_eta) if (plot := draw(points, lead, more))]


def columns_of(setting: Setting) -> dict[str, Any]:
    """What the plots need of a setting; the points of one name form a line over x."""
    keys = ("name", "method", "kind", "nfe", "eta")
    return {key: getattr(setting, key) for key in keys} | {"x": float(setting.steps)}


def sizes_of(points: pd.DataFrame) -> tuple[Size, Size]:
    """The sizes of a plot: many lines take the width of the page."""
    return (WIDE if points["name"].nunique() > MANY_LINES else HALF), NARROW


def against_steps(points: pd.DataFrame, lead: Column, more: str) -> Comparison | None:
    """A line for each setting; None unless there are three numbers of steps and a line with two."""
    if points["x"].nunique() < FEWEST_STEPS or points.groupby("name")["x"].nunique().max() < 2:
        return None
    caption = "Quality against the number of sampling steps, on a logarithmic scale."
    often: dict[str, list[str]] = {}
    for method, of_one in points.groupby("method", sort=False):
        if (of_one["nfe"] > of_one["x"]).any():
            often.setdefault(calls_per_step(of_one["nfe"], of_one["x"]), []).append(str(method))
    for times, methods in often.items():
        caption += f" A step of {' and of '.join(methods)} calls the network {times}."
    draw = partial(compare_curves, points, "sampling steps", lead.label, log_x=True, log_y=lead.distance)
    return comparison("Steps", caption + more, draw, sizes_of(points))


def calls_per_step(nfe: pd.Series, steps: pd.Series) -> str:
    """How often a method calls the network in each step, in words; its first or last step may be without one call.

    Methods whose first steps have more calls than the others have an average: PNDM.
    """
    per_step = nfe / steps
    calls = math.ceil(per_step.max())
    less = calls * steps - nfe
    if less.isin([0, 1] if calls == 2 else [0]).all():
        return "twice" if calls == 2 else f"{calls} times"
    least, most = (f"{found:.3g}" for found in (per_step.min(), per_step.max()))
    return f"{least if least == most else f'{least} to {most}'} times on average"


def against_eta(points: pd.DataFrame, lead: Column, more: str) -> Comparison | None:
    """A line for each kind and number of steps that has two values of eta; None if there are none.

    sigma-hat is not a value of eta: its points are apart, at the right end.
    """
    points = points[points["eta"].notna()]
    several = points.groupby(["kind", "x"])["eta"].transform("nunique") >= FEWEST_ETAS
    points = points[several] if len(points) else points
    if points.empty:
        return None
    apart = points["eta"] == SIGMA_HAT
    values = sorted(set(points["eta"][~apart]))
    ticks: dict[Number, str] = {value: f"{value:g}" for value in values}
    end = max([1.0, *values]) + 0.25
    if apart.any():
        ticks[end] = SIGMA_HAT_SIGN
    kinds = points["kind"].nunique() > 1
    names = [
        f"{kind}, {count(steps)} steps" if kinds else f"{count(steps)} steps"
        for kind, steps in zip(points["kind"], points["x"], strict=True)
    ]
    shown = points.assign(name=names, x=points["eta"].where(~apart, end).astype(float), apart=apart, steps=points["x"])
    shown = shown.sort_values(["kind", "steps"], kind="stable")
    far = f"{SIGMA_HAT_SIGN}: larger noise" if apart.any() else ""
    draw = partial(compare_curves, shown, "η", lead.label, apart=far, log_y=lead.distance, ticks=ticks)
    methods = " and of ".join(points["method"].unique())
    caption = f"Quality against η, the noise in a step of {methods}: 0 is no noise, 1 is DDPM's smaller variance."
    if far:
        caption += f" Hollow marks are {SIGMA_HAT_SIGN}, DDPM's larger variance, which is not a value of η."
    return comparison("Noise", caption + more, draw, sizes_of(shown))


def quality_against_steps(settings: Mapping[str, Sequence[Setting]], lead: Column) -> Comparison | None:
    """The headline `lead` against S, for all models whose samplers have three numbers of steps or more.

    settings: the samplers of each model, by its name, in the suite's order. A line shows one method, with eta = 0 if it
    has an eta. None if fewer than two models can be compared.
    """
    first: dict[tuple[str, str, int], Setting] = {}
    for model, chosen in settings.items():
        for setting in chosen:
            if setting.eta in (None, 0):
                first.setdefault((model, setting.method, setting.steps), setting)
    columns = ({"name": f"{model}, {method}", "model": model, "x": float(steps)} for model, method, steps in first)
    points = points_of(zip([setting.row for setting in first.values()], columns, strict=True), lead)
    if points.empty:
        return None
    points = points[points.groupby("name")["x"].transform("nunique") >= FEWEST_STEPS]
    if points["model"].nunique() < FEWEST_MODELS:
        return None
    caption = (
        "Quality against the number of sampling steps, on a logarithmic scale: a line for each model and method, all "
        "from the same seeds. Where a model has several such samplers with that many steps, the one that its suite "
        "lists first is shown."
    ) + read_as(lead, bars_of([setting.row.cells[lead.key] for chosen in settings.values() for setting in chosen]))
    draw = partial(compare_curves, points, "sampling steps", lead.label, log_x=True, log_y=lead.distance)
    return comparison("Speed against quality", caption, draw, (WIDE, NARROW))


def arrange(pictures: Sequence[tuple[Setting, Picture]]) -> Matrix | None:
    """Pictures by setting and S, in the order of the settings; None for fewer than two pictures."""
    if len(pictures) < 2:
        return None
    steps = sorted({setting.steps for setting, _ in pictures})
    order = list(dict.fromkeys(setting.name for setting, _ in pictures))
    ordered = sorted(pictures, key=lambda pair: order.index(pair[0].name))
    rows = []
    for name, group in groupby(ordered, key=lambda pair: pair[0].name):
        of_steps = {setting.steps: (setting, picture) for setting, picture in group}
        rows.append((name, [of_steps.get(number) for number in steps]))
    return Matrix(steps, rows)
