"""Checks of features before every metric, and progress messages of slow metrics."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError

log = logging.getLogger(__name__)
Item = TypeVar("Item")

SECONDS_BETWEEN_LOGS = 10.0


class MetricWarning(UserWarning):
    """A metric was computed, but its reader should know about a problem."""


def check_pair(real: NDArray[Any], fake: NDArray[Any], least: int) -> None:
    check_features("real features", real, least)
    check_features("generated features", fake, least, constant_is_error=False)  # a collapsed model's are constant
    if real.shape[1] != fake.shape[1]:
        raise InputError(f"real features have {real.shape[1]} dimensions, generated ones {fake.shape[1]}")


def check_features(what: str, features: NDArray[Any], least: int, constant_is_error: bool = True) -> None:
    if features.ndim != 2 or features.shape[1] == 0:
        raise InputError(f"{what}: found shape {features.shape}, expected (N, D)")
    if len(features) < least:
        raise InputError(f"{what}: found {len(features)} samples, expected at least {least}")
    if not np.isfinite(features).all():
        raise InputError(f"{what}: found NaN or infinity, expected finite values")
    if constant_is_error and len(features) > 1 and (features == features[0]).all():
        raise InputError(f"{what}: all {len(features)} samples are the same, expected samples that differ")


def with_progress(items: Sequence[Item], what: str) -> Iterator[Item]:
    """Yield the items, and log progress every ten seconds."""
    last = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - last > SECONDS_BETWEEN_LOGS:
            last = time.monotonic()
            log.info("%s %d of %d", what, done, len(items))
        yield item
