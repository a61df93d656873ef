"""Filters that halve and double the sides of feature maps, as in StyleGAN2 (Karras et al. 2020, arXiv 1912.04958).

A filter is the outer product of its taps with themselves, scaled to a sum of 1. [1, 1] averages 2x2 pixels or repeats
pixels; [1, 3, 3, 1] is smoother. The number of taps is even.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from genbench.networks.layers import at_least_float32

Taps = Sequence[int]
BOX, SMOOTH = (1, 1), (1, 3, 3, 1)
Resample = Literal["up", "down"] | None


@cache
def _kernel(taps: tuple[int, ...], device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # sampling may cache this first, and training use it later
        row = torch.tensor(taps, dtype=torch.float32, device=device) / sum(taps)
        return torch.outer(row, row)


def _of_each_channel(x: Tensor, taps: Taps, gain: int = 1) -> Tensor:
    """The filter times `gain` for every channel of x: (C, 1, taps, taps)."""
    kernel = gain * _kernel(tuple(taps), x.device).to(x.dtype)
    return kernel.expand(x.shape[1], 1, *kernel.shape)


def _without_autocast(x: Tensor) -> AbstractContextManager[Any]:
    """No autocast: filters of single channels take 20 to 80 times as long in bfloat16 on CPUs."""
    return torch.autocast("cpu" if x.device.type == "meta" else x.device.type, enabled=False)


def smooth(x: Tensor, taps: Taps = SMOOTH, *, padding: int, stride: int = 1) -> Tensor:
    """Smooth every channel of x (N, C, H, W), with zeros beyond the borders; float32."""
    x = at_least_float32(x)
    if tuple(taps) == BOX:
        return F.avg_pool2d(x, 2, stride, padding)
    with _without_autocast(x):
        return F.conv2d(x, _of_each_channel(x, taps), stride=stride, padding=padding, groups=x.shape[1])


def downsample(x: Tensor, taps: Taps = SMOOTH) -> Tensor:
    """(N, C, H, W) to (N, C, H/2, W/2): smooth x and keep every second pixel; float32."""
    return smooth(x, taps, padding=len(taps) // 2 - 1, stride=2)


def upsample(x: Tensor, taps: Taps = SMOOTH) -> Tensor:
    """(N, C, H, W) to (N, C, 2H, 2W): put zeros between pixels and smooth to the same brightness; float32."""
    x = at_least_float32(x)
    if tuple(taps) == BOX:
        return F.interpolate(x, scale_factor=2, mode="nearest")
    kernel = _of_each_channel(x, taps, gain=4)
    with _without_autocast(x):
        return F.conv_transpose2d(x, kernel, stride=2, padding=len(taps) // 2 - 1, groups=x.shape[1])


def resampled(x: Tensor, resample: Resample, taps: Taps = SMOOTH) -> Tensor:
    """x with its sides doubled, halved or unchanged."""
    return x if resample is None else upsample(x, taps) if resample == "up" else downsample(x, taps)
