"""How long samples take: from a separate timing with nothing else running, or else from the job that drew them."""

from typing import Any

import numpy as np

from genbench.records.speed import Speed
from genbench.records.timing import Timing

BESIDE_OTHERS = "timed while other jobs may have run beside it"
QUIET = 0.5  # cores: above it, a note says that other processes were busy
FROM_SPEED = ("seconds_per_50k", "images_per_second", "latency_batch1_seconds", "warmup_seconds")


def of_its_own(timing: Timing, speed: Speed, sampler: str) -> Timing:
    """The record of a set of samples, with times from its model's speed.json where it has them."""
    found = speed.samplers.get(sampler)
    if found is None or found.seconds_per_50k is None or timing.unavailable is not None:
        return timing
    changes: dict[str, Any] = {key: getattr(found, key) for key in FROM_SPEED}
    timed = len(found.batch_seconds or ()) * (found.batch_size or 0) * (speed.ranks or 1)
    changes |= {"timed_images": timed, "extrapolated": timed < 50_000}
    changes |= {key: getattr(speed, key) for key in ("device", "threads")}
    return timing.model_copy(update=changes)


def time_columns(timing: Timing, speed: Speed, sampler: str) -> dict[str, Any]:
    """The columns on the spread of the timed batches and on other work during the timing.

    timing: as the sampling job wrote it. The keys with `_repeats` hold the number of each timed batch: all trainings of
    a model share one timing.
    """
    found = speed.samplers.get(sampler)
    if found is None or found.seconds_per_50k is None:
        known = timing.seconds_per_50k is not None and not timing.given
        return {"seconds_per_50k_note": BESIDE_OTHERS} if known else {}
    columns: dict[str, Any] = {} if found.other_work is None else {"other_work": found.other_work}
    if found.other_work is not None and found.other_work > QUIET:
        columns["seconds_per_50k_note"] = f"timed while other processes kept {cores(found.other_work)} busy"
    if found.seconds_per_50k_range:
        low, high = found.seconds_per_50k_range
        columns["time_spread"] = (high - low) / found.seconds_per_50k
    times = np.array(found.batch_seconds or ()) / ((found.batch_size or 1) * (speed.ranks or 1))  # per image
    if len(times) > 1:
        of_repeats = {"seconds_per_50k": 50_000 * times, "seconds_per_image": times, "images_per_second": 1 / times}
        columns |= {f"{key}_repeats": values.tolist() for key, values in of_repeats.items()}
        columns |= {"time_spread_repeats": [], "other_work_repeats": []}  # a single number for all trainings
    return columns


def cores(number: float) -> str:
    """A number of cores in words, rounded from one core on: rows with similar numbers then share a note."""
    if number < 1:
        return f"{number:.1f} cores"
    return f"about {number:.0f} core{'s' if round(number) > 1 else ''}"
