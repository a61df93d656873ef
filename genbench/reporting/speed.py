"""Speed against quality across models: what fewer sampling steps cost each, from the same seeds."""

from collections.abc import Mapping, Sequence

import pandas as pd

from genbench.reporting.cells import bars_of
from genbench.reporting.columns import Column
from genbench.reporting.curves import compare_curves
from genbench.reporting.sampler_studies import FEWEST_STEPS, Setting
from genbench.reporting.snapshots import NARROW, WIDE, Comparison

FEWEST_MODELS = 2
CAPTION = (
    "Quality against the number of sampling steps, on a logarithmic scale: a line for each model and method, all "
    "from the same seeds. Where a model has several such samplers with that many steps, the one that its suite lists "
    "first is shown."
)


def quality_against_steps(settings: Mapping[str, Sequence[Setting]], lead: Column) -> Comparison | None:
    """The headline `lead` against S, for all models whose samplers have three numbers of steps or more.

    settings: the samplers of each model, by its name, in the suite's order. A line is of one method, and where
    that has an eta, of eta = 0 only. None where fewer than two models can be compared.
    """
    points = pd.DataFrame(
        [point for name, chosen in settings.items() for point in line_points(name, chosen, lead)],
        columns=["name", "model", "seed", "x", "value", "std"],
    ).astype({"std": float})
    several = points.groupby("name")["x"].transform("nunique") >= FEWEST_STEPS
    points = points[several] if len(points) else points
    if points["model"].nunique() < FEWEST_MODELS:
        return None
    plots = [
        compare_curves(points, "sampling steps", lead.label, size, log_x=True, log_y=lead.distance)
        for size in (WIDE, NARROW)
    ]
    if not (plots[0] and plots[1]):
        return None
    caption = CAPTION
    if lead.direction:
        caption += f" {lead.direction.capitalize()} is better."
    caption += f" {bars_of([one.row.cells[lead.key] for chosen in settings.values() for one in chosen])}".rstrip()
    return Comparison("Speed against quality", caption, plots[0], plots[1], full=True)


def line_points(name: str, chosen: Sequence[Setting], lead: Column) -> list[dict[str, object]]:
    """The points of a model: for each method and each S, the first of its samplers."""
    first: dict[tuple[str, int], Setting] = {}
    for setting in chosen:
        if setting.eta in (None, 0):
            first.setdefault((setting.method, setting.steps), setting)
    return [
        {
            "name": f"{name}, {method}",
            "model": name,
            "seed": 0,
            "x": float(steps),
            "value": cell.value * lead.scale,
            "std": cell.std * lead.scale if cell.std is not None else None,
        }
        for (method, steps), setting in first.items()
        if (cell := setting.row.cells[lead.key]).value is not None
    ]
