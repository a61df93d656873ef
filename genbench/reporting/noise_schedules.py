"""Plots for diffusion models only: noise schedules, and the terms of the variational bound on the likelihood."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from genbench.records.plan import ModelPlan
from genbench.reporting.comparisons import Comparison, Size, comparison
from genbench.reporting.curves import compare_curves
from genbench.reporting.drawing import HUES, INK, MARKERS, Plot, blank, legible, styled, to_svg
from genbench.reporting.snapshots import seeds_remark

FEW_STEPS = 20  # up to so many, a chain has a mark at each of its times
MOST_TERMS = 150  # of a curve, spread evenly on a logarithmic axis: the first terms weigh most


@dataclass
class NoiseSchedule:
    """One schedule and the labels of its models; abar: alphas_cumprod at the times t in 0..T."""

    name: str
    T: int
    t: np.ndarray
    abar: np.ndarray
    models: list[str] = field(default_factory=list)


def distinct_schedules(models: Mapping[str, ModelPlan], labels: Mapping[str, str]) -> list[NoiseSchedule]:
    """The schedules of the preflight's models in their order; schedules with the same abar_t are one."""
    found: dict[tuple[int, tuple[float, ...]], NoiseSchedule] = {}
    for model, entry in models.items():
        if schedule := entry.noise_schedule:
            T, values = schedule.T, np.asarray(schedule.alphas_cumprod, dtype=float)
            given = (entry.spec.get("model") or {}).get("schedule") or schedule.default
            new = NoiseSchedule(schedule_name(given), T, np.asarray(schedule.t, dtype=float), values)
            found.setdefault((T, tuple(values.round(9))), new).models.append(labels[model])
    return list(found.values())


def schedule_name(given: Any) -> str:
    """The schedule of a model's entry in words: cosine, or linear (beta_start 0.001, beta_end 0.2)."""
    if not isinstance(given, Mapping):
        return str(given or "schedule")
    options = [f"{key} {value:g}" for key, value in given.items() if isinstance(value, int | float)]
    return str(given.get("name") or "schedule") + (f" ({', '.join(options)})" if options else "")


def noise_schedules(models: Mapping[str, ModelPlan], labels: Mapping[str, str]) -> Comparison | None:
    """Signal and noise of x_t against t / T for every schedule of a suite's models; None if there are none."""
    schedules = distinct_schedules(models, labels)
    if not schedules:
        return None
    caption = (
        "Signal √ᾱ_t (solid) and noise √(1 − ᾱ_t) (dashed) in x_t, from the image at the left to where sampling begins "
        "at the right."
    )
    return comparison("Noise schedules", caption, partial(draw_schedules, schedules))


def draw_schedules(schedules: list[NoiseSchedule], size: Size) -> Plot:
    """The plot of `noise_schedules`; its legend names each schedule, T, and the models, on several lines if needed."""
    letters = int((size[0] - 0.9) / 0.078)
    named = [f"{schedule.name}, T = {schedule.T:,}: {' · '.join(schedule.models)}" for schedule in schedules]
    lines = [textwrap.wrap(legible(text, 3 * letters), letters) or [""] for text in named]
    with styled():
        figure, axes = blank((size[0], size[1] + 0.19 * (1 + sum(map(len, lines)))))
        kinds = [Line2D([], [], color=INK, label="signal"), Line2D([], [], color=INK, dashes=(3, 2), label="noise")]
        handles = []
        for number, (schedule, words) in enumerate(zip(schedules, lines, strict=True)):
            look: dict[str, Any] = {"color": HUES[number % len(HUES)], "linewidth": 1.6}
            if schedule.T <= FEW_STEPS:
                look |= {"marker": MARKERS[number % len(MARKERS)], "markersize": 4}
            x = schedule.t / schedule.T
            axes.plot(x, np.sqrt(schedule.abar), **look)
            axes.plot(x, np.sqrt(1 - schedule.abar), dashes=(3, 2), **look)
            handles.append(Line2D([], [], label="\n".join(words), **look))
        axes.set(xlabel="t / T", xlim=(-0.015, 1.015), ylim=(-0.02, 1.02))
        place: dict[str, Any] = {"loc": "lower left", "borderaxespad": 0.3}
        axes.legend(handles=handles, bbox_to_anchor=(-0.02, 1), ncols=1, **place)
        figure.legend(handles=kinds, loc="outside lower center", ncols=2)
        return to_svg(figure, f"Signal and noise against t / T: {'; '.join(named)}")


def bound_terms(terms: Mapping[str, pd.DataFrame], names: Mapping[str, str]) -> Comparison | None:
    """The terms of the bound against t for every model that has them, in the order of `names`; None if none has."""
    curves = [
        thinned.assign(name=name)
        for model, name in names.items()
        if model in terms
        for _, curve in terms[model].groupby("seed")
        if len(thinned := few_terms(curve[(curve["value"] > 0) & (curve["t"] > 0)]))
    ]
    if not curves:
        return None
    points = pd.concat(curves).rename(columns={"t": "x"})
    caption = (
        "The term of the variational bound for the step from each t, on logarithmic scales. These terms and the "
        "prior's, which is not shown, add up to the bits/dim."
    )
    draw = partial(compare_curves, points, "t", "bits/dim", log_x=True)
    return comparison("Terms of the bound", caption + seeds_remark(points), draw)


def few_terms(curve: pd.DataFrame) -> pd.DataFrame:
    """At most MOST_TERMS rows of a curve, spread evenly on a logarithmic axis, the first and the last included."""
    if len(curve) <= MOST_TERMS:
        return curve
    chosen = np.unique(np.geomspace(1, len(curve), MOST_TERMS).round().astype(int)) - 1
    return curve.iloc[chosen]
