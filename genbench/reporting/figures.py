"""Figures that others published of an entry's own recipe or checkpoint, each beside what was measured here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pandas as pd

from genbench.records.plan import ModelPlan, PublishedFigure
from genbench.reporting.cells import seen
from genbench.reporting.columns import metric_columns
from genbench.reporting.numerals import duration
from genbench.reporting.results import Results


@dataclass(frozen=True)
class Figure:
    """One published figure as it is printed. here, difference: "" where there is nothing here yet.

    difference: ours less theirs. of: the sampler and checkpoint, as far as they distinguish.
    """

    model: str
    quantity: str
    of: str
    published: str
    here: str
    difference: str
    note: str
    source: str


def figures(results: Results) -> list[Figure]:
    """Every published figure of a suite's entries, in the suite's order."""
    found = []
    for model, entry in results.preflight.models.items():
        rows = results.rows if results.rows.empty else results.rows[results.rows["model"] == model]
        for figure in entry.published:
            label, text, scale = printing(figure, results)
            ours = list(measured(figure, entry, rows, results))
            here = fmean(ours) if ours else None
            found.append(
                Figure(
                    model=model,
                    quantity=label,
                    of=", ".join(origin_of(figure, entry)),
                    published=text(figure.value * scale),
                    here="" if here is None else text(here * scale),
                    difference="" if here is None else signed((here - figure.value) * scale, text),
                    note=figure.note or "",
                    source=figure.source,
                )
            )
    return found


def printing(figure: PublishedFigure, results: Results) -> tuple[str, Callable[[float], str], float]:
    """What a quantity is called, how it is printed, and what it is multiplied with."""
    if figure.quantity == "seconds":
        return f"Time for {figure.images:,} images", duration, 1
    if figure.quantity == "training_seconds":
        return "Training time", duration, 1
    if figure.quantity == "loss":
        return "Training loss, last epoch", with_digits_of(figure.value), 1
    plan = results.preflight
    dataset: dict[str, Any] = plan.dataset.content() if plan.dataset else {}
    column = metric_columns([figure.quantity], plan.num_samples, dataset, results.own)[0]
    return column.label, with_digits_of(figure.value * column.scale), column.scale


def with_digits_of(published: float) -> Callable[[float], str]:
    """A way to print numbers with as many decimals as a published one has."""
    decimals = len(f"{published:.6g}".partition(".")[2])
    return lambda value: f"{value:,.{decimals}f}"


def signed(difference: float, text: Callable[[float], str]) -> str:
    """A difference with its sign; without one where it is printed as nothing."""
    printed = text(abs(difference))
    return printed if printed == text(0.0) else f"{'+' if difference > 0 else '−'}{printed}"


def measured(figure: PublishedFigure, entry: ModelPlan, rows: pd.DataFrame, results: Results) -> Iterator[float]:
    """What was found here, of each training."""
    if figure.quantity == "loss":
        yield from last_losses(entry, rows, results)
        return
    own = rows[(rows["sampler"] == figure.sampler) & (rows["checkpoint"] == figure.checkpoint)]
    key = {"seconds": "seconds_per_50k"}.get(figure.quantity, figure.quantity)
    factor = (figure.images or 0) / 50_000 if figure.quantity == "seconds" else 1
    yield from (float(value) * factor for value in seen(own, key))


def last_losses(entry: ModelPlan, rows: pd.DataFrame, results: Results) -> Iterator[float]:
    """The mean loss of the last epoch of each training, as far as its history has it: of models with one loss."""
    history = results.histories.get(str(rows["model"].iloc[0])) if len(rows) else None
    dataset, batch = results.preflight.dataset, entry.spec.get("training", {}).get("batch_size")
    if history is None or not batch or not entry.training_steps or dataset is None or not dataset.num_train:
        return
    losses = history[history["kind"] == "losses"]
    if losses["name"].nunique() != 1:
        return
    begun = min(entry.training_steps - dataset.num_train / batch, float(losses["step"].max()) - 1)
    for _, run in losses[losses["step"] > begun].groupby("seed"):
        yield float(run["value"].mean())


def origin_of(figure: PublishedFigure, entry: ModelPlan) -> Iterator[str]:
    """The sampler, where the entry has several and it matters, and the checkpoint, where that is a snapshot."""
    if figure.quantity not in ("loss", "training_seconds") and len(entry.samplers) > 1:
        yield entry.samplers[figure.sampler].label or figure.sampler
    if figure.checkpoint != "final":
        yield f"{int(figure.checkpoint.removeprefix('step-')):,} steps"
