"""The remaining jobs of a suite and their duration: the FLOPs of each job, divided by the speed of a device.

Preflight has counted the FLOPs, so nothing is computed here. Speeds: genbench/suites/speeds.py.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from genbench.features import EXTRACTORS
from genbench.suites.load import seeds_of
from genbench.suites.runs import FINAL, RUN, SPEED, draws, num_samples, runs
from genbench.suites.speeds import SAMPLING, TRAINING, Speed, Speeds

START = 6.0  # seconds until a job's Python has imported its modules
# FLOPs to extract the features of an image, and for the metrics: distances of all pairs of real and generated images.
EXTRACTION = {"classifier": 2e7, "objects": 4e9, "efficientnet": 8e8, "dinov2": 1.6e11}
INCEPTION = 1.15e10
PAIRS = 8  # products for each feature of a pair of images: precision, recall, KID and memorised samples
TIMED_BATCHES = 5  # that measure_speed draws with each sampler
PICTURE_IMAGES, PICTURE_STEPS = 10, 100
KINDS = {"train": "training", "sample": "sampling", "measure_speed": "sampling", "picture": "sampling"}
SLOW = 24 * 3600.0  # seconds: a longer run on a processor gets a warning


class Job(NamedTuple):
    """A job: the first file that it makes, its rule, its model ("" for shared jobs), its FLOPs and its seconds."""

    path: str
    rule: str
    model: str
    flops: float
    seconds: float

    @property
    def kind(self) -> str:
        """Training, sampling or evaluation."""
        return KINDS.get(self.rule, "evaluation")


def jobs(suite: Mapping[str, Any], known: Mapping[str, Any], speeds: Speeds, processor: Speed) -> Iterator[Job]:
    """Every long job of a complete suite, finished or not.

    known: `facts` of its check, with the costs of its models. processor: the speed of metrics, which do not use a GPU.
    """
    costs, images = known["costs"], known["images"]

    def job(path: str, rule: str, model: str, flops: float, speed: Speed) -> Job:
        return Job(path, rule, model, flops, START + flops / max(speed.flops, 1.0))

    shared = speeds.device.typical
    folder = f"resources/{suite['dataset']['name']}"
    for extractor in suite["evaluation"]["extractors"]:
        for split, count in images.items():
            flops = count * EXTRACTION.get(extractor, INCEPTION)
            yield job(f"{folder}/features/{split}-{extractor}.npz", "reference_features", "", flops, shared)
    for place, entry in runs(suite, "training", "pretrained"):
        name = place.split("/")[2]
        cost, model = costs.get(name, {}), _model(entry, name)
        evaluation = max(cost.get("evaluation", {}).values(), default=0)
        if "training" in entry:
            speed = speeds.of(model, TRAINING)
            yield job(f"{place}/model.safetensors", "train", name, cost.get("training", 0), speed)
        speed = speeds.of(model, SAMPLING)
        for picture in entry["pictures"]:
            flops = PICTURE_IMAGES * PICTURE_STEPS * evaluation
            yield job(f"{place}/final/pictures/{picture}.png", "picture", name, flops, speed)
        if "likelihood" in entry:
            stated = entry["likelihood"]
            flops = stated["images"] * stated.get("steps", entry.get("model", {}).get("timesteps", 1000)) * evaluation
            yield job(f"{place}/final/likelihood.json", "likelihood", name, flops, speed)
        if place == RUN.format(suite=suite["name"], model=name, seed=seeds_of(suite, entry)[0]):
            flops = TIMED_BATCHES * entry["sample_batch_size"] * sum(cost.get("samplers", {}).values())
            yield job(SPEED.format(suite=suite["name"], model=name), "measure_speed", name, flops, speed)
    for draw in draws(suite):
        name = draw.folder.split("/")[2]
        count = num_samples(suite, draw.entry, draw.checkpoint)
        if "samples" not in draw.entry:
            batch = draw.entry["sample_batch_size"]
            whole = -(-count // batch) * batch  # a batch is always computed whole
            flops = whole * costs.get(name, {}).get("samplers", {}).get(draw.sampler, 0)
            speed = speeds.of(_model(draw.entry, name), SAMPLING)
            yield job(f"{draw.folder}/samples.npz", "sample", name, flops, speed)
        metrics = 0.0
        for extractor in suite["evaluation"]["extractors"]:
            flops = count * EXTRACTION.get(extractor, INCEPTION)
            yield job(f"{draw.folder}/features/{extractor}.npz", "sample_features", name, flops, shared)
            metrics += PAIRS * count * sum(images.values()) * EXTRACTORS[extractor].dim
        rule = "evaluate_and_show" if draw.checkpoint == FINAL else "evaluate"
        yield job(f"{draw.folder}/metrics.json", rule, name, metrics, processor)


def _model(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The key of a network's speed; for a published network, its checkpoint."""
    model: Mapping[str, Any] = entry.get("model") or entry.get("pretrained") or {"name": name}
    return model


def left(found: Iterable[Job]) -> list[Job]:
    """The jobs whose files are missing; features are not needed if their metrics exist."""
    return [job for job in found if not (os.path.exists(job.path) or _is_used_up(job))]


def _is_used_up(job: Job) -> bool:
    folder = os.path.dirname(os.path.dirname(job.path))
    return job.rule == "sample_features" and os.path.exists(f"{folder}/metrics.json")


def seconds_of(found: Iterable[Job], cores: int) -> float:
    """About how long these jobs take on so many cores: the total divided by cores, but at least the longest job."""
    times = [job.seconds for job in found]
    return max(sum(times) / max(1, cores), max(times, default=0.0))


def by_model(found: Iterable[Job]) -> dict[str, dict[str, float]]:
    """Seconds by model and kind of work."""
    table: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for job in found:
        table[job.model][job.kind] += job.seconds
    return table


def duration(seconds: float) -> str:
    """A rounded duration in words: 40 s, 12 min, 3.5 h, 16 days."""
    for limit, size, unit in ((100, 1, "s"), (5400, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            value = float(f"{seconds / size:.2g}")
            return f"{value:g} {unit}"
    return f"{seconds / 86400:,.0f} days"
