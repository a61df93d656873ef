"""Small layers and functions that several networks share."""

import torch
from torch import Tensor, nn

from genbench.errors import InputError


def at_least_float32(x: Tensor) -> Tensor:
    """x, converted to float32 if it is bfloat16 or float16."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class GroupNorm(nn.GroupNorm):
    """Group normalisation in float32, also under autocast. Autocast itself does this only on GPUs; on CPUs, the
    bfloat16 kernels for channels-last take up to nine times as long."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(at_least_float32(x))


def halvings(size: int, smallest: int) -> int:
    """How often a side can be halved while it is even and above `smallest`.

    Raises InputError if never, or if the result is above 2 `smallest`.
    """
    count = 0
    while size % 2 == 0 and size > smallest:
        size, count = size // 2, count + 1
    if count == 0 or size > 2 * smallest:
        raise InputError(
            f"image size: found a side that halves {count} times down to {size}, expected one such as 28, 32 or 64"
        )
    return count
