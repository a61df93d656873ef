"""Images from a trained model: seeds in, uint8 out, with the time and the network evaluations measured.

Seeds are cut into batches at multiples of the batch size, and a batch is always computed as a whole. Image i is
therefore always computed in the same batch at the same place, whatever the range of seeds and the number of ranks, and
has the same bits on one kind of device. A model that starts from given images or labels gets row i for seed i, and
begins again after the last row; rows that are sorted by class are mixed first, always in the same way.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genbench.data import ImageSet
from genbench.data.objects import Labels as LabelSets
from genbench.data.objects import multi_hot
from genbench.errors import InputError, option
from genbench.files.artifacts import sha256_json
from genbench.machine.code import code_sha256
from genbench.machine.devices import device_label, synchronise
from genbench.machine.ranks import ALONE, Ranks
from genbench.models import Model
from genbench.records.timing import Timing
from genbench.sampling.batch import CallCounter, Condition, batch_starts, sample_pixels
from genbench.sampling.parts import Batches, Parts
from genbench.tensors import Pixels

log = logging.getLogger(__name__)


def find_condition(
    model: Model, options: Mapping[str, Any], given: ImageSet | LabelSets | None, device: torch.device
) -> Condition | None:
    """What `model` needs as input with these sampler options: rows of a split of its data set, or label sets."""
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
    rows = (given.images if kind == "images" else given.labels)[given.representative_order()]
    return Condition(
        torch.from_numpy(rows).to(device),
        {"kind": kind, **{key: given.info[key] for key in ("dataset", "split", "sha256")}},
    )


class Clock:
    """Draws batches of seeds and times them, from noise to uint8 on the device, synchronised."""

    def __init__(
        self, model: Model, options: Mapping[str, Any], condition: Condition | None, device: torch.device
    ) -> None:
        self.model, self.options, self.condition, self.device = model, options, condition, device

    def draw(self, start: int, count: int) -> tuple[Pixels, float]:
        """The images of `count` seeds from `start` on, and the seconds that they took."""
        seeds = torch.arange(start, start + count, device=self.device)
        synchronise(self.device)
        started = time.perf_counter()
        pixels = sample_pixels(self.model, seeds, self.options, self.condition)
        synchronise(self.device)
        return pixels, time.perf_counter() - started

    def single(self, seed: int) -> tuple[int, float]:
        """For one image, the number of calls of the network and the seconds."""
        if self.device.type == "cuda":
            self.draw(seed, 1)  # loads the kernels for another shape
        with CallCounter().on(self.model) as counter:
            _, latency = self.draw(seed, 1)
        return counter.calls, latency


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
    """Images (N, H, W, C) uint8 for `seeds`, in order, and the record of their timing, on rank 0; None on other ranks.

    Each rank's first batch warms up; it does not count for the speed if there are others. Ranks draw at the same time:
    `seconds` are those of the slowest rank. Other jobs may run meanwhile; sampling/speed.py measures without them.
    Finished batches are kept in `parts_folder` until the caller removes it.
    precision: that of the model's arithmetic, for the record.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    given, code = condition.record if condition else None, code_sha256("sampling", info["model"])
    made_by = info["sha256"], dict(options), precision, batch_size, device.type, code, given
    clock = Clock(model, options, condition, device)
    batches = Batches(
        batch_starts(seeds, batch_size), batch_size, Parts(parts_folder, sha256_json(made_by), team), team
    )
    batches.draw(clock.draw)
    seconds = batches.gather_seconds()
    batches.gather_images()
    if not team.first:
        team.share(None)
        return None
    nfe, latency = clock.single(seeds.start)
    team.share(None)  # until here the others slept: the latency is that of one rank on an idle machine
    total = max(map(sum, seconds.values()), default=0)
    timed_images = sum(map(len, seconds.values())) * batch_size
    speed = timed_images / total if seconds else None
    log.info("%s images, %d evaluations of the network each", f"{len(seeds):,}", nfe)
    timing = Timing(
        num_images=len(seeds),
        timed_images=timed_images,
        seconds=round(total, 6),
        images_per_second=speed,
        seconds_per_50k=50_000 / speed if speed else None,
        extrapolated=timed_images < 50_000,
        latency_batch1_seconds=latency,
        warmup_seconds=batches.warmup_seconds,
        io_seconds=batches.io_seconds,
        batch_size=batch_size,
        nfe=nfe,
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
    return batches.images(seeds), timing
