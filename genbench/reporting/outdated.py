"""Whether a file in the results is of another version of the suite: then its numbers are not those of the suite.

Snakemake makes such files again, unless a run is limited by `only`, was stopped before, or knows nothing of them.
"""

from collections.abc import Mapping
from typing import Any

from genbench.files.artifacts import sha256_json
from genbench.records.metrics import Metrics
from genbench.records.plan import ModelPlan
from genbench.records.timing import Timing
from genbench.records.training import Training

HASHED = ("model", "training")  # the keys of an entry on which a training depends


class OutdatedError(Exception):
    """Samples or metrics are of another version of the suite; the message says of what, and what to do."""


def outdated_training(entry: ModelPlan, training: Training, first: Training | None) -> str | None:
    """Why a training is not that of the entry; None if it is, or its record does not show it.

    first: the training of its first stage, if it has one.
    """
    spec = {key: entry.spec[key] for key in HASHED if key in entry.spec}
    if training.entry_sha256 not in (None, sha256_json(spec)):
        return _again("its training is of another version of this entry", "training.json")
    if first and _differ(training.first_stage_sha256, first.model_sha256):
        return _again(f"its training is on other weights of {entry.first_stage}", "training.json")
    return None


def check_draw(
    drawing: Timing,
    evaluation: Metrics,
    *,
    weights: str | None,
    sampler: Mapping[str, Any],
    options: Mapping[str, Any],
    real: Metrics | None,
) -> None:
    """Raise OutdatedError if the records show that samples or their metrics are not those of the suite.

    weights: the hash of the trained weights, if it is known. sampler, options: what the suite says of the sampler and
    of the metrics. real: the metrics of the real images, which every run makes again if the data or features change.
    """
    old = drawing.options or {}
    if _differ(drawing.model_sha256, weights):
        raise OutdatedError(_again("its samples are of other weights than those of its training", "timing.json"))
    if drawing.options is not None and "step" not in old and old != sampler:  # before 0.2, `method` was called `step`
        raise OutdatedError(_again("its samples are of other options of the sampler", "timing.json"))
    if _differ(evaluation.samples_sha256, drawing.samples_sha256):
        raise OutdatedError(_again("its metrics are of other samples", "metrics.json"))
    if evaluation.options is not None and evaluation.options != options:
        raise OutdatedError(_again("its metrics are of other options of evaluation", "metrics.json"))
    if real and _other_reference(evaluation, real) and _time(evaluation) < _time(real):
        raise OutdatedError(_again("its metrics are against other real images, or in other features", "metrics.json"))


def _differ(a: str | None, b: str | None) -> bool:
    return a is not None and b is not None and a != b


def _other_reference(evaluation: Metrics, real: Metrics) -> bool:
    """Whether two were evaluated against different images, or one of their extractors has other weights."""
    weights = [{name: about.get("sha256") for name, about in one.extractors.items()} for one in (evaluation, real)]
    others = any(_differ(weights[0][name], weights[1][name]) for name in weights[0].keys() & weights[1].keys())
    return others or _differ(evaluation.reference_sha256, real.reference_sha256)


def _time(evaluation: Metrics) -> str:
    return (evaluation.provenance and evaluation.provenance.time) or ""


def _again(why: str, name: str) -> str:
    return f"{why}: run the suite again, without `only`; if its jobs do not run, delete its {name} first"
