"""Quality during training: of snapshots, and on held-out images."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from genbench.metrics.intervals import deviation
from genbench.reporting.cells import BY_GROUPS, known, seen
from genbench.reporting.columns import Column, metric_columns
from genbench.reporting.comparisons import NARROW, WIDE, Comparison, comparison
from genbench.reporting.curves import compare_curves
from genbench.reporting.numerals import count
from genbench.reporting.results import Results
from genbench.reporting.table import Row

MOST_LINES = 24  # of a plot: the best
HELD_OUT = {  # a title and a definition for quantities that `validate` returns
    "reconstruction": ("Reconstruction error", "Squared error of an image in [-1, 1], summed over its pixels."),
    "kl": ("KL divergence", "KL divergence of the posterior of an image from the prior, in nats."),
}


def quality_over_training(results: Results, rows: Sequence[Row]) -> Comparison | None:
    """The headline metric of every snapshot, in the order of `rows`, best first; None if no model has one."""
    lead = metric_columns([results.preflight.headline], own=results.own)[0]
    points = snapshot_points(results, lead, rows)
    if points.empty:
        return None
    points, left_out = first_lines(points)
    few, final = (numbers(points[points["final"] == kind]["samples"]) for kind in (False, True))
    apart = bool(points["apart"].any())
    label = lead.label + (f", {lead.direction} is better" if lead.direction else "")
    hollow = f"final model, {final} samples" if apart else ""
    draw = partial(compare_curves, points, "training steps", label, apart=hollow, log_y=lead.distance)
    caption = "Snapshots during training" + (f", judged by {few} samples each." if few else ".")
    if apart:
        caption += f" Hollow marks are the final models, judged by {final} samples."
        caption += (
            " The distance falls as samples become more: compare" if lead.info and lead.info.biased else " Compare"
        )
        caption += " hollow marks with hollow ones only."
    elif final:
        caption += " The last point of a line is the final model."
    caption += epoch_remark(results, points)
    by_groups = not seen(results.rows, f"{lead.key}_draw_std")
    caption += seeds_remark(points, BY_GROUPS) if by_groups else seeds_remark(points)
    return comparison("Quality over training", caption + left_out, draw, (WIDE, NARROW))


def first_lines(points: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The points of the first MOST_LINES names, and a sentence about the others, if there are any."""
    names = list(dict.fromkeys(points["name"]))
    if len(names) <= MOST_LINES:
        return points, ""
    told = f" Of {len(names)} lines, these are the best {MOST_LINES}."
    return points[points["name"].isin(names[:MOST_LINES])], told


def epoch_remark(results: Results, points: pd.DataFrame) -> str:
    """A sentence on how many steps are an epoch, if that is known and the same for all points."""
    images, sizes = training_images(results), set(points["batch_size"].fillna(0))  # 0: unknown
    return f" An epoch is {images / sizes.pop():,.0f} steps." if images and len(sizes) == 1 and all(sizes) else ""


def training_images(results: Results) -> int | None:
    """The number of training images, if known."""
    dataset = results.preflight.dataset
    return dataset.num_train if dataset else None


def snapshot_points(results: Results, lead: Column, compared: Sequence[Row]) -> pd.DataFrame:
    """name, seed, x (step), value, samples, batch_size, final, apart of every row of models with snapshots.

    With one seed also std, where known. The final model is apart if it was judged by another number of samples than the
    snapshots.
    """
    rows = results.rows
    if rows.empty or lead.key not in rows:
        return pd.DataFrame()
    final = rows["checkpoint"] == "final"
    steps = rows["checkpoint"].str.extract(r"^step-(\d+)$", expand=False).astype(float)
    models = results.preflight.models
    last = pd.Series([models[model].training_steps for model in rows["model"]], rows.index, dtype=float)
    last = last.fillna(rows.get("steps", np.nan))
    names = distinct({(row.model, row.sampler): row.name.removesuffix(f", {row.checkpoint}") for row in compared})
    samples = rows.get(f"{lead.key}_n_fake", rows.get("num_fake", pd.Series(np.nan, rows.index)))
    points = pd.DataFrame(
        {
            "name": [names[key] for key in zip(rows["model"], rows["sampler"], strict=True)],
            "seed": rows["seed"],
            "x": steps.where(~final, last),
            "value": rows[lead.key].astype(float) * lead.scale,
            "samples": samples,
            "batch_size": rows.get("training_batch_size", pd.Series(np.nan, rows.index)),
            "final": final,
        }
    )
    if points["seed"].nunique() == 1:
        points["std"] = deviations(rows, lead) * lead.scale
    points = points[points["name"].isin(points[~final]["name"])]
    snapshots = set(points[~points["final"]]["samples"].dropna())
    apart = points["final"] & points["samples"].notna() & ~points["samples"].isin(snapshots)
    order = {name: number for number, name in enumerate(names.values())}
    return points.assign(apart=apart).sort_values("name", key=lambda column: column.map(order), kind="stable")


def deviations(rows: pd.DataFrame, lead: Column) -> pd.Series:
    """The standard deviation of each row over its draws or, with one draw, estimated from its groups of images."""
    absent = pd.Series(np.nan, rows.index, dtype=float)
    drawn = rows.get(f"{lead.key}_draw_std", absent).astype(float)
    groups = rows.get(f"{lead.key}_without", absent.astype(object))
    return drawn.fillna(groups.map(lambda found: deviation(np.array(found)) if known(found) else np.nan).astype(float))


def held_out(results: Results, names: Mapping[str, str]) -> list[Comparison]:
    """A plot of each quantity on held-out images, for all models that have it; `names`: of the models, in their order.

    The x axis is in epochs if the numbers of training images and of images seen are known, otherwise in steps.
    """
    found = [
        history[history["kind"] == "validation"].rename(columns={"name": "quantity"}).assign(name=name)
        for model, name in names.items()
        if (history := results.histories.get(model)) is not None
    ]
    found = [history for history in found if len(history)]
    if not found:
        return []
    points = pd.concat(found)
    images = float(training_images(results) or np.nan)
    epochs = bool(np.isfinite(images)) and bool(points["images_seen"].notna().all())
    points = points.assign(x=points["images_seen"] / images if epochs else points["step"].astype(float))
    comparisons, present = [], set(points["quantity"])
    for quantity in [*(usual for usual in HELD_OUT if usual in present), *sorted(present - set(HELD_OUT))]:
        title, meaning = HELD_OUT.get(quantity, (quantity, ""))
        chosen, left_out = first_lines(points[points["quantity"] == quantity])
        caption = (meaning or f"{title}.") + seeds_remark(chosen) + left_out
        draw = partial(compare_curves, chosen, "epochs" if epochs else "training steps", title)
        comparisons.append(comparison(title, caption, draw))
    return [found for found in comparisons if found]


def distinct(names: Mapping[Any, str]) -> dict[Any, str]:
    """The names by their keys; a name that several keys share is followed by the key."""
    values = list(names.values())
    return {
        key: f"{name} ({key if isinstance(key, str) else ', '.join(key)})" if values.count(name) > 1 else name
        for key, name in names.items()
    }


def numbers(samples: pd.Series) -> str:
    """The distinct numbers of samples: 10k, or 5k and 10k."""
    return " and ".join(count(number) for number in sorted(set(samples.dropna())))


def seeds_remark(points: pd.DataFrame, bars: str = "over draws of samples") -> str:
    """A sentence on what lines and bars are, if there are several seeds or draws."""
    several = points["seed"].nunique()
    if several > 1:
        means = f"Thick lines are means over {several} training seeds, thin ones single seeds"
        return f" {means}; bars are ± one standard deviation."
    if "std" not in points or points["std"].isna().all():
        return ""
    return f" Bars are ± one standard deviation {bars}."
