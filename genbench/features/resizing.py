"""Pillow's resize for a whole batch on the device.

Pillow filters rows and columns one after the other, each by fixed weights: a linear map for each axis. Resizing an
identity matrix reveals that map's matrix, and two matrix products with such matrices are Pillow's own result for
channels in float32 (its mode F), whatever the filter and the sizes, as fast as the device multiplies.
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    import torch


@cache
def resize_matrix(size: int, target: int, resample: Image.Resampling = Image.Resampling.BICUBIC) -> NDArray[np.float32]:
    """The matrix (target, size) by which Pillow resizes a column of `size` pixels to `target`."""
    identity = Image.fromarray(np.eye(size, dtype=np.float32))
    return np.array(identity.resize((size, target), resample), dtype=np.float32)


def resize(pixels: "torch.Tensor", height: int, width: int, rounded: bool = False) -> "torch.Tensor":
    """Bicubic resize, antialiased when it shrinks, as Pillow's of float images (mode F), clipped to 0..255.

    rounded: to whole levels after rows and after columns, as Pillow does with images of bytes; ties may differ.
    pixels: uint8 (N, H, W, C), C = 1 or 3; gray is repeated to three channels. Returns float32 (N, 3, height, width) in
    0..255, in channels_last memory where the device computes well with it. Equal to Pillow's to 1e-4 grey levels.
    """
    import torch

    from genbench.tensors import image_layout

    images = pixels.permute(0, 3, 1, 2).float()  # (N, C, H, W)
    rows, columns = (
        torch.from_numpy(resize_matrix(size, target)).to(images.device)
        for size, target in zip(images.shape[2:], (height, width), strict=True)
    )
    if rounded:
        images = (images @ columns.T).add_(0.5).floor_().clamp_(0, 255)
        images = (rows @ images).add_(0.5).floor_().clamp_(0, 255)
    else:
        images = (rows @ images @ columns.T).clamp_(0, 255)
    return images.expand(-1, 3, -1, -1).contiguous(memory_format=image_layout(images.device))
