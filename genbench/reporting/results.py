"""Read what the rules wrote for one suite into one tidy table: a row for each model, seed, checkpoint and sampler."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from genbench import errors
from genbench.files.artifacts import check_sha256
from genbench.metrics import MetricInfo
from genbench.records.likelihood import Likelihood
from genbench.records.metrics import Metric, Metrics
from genbench.records.objects import Objects
from genbench.records.plan import ModelPlan, Plan
from genbench.records.record import Record, read_record
from genbench.records.speed import Speed
from genbench.records.timing import Timing
from genbench.records.training import Training
from genbench.reporting.columns import info_of, stated
from genbench.reporting.histories import read_history, terms_of
from genbench.reporting.missing import undrawn, untrained, without_numbers
from genbench.reporting.schemes import add_differences, paired_columns
from genbench.reporting.times import of_its_own, time_columns

# Of each record the keys that become columns, by their own names but for those below.
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
METRIC = ("std", "n_fake", "note", "values", "draw_std")  # each behind the metric's own key
# Sampling has columns of the first five names, too.
OF_TRAINING = {key: f"training_{key}" for key in ("seconds", "images_per_second", "batch_size", "precision", "device")}
OF_SAMPLES = {"seeds": "sample_seeds"}
LOSSY = "samples stored with losses (JPEG), which changes every metric"


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
    own: by key, what the records say of metrics that are not genbench's.
    floor: the same columns for real images against real images, or None.
    histories: for each model a table of seed, step, images_seen (NaN if unknown), kind, name, value; the kinds are
    "losses", "metrics", and "validation" for those of held-out images.
    pictures: for each model its pictures by name, of its first seed that has them.
    bound_terms: for each model with a likelihood a table of seed, t, value (bits per dimension), t rising.
    provenance: one row a file: stage, model, device, and the keys of Provenance.
    """

    preflight: Plan
    rows: pd.DataFrame
    metrics: list[str]
    own: Mapping[str, MetricInfo]
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

    Every draw that the preflight names is a row. One without its training (unless it was drawn elsewhere), timing or
    metrics has no numbers, and says why. Histories, likelihoods, grids, pictures and the row of real images are
    optional. An InputError names a file that is damaged.
    """
    preflight = read_record(preflight_path, Plan)
    origins = [origin("preflight", preflight)]
    rows = []
    histories: dict[str, pd.DataFrame] = {}
    grids: dict[Draw, Path] = {}
    pictures: dict[str, dict[str, Path]] = {}
    bound_terms: dict[str, pd.DataFrame] = {}
    metrics: dict[str, None] = {}  # an ordered set
    own: dict[str, MetricInfo] = {}
    extractors: dict[str, Mapping[str, Any]] = {}
    ceiling: dict[str, Any] = {}

    for model, entry in preflight.models.items():
        given = "samples" in entry.spec  # drawn elsewhere, so that nobody trained here
        seeds = entry.seeds or preflight.seeds
        speed = Speed(samplers={})
        if (root / model / "speed.json").exists() and not given:
            speed = read_record(root / model / "speed.json", Speed)
            origins.append(origin("sampling", speed, model))
        for seed in seeds:
            run = root / model / f"seed{seed}"
            why = None if given else untrained(run)
            training = Training() if given or why else read_record(run / "training.json", Training)
            origins += [] if given or why else [origin("training", training, model)]
            if (run / "history.jsonl").exists():
                if training.history_sha256 is not None:
                    check_sha256(run / "history.jsonl", training.history_sha256)
                history = read_history(run / "history.jsonl", seed)
                histories[model] = pd.concat([histories[model], history]) if model in histories else history
            for name in entry.pictures:
                if (path := run / "final/pictures" / f"{name}.png").exists():
                    pictures.setdefault(model, {}).setdefault(name, path)
            bound: dict[str, Any] = {}
            if (run / "final/likelihood.json").exists():
                likelihood = read_record(run / "final/likelihood.json", Likelihood)
                origins.append(origin("likelihood", likelihood, model))
                terms = terms_of(likelihood, seed)
                bound_terms[model] = pd.concat([bound_terms[model], terms]) if model in bound_terms else terms
                bound = bounded(likelihood)
            for draw in draws(model, seed, entry):
                place = run / draw.checkpoint / draw.sampler
                known = {"suite": preflight.suite, **draw._asdict()} | describe(model, entry, draw.sampler)
                if missing := why or undrawn(place):
                    rows.append(without_numbers(known, missing, len(seeds) > 1))
                    continue
                drawing = read_record(place / "timing.json", Timing)
                timing = of_its_own(drawing, speed, draw.sampler)
                evaluation = read_record(place / "metrics.json", Metrics)
                origins.append(origin("sampling", timing, model))
                origins.append(origin("evaluation", evaluation, model))
                own |= own_of(evaluation.metrics, place / "metrics.json")
                found = dict(evaluation.metrics)
                extractors |= evaluation.extractors
                for labels, accuracy in object_results(place, preflight):
                    origins.append(origin("object accuracy", accuracy, model))
                    found |= {f"{key}_{labels}": value for key, value in accuracy.metrics.items()}
                    ceiling |= bounded_by(accuracy, labels)
                    if draw.checkpoint == "final" and (place / f"objects/{labels}.png").exists():
                        name = f"objects-{labels}-{draw.sampler}"
                        pictures.setdefault(model, {}).setdefault(name, place / f"objects/{labels}.png")
                metrics |= dict.fromkeys(found)
                drawn = timing.unavailable is None
                if drawn and draw.checkpoint == "final" and (place / "neighbours.png").exists():
                    pictures.setdefault(model, {}).setdefault(f"neighbours-{draw.sampler}", place / "neighbours.png")
                if drawn and (place / "grid.png").exists():
                    grids[draw] = place / "grid.png"
                rows.append(
                    known
                    | columns(training, TRAINING, OF_TRAINING)
                    | imported(training)
                    | columns(timing, TIMING, OF_SAMPLES)
                    | paired_columns(place, timing)
                    | per_image(timing)
                    | time_columns(drawing, speed, draw.sampler)
                    | measured(evaluation, found)
                    | (bound if draw.checkpoint == "final" else {})
                )
                if timing.lossy:
                    rows[-1]["remarks"].append(LOSSY)
                rows[-1]["remarks"] += timing.notes or []
                if not drawn:
                    rows[-1]["remarks"].append(f"not drawn: {timing.unavailable}")

    add_differences(rows, [key for key in metrics if info_of(key, own).distance])
    real, floor = root / "real", None
    none_held_out = preflight.dataset is not None and preflight.dataset.num_test == 0  # what is there is of another run
    if (real / "metrics.json").exists() and not none_held_out:
        evaluation = read_record(real / "metrics.json", Metrics)
        floor = measured(evaluation, evaluation.metrics) | ceiling
    return Results(
        preflight=preflight,
        rows=pd.DataFrame(rows),
        metrics=list(metrics),
        own=own,
        floor=floor,
        histories=histories,
        grids=grids,
        pictures=pictures,
        bound_terms=bound_terms,
        real_grid=real / "grid.png" if (real / "grid.png").exists() else None,
        extractors=extractors,
        provenance=pd.DataFrame(origins),
    )


def object_results(place: Path, preflight: Plan) -> Iterator[tuple[str, Objects]]:
    """The accuracies of a sample set's objects that are there, by their file of label sets."""
    for labels in (preflight.evaluation.get("objects") or {}).get("labels", ()):
        path = place / f"objects/{labels}.json"
        if path.exists():
            yield labels, read_record(path, Objects)


def bounded_by(accuracy: Objects, labels: str) -> dict[str, Any]:
    """The evaluator's own accuracy on real images that it was not trained on, as a column of the row of real images."""
    if accuracy.evaluator.accuracy is None:
        return {}
    key = f"object_accuracy_{labels}"
    return {key: accuracy.evaluator.accuracy, f"{key}_note": "of the evaluator, on held-out real images"}


def draws(model: str, seed: int, entry: ModelPlan) -> Iterator[Draw]:
    """Every draw from one training run of a preflight entry."""
    for checkpoint in entry.checkpoints:
        for sampler in entry.samplers:
            yield Draw(model, seed, checkpoint, sampler)


def describe(model: str, entry: ModelPlan, sampler: str) -> dict[str, Any]:
    """What the preflight knows of a row: names to show, budget, cost."""
    option = entry.samplers[sampler]
    quantised = option.quantisation
    return ({"quantisation": quantised.scheme, "reference_sampler": quantised.sampler} if quantised else {}) | {
        "label": entry.label or model,
        "family": entry.family or "Other",
        "sampler_label": option.label or sampler,
        "budget": entry.budget,
        "remarks": list(option.remarks),
        "generates": option.generates,
        "parameters": sum(entry.parameters.values()) if entry.parameters else None,
        "nfe": option.nfe,
        "flops_per_nfe": option.flops_per_nfe,
        "flops_per_image": option.flops_per_image,
    }


def columns(record: Record, keys: Sequence[str], names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The values of these keys that a record has, as columns; `names` are those that differ from the keys."""
    found = {key: getattr(record, key) for key in keys}
    return {(names or {}).get(key, key): value for key, value in found.items() if value is not None}


def imported(training: Training) -> dict[str, Any]:
    """The column of a published checkpoint's note."""
    note = (training.imported or {}).get("note")
    return {} if note is None else {"imported": note}


def per_image(timing: Timing) -> dict[str, Any]:
    """The time for an image, of those that were drawn here."""
    seconds = timing.seconds_per_50k
    return {} if seconds is None else {"seconds_per_image": seconds / 50_000}


def measured(evaluation: Metrics, metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """The columns of metrics: key, key_std, key_n_fake, ... for each, and the warnings of their evaluation."""
    found = columns(evaluation, METRICS)
    for key, metric in metrics.items():
        found[key] = metric.value
        found |= columns(metric, METRIC, {field: f"{key}_{field}" for field in METRIC})
    return found | {"warnings": list(evaluation.warnings)}


def own_of(metrics: Mapping[str, Metric], path: Path) -> dict[str, MetricInfo]:
    """What the metrics of a metrics.json say of those that are not genbench's, by key; an InputError names `path`."""
    found = {}
    for key, metric in metrics.items():
        if metric.about is not None:
            with errors.place(path, "metrics", key, "about"):
                found[key] = stated(key, metric.about)
    return found


def bounded(likelihood: Likelihood) -> dict[str, Any]:
    """The columns that a likelihood.json gives: bits per dimension, their standard error, and of what they are."""
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
