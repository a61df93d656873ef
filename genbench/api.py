"""genbench from Python: the functions of the workflow's jobs, without its files.

    from genbench import load_suite, sample, show, train

    model = train(load_suite("demo"), "vae")
    show(sample(model, seeds=range(64)))

The workflow runs the same code: the same entry and seeds give bitwise the same weights and images.
"""

import copy
import math
import operator
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from genbench import own_code
from genbench.data import ImageSet, open_dataset
from genbench.data.arrays import dataset_of_arrays
from genbench.data.objects import Labels, parse_labels
from genbench.errors import InputError, place, unknown_name
from genbench.importing.load import open_model
from genbench.machine.devices import pick_device
from genbench.machine.progress import Progress
from genbench.models import Model
from genbench.models import build as build_model
from genbench.sampling.batch import Condition, batch_starts, sample_pixels
from genbench.sampling.checkpoint import load_model
from genbench.sampling.draw import make_ready, read_condition
from genbench.sampling.grids import grid
from genbench.suites import load as suites
from genbench.suites.completion import complete_entry
from genbench.suites.entries import check_entry
from genbench.training.folder import train as train_in_folder

PathLike = str | os.PathLike[str]
MOST = 500  # images per batch, by default


def load_suite(suite: PathLike) -> dict[str, Any]:
    """Load and check a suite: its data set is under `dataset`, and its models are under `models`, by name.

    suite: The name of a suite that comes with genbench, such as `"demo"`, or a YAML file.

    The result is a plain dictionary with the keys of [suites](suites.md), which you may change before you train.
    Raises InputError, with file, entry and key, for any error in the suite.
    """
    found = suites.load_suite(suites.find_suite(os.fspath(suite), "suite"))
    if "kind" in found:
        raise InputError(f"{os.fspath(suite)}: kind: found {found['kind']!r}, expected a suite of images, without kind")
    return found


def build(
    suite: Mapping[str, Any],
    model: str | Mapping[str, Any],
    *,
    seed: int = 0,
    data_root: PathLike = "resources/downloads",
) -> Model:
    """Build an untrained model on the CPU, with the weights that a training on the CPU would start from.

    suite: A suite from `load_suite`; its data set determines the size of images.
    model: The name of one of its entries, or your own entry, `{"model": {"class": ..., ...}}`, whose class may come
        from your own file, `./my.py:Flow`.
    seed: The training seed that determines these weights.
    data_root: The folder of data sets; nothing is downloaded.

    A model of two stages has an untrained first stage. Raises InputError, with the key, if the model cannot be built.
    """
    entry = _entry(suite, model)
    described = open_dataset(suite["dataset"], Path(data_root)).description
    with torch.random.fork_rng(devices=[]), place("model"):
        torch.manual_seed(seed)
        return build_model(entry["model"], described.image_shape)


def train(
    suite: Mapping[str, Any],
    model: str | Mapping[str, Any],
    *,
    seed: int = 0,
    folder: PathLike | None = None,
    images: NDArray[np.uint8] | None = None,
    labels: NDArray[np.int64] | None = None,
    data_root: PathLike = "resources/downloads",
    device: str = "auto",
    **recipe: Any,
) -> Model:
    """Train a model of a suite as the workflow does, with a progress bar, and return it ready for sampling.

    suite: A suite from `load_suite`.
    model: The name of one of its entries, or your own entry, `{"model": ..., "training": ...}`.
    seed: The seed of the training: initial weights, order of the images, and noise.
    folder: A folder for model.safetensors, history.jsonl and training.json. To continue an interrupted training, also
        after Ctrl-C, call it again with the same arguments; a finished training is only loaded. Without a folder,
        only the returned model is kept.
    images: Your own training images, uint8 (N, H, W, C) in 0..255 with C 1 or 3, instead of the suite's data set. None
        of them are held out, so `validate_every` is ignored.
    labels: The class of each of these images, int64 (N,).
    data_root: The folder of data sets, also for downloads.
    device: `auto`, `cuda`, `mps` or `cpu`; auto takes a GPU if there is one.
    recipe: Keys of `training` that replace the entry's, such as `steps=200`.

    A model of two stages trains its first stage first. The same entry and seed give bitwise the workflow's weights, on
    the same kind of device and with the same number of threads. The workflow uses one thread on a CPU:
    `torch.set_num_threads(1)`. Raises InputError, with the key, for a bad value, and if a loss is not finite.
    """
    if threading.current_thread() is not threading.main_thread():
        raise InputError("train: found a call from a thread, expected one from the program's main thread")
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InputError(f"seed: found {seed!r}, expected a whole number from 0 to {2**32 - 1}")
    entry = _entry(suite, model)
    entry = {**entry, "training": {**entry["training"], **recipe}}
    if images is None:
        if labels is not None:
            raise InputError("labels: found some without images, expected both or neither")
        dataset = open_dataset(suite["dataset"], Path(data_root))
    else:
        dataset = dataset_of_arrays(images, labels)
        entry["training"].pop("validate_every", None)
    check_entry(entry, dataset.description, costs=False)
    found = dataset.load()
    with tempfile.TemporaryDirectory(prefix="genbench-") as temporary:
        kept = Path(temporary if folder is None else folder)
        first_stage = None
        if name := entry.get("first_stage"):
            first_stage = kept / "first_stage/model.safetensors"
            given: dict[str, Any] = {"images": images, "labels": labels, "data_root": data_root, "device": device}
            train(suite, name, seed=seed, folder=first_stage.parent, **given)
        chosen, out = _device(device), kept / "model.safetensors"
        with _interruptible():
            train_in_folder(
                {"model": entry["model"], "training": entry["training"]},
                found["train"].images,
                found["train"].labels,
                data_sha256=found["train"].info["sha256"],
                seed=seed,
                out=out,
                snapshots=entry["snapshots"],
                held_out=found.get("test"),
                first_stage=first_stage,
                device=chosen,
            )
        return load_model(out, chosen)[0]


def load(path: PathLike, *, format: str | None = None, device: str = "auto", **options: Any) -> Model:
    """Load a trained model from its file, ready for sampling.

    path: A model.safetensors or a snapshot; the folder of a finished run, such as `results/demo/ddpm/seed0`; or another
        project's checkpoint.
    format: The format of another project's checkpoint, such as `ddgan` ([list](checkpoints.md)), or your own,
        `FILE.py:NAME`. It may be omitted for a folder of diffusers.
    device: `auto`, `cuda`, `mps` or `cpu`; auto takes a GPU if there is one.
    options: Settings that such a checkpoint does not contain ([list](checkpoints.md)).

    Only tensors and plain values are unpickled. Raises InputError, with the file, if it is missing, damaged or of
    another format.
    """
    return open_model(path, own_code.complete(format), options, device=_device(device))[0]


def sample(
    model: Model,
    seeds: Sequence[int] = range(64),
    *,
    batch_size: int | None = None,
    condition: PathLike | NDArray[Any] | Sequence[Sequence[str]] | None = None,
    **options: Any,
) -> NDArray[np.uint8]:
    """Draw one image for each seed: uint8 (N, H, W, C) in 0..255, where C is 1 or 3.

    model: A model from `train`, `load` or `build`.
    seeds: Whole numbers of at least 0, in any order. Image i depends only on the model, the options and seed i.
    batch_size: Images per batch; by default all of them, at most 500. With the workflow's batch size, an entry's
        `sample_batch_size`, images are bitwise those of the workflow. Another size rounds differently; in float32,
        images then agree to within one grey level.
    condition: The model's input, row i for seed i, starting over after the last row: labels, int64 (N,); images,
        uint8 (N, H, W, C); sets of objects, such as `[["red cube"], ["blue sphere", "gray cube"]]`; or a file of them.
        A split in a file that is sorted by class is shuffled first.
    options: Options of the model's sampler, such as `method="ddim", steps=50` ([list](suites.md)); and
        `precision="bf16"`, or a scheme such as `quantisation="int8"`.

    Raises InputError for a condition that does not fit, and for options that the model does not have, with a list of
    those that it has.
    """
    numbers = _seeds(seeds)
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise InputError(f"batch_size: found {batch_size!r}, expected a whole number of at least 1")
    if not isinstance(model, Model):
        raise InputError(f"model: found {type(model).__name__}, expected what train, load or build returns")
    device = next(model.parameters()).device
    drawing = copy.deepcopy(model) if options.keys() & {"precision", "quantisation"} else model
    training = drawing.training
    drawing.eval()
    try:
        if condition is None and (kind := model.condition(options)) != "nothing":
            raise InputError(f"condition: found none, expected {kind}, which the model starts from with these options")
        given, rows = _given(model, condition, device)
        ready = make_ready(drawing, own_code.complete(options), given, device)
        if ready.unavailable is not None:
            raise InputError(f"quantisation: {ready.unavailable}")
        rows = ready.condition or rows
        batches = _batches(numbers, batch_size)
        found: dict[int, NDArray[np.uint8]] = {}
        with Progress(len(numbers), "images") as progress:
            for batch in batches:
                pixels = sample_pixels(drawing, torch.tensor(batch, device=device), ready.options, rows)
                found |= dict(zip(batch, pixels.cpu().numpy(), strict=True))
                progress.update(min(len(batch), len(numbers) - progress.done))
    finally:
        drawing.train(training)
    return np.stack([found[seed] for seed in numbers])


def show(images: NDArray[np.uint8], *, columns: int | None = None) -> Image.Image:
    """Arrange images in one picture, which a notebook displays and `.save("grid.png")` writes.

    images: Uint8 (N, H, W, C) in 0..255, or one image (H, W, C), with C 1 or 3.
    columns: Images per row; by default, the grid is about square.

    Raises InputError for any other value.
    """
    pixels = np.asarray(images)
    pixels = pixels[None] if pixels.ndim == 3 else pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or 0 in pixels.shape:
        raise InputError(f"images: found {pixels.dtype} {pixels.shape}, expected uint8 (N, H, W, 1 or 3)")
    if columns is not None and (not isinstance(columns, int) or columns < 1):
        raise InputError(f"columns: found {columns!r}, expected a whole number of at least 1")
    return Image.fromarray(grid(pixels, columns=min(len(pixels), columns or math.ceil(math.sqrt(len(pixels))))))


@contextmanager
def _interruptible() -> Iterator[None]:
    """After Ctrl-C a training saves and raises SystemExit, which ends a job; raise KeyboardInterrupt for notebooks."""
    try:
        yield
    except SystemExit as stop:
        if stop.code == 128 + signal.SIGINT:
            raise KeyboardInterrupt from None
        raise


def _device(name: str) -> torch.device:
    if name not in (names := ("auto", "cuda", "mps", "cpu")):
        raise unknown_name("device", name, names)
    return pick_device(name)


def _entry(suite: Mapping[str, Any], model: str | Mapping[str, Any]) -> dict[str, Any]:
    """The complete entry of a model, from the suite or from the user, with its first stage inserted."""
    if not isinstance(suite, Mapping) or not {"dataset", "models"} <= suite.keys():
        raise InputError(f"suite: found {type(suite).__name__}, expected what load_suite returns")
    if isinstance(model, str):
        if model not in suite["models"]:
            raise unknown_name("model", model, suite["models"])
        entry = dict(suite["models"][model])
    else:
        given = own_code.complete(model)
        given = {"training": {}, **given} if isinstance(given, Mapping) and "model" in given else given
        entry = complete_entry(given, suite["models"])
    if "model" not in entry:
        raise InputError(f"model: found {model!r}, whose entry has no `model`; load() takes a checkpoint's file")
    return entry


def _given(model: Model, condition: Any, device: torch.device) -> tuple[ImageSet | Labels | None, Condition | None]:
    """A condition for `make_ready`, or the rows of labels."""
    if condition is None:
        return None, None
    if isinstance(condition, str | os.PathLike):
        return read_condition(condition), None
    if isinstance(condition, np.ndarray) and condition.dtype == np.uint8:
        return dataset_of_arrays(condition).load()["train"], None
    if isinstance(condition, np.ndarray) and condition.dtype.kind in "iu" and condition.size:
        classes = 0 if getattr(model, "multi_label", False) else getattr(model, "num_classes", 0)
        if condition.ndim != 1 or not classes or condition.min() < 0 or condition.max() >= classes:
            expected = f"int64 (N,) from 0 to {classes - 1}" if classes else "none: the model is not given one class"
            raise InputError(f"condition: found labels {condition.dtype} {condition.shape}, expected {expected}")
        return None, Condition(torch.from_numpy(condition.astype(np.int64)).to(device), {"kind": "labels"})
    with place("condition"):
        return parse_labels(condition), None


def _seeds(seeds: Sequence[int]) -> list[int]:
    try:
        numbers = [operator.index(seed) for seed in seeds]
        if numbers and min(numbers) >= 0 and max(numbers) < 2**62:
            return numbers
    except TypeError:
        pass
    raise InputError(f"seeds: found {seeds!r}, expected whole numbers of at least 0, such as range(64)")


def _batches(seeds: Sequence[int], batch_size: int | None) -> list[list[int]]:
    """The seeds of each batch. With `batch_size`: whole batches at multiples of it, as in the workflow."""
    if batch_size is None:
        parts = np.array_split(np.unique(seeds), math.ceil(len(set(seeds)) / MOST))
        return [part.tolist() for part in parts]
    starts = sorted({start for seed in set(seeds) for start in batch_starts(range(seed, seed + 1), batch_size)})
    return [list(range(start, start + batch_size)) for start in starts]
