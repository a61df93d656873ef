"""Read what the rules wrote for one suite into one tidy table: a row for each model, seed, checkpoint and sampler."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from genbench.errors import InputError
from genbench.files.artifacts import check_sha256, read_json
from genbench.reporting.schemes import add_differences, paired_columns

# The fields of each file that become columns, and the columns' names where they differ.
TRAINING = {
    "steps": "steps",
    "images_seen": "images_seen",
    "seconds": "training_seconds",
    "images_per_second": "training_images_per_second",
    "batch_size": "training_batch_size",
    "precision": "training_precision",
    "device": "training_device",
    "weights": "weights",
    "ema_decay": "ema_decay",
    "resumed": "resumed",
    "data_sha256": "data_sha256",
    "model_sha256": "model_sha256",
}
TIMING = {
    "seconds_per_50k": "seconds_per_50k",
    "extrapolated": "extrapolated",
    "timed_images": "timed_images",
    "images_per_second": "images_per_second",
    "latency_batch1_seconds": "latency_batch1_seconds",
    "warmup_seconds": "warmup_seconds",
    "io_seconds": "io_seconds",
    "nfe": "nfe",
    "batch_size": "batch_size",
    "device": "device",
    "precision": "precision",
    "threads": "threads",
    "peak_memory_bytes": "peak_memory_bytes",
    "seeds": "sample_seeds",
    "samples_sha256": "samples_sha256",
}
LOSSY = "samples stored with losses (JPEG), which changes every metric"
EVALUATION = {"num_real": "num_real", "num_fake": "num_fake", "reference_sha256": "reference_sha256"}


class Draw(NamedTuple):
    """Which images: those that one sampler drew from one checkpoint of one training run."""

    model: str
    seed: int
    checkpoint: str
    sampler: str


@dataclass(frozen=True)
class Results:
    """One suite as read from disk.

    rows: the tidy table; each metric `key` has columns key, key_std, key_n_fake and key_note.
    floor: the same columns for real images against real images, or None.
    histories: for each model a table of seed, step, images_seen (NaN if unknown), kind, name, value; the kinds are
    "losses", "metrics", and "validation" for those of held-out images.
    pictures: for each model its pictures by name, of its first seed that has them.
    bound_terms: for each model with a likelihood a table of seed, t, value (bits per dimension), t rising.
    provenance: one row a file: stage, model, device, and what provenance.collect wrote.
    """

    preflight: Mapping[str, Any]
    rows: pd.DataFrame
    metrics: list[str]
    floor: Mapping[str, Any] | None
    histories: Mapping[str, pd.DataFrame]
    grids: Mapping[Draw, Path]
    pictures: Mapping[str, Mapping[str, Path]]
    bound_terms: Mapping[str, pd.DataFrame]
    real_grid: Path | None
    extractors: Mapping[str, Mapping[str, Any]]
    provenance: pd.DataFrame


def read_results(preflight_path: Path, root: Path) -> Results:
    """Read the suite of `preflight_path`, whose results lie under `root` (results/{suite}).

    Every draw that the preflight names needs its training (unless it was drawn elsewhere), timing and metrics: an
    InputError names the file that is missing. Histories, likelihoods, grids, pictures and the row of real images are
    optional.
    """
    preflight = read_record(preflight_path, "suite", "models", "seeds", "headline")
    origins = [origin("preflight", preflight)]
    rows = []
    histories: dict[str, pd.DataFrame] = {}
    grids: dict[Draw, Path] = {}
    pictures: dict[str, dict[str, Path]] = {}
    bound_terms: dict[str, pd.DataFrame] = {}
    metrics: dict[str, None] = {}  # an ordered set
    extractors: dict[str, Mapping[str, Any]] = {}
    ceiling: dict[str, Any] = {}

    for model, entry in preflight["models"].items():
        given = "samples" in (entry.get("spec") or {})  # drawn elsewhere, so that nobody trained here
        for seed in entry.get("seeds") or preflight["seeds"]:
            run = root / model / f"seed{seed}"
            training = {} if given else read_record(run / "training.json")
            origins += [] if given else [origin("training", training, model)]
            if (run / "history.jsonl").exists():
                if "history_sha256" in training:
                    check_sha256(run / "history.jsonl", training["history_sha256"])
                history = read_history(run / "history.jsonl", seed)
                histories[model] = pd.concat([histories[model], history]) if model in histories else history
            for name in entry.get("pictures", []):
                if (path := run / "final/pictures" / f"{name}.png").exists():
                    pictures.setdefault(model, {}).setdefault(name, path)
            likelihood: dict[str, Any] = {}
            if (run / "final/likelihood.json").exists():
                likelihood = read_record(run / "final/likelihood.json", "bits_per_dim")
                origins.append(origin("likelihood", likelihood, model))
                terms = read_terms(run / "final/likelihood.json", likelihood, seed)
                bound_terms[model] = pd.concat([bound_terms[model], terms]) if model in bound_terms else terms
            for draw in draws(model, seed, entry):
                place = run / draw.checkpoint / draw.sampler
                timing = read_record(place / "timing.json")
                if "unavailable" not in timing:
                    timing = read_record(place / "timing.json", "seconds_per_50k", "images_per_second")
                evaluation = read_record(place / "metrics.json", "metrics")
                origins.append(origin("sampling", timing, model))
                origins.append(origin("evaluation", evaluation, model))
                metrics |= dict.fromkeys(evaluation["metrics"])
                extractors |= evaluation.get("extractors", {})
                found = list(object_results(place, preflight))
                for labels, accuracy in found:
                    origins.append(origin("object accuracy", accuracy, model))
                    metrics |= dict.fromkeys(f"{key}_{labels}" for key in accuracy["metrics"])
                    evaluation["metrics"] |= {f"{key}_{labels}": value for key, value in accuracy["metrics"].items()}
                    ceiling |= bounded_by(accuracy, labels)
                    if draw.checkpoint == "final" and (place / f"objects/{labels}.png").exists():
                        name = f"objects-{labels}-{draw.sampler}"
                        pictures.setdefault(model, {}).setdefault(name, place / f"objects/{labels}.png")
                drawn = "unavailable" not in timing
                if drawn and draw.checkpoint == "final" and (place / "neighbours.png").exists():
                    pictures.setdefault(model, {}).setdefault(f"neighbours-{draw.sampler}", place / "neighbours.png")
                if drawn and (place / "grid.png").exists():
                    grids[draw] = place / "grid.png"
                rows.append(
                    {"suite": preflight["suite"], **draw._asdict()}
                    | describe(model, entry, draw.sampler)
                    | renamed(training, TRAINING)
                    | renamed(training.get("imported") or {}, {"note": "imported"})
                    | renamed(timing, TIMING)
                    | paired_columns(place, timing)
                    | per_image(timing)
                    | measured(evaluation)
                    | (bounded(likelihood) if draw.checkpoint == "final" else {})
                )
                if timing.get("lossy"):
                    rows[-1]["remarks"].append(LOSSY)
                if not drawn:
                    rows[-1]["remarks"].append(f"not drawn: {timing['unavailable']}")

    add_differences(rows, list(metrics))
    real, floor = root / "real", None
    if (real / "metrics.json").exists():
        floor = measured(read_record(real / "metrics.json", "metrics")) | ceiling
    return Results(
        preflight=preflight,
        rows=pd.DataFrame(rows),
        metrics=list(metrics),
        floor=floor,
        histories=histories,
        grids=grids,
        pictures=pictures,
        bound_terms=bound_terms,
        real_grid=real / "grid.png" if (real / "grid.png").exists() else None,
        extractors=extractors,
        provenance=pd.DataFrame(origins),
    )


def object_results(place: Path, preflight: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The accuracies of a sample set's objects that are there, by their file of label sets."""
    for labels in ((preflight.get("evaluation") or {}).get("objects") or {}).get("labels", ()):
        path = place / f"objects/{labels}.json"
        if path.exists():
            yield labels, read_record(path, "metrics", "evaluator")


def bounded_by(accuracy: Mapping[str, Any], labels: str) -> dict[str, Any]:
    """The evaluator's own accuracy on real images that it was not trained on, as a column of the row of real images."""
    if accuracy["evaluator"].get("accuracy") is None:
        return {}
    key = f"object_accuracy_{labels}"
    return {key: accuracy["evaluator"]["accuracy"], f"{key}_note": "of the evaluator, on held-out real images"}


def read_record(path: Path, *required: str) -> dict[str, Any]:
    """Read a JSON object; an InputError names the file, and the key if one of `required` is absent."""
    record = read_json(path)
    if not isinstance(record, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(record).__name__}")
    for key in required:
        if key not in record:
            raise InputError(f"{path}: the key {key!r} is missing")
    return record


def read_history(path: Path, seed: int) -> pd.DataFrame:
    """Read history.jsonl into a table of seed, step, images_seen, kind, name, value; see Results.histories.

    A step logged twice counts once, the last.
    """
    points: dict[tuple[int, str, str], tuple[float, float]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            for kind in ("losses", "metrics", "validation"):
                for name, value in entry.get(kind, {}).items():
                    seen = float(entry.get("images_seen", math.nan))
                    points[int(entry["step"]), kind, name] = seen, float(value)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{path}, line {number}: expected a JSON object with step and losses") from None
    return pd.DataFrame(
        [(seed, step, seen, kind, name, value) for (step, kind, name), (seen, value) in sorted(points.items())],
        columns=["seed", "step", "images_seen", "kind", "name", "value"],
    )


def read_terms(path: Path, likelihood: Mapping[str, Any], seed: int) -> pd.DataFrame:
    """The terms of a likelihood.json, if it has some, as seed, t, value; `path` is named where they don't fit."""
    terms = likelihood.get("terms") or {}
    t, values = terms.get("t") or [], terms.get("bits_per_dim") or []
    if len(t) != len(values):
        raise InputError(f"{path}: terms: found {len(t)} times and {len(values)} values, expected as many of both")
    return pd.DataFrame({"seed": seed, "t": t, "value": values}).astype({"t": float, "value": float}).sort_values("t")


def draws(model: str, seed: int, entry: Mapping[str, Any]) -> Iterator[Draw]:
    """Every draw from one training run of a preflight entry."""
    for checkpoint in entry.get("checkpoints", ["final"]):
        for sampler in entry.get("samplers", {}):
            yield Draw(model, seed, checkpoint, sampler)


def describe(model: str, entry: Mapping[str, Any], sampler: str) -> dict[str, Any]:
    """What the preflight knows of a row: names to show, budget, cost."""
    option = entry["samplers"][sampler]
    quantised = option.get("quantisation")
    return ({"quantisation": quantised["scheme"], "reference_sampler": quantised["sampler"]} if quantised else {}) | {
        "label": entry.get("label") or model,
        "family": entry.get("family") or "Other",
        "sampler_label": option.get("label") or sampler,
        "budget": entry.get("budget"),
        "remarks": list(option.get("remarks") or []),
        "generates": option.get("generates", True),
        "parameters": sum(entry["parameters"].values()) if entry.get("parameters") else None,
        "nfe": option.get("nfe"),
        "flops_per_nfe": option.get("flops_per_nfe"),
        "flops_per_image": option.get("flops_per_image"),
    }


def renamed(record: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The named fields that `record` has, under their column names."""
    return {column: record[field] for field, column in names.items() if record.get(field) is not None}


def per_image(timing: Mapping[str, Any]) -> dict[str, Any]:
    """The time for an image, of those that were drawn here."""
    seconds = timing.get("seconds_per_50k")
    return {} if seconds is None else {"seconds_per_image": seconds / 50_000}


def measured(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a metrics.json gives: key, key_std, key_n_fake, ... for each metric, and its warnings."""
    columns = renamed(evaluation, EVALUATION)
    for key, metric in evaluation["metrics"].items():
        columns[key] = metric.get("value")
        fields = ("std", "n_fake", "note", "values", "draw_std")
        columns |= {f"{key}_{field}": metric[field] for field in fields if metric.get(field) is not None}
    return columns | {"warnings": list(evaluation.get("warnings") or [])}


def bounded(likelihood: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a likelihood.json gives: bits per dimension, their standard error, and of what they are."""
    names = {"bits_per_dim": "bits_per_dim", "standard_error": "bits_per_dim_std"}
    parts = []
    if images := likelihood.get("images"):
        parts.append(" ".join(filter(None, [f"{images:,}", likelihood.get("split"), "images"])))
    if steps := likelihood.get("steps"):
        parts.append(f"{steps:,} steps")
    return renamed(likelihood, names) | ({"bits_per_dim_note": f"from {' and '.join(parts)}"} if parts else {})


def origin(stage: str, record: Mapping[str, Any], model: str | None = None) -> dict[str, Any]:
    """One row of the provenance table."""
    return {"stage": stage, "model": model, "device": record.get("device")} | (record.get("provenance") or {})
