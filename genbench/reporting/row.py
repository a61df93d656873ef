"""One row of the tidy table: which keys of which records become its columns."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genbench import errors
from genbench.metrics import MetricInfo
from genbench.records.likelihood import Likelihood
from genbench.records.metrics import Metric, Metrics
from genbench.records.objects import Objects
from genbench.records.plan import ModelPlan
from genbench.records.record import Record
from genbench.records.timing import Timing
from genbench.records.training import Training
from genbench.reporting.columns import stated

# The keys of each record that become columns, under their own names except for those below.
TRAINING = (
    *("steps", "images_seen", "seconds", "images_per_second", "batch_size", "precision", "device"),
    *("weights", "ema_decay", "resumed", "data_sha256", "model_sha256"),
)
TIMING = (
    *("seconds_per_50k", "extrapolated", "timed_images", "images_per_second", "latency_batch1_seconds"),
    *("warmup_seconds", "io_seconds", "nfe", "batch_size", "device", "precision", "threads", "peak_memory_bytes"),
    *("seeds", "samples_sha256"),
)
METRICS = ("num_real", "num_fake", "reference_sha256")
COPIES = re.compile(r"([\d,]+) of ([\d,]+) are copies of a training image")  # in the note of Memorised
METRIC = ("std", "n_fake", "note", "values", "draw_std", "interval", "without")  # each after the metric's key
# Sampling also has columns of these five names.
OF_TRAINING = {key: f"training_{key}" for key in ("seconds", "images_per_second", "batch_size", "precision", "device")}
OF_SAMPLES = {"seeds": "sample_seeds"}


def bounded_by(accuracy: Objects, labels: str) -> dict[str, Any]:
    """The evaluator's accuracy on held-out real images, as a column of the row of real images."""
    if accuracy.evaluator.accuracy is None:
        return {}
    key = f"object_accuracy_{labels}"
    return {key: accuracy.evaluator.accuracy, f"{key}_note": "of the evaluator, on held-out real images"}


def describe(model: str, entry: ModelPlan, sampler: str) -> dict[str, Any]:
    """What the preflight states about a row: names to show, budget, cost."""
    option = entry.samplers[sampler]
    quantised = option.quantisation
    return ({"quantisation": quantised.scheme, "reference_sampler": quantised.sampler} if quantised else {}) | {
        "label": entry.label or model,
        "family": entry.family or "Other",
        "sampler_label": option.label or sampler,
        "budget": entry.budget,
        "role": entry.role,
        "remarks": list(option.remarks),
        "generates": option.generates,
        "parameters": sum(entry.parameters.values()) if entry.parameters else None,
        "nfe": option.nfe,
        "flops_per_nfe": option.flops_per_nfe,
        "flops_per_image": option.flops_per_image,
    }


def columns(record: Record, keys: Sequence[str], names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The values that a record has for `keys`, as columns; `names`: the columns whose names differ from their keys."""
    found = {key: getattr(record, key) for key in keys}
    return {(names or {}).get(key, key): value for key, value in found.items() if value is not None}


def imported(training: Training) -> dict[str, Any]:
    """The column with the note on a published checkpoint."""
    note = (training.imported or {}).get("note")
    return {} if note is None else {"imported": note}


def per_image(timing: Timing) -> dict[str, Any]:
    """The time per image, for samples drawn here."""
    seconds = timing.seconds_per_50k
    return {} if seconds is None else {"seconds_per_image": seconds / 50_000}


def measured(evaluation: Metrics, metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """The columns of metrics: key, key_std, key_n_fake, ... for each, and the warnings of their evaluation."""
    found = columns(evaluation, METRICS)
    for key, metric in metrics.items():
        found[key] = metric.value
        found |= columns(metric, METRIC, {field: f"{key}_{field}" for field in METRIC})
    return found | {"warnings": list(evaluation.warnings)}


def copied(metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """The columns of a row of which at least half of the images are copies: it counts as not generating any."""
    for metric in metrics.values():
        if found := COPIES.search(metric.note or ""):
            copies, images = (int(number.replace(",", "")) for number in found.groups())
            if 2 * copies >= images:
                return {"generates": False, "copies": f"{found[0]}, so the row is never the best"}
    return {}


def own_of(metrics: Mapping[str, Metric], path: Path) -> dict[str, MetricInfo]:
    """The MetricInfo of each metric in a metrics.json that is not genbench's, by key; an InputError names `path`."""
    found = {}
    for key, metric in metrics.items():
        if metric.about is not None:
            with errors.place(path, "metrics", key, "about"):
                found[key] = stated(key, metric.about)
    return found


def bounded(likelihood: Likelihood) -> dict[str, Any]:
    """The columns of a likelihood.json: bits per dimension, their standard error, and a note on images and steps."""
    parts = []
    if images := likelihood.images:
        parts.append(" ".join(filter(None, [f"{images:,}", likelihood.split, "images"])))
    if steps := likelihood.steps:
        parts.append(f"{steps:,} steps")
    found = columns(likelihood, ("bits_per_dim", "standard_error"), {"standard_error": "bits_per_dim_std"})
    return found | ({"bits_per_dim_note": f"from {' and '.join(parts)}"} if parts else {})


def origin(stage: str, record: Any, model: str | None = None) -> dict[str, Any]:
    """One row of the provenance table."""
    provenance = record.provenance.content() if record.provenance else {}
    return {"stage": stage, "model": model, "device": getattr(record, "device", None)} | provenance
