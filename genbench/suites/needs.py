"""What a suite needs of this machine, checked before anything is made: disk, memory, precision, published weights.

This is checked each time. A shortage is a line with both figures, not an error: files can be moved while a suite runs,
and a part of the suite needs less.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genbench.data import Description
from genbench.errors import InputError
from genbench.features import EXTRACTORS
from genbench.features.published_weights import weights_root
from genbench.files.downloads import unreachable
from genbench.machine.devices import gpu_generation, gpu_memory, kind_of_device
from genbench.machine.memory import available_memory, in_words
from genbench.machine.precision import native_to_processor
from genbench.metrics.metric import INCEPTION
from genbench.ranges import EMA_SNAPSHOTS
from genbench.suites.load import checkpoints
from genbench.suites.runs import draws, has_test_images, keeps_features, num_samples, runs

FLOAT = 4  # bytes
# Memory of metrics without the features, measured with 5,000 to 20,000 rows of 128 to 3,056 columns.
COVARIANCES, TILES, PER_IMAGE = 6, 64 * 2**20, 1500  # matrices of float64; bytes of distances; bytes per image
INCEPTION_LOGITS = 1008
FIRST_WITH_BF16 = 8.0  # compute capability of NVIDIA's GPUs


def check_folders(*names: str) -> None:
    """Check that these folders of the working folder can be written to, or created.

    Raises InputError, before Snakemake would end with a traceback.
    """
    for name in names:
        if os.path.lexists(name) and not os.path.isdir(name):
            raise InputError(f"{name}: found a file, or a link that leads to no folder; expected a folder, or nothing")
        if not os.access(where := name if os.path.isdir(name) else ".", os.W_OK | os.X_OK):
            raise InputError(f"{os.path.abspath(where)}: nothing can be written here, where {name}/ is made")


def facts(
    data: Description, found: Mapping[str, Mapping[str, Any]], known: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The facts from which a suite's needs follow: about its data set, about each checked model, and which precisions
    the processor multiplies natively, taken from the facts `known` or else from torch."""
    return {
        "image_shape": list(data.image_shape),
        "num_classes": data.num_classes,
        "images": {"train": data.num_train or 0, "test": data.num_test or 0},
        "parameters": {name: sum(model.get("parameters", {}).values()) for name, model in found.items()},
        "training": {name: model.get("training_memory_bytes") or 0 for name, model in found.items()},
        "per_image": {name: _per_image(model.get("samplers", {})) for name, model in found.items()},
        "costs": _costs(found),
        "native": known["native"] if known else native_to_processor(),
    }


def _costs(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """FLOPs of each model, if they were counted: of a training without its first stage; and of an image and of a
    network evaluation, by sampler."""
    return {
        name: {
            "training": _training(model) if "training_steps" in model else 0,
            "samplers": {key: one.get("flops_per_image") or 0 for key, one in model["samplers"].items()},
            "evaluation": {key: one.get("flops_per_nfe") or 0 for key, one in model["samplers"].items()},
        }
        for name, model in found.items()
        if "samplers" in model
    }


def _training(model: Mapping[str, Any]) -> int:
    batch_size = model["spec"]["training"]["batch_size"]
    return int(model["training_steps"] * model["training_flops_per_image"] * batch_size)


def shortages(
    suite: Mapping[str, Any], known: Mapping[str, Any], *, device: str = "auto", elsewhere: str = "", ask: bool = False
) -> Iterator[str]:
    """A line for each shortage on this machine, and one for what `precision: auto` means on it.

    known: `facts`. elsewhere: "jobs" or "files" if these are on other machines, whose memory and disks are unknown.
    ask: whether to test, within seconds, if missing weights can be downloaded.
    """
    if not elsewhere:
        yield from _disk(suite, known)
        yield from _memory(suite, known, device)
        yield from _precision(suite, known["native"], kind_of_device(device))
    elif elsewhere == "jobs":
        yield from _disk(suite, known)
    if elsewhere != "files":
        yield from _weights(suite, ask)


def files(suite: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """(kind, path, bytes) of all large files: samples, features, weights, images.

    Features of samples are left out if they are deleted once their metrics are computed.
    """
    stay = keeps_features(suite, None)
    image = _size(known["image_shape"])
    resources = f"resources/{suite['dataset']['name']}"
    for split, count in known["images"].items():
        yield "images", f"{resources}/{split}.npz", count * image
        for extractor in suite["evaluation"]["extractors"]:
            yield "features", f"{resources}/features/{split}-{extractor}.npz", count * _row(extractor, known)
    for name, entry in suite["models"].items():
        weights = FLOAT * known["parameters"].get(name, 0)
        for folder, own in runs(suite, "training", "pretrained"):
            if own is entry:
                yield "weights", f"{folder}/model.safetensors", weights
                steps = [checkpoint.removeprefix("step-") for checkpoint in checkpoints(entry)][:-1]
                yield from (("weights", f"{folder}/snapshots/{step}.safetensors", weights) for step in steps)
                recipe = entry.get("training", {})
                averages = len(recipe.get("ema_lengths", ())) * weights
                for number in range(recipe.get("ema_snapshots", EMA_SNAPSHOTS) if averages else 0):
                    yield "weights", f"{folder}/snapshots/averages {number}", averages
    for draw in draws(suite):
        count = num_samples(suite, draw.entry, draw.checkpoint)
        yield "samples", f"{draw.folder}/samples.npz", count * (image + 8)  # and the seed of each
        for extractor in suite["evaluation"]["extractors"] if stay else ():
            yield "features", f"{draw.folder}/features/{extractor}.npz", count * _row(extractor, known)


def evaluation_memory(suite: Mapping[str, Any], known: Mapping[str, Any]) -> int:
    """Memory for the evaluation of the largest row, in bytes: features of real and of generated images, and the
    metrics' arrays."""
    counts = [num_samples(suite, draw.entry, draw.checkpoint) for draw in draws(suite)]
    real = known["images"]["train"] + (known["images"]["test"] if has_test_images(suite) else 0)
    images = real + max(counts, default=0)
    return max(
        images * (_row(extractor, known) + PER_IMAGE) + COVARIANCES * 8 * EXTRACTORS[extractor].dim ** 2 + TILES
        for extractor in suite["evaluation"]["extractors"]
    )


def sampling_memory(entry: Mapping[str, Any], name: str, known: Mapping[str, Any]) -> int:
    """Memory of a model while it draws a batch, in bytes: its weights, and the activations for every image."""
    return FLOAT * known["parameters"].get(name, 0) + entry["sample_batch_size"] * known["per_image"].get(name, 0)


def _per_image(samplers: Mapping[str, Mapping[str, Any]]) -> int:
    return max((sampler.get("memory_per_image") or 0 for sampler in samplers.values()), default=0)


def _disk(suite: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    needed: dict[int, dict[str, int]] = {}  # by file system
    folders: dict[int, dict[str, Path]] = {}
    for what, path, size in files(suite, known):
        if not os.path.exists(path):
            folder = _existing(Path(path.partition("/")[0]))
            system = folder.stat().st_dev
            folders.setdefault(system, {})[path.partition("/")[0]] = folder
            sizes = needed.setdefault(system, {})
            sizes[what] = sizes.get(what, 0) + size
    for system, sizes in needed.items():
        free = min(shutil.disk_usage(folder).free for folder in folders[system].values())
        if (total := sum(sizes.values())) > free:
            by_size = sorted(filter(sizes.__getitem__, sizes), key=sizes.__getitem__, reverse=True)
            parts = ", ".join(f"{in_words(sizes[what])} of {what}" for what in by_size)
            where = " and ".join(sorted(folders[system]))
            yield f"disk: {in_words(total)} will be written to {where} ({parts}), and {in_words(free)} are free there"


def _memory(suite: Mapping[str, Any], known: Mapping[str, Any], device: str) -> Iterator[str]:
    free = available_memory()
    on_gpu = gpu_memory() if device != "cpu" else None
    limit, where = (free, "this machine's memory") if on_gpu is None else (on_gpu, "the GPU's memory")
    large = {name: size for name, size in known["training"].items() if size > limit}
    if large:
        name = max(large, key=lambda key: large[key])
        others = f", and {len(large) - 1} more of too much" if len(large) > 1 else ""
        yield (
            f"memory: models: {name}: training takes up to about {in_words(large[name])}{others}; "
            f"{in_words(limit)} of {where} are free; training: accumulate divides it"
        )
    yield from _memory_of_sampling(suite, known, limit, where)
    if (needed := evaluation_memory(suite, known)) > free:
        yield (
            f"memory: the evaluation of a row takes about {in_words(needed)}, features of real and of generated images "
            f"together; {in_words(free)} of this machine's memory are free; a smaller num_samples needs less"
        )


def _memory_of_sampling(suite: Mapping[str, Any], known: Mapping[str, Any], limit: int, where: str) -> Iterator[str]:
    """A line for the model whose batches of samples take the most memory, if they take more than `limit`."""
    sizes = {name: sampling_memory(entry, name, known) for name, entry in suite["models"].items()}
    large = sorted((name for name in sizes if sizes[name] > limit), key=sizes.__getitem__)
    if not large:
        return
    name, count = large[-1], suite["models"][large[-1]]["sample_batch_size"]
    others = f", and {len(large) - 1} more take too much" if len(large) > 1 else ""
    most = (limit - FLOAT * known["parameters"].get(name, 0)) // known["per_image"][name]
    remedy = f"sample_batch_size: {most} fits" if most > 0 else "not even one image fits"
    yield (
        f"memory: models: {name}: drawing {count} images at once takes about {in_words(sizes[name])}{others}; "
        f"{in_words(limit)} of {where} are free; {remedy}"
    )


def _precision(suite: Mapping[str, Any], native: list[str], device: str) -> Iterator[str]:
    """Lines about precision. native: the processor's native precisions.

    If a device would emulate fp16, only the job of that training fails. The value of auto is decided as in
    machine/precision.py, but without torch."""
    trained = {name: entry["training"] for name, entry in suite["models"].items() if "training" in entry}
    stated = {name: recipe.get("precision", "auto") for name, recipe in trained.items()}
    unit = "processor" if device == "cpu" else "GPU"
    if device == "mps" or (device == "cpu" and "fp16" not in native):
        for name in (name for name, precision in stated.items() if precision == "fp16"):
            yield (
                f"models: {name}: training: key 'precision': found 'fp16', which this machine's {unit} does not "
                "multiply, so that this training will be refused: expected auto, fp32 or bf16, or another device; with "
                "--keep-going all else is made, and the row states the reason"
            )
    generation = gpu_generation() if device == "cuda" else None
    if "auto" in stated.values() and (device != "cuda" or generation is not None):
        on_gpu = generation is not None and generation >= FIRST_WITH_BF16
        decided = "bf16" if on_gpu or (device == "cpu" and "bf16" in native) else "fp32"
        yield f"training: precision: auto is {decided} on this machine's {unit}, for trainings that begin now"


def _weights(suite: Mapping[str, Any], ask: bool) -> Iterator[str]:
    for name in suite["evaluation"]["extractors"]:
        file = EXTRACTORS[name].weights
        if file is None or (path := weights_root() / file.name).exists():
            continue
        missing = f"weights: evaluation: extractors: {name}: found no {path}"
        if not ask:
            yield f"{missing}, which a run fetches from {file.urls[0]}; without a network, put it there"
        elif reason := unreachable(file.urls):
            yield f"{missing}, and {file.urls[0]} can't be reached ({reason}): fetch it elsewhere and put it there"


def _size(shape: list[int]) -> int:
    channels, height, width = shape
    return channels * height * width


def _row(extractor: str, known: Mapping[str, Any]) -> int:
    """Bytes of an image's features and logits."""
    logits = {"classifier": known["num_classes"]}.get(extractor, INCEPTION_LOGITS if extractor in INCEPTION else 0)
    return FLOAT * (EXTRACTORS[extractor].dim + logits)


def _existing(path: Path) -> Path:
    """The path, or the nearest existing folder above it, whose file system new files will be on."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())
