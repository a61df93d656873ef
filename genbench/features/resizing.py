"""Pillow's resize, and TensorFlow's, for a whole batch on the device.

Pillow filters rows, then columns, each with fixed weights: one linear map per axis. Resizing an identity matrix gives
the matrix of this map. Two matrix products then give Pillow's own result for channels in float32 (its mode F), for any
filter and any sizes, as fast as the device multiplies. TensorFlow's resize is linear in each axis, too.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    import torch

Matrix = Callable[[int, int], NDArray[np.float32]]


@cache
def resize_matrix(size: int, target: int, resample: Image.Resampling = Image.Resampling.BICUBIC) -> NDArray[np.float32]:
    """The matrix (target, size) by which Pillow resizes a column of `size` pixels to `target`."""
    identity = Image.fromarray(np.eye(size, dtype=np.float32))
    return np.array(identity.resize((size, target), resample), dtype=np.float32)


@cache
def tensorflow_matrix(size: int, target: int) -> NDArray[np.float32]:
    """The matrix (target, size) of TensorFlow 1's bilinear resize, without aligned corners and without antialiasing.

    Target pixel i lies at i * size / target, between two pixels of the source: not at the centre of the area that it
    covers, as in torch and Pillow, but towards the origin. The first FID statistics used this resize.
    """
    places = np.arange(target, dtype=np.float32) * np.float32(size / target)
    lower = np.floor(places).astype(np.int64)
    upper, share = np.minimum(lower + 1, size - 1), places - lower
    matrix = np.zeros((target, size), np.float32)
    rows = np.arange(target)
    np.add.at(matrix, (rows, lower), 1 - share)
    np.add.at(matrix, (rows, upper), share)
    return matrix


def resize(
    pixels: "torch.Tensor", height: int, width: int, rounded: bool = False, matrix: Matrix = resize_matrix
) -> "torch.Tensor":
    """Bicubic resize like Pillow's for float images (mode F), antialiased when shrinking, clipped to 0..255.

    rounded: whether to round to whole levels after rows and after columns, as Pillow does with images of bytes; ties
    may differ. matrix: another filter: a function from the numbers of source and target pixels to its matrix.
    pixels: uint8 (N, H, W, C), C = 1 or 3; grey is repeated to three channels. Returns float32 (N, 3, height, width) in
    0..255, in channels_last memory if that is fast on the device. Equal to Pillow's to 1e-4 grey levels.
    """
    import torch

    from genbench.tensors import image_layout

    images = pixels.permute(0, 3, 1, 2).float()  # (N, C, H, W)
    rows, columns = (
        torch.from_numpy(matrix(size, target)).to(images.device)
        for size, target in zip(images.shape[2:], (height, width), strict=True)
    )
    if rounded:
        images = (images @ columns.T).add_(0.5).floor_().clamp_(0, 255)
        images = (rows @ images).add_(0.5).floor_().clamp_(0, 255)
    else:
        images = (rows @ images @ columns.T).clamp_(0, 255)
    return images.expand(-1, 3, -1, -1).contiguous(memory_format=image_layout(images.device))
