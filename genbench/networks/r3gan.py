"""The networks of R3GAN (Huang et al. 2024, arXiv 2501.05441, configuration E): convolutions without normalisation.

A block widens its input, convolves it in groups of channels and narrows it again: an inverted ResNeXt block. Its last
layer starts at zero; the others start smaller the more blocks there are (Fixup, arXiv 1901.09321). At the smallest side
every channel has a learned pattern. The generator multiplies each pattern by a number computed from z, and the
discriminator ends with inner products. The filter [1, 3, 3, 1] doubles and halves sides, and 1x1 convolutions change
widths. The defaults are the authors' for CIFAR-10: 20,732,160 + 20,683,776 parameters.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.networks.layers import halvings
from genbench.networks.resampling import downsample, upsample
from genbench.ranges import Count
from genbench.tensors import Images, Latents, Logits

SLOPE = 0.2  # of the leaky ReLU
Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def _scaled(layer: Layer, gain: float = 1.0) -> Layer:
    """Weights from N(0, gain^2 / fan-in), biases zero."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _widths(channels: int | Sequence[int], sides: int) -> list[int]:
    widths = [channels] * sides if isinstance(channels, int) else list(channels)
    if len(widths) != sides:
        raise InputError(f"key 'channels': found {len(widths)} widths, expected {sides}, one for each side of the maps")
    return widths


def _float32(x: Tensor) -> AbstractContextManager[Any]:
    """No autocast: the smallest maps are always computed in float32, as in the authors' code."""
    return torch.autocast("cpu" if x.device.type == "meta" else x.device.type, enabled=False)


class Block(nn.Module):
    """(N, C, H, W) to (N, C, H, W). `depth`: number of blocks in the whole network."""

    def __init__(self, channels: int, expansion: int, group_width: int, depth: int) -> None:
        super().__init__()
        wide = expansion * channels
        if wide % group_width:
            raise InputError(
                f"key 'group_width': found {group_width}, expected a divisor of {wide}, the wider channels"
            )
        gain = math.sqrt(2 / (1 + SLOPE**2)) * depth**-0.25
        self.widen = _scaled(nn.Conv2d(channels, wide, 1), gain)
        self.conv = _scaled(nn.Conv2d(wide, wide, 3, padding=1, groups=wide // group_width), gain)
        self.narrow = _scaled(nn.Conv2d(wide, channels, 1, bias=False), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.widen(x), SLOPE)
        return x + self.narrow(F.leaky_relu(self.conv(h), SLOPE))


def _stages(widths: Sequence[int], blocks: int, expansion: int, group_width: int) -> nn.ModuleList:
    depth = blocks * len(widths)
    return nn.ModuleList(
        nn.Sequential(*(Block(width, expansion, group_width, depth) for _ in range(blocks))) for width in widths
    )


def _between(widths: Sequence[int]) -> nn.ModuleList:
    """1x1 convolutions from each width to the next, where these differ."""
    return nn.ModuleList(
        nn.Identity() if old == new else _scaled(nn.Conv2d(old, new, 1, bias=False)) for old, new in pairwise(widths)
    )


class Generator(nn.Module):
    """z (N, latent_size) to images (N, C, H, W), about [-1, 1].

    channels: Width at every side, or a list of widths from the smallest side to the images' own.
    blocks: Residual blocks at each side.
    expansion: Factor by which a block widens its input.
    group_width: Channels in each group of a block's 3x3 convolution. The authors' cardinality is the number of groups.
    """

    float32_parts = ("linear", "stages.0")  # those under _float32

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        latent_size: int = 64,
        channels: Count | Sequence[Count] = 768,
        blocks: Count = 2,
        expansion: Count = 2,
        group_width: Count = 16,
    ) -> None:
        super().__init__()
        image_channels, size, _ = image_shape
        doublings = halvings(size, smallest=7)
        widths = _widths(channels, doublings + 1)
        self.basis = nn.Parameter(torch.randn(widths[0], size >> doublings, size >> doublings))
        self.linear = _scaled(nn.Linear(latent_size, widths[0], bias=False))
        self.stages = _stages(widths, blocks, expansion, group_width)
        self.between = _between(widths)
        self.to_images = _scaled(nn.Conv2d(widths[-1], image_channels, 1, bias=False))

    def forward(self, z: Latents) -> Images:
        first, *others = self.stages
        with _float32(z):
            x = first(self.basis * self.linear(z)[:, :, None, None])
        for change, stage in zip(self.between, others, strict=True):
            x = stage(upsample(change(x)))
        return self.to_images(x)


class Discriminator(nn.Module):
    """Images (N, C, H, W) to logits (N,): the mirrored generator.

    channels: Width at every side, or a list of widths from the images' own side to the smallest.
    blocks: Residual blocks at each side.
    expansion: Factor by which a block widens its input.
    group_width: Channels in each group of a block's 3x3 convolution. The authors' cardinality is the number of groups.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        channels: Count | Sequence[Count] = 768,
        blocks: Count = 2,
        expansion: Count = 2,
        group_width: Count = 16,
    ) -> None:
        super().__init__()
        image_channels, size, _ = image_shape
        doublings = halvings(size, smallest=7)
        widths = _widths(channels, doublings + 1)
        self.from_images = _scaled(nn.Conv2d(image_channels, widths[0], 1, bias=False))
        self.stages = _stages(widths, blocks, expansion, group_width)
        self.between = _between(widths)
        self.basis = _scaled(nn.Conv2d(widths[-1], widths[-1], size >> doublings, groups=widths[-1], bias=False))
        self.linear = _scaled(nn.Linear(widths[-1], 1, bias=False))
        self.float32_parts = (f"stages.{doublings}", "basis", "linear")  # those under _float32

    def forward(self, x: Images) -> Logits:
        *others, last = self.stages
        x = self.from_images(x)
        for stage, change in zip(others, self.between, strict=True):
            x = change(downsample(stage(x)))
        with _float32(x):
            return self.linear(self.basis(last(x.float())).flatten(1)).squeeze(1)
