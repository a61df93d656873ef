"""The pieces of a phase of measurements, each of which gives one line of results; and how time is measured."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.on_gpu.models import IMAGE_SHAPE, MODELS
from genbench.machine.devices import synchronise


@dataclass(frozen=True)
class Setting:
    """The device and the size of all runs. images: uint8 (N, H, W, C), with labels (N,) if the file has any. peers:
    folder of their checkouts. models: those of MODELS that are measured.
    """

    device: torch.device
    tiny: bool
    images: NDArray[np.uint8] | None = None
    labels: NDArray[np.int64] | None = None
    peers: Path | None = None
    models: tuple[str, ...] = tuple(MODELS)

    def either(self, full: Any, tiny: Any) -> Any:
        return tiny if self.tiny else full

    def random_images(self, count: int) -> NDArray[np.uint8]:
        channels, height, width = IMAGE_SHAPE
        return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), np.uint8)


@dataclass(frozen=True)
class Piece:
    """labels: identify the line. measure: returns the rest of the line."""

    labels: dict[str, Any]
    measure: Callable[[], dict[str, Any]]


Pieces = Iterator[Piece]


def repeated(
    work: Callable[[], Any], device: torch.device, seconds: float, warm_up: int = 1, at_least: int = 1, at_most: int = 0
) -> tuple[int, float]:
    """How often `work` was done, after a warm-up, and in how many seconds: it is repeated for about `seconds`."""
    for _ in range(warm_up):
        work()
    synchronise(device)
    started, count = time.perf_counter(), 0
    while True:
        for _ in range(at_least):
            work()
        synchronise(device)
        count += at_least
        took = time.perf_counter() - started
        if took > seconds or (at_most and count >= at_most):
            return count, took


@contextmanager
def float32_mode(tf32: bool) -> Iterator[None]:
    """Whether products of float32 may be shortened to TF32; afterwards the old setting returns."""
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = tf32
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value
