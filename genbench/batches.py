"""The training images on the device, and which of them an iteration sees: a function of (seed, step) alone."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from genbench.images import to_images
from genbench.models import Batch
from genbench.noise import Noise
from genbench.recipe import TrainConfig


def epoch_order(seed: int, epoch: int, num_images: int) -> np.ndarray:
    """The order of the images in an epoch: a permutation that depends on (seed, epoch) alone."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(num_images)


class Batches:
    """The training images as one uint8 tensor on the device, and the batch of any iteration out of it."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, seed: int, config: TrainConfig, device: torch.device
    ) -> None:
        self.pixels = torch.from_numpy(images).to(device)  # (N, H, W, C)
        self.labels = torch.from_numpy(labels).to(device)
        self.seed, self.config, self.device = seed, config, device
        self._orders: dict[int, Tensor] = {}

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self._orders:  # at most two epochs meet in a batch that is smaller than the data set
            self._orders = {key: value for key, value in self._orders.items() if key >= epoch - 1}
            self._orders[epoch] = torch.from_numpy(epoch_order(self.seed, epoch, len(self.pixels))).to(self.device)
        return self._orders[epoch]

    def micro_batches(self, step: int) -> list[Batch]:
        """The `accumulate` parts of iteration `step`. Image j of the iteration has noise seed step * batch_size + j."""
        size, count = self.config.batch_size, len(self.pixels)
        first, last = step * size, (step + 1) * size
        spans = []
        while first < last:
            epoch, start = divmod(first, count)
            stop = min(count, start + last - first)
            spans.append(self._order(epoch)[start:stop])
            first += stop - start
        indices = torch.cat(spans)
        seeds = torch.arange(step * size, (step + 1) * size, device=self.device)
        parts = []
        for index, seed in zip(indices.chunk(self.config.accumulate), seeds.chunk(self.config.accumulate), strict=True):
            noise = Noise(seed, key=self.seed)
            x0 = to_images(self.pixels[index])
            if self.config.flip:
                x0 = torch.where(noise.uniform(1, 1, 1) < 0.5, x0.flip(3), x0)
            parts.append(Batch(x0, self.labels[index], noise))
        return parts

    def validation(self, batch_size: int = 500) -> Iterator[Batch]:
        """All images once, in order, with the same noise whenever it is asked for: seed i for image i."""
        seeds = torch.arange(len(self.pixels), device=self.device)
        for index in seeds.split(batch_size):
            yield Batch(to_images(self.pixels[index]), self.labels[index], Noise(index, key=self.seed))

    def in_order(self, batch_size: int = 500) -> Iterator[Tensor]:
        """All images once, as (N, C, H, W) in [-1, 1]."""
        for pixels in self.pixels.split(batch_size):
            yield to_images(pixels)
