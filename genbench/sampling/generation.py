"""Images from a trained model: seeds in, uint8 out, with the time and the network evaluations measured.

Seeds are cut into batches at multiples of the batch size, and a batch is always computed whole. So image i is
computed in the same batch, at the same place, whichever range of seeds is asked for and however many ranks deal the
batches out among them: any split gives the same bits on one kind of device. A model that starts from given images or
labels gets, for seed i, row i of them, beginning again after the last.
"""

import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from genbench.data import ImageSet
from genbench.data.objects import Labels as LabelSets
from genbench.data.objects import multi_hot
from genbench.errors import InputError, option
from genbench.files.artifacts import array_sha256, atomic_path, sha256_json
from genbench.files.npz import read_npz
from genbench.machine.code import code_sha256
from genbench.machine.devices import device_label, synchronise
from genbench.machine.progress import Progress
from genbench.machine.ranks import ALONE, Ranks
from genbench.models import Model
from genbench.records.timing import Timing
from genbench.sampling.batch import CallCounter, Condition, batch_starts, sample_pixels
from genbench.tensors import Pixels

log = logging.getLogger(__name__)


def find_condition(
    model: Model, options: Mapping[str, Any], given: ImageSet | LabelSets | None, device: torch.device
) -> Condition | None:
    """What `model` wants to be given with these options of its sampler: of a split of its data set, or label sets."""
    kind = model.condition(options)
    if kind == "nothing":
        return None
    if given is None:
        raise InputError(
            f"sampler: found options with which the model starts from given {kind}, expected "
            f"{option('condition', 'FILE')}, a split from prepare_data.py"
            + (" or label sets as JSON" if kind == "labels" else "")
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


class Part(NamedTuple):
    """A finished batch: its images (N, H, W, C) uint8, the seconds they took (NaN for a warm-up), and who drew them."""

    images: np.ndarray
    seconds: float
    rank: int
    ranks: int

    def sha256(self, start: int) -> str:
        """Of all of it, as the batch from seed `start` on."""
        return array_sha256(np.array(start), self.images, np.array(self[1:]))


class Parts:
    """Finished batches on disk beside the output, so that a killed run goes on, with any number of ranks."""

    def __init__(self, folder: Path, fingerprint: str, team: Ranks) -> None:
        self.folder = folder
        if team.first:
            stamp = folder / "fingerprint"
            if folder.exists() and not (stamp.exists() and stamp.read_text(errors="replace") == fingerprint):
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(stamp) as temporary:
                temporary.write_text(fingerprint)

    def load(self, start: int) -> Part | None:
        """The batch that starts at seed `start`."""
        path = self.folder / f"{start}.npz"
        if not path.exists():
            return None
        names = (*Part._fields, "sha256")
        try:
            read = read_npz(path, names)
            if read.keys() < set(names):
                raise InputError(f"{path}: damaged")
            part = Part(read["images"], float(read["seconds"]), int(read["rank"]), int(read["ranks"]))
            if str(read["sha256"]) != part.sha256(start):
                raise InputError(f"{path}: damaged")
        except InputError as error:
            log.warning("drawing images from seed %d on again, since %s", start, error)
            path.unlink()
            return None
        return part

    def save(self, start: int, part: Part) -> None:
        with atomic_path(self.folder / f"{start}.npz") as temporary:
            np.savez(temporary, **part._asdict(), sha256=np.array(part.sha256(start)))


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
    team: Ranks = ALONE,
) -> tuple[np.ndarray, Timing] | None:
    """Images (N, H, W, C) uint8 for `seeds`, in order, and the record of how long they took; None but on rank 0.

    The clock runs from noise to uint8 on the device, synchronised; each rank's first batch warms up and is left out of
    the speed where there are others. Ranks draw at the same time: `seconds` are those of the rank that takes longest.
    Other jobs may run meanwhile: sampling/speed.py times with nothing beside it. Finished batches are kept in
    `parts_folder` until the caller removes it.
    precision: what the model computes in, for the record.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    given, code = condition.record if condition else None, code_sha256("sampling", info["model"])
    made_by = info["sha256"], dict(options), precision, batch_size, device.type, code, given
    fingerprint = sha256_json(made_by)
    parts = Parts(parts_folder, fingerprint, team)
    starts = batch_starts(seeds, batch_size)
    drawn = {start: part for start in starts if team.first and (part := parts.load(start)) is not None}
    missing = team.share([start for start in starts if start not in drawn])
    owners = {start: number % team.size for number, start in enumerate(missing)}
    mine = [start for start in missing if owners[start] == team.rank]

    def timed(batch: torch.Tensor) -> tuple[Pixels, float]:
        synchronise(device)
        started = time.perf_counter()
        pixels = sample_pixels(model, batch, options, condition)
        synchronise(device)
        return pixels, time.perf_counter() - started

    def batch(start: int) -> torch.Tensor:
        return torch.arange(start, start + batch_size, device=device)

    first_seconds, io_seconds = None, 0.0
    with Progress(len(starts) * batch_size, "images", initial=len(drawn) * batch_size) as progress:
        for number, start in enumerate(mine):
            pixels, seconds = timed(batch(start))
            if first_seconds is None:
                first_seconds, seconds = seconds, float("nan")
            io_started = time.perf_counter()
            drawn[start] = Part(pixels.cpu().numpy(), seconds, team.rank, team.size)
            parts.save(start, drawn[start])
            io_seconds += time.perf_counter() - io_started
            # Those of the other ranks, which are about as fast, too.
            progress.update(batch_size * min(team.size, len(missing) - number * team.size))
    # Batches of an earlier run by another number of ranks say nothing of the speed of this one.
    times = [(part.rank, part.seconds) for part in drawn.values() if part.ranks == team.size]
    times = [(rank, seconds) for rank, seconds in times if np.isfinite(seconds)]
    warm = {rank for found in team.gather(times) for rank, _ in found}
    if team.rank not in warm and first_seconds is not None:
        times.append((team.rank, first_seconds))
    times = [found for part in team.gather(times) for found in part]
    if not team.first:
        for start in mine:
            team.send_to_first(drawn[start].images)
        team.share(None)
        return None
    for start in missing:
        if start not in drawn:
            drawn[start] = Part(team.receive(owners[start]), float("nan"), owners[start], team.size)

    counter = CallCounter()
    single = torch.arange(seeds.start, seeds.start + 1, device=device)
    if device.type == "cuda":
        timed(single)  # the kernels for another shape
    with counter.on(model):
        _, latency = timed(single)
    team.share(None)  # until here the others slept, so that the latency is that of one rank on a quiet machine
    offset = seeds.start - starts[0]
    result = np.concatenate([drawn[start].images for start in starts])[offset : offset + len(seeds)]
    total = max(
        (sum(seconds for rank, seconds in times if rank == one) for one in {rank for rank, _ in times}), default=0
    )
    timed_images = len(times) * batch_size
    speed = timed_images / total if times else None
    log.info("%s images, %d evaluations of the network each", f"{len(seeds):,}", counter.calls)
    timing = Timing(
        num_images=len(seeds),
        timed_images=timed_images,
        seconds=round(total, 6),
        images_per_second=speed,
        seconds_per_50k=50_000 / speed if speed else None,
        extrapolated=timed_images < 50_000,
        latency_batch1_seconds=latency,
        warmup_seconds=first_seconds,
        io_seconds=io_seconds,
        batch_size=batch_size,
        nfe=counter.calls,
        device=device_label(device, team.size),
        ranks=team.size,
        precision=precision,
        threads=torch.get_num_threads(),
        peak_memory_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        seeds=f"{seeds.start}:{seeds.stop}",
        options=dict(options),
        condition=given,
        model_sha256=info["sha256"],
    )
    return result, timing
