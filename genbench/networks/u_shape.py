"""The U of a U-Net (Ronneberger et al. 2015, arXiv 1505.04597) as a list of layers and their widths.

On the way down, each level has its blocks and, except for the lowest, a layer that halves the sides. The output of
every layer, and the input of the first one, is also a skip connection to a block on the way up. On the way up, each
level therefore has one block more and then, except for the highest, a layer that doubles the sides.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple


class Layer(NamedTuple):
    """A layer of the U: a block or, with `resample`, a layer that changes the resolution.

    level: 0 is full resolution; a layer that changes it belongs to the level that it leaves. is_last: the last block of
    a level on the way up.
    """

    in_channels: int
    out_channels: int
    level: int
    resample: Literal["down", "up"] | None = None
    is_last: bool = False


def u_shape(channels: int, widths: Sequence[int], num_res_blocks: int) -> tuple[list[Layer], list[Layer]]:
    """The layers on the way down and on the way up, in the order of the forward pass.

    channels: width of the first layer's input. widths: of the levels. num_res_blocks: at each level on the way down.
    """
    down: list[Layer] = []
    up: list[Layer] = []
    width = channels
    for level, out_channels in enumerate(widths):
        for _ in range(num_res_blocks):
            down.append(Layer(width, out_channels, level))
            width = out_channels
        if level + 1 < len(widths):
            down.append(Layer(width, width, level, "down"))
    skips = [channels, *(layer.out_channels for layer in down)]
    for level, out_channels in reversed(list(enumerate(widths))):
        for number in range(num_res_blocks + 1):
            up.append(Layer(width + skips.pop(), out_channels, level, is_last=number == num_res_blocks))
            width = out_channels
        if level > 0:
            up.append(Layer(width, width, level, "up"))
    return down, up
