"""Images from a trained model: seeds in, uint8 out, with the time and the network evaluations measured.

Seeds are cut into batches at multiples of the batch size, and a batch is always computed whole. So image i is
computed in the same batch, at the same place, whichever range of seeds is asked for and however many processes
share it: any split gives the same bits on one kind of device. A model that starts from given images or labels gets,
for seed i, row i of them, beginning again after the last.
"""

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genbench import provenance
from genbench.arrays import read_npz
from genbench.artifacts import array_sha256, atomic_path, sha256_json
from genbench.data import ImageSet
from genbench.data.objects import Labels as LabelSets
from genbench.data.objects import multi_hot
from genbench.devices import device_label
from genbench.errors import InputError
from genbench.images import to_images, to_pixels
from genbench.models import Model
from genbench.noise import Noise
from genbench.progress import Progress
from genbench.tensors import Pixels, Seeds

log = logging.getLogger(__name__)


class CallCounter:
    """Counts the calls of a model's network: the number of function evaluations (NFE)."""

    calls = 0

    def _count(self, *_: Any) -> None:
        self.calls += 1

    @contextmanager
    def on(self, model: Model) -> Iterator["CallCounter"]:
        handle = model.get_submodule(model.network).register_forward_pre_hook(self._count)
        try:
            yield self
        finally:
            handle.remove()


@dataclass(frozen=True, eq=False)
class Condition:
    """What a model is given for each seed: uint8 images (N, H, W, C), or labels, on the model's device."""

    rows: Tensor
    record: dict[str, Any]  # for timing.json: which rows they are

    def of(self, seeds: Seeds) -> Tensor:
        """Row `seed` modulo N for each seed; images as (N, C, H, W) in [-1, 1]."""
        rows = self.rows[seeds % len(self.rows)]
        return to_images(rows) if rows.dtype == torch.uint8 else rows


def find_condition(
    model: Model, options: Mapping[str, Any], given: ImageSet | LabelSets | None, device: torch.device
) -> Condition | None:
    """What `model` wants to be given with these options of its sampler: of a split of its data set, or label sets."""
    kind = model.condition(options)
    if kind == "nothing":
        return None
    if given is None:
        raise InputError(
            f"sampler: found options with which the model starts from given {kind}, expected --condition FILE, "
            "a split from prepare_data.py" + (" or label sets as JSON" if kind == "labels" else "")
        )
    if not isinstance(given, ImageSet):
        if kind != "labels":
            raise InputError(f"condition: found label sets, but the model starts from given {kind}")
        return Condition(torch.from_numpy(multi_hot(given.sets)).to(device), {"kind": kind, "sets": given.sets})
    channels, height, width = model.image_shape
    if kind == "images" and given.images.shape[1:] != (height, width, channels):
        raise InputError(
            f"condition: found images of shape (H, W, C) = {given.images.shape[1:]}, expected "
            f"{(height, width, channels)}, as the model's"
        )
    rows = torch.from_numpy(given.images if kind == "images" else given.labels).to(device)
    return Condition(rows, {"kind": kind, **{key: given.info[key] for key in ("dataset", "split", "sha256")}})


def sample_pixels(model: Model, seeds: Seeds, options: Mapping[str, Any], condition: Condition | None = None) -> Pixels:
    """One batch: uint8 (N, H, W, C) for N seeds, on the model's device."""
    with torch.inference_mode():
        y = condition.of(seeds) if condition else None
        return to_pixels(model.sample(Noise(seeds), y, **options))


def batch_starts(seeds: range, batch_size: int) -> range:
    """First seeds of the batches that cover `seeds`: multiples of batch_size."""
    return range(seeds.start // batch_size * batch_size, seeds.stop, batch_size)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Parts:
    """Finished batches on disk beside the output, so that a killed run goes on where it was."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        stamp = folder / "fingerprint"
        if folder.exists() and not (stamp.exists() and stamp.read_text(errors="replace") == fingerprint):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(stamp) as temporary:
            temporary.write_text(fingerprint)

    def load(self, start: int) -> tuple[np.ndarray, float] | None:
        """The images of the batch that starts at seed `start`, and the seconds they took."""
        path = self.folder / f"{start}.npz"
        if not path.exists():
            return None
        try:
            part = read_npz(path, ("images", "seconds", "sha256"))
            if part.keys() < {"images", "seconds", "sha256"} or str(part["sha256"]) != self._sha256(start, part):
                raise InputError(f"{path}: damaged")
        except InputError as error:
            log.warning("drawing images from seed %d on again, since %s", start, error)
            path.unlink()
            return None
        return part["images"], float(part["seconds"])

    def save(self, start: int, images: np.ndarray, seconds: float) -> None:
        part = {"images": images, "seconds": np.array(seconds)}
        with atomic_path(self.folder / f"{start}.npz") as temporary:
            sha256 = np.array(self._sha256(start, part))
            np.savez(temporary, images=part["images"], seconds=part["seconds"], sha256=sha256)

    @staticmethod
    def _sha256(start: int, part: Mapping[str, np.ndarray]) -> str:
        return array_sha256(np.array(start), part["images"], part["seconds"])


def generate(
    model: Model,
    info: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    seeds: range,
    batch_size: int,
    device: torch.device,
    parts_folder: Path,
    condition: Condition | None = None,
    precision: str = "fp32",
) -> tuple[np.ndarray, dict[str, Any]]:
    """Images (N, H, W, C) uint8 for `seeds`, in order, and the record of how long they took.

    The clock runs from noise to uint8 on the device, synchronised; the first batch warms up and is left out of the
    speed when there are others. Finished batches are kept in `parts_folder` until the caller removes it.
    precision: what the model computes in, for the record.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    given = condition.record if condition else None
    made_by = info["sha256"], dict(options), precision, batch_size, device.type, provenance.code_sha256(), given
    fingerprint = sha256_json(made_by)
    parts = Parts(parts_folder, fingerprint)
    counter = CallCounter()
    starts = batch_starts(seeds, batch_size)
    images, times, computed, io_seconds = [], [], 0, 0.0

    def timed(batch: torch.Tensor) -> tuple[Pixels, float]:
        _synchronize(device)
        started = time.perf_counter()
        pixels = sample_pixels(model, batch, options, condition)
        _synchronize(device)
        return pixels, time.perf_counter() - started

    first_seconds = None
    with Progress(len(starts) * batch_size, "images") as progress:
        for start in starts:
            part = parts.load(start)
            if part is None:
                pixels, seconds = timed(torch.arange(start, start + batch_size, device=device))
                if computed == 0:
                    first_seconds, seconds = seconds, float("nan")
                computed += 1
                io_started = time.perf_counter()
                part = pixels.cpu().numpy(), seconds
                parts.save(start, *part)
                io_seconds += time.perf_counter() - io_started
            batch_images, seconds = part
            images.append(batch_images)
            times.append(seconds)
            progress.update(batch_size)
    warm = [seconds for seconds in times if np.isfinite(seconds)]
    if not warm:  # a single batch: once more, warm
        warm = [timed(torch.arange(starts[0], starts[0] + batch_size, device=device))[1]]
    one = torch.arange(seeds.start, seeds.start + 1, device=device)
    if device.type == "cuda":
        timed(one)  # the kernels for another shape
    with counter.on(model):
        _, latency = timed(one)
    seconds_per_image = float(np.sum(warm)) / (len(warm) * batch_size)
    log.info(
        "%s images at %.3g a second, %d evaluations of the network each",
        f"{len(seeds):,}",
        1 / seconds_per_image,
        counter.calls,
    )
    offset = seeds.start - starts[0]
    result = np.concatenate(images)[offset : offset + len(seeds)]
    timing = {
        "num_images": len(seeds),
        "timed_images": len(warm) * batch_size,
        "seconds": round(float(np.sum(warm)), 6),
        "images_per_second": 1 / seconds_per_image,
        "seconds_per_50k": 50_000 * seconds_per_image,
        "extrapolated": len(warm) * batch_size < 50_000,
        "latency_batch1_seconds": latency,
        "warmup_seconds": first_seconds,
        "io_seconds": io_seconds,
        "batch_size": batch_size,
        "nfe": counter.calls,
        "device": device_label(device),
        "precision": precision,
        "threads": torch.get_num_threads(),
        "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        "seeds": f"{seeds.start}:{seeds.stop}",
        "options": dict(options),
        "condition": given,
        "model_sha256": info["sha256"],
    }
    return result, timing
