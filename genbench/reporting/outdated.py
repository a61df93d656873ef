"""Whether a file in the results is of another version of the suite: then its numbers are not those of the suite.

Snakemake makes such files again, unless a run is limited by `only`, was stopped before, or knows nothing of them.
"""

from typing import Any

from genbench.files.artifacts import sha256_json
from genbench.records.metrics import Metrics
from genbench.records.plan import Plan
from genbench.records.timing import Timing
from genbench.records.training import Training

HASHED = ("model", "training")  # the keys of an entry on which a training depends


class OutdatedError(Exception):
    """Samples or metrics are of another version of the suite; the message says of what, and what to do."""


def outdated_training(plan: Plan, model: str, training: Training, first: Training | None) -> str | None:
    """Why a training is not that of the plan's entry; None if it is, or its record does not show it.

    first: the training of its first stage, if it has one.
    """
    entry = plan.models[model]
    spec = {key: entry.spec[key] for key in HASHED if key in entry.spec}
    if training.entry_sha256 not in (None, sha256_json(spec)):
        return _again("its training is of another version of this entry", "training.json")
    if first and entry.first_stage:
        if differ(training.first_stage_sha256, first.model_sha256):
            return _again(f"its training is on other weights of {entry.first_stage}", "training.json")
        if outdated_training(plan, entry.first_stage, first, None):
            return _again(f"its training is on another version of {entry.first_stage}", "training.json")
    return None


def check_draw(plan: Plan, draw: Any, training: Training, drawing: Timing, evaluation: Metrics) -> None:
    """Raise OutdatedError if the records show that samples or their metrics are not those of the plan.

    draw: has model, checkpoint and sampler. training: of its model.
    """
    option = plan.models[draw.model].samplers[draw.sampler]
    asked = plan.models[draw.model].spec.get("samplers", {}).get(draw.sampler, {})
    # With ema_length, model_sha256 is the hash of the averaged weights; that of a snapshot is not in its training.
    comparable = draw.checkpoint == "final" and drawing.ema_length is None
    if comparable and differ(drawing.model_sha256, training.model_sha256):
        raise OutdatedError(_again("its samples are of other weights than those of its training", "timing.json"))
    if drawing.unavailable is None and drawing.options is not None:  # so it was drawn here
        names = {"step": "method", "algorithm": "method"}  # before 0.2
        options = {names.get(key, key): value for key, value in drawing.options.items()}
        scheme = option.quantisation.scheme if option.quantisation else option.precision
        if (
            options != option.options
            or drawing.ema_length != asked.get("ema_length")
            or differ(drawing.precision, scheme)
        ):
            raise OutdatedError(_again("its samples are of other options of the sampler", "timing.json"))
    if differ(evaluation.samples_sha256, drawing.samples_sha256):
        raise OutdatedError(_again("its metrics are of other samples", "metrics.json"))
    if evaluation.options is not None and evaluation.options != plan.evaluation.get("options", {}):
        raise OutdatedError(_again("its metrics are of other options of evaluation", "metrics.json"))


def check_reference(evaluation: Metrics, real: Metrics | None) -> None:
    """Raise OutdatedError for metrics against other images, or in other features, than those of the real images.

    real: the metrics of the real images, which every run makes again if the data or the features change.
    """
    if real and _other_reference(evaluation, real) and _time(evaluation) < _time(real):
        raise OutdatedError(_again("its metrics are against other real images, or in other features", "metrics.json"))


def differ(a: str | None, b: str | None) -> bool:
    """Whether two hashes or names are known and differ."""
    return a is not None and b is not None and a != b


def _other_reference(evaluation: Metrics, real: Metrics) -> bool:
    """Whether two were evaluated against different images, or one of their extractors has other weights."""
    weights = [{name: about.get("sha256") for name, about in one.extractors.items()} for one in (evaluation, real)]
    others = any(differ(weights[0][name], weights[1][name]) for name in weights[0].keys() & weights[1].keys())
    return others or differ(evaluation.reference_sha256, real.reference_sha256)


def _time(evaluation: Metrics) -> str:
    return (evaluation.provenance and evaluation.provenance.time) or ""


def _again(why: str, name: str) -> str:
    return f"{why}: run the suite again, without `only`; if its jobs do not run, delete its {name} first"
