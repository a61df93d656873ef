"""Many small pictures on one sheet. Imports no torch."""

import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genbench.files.artifacts import atomic_path


def grid(pixels: NDArray[np.uint8], columns: int, gap: int = 2) -> NDArray[np.uint8]:
    """Lay uint8 images (N, H, W, C) out in rows of `columns`, on white, `gap` pixels apart. Returns (H', W', 3)."""
    count, height, width, channels = pixels.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(np.broadcast_to(pixels, (count, height, width, 3)) if channels == 1 else pixels):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def blank(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    """A white picture, for where there is none: (height, width, 3)."""
    return np.full((height, width, 3), 255, np.uint8)


def save_png(path: str | os.PathLike[str], pixels: NDArray[np.uint8]) -> None:
    """Write uint8 (H, W, 3) as PNG, atomically."""
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", optimize=True)
