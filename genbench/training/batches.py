"""The training images on the device, and which of them an iteration sees: a function of (seed, step) only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from genbench.images import from_array, to_images
from genbench.machine.devices import has_room
from genbench.machine.distributed import add_up
from genbench.machine.ranks import Ranks
from genbench.models import Batch
from genbench.processes.noise import Noise
from genbench.training.recipe import TrainConfig


def epoch_order(seed: int, epoch: int, num_images: int) -> np.ndarray:
    """The order of the images in an epoch: a permutation that depends on (seed, epoch) only."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(num_images)


def in_first_epoch(images: np.ndarray, seed: int, device: torch.device, batch_size: int = 100) -> Iterator[Tensor]:
    """All images once, in the order of the first epoch, as (N, C, H, W) in [-1, 1]."""
    order = epoch_order(seed, 0, len(images))
    for start in range(0, len(images), batch_size):
        yield to_images(from_array(images[order[start : start + batch_size]]).to(device))


@dataclass(frozen=True)
class Slice:
    """One rank's images of a micro-batch of `size`: those at `positions`; with one rank, all of them.

    Groups of images that a loss looks at together (Model.group_size) stay whole: with G groups image i is in group
    i mod G, and group j goes to rank j mod N.
    """

    size: int
    positions: Tensor  # (n,), ascending

    @classmethod
    def of(cls, team: Ranks, size: int, group_size: int, device: torch.device) -> "Slice":
        """Rank `team.rank`'s slice; TrainConfig.check_ranks ensures that no slice is empty."""
        groups = size // min(group_size, size)
        positions = torch.arange(size, device=device)
        return cls(size, positions[positions % groups % team.size == team.rank])

    @property
    def share(self) -> float:
        """The share of the micro-batch's images that is in this slice."""
        return len(self.positions) / self.size

    def gather(self, values: Tensor) -> Tensor:
        """The values (size, ...) of all images of the micro-batch, in order, from the values (n, ...) of each rank."""
        everything = values.new_zeros((self.size, *values.shape[1:]))
        everything[self.positions] = values
        return add_up(everything)


class Order:
    """The `batch_size` examples out of `count` that an iteration uses: each once per epoch, in `epoch_order`."""

    def __init__(self, seed: int, count: int, batch_size: int, place: torch.device) -> None:
        self.seed, self.count, self.batch_size, self.place = seed, count, batch_size, place
        self._orders: dict[int, Tensor] = {}

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self._orders:  # at most two epochs meet in a batch that is smaller than the data set
            self._orders = {key: value for key, value in self._orders.items() if key >= epoch - 1}
            self._orders[epoch] = torch.from_numpy(epoch_order(self.seed, epoch, self.count)).to(self.place)
        return self._orders[epoch]

    def of(self, step: int) -> Tensor:
        """The indices (batch_size,) of iteration `step`. One epoch may end and the next begin inside a batch."""
        first, last = step * self.batch_size, (step + 1) * self.batch_size
        spans = []
        while first < last:
            epoch, start = divmod(first, self.count)
            stop = min(self.count, start + last - first)
            spans.append(self._order(epoch)[start:stop])
            first += stop - start
        return torch.cat(spans)


@runtime_checkable
class MicroBatches(Protocol):
    """What a trainer learns from. part: this rank's slice of each micro-batch; None for all of it."""

    part: Slice | None

    def micro_batches(self, step: int) -> Sequence[Any]:
        """The `accumulate` parts of iteration `step`, each with `metrics`."""


class Batches:
    """The training images as one uint8 tensor, and the batch of any iteration, or a slice of it.

    The tensor is on the device, or on the CPU if it would take more than half of a GPU's free memory.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        seed: int,
        config: TrainConfig,
        device: torch.device,
        part: Slice | None = None,
    ) -> None:
        self.place = device if has_room(device, images.nbytes) else torch.device("cpu")
        self.pixels = from_array(images).to(self.place)  # (N, H, W, C)
        self.labels = torch.from_numpy(labels).to(self.place)
        self.seed, self.config, self.device, self.part = seed, config, device, part
        self.order = Order(seed, len(self.pixels), config.batch_size, self.place)

    def micro_batches(self, step: int) -> list[Batch]:
        """The `accumulate` parts of iteration `step`. Image j of the iteration has noise seed step * batch_size + j."""
        size, indices = self.config.batch_size, self.order.of(step)
        seeds = torch.arange(step * size, (step + 1) * size, device=self.device)
        parts = []
        for index, seed in zip(indices.chunk(self.config.accumulate), seeds.chunk(self.config.accumulate), strict=True):
            if self.part is not None:
                index, seed = index[self.part.positions.to(self.place)], seed[self.part.positions]
            noise = Noise(seed, key=self.seed)
            x0 = to_images(self.pixels[index].to(self.device))
            if self.config.flip:
                x0 = torch.where(noise.uniform(1, 1, 1) < 0.5, x0.flip(3), x0)
            parts.append(Batch(x0, self.labels[index].to(self.device), noise))
            if self.part is not None:
                parts[-1].gather = self.part.gather
        return parts

    def validation(self, batch_size: int = 500) -> Iterator[Batch]:
        """All images once, in order, with the same noise each time: seed i for image i."""
        seeds = torch.arange(len(self.pixels), device=self.device)
        for index in seeds.split(batch_size):
            pixels, labels = (values[index.to(self.place)].to(self.device) for values in (self.pixels, self.labels))
            yield Batch(to_images(pixels), labels, Noise(index, key=self.seed))

    def in_order(self, batch_size: int = 500) -> Iterator[Tensor]:
        """All images once, as (N, C, H, W) in [-1, 1]."""
        for pixels in self.pixels.split(batch_size):
            yield to_images(pixels.to(self.device))
