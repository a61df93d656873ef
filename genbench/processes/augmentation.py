"""Augmentation that does not leak into samples (Karras et al. 2022, arXiv 2206.00364, appendix F.2 and table 6).

Each image is flipped, scaled, rotated, stretched and shifted at random, and the network receives nine numbers that
describe these changes. Sampling sets them to zero, which stands for an unchanged image. The geometry is that of Karras
et al. 2020 (arXiv 2006.06676, appendix B): borders are mirrored, and the image is enlarged to twice its size with a
filter, transformed, and reduced with a filter.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from genbench.processes.noise import Noise
from genbench.tensors import Images, PerImage

NUM_LABELS = 9
# The low-pass filter of the wavelet sym6 (Daubechies' least asymmetric one with six vanishing moments).
SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466),
    *(0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578),
    *(0.0017677118642428036, -0.007800708325034148),
)
REACH = len(SYM6) // 4  # the filter's reach, in pixels of the image


class Transformation(NamedTuple):
    """The transformation of each image; all values are zero for an unchanged image.

    flip_x, flip_y: 0 or 1. scale: a standard normal number; the factor is 2^(0.2 scale). angle: in radians.
    stretch: likewise for the factor along a direction; its inverse applies across. direction: in radians.
    shift_x, shift_y: in eighths of the image's sides.
    """

    flip_x: PerImage
    flip_y: PerImage
    scale: PerImage
    angle: PerImage
    stretch: PerImage
    direction: PerImage
    shift_x: PerImage
    shift_y: PerImage

    @property
    def labels(self) -> Tensor:
        """The network's input that describes the transformation: (N, 9)."""
        turned = [self.angle.cos() - 1, self.angle.sin()]
        stretched = [self.stretch * self.direction.cos(), self.stretch * self.direction.sin()]
        rest = [self.shift_x, self.shift_y]
        return torch.stack([self.flip_x, self.flip_y, self.scale, *turned, *stretched, *rest], dim=1)

    def upright(self) -> "Transformation":
        """The same transformation without flips upside down and rotations."""
        none = torch.zeros_like(self.angle)
        return self._replace(flip_y=none, angle=none)


def draw_transformation(noise: Noise, probability: float) -> Transformation:
    """One for each image: a flip from left to right with probability 1/2, each other change with `probability`."""
    happens = (noise.uniform(5) < probability).float().unbind(1)
    flip_x, flip_y = (noise.uniform(2) < 0.5).float().unbind(1)
    angle, direction = ((2 * noise.uniform(2) - 1) * math.pi).unbind(1)
    oblique = (noise.uniform() < 0.5).float()  # else along the axes
    scale, stretch, shift_x, shift_y = noise.normal(4).unbind(1)
    return Transformation(
        flip_x=flip_x,
        flip_y=flip_y * happens[0],
        scale=scale * happens[1],
        angle=angle * happens[2],
        stretch=stretch * happens[3],
        direction=direction * oblique,
        shift_x=shift_x * happens[4],
        shift_y=shift_y * happens[4],
    )


def transformed(x0: Images, how: Transformation) -> Images:
    """The transformed images: float32, same shape."""
    x0 = torch.where(how.flip_x[:, None, None, None] == 1, x0.flip(3), x0)
    x0 = torch.where(how.flip_y[:, None, None, None] == 1, x0.flip(2), x0)
    with torch.autocast("cpu" if x0.device.type == "meta" else x0.device.type, enabled=False):
        return warped(x0, *inverse(how, x0.shape[3], x0.shape[2]))


def rotation(angle: PerImage) -> Tensor:
    """Rotation matrices (N, 2, 2)."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)


def inverse(how: Transformation, width: int, height: int) -> tuple[Tensor, Tensor]:
    """The matrix (N, 2, 2) and shift (N, 2) of the inverse: the source of position p is matrix (p - shift)."""
    factor, stretch = torch.exp2(-0.2 * how.scale), torch.exp2(0.2 * how.stretch)
    squeezed = torch.diag_embed(torch.stack([1 / stretch, stretch], dim=1))
    matrix = rotation(how.angle) @ rotation(-how.direction) @ squeezed @ rotation(how.direction)
    return factor[:, None, None] * matrix, torch.stack([how.shift_x * width / 8, how.shift_y * height / 8], dim=1)


def warped(x0: Images, matrix: Tensor, shift: Tensor, offset: Tensor | None = None) -> Images:
    """Images (N, C, H, W) whose pixel at p, relative to the centre, is that of x0 at matrix (p - shift) + offset.

    matrix: (N, 2, 2). shift, offset: (N, 2), in pixels.
    """
    _, channels, height, width = x0.shape
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2], device=x0.device)

    def source(x: Tensor, y: Tensor) -> Tensor:
        """The sources of the pixels at x (H', W') and y (H', W') of the new images: (N, H', W', 2)."""
        places = (torch.stack([x, y], dim=-1) - middle).flatten(0, 1) - shift[:, None]
        found = (places @ matrix.mT).unflatten(1, x.shape) + middle
        return found if offset is None else found + offset[:, None, None]

    # At twice the size, pixel i of an image lies at 2 i. The filter that reduces it sees REACH pixels on each side.
    grids = [torch.arange(2 * (side + 2 * REACH), device=x0.device) / 2 - REACH for side in (height, width)]
    y, x = torch.meshgrid(*grids, indexing="ij")
    ends = torch.tensor([0.0, 1.0], device=x0.device)
    corners = source(*torch.meshgrid(2 * middle[0] * ends, 2 * middle[1] * ends, indexing="xy"))
    left, top, right, bottom = _margins(corners, width, height)
    doubled = _doubled(F.pad(x0, [left, right, top, bottom], mode="reflect"))
    found = 2 * (source(x, y) + torch.tensor([left, top], device=x0.device))
    sides = torch.tensor([doubled.shape[3], doubled.shape[2]], device=x0.device)
    moved = F.grid_sample(doubled, (2 * found + 1) / sides - 1, mode="bilinear", align_corners=False)
    kernel = torch.tensor(SYM6, device=x0.device).expand(channels, 1, 1, -1)
    moved = F.conv2d(moved, kernel, groups=channels, stride=(1, 2), padding=(0, 5))[..., REACH:-REACH]
    return F.conv2d(moved, kernel.mT, groups=channels, stride=(2, 1), padding=(5, 0))[:, :, REACH:-REACH]


def _doubled(x: Tensor) -> Tensor:
    """Images (N, C, H, W) enlarged to twice the size: zeros between the pixels, then the filter."""
    channels = x.shape[1]
    kernel = torch.tensor(SYM6[::-1], device=x.device).expand(channels, 1, 1, -1)
    for axis, weight, padding in ((3, kernel, (0, 6)), (2, kernel.mT, (6, 0))):
        spread = torch.stack([x, torch.zeros_like(x)], dim=axis + 1).flatten(axis, axis + 1)
        x = F.conv2d(spread.narrow(axis, 0, spread.shape[axis] - 1), weight, groups=channels, padding=padding)
    return x


def _margins(corners: Tensor, width: int, height: int) -> list[int]:
    """The number of pixels to mirror on the left, top, right and bottom to include all sources.

    corners: the sources of the images' corners, (..., 2).
    """
    most = [width - 1, height - 1] * 2
    if corners.is_meta:  # a dry run: the maximum
        return most
    ends = corners.flatten(0, -2)
    beyond = torch.cat([-ends.amin(0), ends.amax(0) - torch.tensor(most[:2], device=ends.device)]) + 2 * REACH
    return [min(max(0, math.ceil(pixels)), limit) for pixels, limit in zip(beyond.tolist(), most, strict=True)]
