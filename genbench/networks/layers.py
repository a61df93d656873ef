"""Small pieces that several networks share."""

import torch
from torch import Tensor, nn

from genbench.errors import InputError


def at_least_float32(x: Tensor) -> Tensor:
    """x in float32 where it is bfloat16 or float16, else as it is."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class GroupNorm(nn.GroupNorm):
    """Group normalisation in float32 also under autocast, which by itself has it so on GPUs only: on processors the
    kernels for bfloat16 in channels-last take up to nine times as long."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(at_least_float32(x))


def halvings(size: int, smallest: int) -> int:
    """How often an image's side is halved while it is even and above `smallest`; InputError when never."""
    count = 0
    while size % 2 == 0 and size > smallest:
        size, count = size // 2, count + 1
    if count == 0 or size > 2 * smallest:
        raise InputError(
            f"image size: found a side that halves {count} times down to {size}, expected one such as 28, 32 or 64"
        )
    return count
