"""Differentiable augmentation (Zhao et al. 2020, arXiv 2006.10738): real and drawn images are both changed before the
discriminator sees them. It then cannot memorise a small data set. Gradients reach the generator through the changes.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.processes.noise import Noise
from genbench.tensors import Images, Logits


class Augmentation(nn.Module):
    """Random changes of images (N, C, H, W) in [-1, 1], drawn separately per image, differentiable in the images."""

    def forward(self, x: Images, noise: Noise) -> Images:
        raise NotImplementedError

    def observe(self, real_logits: Logits) -> dict[str, Tensor]:
        """Observe the discriminator's logits of a batch of real images. Returns scalars for the history."""
        return {}

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: random numbers are drawn in Python, which torch.compile cannot compile."""


def brightness(x: Images, noise: Noise) -> Images:
    """Makes images lighter or darker by up to a quarter of the range."""
    return x + (noise.uniform(1, 1, 1) - 0.5)


def saturation(x: Images, noise: Noise) -> Images:
    """Scales the saturation by a factor from 0 to 2."""
    grey = x.mean(1, keepdim=True)
    return (x - grey) * (2 * noise.uniform(1, 1, 1)) + grey


def contrast(x: Images, noise: Noise) -> Images:
    """Scales differences from the image's mean by a factor from 0.5 to 1.5."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (noise.uniform(1, 1, 1) + 0.5) + mean


def translation(x: Images, noise: Noise) -> Images:
    """Shifts images by up to an eighth of the sides, in whole pixels; new pixels are 0."""
    down, right = (int(side / 8 + 0.5) for side in x.shape[2:])
    rows, columns = (
        torch.arange(side, device=x.device) + noise.integers(0, 2 * reach + 1)[:, None]
        for side, reach in zip(x.shape[2:], (down, right), strict=True)
    )
    image = torch.arange(len(x), device=x.device)[:, None, None]
    padded = F.pad(x, [right, right, down, down])
    return padded.movedim(1, 3)[image, rows[:, :, None], columns[:, None, :]].movedim(3, 1)


def cutout(x: Images, noise: Noise) -> Images:
    """Sets a rectangle of half the sides around a random pixel to 0."""
    hidden = []
    for side in x.shape[2:]:
        size = int(side / 2 + 0.5)
        start = noise.integers(0, side + 1 - size % 2)[:, None] - size // 2
        pixel = torch.arange(side, device=x.device)
        hidden.append((start <= pixel) & (pixel < start + size))  # (N, side)
    return x.masked_fill((hidden[0][:, :, None] & hidden[1][:, None, :])[:, None], 0.0)


POLICIES: dict[str, tuple[Callable[[Images, Noise], Images], ...]] = {
    "color": (brightness, saturation, contrast),
    "translation": (translation,),
    "cutout": (cutout,),
}


class DiffAugment(Augmentation):
    """Changes every image in each of these ways, one after another (Zhao et al. 2020, arXiv 2006.10738).

    policy: `color` changes brightness, saturation and contrast; `translation` moves images by up to an eighth of their
        sides; `cutout` blanks a quarter of their area.
    """

    def __init__(
        self, *, policy: Sequence[Literal["color", "translation", "cutout"]] = ("color", "translation", "cutout")
    ) -> None:
        super().__init__()
        self.steps = [step for name in policy for step in POLICIES[name]]

    def forward(self, x: Images, noise: Noise) -> Images:
        for step in self.steps:
            x = step(x, noise)
        return x
