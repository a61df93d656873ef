"""One batch of images: seeds in, uint8 out, and the evaluations of the network counted. No files, no records."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genbench.images import to_images, to_pixels
from genbench.models import Model
from genbench.processes.noise import Noise
from genbench.tensors import Pixels, Seeds


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


def sample_pixels(model: Model, seeds: Seeds, options: Mapping[str, Any], condition: Condition | None = None) -> Pixels:
    """One batch: uint8 (N, H, W, C) for N seeds, on the model's device."""
    with torch.inference_mode():
        y = condition.of(seeds) if condition else None
        return to_pixels(model.sample(Noise(seeds), y, **options))


def batch_starts(seeds: range, batch_size: int) -> range:
    """First seeds of the batches that cover `seeds`: multiples of batch_size."""
    return range(seeds.start // batch_size * batch_size, seeds.stop, batch_size)
