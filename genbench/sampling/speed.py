"""How fast a model samples: one batch, drawn several times with nothing else running.

The caller keeps the machine free of other work meanwhile, as the rule measure_speed does. The work of other processes
is measured all the same, and recorded with the numbers.
"""

import logging
import os
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch

from genbench.errors import place
from genbench.machine.devices import device_label, synchronise
from genbench.machine.ranks import Ranks, ranks
from genbench.models import Model
from genbench.records.provenance import Provenance
from genbench.records.speed import SamplerSpeed, Speed
from genbench.sampling.averages import ema_length_of
from genbench.sampling.batch import CallCounter, sample_pixels
from genbench.sampling.checkpoint import load_model
from genbench.sampling.draw import Ready, make_ready, read_condition

log = logging.getLogger(__name__)

REPEATS = range(3, 20)  # draws of a batch: always 3, and up to 20 while they take less than SECONDS
SECONDS = 0.5
CPU_BATCH = 32  # on a CPU, a slow network takes no less time per image in larger batches


def measure_speed(
    model: str | os.PathLike[str],
    samplers: Mapping[str, Mapping[str, Any]],
    *,
    batch_size: int = 500,
    condition: str | os.PathLike[str] | None = None,
    device: torch.device | str = "cpu",
) -> Speed | None:
    """Time every one of `samplers` from a checkpoint; returns the record on rank 0, else None.

    model: a model.safetensors or a snapshot. samplers: by name, the options of the model's sampler, and optionally a
    scheme as `quantisation`. batch_size: images at once; fewer on a CPU if that makes no difference. condition: a
    prepared split, for samplers that start from its images. A batch is drawn once to warm up, and then repeatedly: the
    clock runs from noise to uint8 on the device, synchronised. Ranks draw a batch each at the same time. If a scheme is
    not available, the record says why. Raises InputError for options that the model does not know.
    """
    device, team = torch.device(device), ranks()
    given = read_condition(condition)
    loaded, info = load_model(model, device)
    found: dict[str, SamplerSpeed] = {}
    for name, options in samplers.items():
        with place(model, "sampler", name):
            ready = make_ready(loaded, ema_length_of(options)[0], given, device)  # all averages are equally fast
        if ready.unavailable is None:
            found[name] = _speed_of(loaded, ready, batch_size, device, team)
            log.info("%s: %.3g images per second", name, found[name].images_per_second)
        else:
            found[name] = SamplerSpeed(unavailable=ready.unavailable)
        if ready.scheme is not None:  # it changed the model
            loaded, _ = load_model(model, device)
    if not team.first:
        return None
    return Speed(
        samplers=found,
        device=device_label(device, team.size),
        cores=os.cpu_count(),
        ranks=team.size,
        threads=torch.get_num_threads(),
        model_sha256=info["sha256"],
        provenance=Provenance.collect(
            "torch", "numpy", "safetensors", *team.packages, kind="sampling", model=info["model"]
        ),
    )


def _speed_of(model: Model, ready: Ready, batch_size: int, device: torch.device, team: Ranks) -> SamplerSpeed:
    """The time of batches of up to `batch_size` images, on all ranks at once."""

    def seconds(size: int) -> float:
        seeds = torch.arange(team.rank * size, (team.rank + 1) * size, device=device)
        team.share(None)
        synchronise(device)
        started = time.perf_counter()
        sample_pixels(model, seeds, ready.options, ready.condition)
        synchronise(device)
        return max(team.gather(time.perf_counter() - started))

    seconds(1)
    counter, work = CallCounter(), OtherWork()
    with counter.on(model):
        latency = seconds(1)
    size = min(batch_size, CPU_BATCH) if device.type == "cpu" else batch_size
    while (warmup := seconds(size)) < SECONDS / 4 and size < batch_size:
        size = min(2 * size, batch_size)
    batches: list[float] = []
    while len(batches) < REPEATS.start or (len(batches) < REPEATS.stop and sum(batches) < SECONDS):
        batches.append(seconds(size))
    per_50k = [50_000 * taken / (size * team.size) for taken in sorted(batches)]
    median = statistics.median(per_50k)
    return SamplerSpeed(
        batch_seconds=[round(taken, 6) for taken in batches],
        batch_size=size,
        seconds_per_50k=median,
        seconds_per_50k_range=[per_50k[0], per_50k[-1]],
        images_per_second=50_000 / median,
        latency_batch1_seconds=latency,
        warmup_seconds=warmup,
        nfe=counter.calls,
        other_work=work.cores() if team.size == 1 else None,
    )


class OtherWork:
    """How busy other processes keep the machine's cores, from its creation to a call of `cores`."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), self._busy()

    def cores(self) -> float | None:
        """How many cores are busy on average; None if the system does not say."""
        began, before = self._began
        after = self._busy()
        if before is None or after is None:
            return None
        return round(max(0.0, (after - before) / (time.perf_counter() - began)), 2)

    def _busy(self) -> float | None:
        """Seconds that all cores have computed since the machine started, without those of this process."""
        try:
            with open("/proc/stat") as file:  # Linux
                user, nice, system = map(int, file.readline().split()[1:4])
        except OSError:
            return None
        return (user + nice + system) / os.sysconf("SC_CLK_TCK") - time.process_time()
