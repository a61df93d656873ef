"""From a checkpoint and seeds to files: samples, their timing, and a picture of the first ones."""

import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from genbench import own_code
from genbench.data import ImageSet, load_image_set, save_samples
from genbench.data.objects import Labels, read_labels
from genbench.errors import InputError, option, place
from genbench.files.artifacts import array_sha256, write_json
from genbench.files.locks import locked
from genbench.machine.devices import device_label
from genbench.machine.ranks import ALONE, Ranks, ranks
from genbench.models import Model
from genbench.models.foreign import Refused
from genbench.processes.noise import Noise
from genbench.records.provenance import Provenance
from genbench.records.timing import Quantisation, Timing
from genbench.sampling.averages import ema_length_of
from genbench.sampling.batch import Condition, batch_starts
from genbench.sampling.checkpoint import load_model
from genbench.sampling.generation import find_condition, generate
from genbench.sampling.grids import blank, grid, save_png

log = logging.getLogger(__name__)


def draw_samples(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    sampler: Mapping[str, Any] | None = None,
    *,
    seeds: range = range(50_000),
    batch_size: int = 500,
    condition: str | os.PathLike[str] | None = None,
    draws: int | None = None,
    timing: str | os.PathLike[str] | None = None,
    sheet: str | os.PathLike[str] | None = None,
    device: torch.device | str = "cpu",
) -> Timing | None:
    """Draw one image per seed from a checkpoint, and write them to `out`; returns the record on rank 0, else None.

    model: a model.safetensors or a snapshot. out: samples.npz, uint8 (N, H, W, C) as `arr_0`. sampler: options of the
    model's sampler; also `quantisation`, the name of a scheme (if it is not available, no image is drawn, and the
    record says why), and `ema_length`, which draws with another average of the weights. condition: what the sampler
    starts from, by seed: a prepared split, or a JSON file of label sets. draws: instead of `seeds` and `batch_size`,
    how often all label sets are drawn, in one batch each time. timing: a file for the record. sheet: a PNG of the first
    100 samples, or of one sample of each label set. Image i depends only on the model, the sampler's options and seed
    i. A killed run continues where it stopped. Raises InputError for options that the model does not know, and for a
    condition that does not fit.
    """
    out, device = Path(out), torch.device(device)
    given, shown, columns = read_condition(condition), 100, 10
    if isinstance(given, Labels):
        shown, columns = len(given.sets), 8
        if draws:
            seeds, batch_size = range(draws * len(given.sets)), len(given.sets)
    elif draws is not None:
        raise InputError(
            f"{option('draws')}: found it without label sets, which it draws repeatedly; "
            f"expected {option('seeds')} instead"
        )
    with place(model, "sampler"):
        options, ema_length = ema_length_of(sampler or {})
    loaded, info = load_model(model, device, ema_length)
    with place(model, "sampler"):
        ready = make_ready(loaded, options, given, device)
    parts = out.with_name(out.stem + ".parts")
    team = ranks()
    lock = locked(out.with_name(f".{out.stem}.lock"), f"drawing {out}") if team.first else nullcontext()
    with lock:
        drawn = draw(loaded, info, ready, seeds=seeds, batch_size=batch_size, device=device, parts=parts, team=team)
        if drawn is None:
            return None
        images, record = drawn
        if sheet:
            save_png(sheet, grid(images[:shown], columns=columns) if len(images) else blank(*images.shape[1:]))
        if timing:
            write_json(timing, record.content())
        drawn_seeds = seeds if len(images) else range(0)
        labels = loaded.labels(torch.arange(drawn_seeds.start, drawn_seeds.stop))
        save_samples(out, images, record.content(), drawn_seeds, None if labels is None else labels.numpy())
        shutil.rmtree(parts, ignore_errors=ready.unavailable is not None)
    return record


def draw(
    model: Model,
    info: Mapping[str, Any],
    ready: "Ready",
    *,
    seeds: range,
    batch_size: int,
    device: torch.device,
    parts: Path,
    team: Ranks = ALONE,
) -> tuple[NDArray[np.uint8], Timing] | None:
    """Images (N, H, W, C) of a model that is ready, one per seed, and their whole record, on rank 0; else None.

    info: from the model's file: `model`, its entry, and `sha256`. parts: a folder for finished batches, which the
    caller removes. If the scheme is not available, there are no images, and the record says why.
    """
    if ready.unavailable is None:
        if any(own_code.references(info["model"])):
            _check_one_image(model, ready, seeds[:1], device)
        drawn = generate(
            model,
            info,
            ready.options,
            seeds=seeds,
            batch_size=batch_size,
            device=device,
            parts_folder=parts,
            condition=ready.condition,
            precision=ready.scheme or "fp32",
            team=team,
        )
        if drawn is None:
            return None
        images, record = drawn
    elif not team.first:
        return None
    else:
        channels, height, width = model.image_shape
        images = np.empty((0, height, width, channels), np.uint8)
        record = Timing(
            unavailable=ready.unavailable,
            precision=ready.scheme,
            device=device_label(device),
            options=ready.options,
        )
    packages = ("torch", "numpy", "safetensors", *["torchao"] * (ready.scheme is not None), *team.packages)
    return images, Timing(
        **record.content(),
        **{key: info[key] for key in ("ema_length",) if key in info},
        quantisation=ready.quantised,
        samples_sha256=array_sha256(images),
        provenance=Provenance.collect(*packages, kind="sampling", model=info["model"]),
    )


def _check_one_image(model: Model, ready: "Ready", seeds: range, device: torch.device) -> None:
    """Draw the first image with a user's own code. Raises InputError if it is not an image, or not of its seed only."""

    def generators() -> list[torch.Tensor]:
        return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]

    chosen, before = torch.tensor([seeds.start], device=device), generators()
    with torch.inference_mode():
        y = ready.condition.of(chosen) if ready.condition else None
        image = model.sample(Noise(chosen), y, **ready.options)
    if not bool(torch.isfinite(image).all()):
        raise InputError(f"{type(model).__name__}: sample returned values that are not numbers, expected -1 to 1")
    if not all(map(torch.equal, before, generators())):
        raise InputError(
            f"{type(model).__name__}: sample drew from torch's global generator, expected random numbers of the noise "
            "that it is given, such as noise.normal(*shape), so that an image depends on its seed only"
        )


def fitting_batch_size(seeds: range, most: int = 500) -> int:
    """The batch size up to `most` with which `seeds` need the fewest batches, and among these sizes the fewest images.

    Batches are whole and begin at multiples of their size: seeds 0:64 need one batch of 64, and 1000:1064 one of 71.
    """

    def cost(size: int) -> tuple[int, int]:
        count = len(batch_starts(seeds, size))
        return count, count * size

    return min(range(1, most + 1), key=cost)


class Ready(NamedTuple):
    """How a model draws: its sampler's options, what it starts from, its quantisation scheme and the scheme's record.

    scheme, quantised: None for float32. unavailable: the reason if it cannot draw.
    """

    options: dict[str, Any]
    condition: Condition | None
    scheme: str | None
    quantised: Quantisation | None
    unavailable: str | None


def make_ready(
    model: Model, sampler: Mapping[str, Any], given: ImageSet | Labels | None, device: torch.device
) -> Ready:
    """Check the options `sampler` of a model. Quantise it in place if `quantisation` among them names a scheme, or if
    `precision` is bf16."""
    from genbench.sampling.quantisation import scheme_of

    if isinstance(model, Refused):
        return Ready({}, None, None, None, model.refused)
    chosen, scheme = scheme_of(sampler)
    options = model.check_sampler(chosen)
    rows = find_condition(model, options, given, device)
    quantised, reason = _quantise(model, scheme, options, rows, device) if scheme is not None else (None, None)
    return Ready(options, rows, scheme, quantised, reason)


def read_condition(path: str | os.PathLike[str] | None) -> ImageSet | Labels | None:
    """A prepared split, or label sets if the file is JSON."""
    if path is None:
        return None
    return read_labels(Path(path)) if Path(path).suffix == ".json" else load_image_set(path)


def _quantise(
    model: Model, scheme: str, options: Mapping[str, Any], condition: Condition | None, device: torch.device
) -> tuple[Quantisation | None, str | None]:
    """Quantise `model` in place; returns the record, or None and the reason why it is impossible here."""
    from genbench.sampling.quantisation import CALIBRATION_IMAGES, UnavailableError, check_scheme, quantise

    check_scheme(model, scheme)
    y = condition.of(torch.arange(CALIBRATION_IMAGES, device=device)) if condition else None
    try:
        if scheme in ("bf16", "fp16") and device.type == "cpu" and not torch.backends.mkldnn.is_available():
            raise UnavailableError("PyTorch has no oneDNN for this processor")  # such as for Apple's
        return Quantisation(**quantise(model, scheme, device, options, y)), None
    except UnavailableError as error:  # no failure: the row says so, and the run goes on
        log.warning("%s is not available: %s", scheme, error)
        return None, str(error)
