"""The only place where [-1, 1] and 0..255 meet; and grids of pictures."""

import numpy as np
import torch
from PIL import Image

from genbench.artifacts import atomic_path
from genbench.tensors import Images, Pixels


def to_images(pixels: Pixels) -> Images:
    """uint8 (N, H, W, C) in 0..255 to float32 (N, C, H, W) in [-1, 1]."""
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pixels(images: Images) -> Pixels:
    """Float (N, C, H, W) to uint8 (N, H, W, C): clamp to [-1, 1], scale, and round to the nearest level."""
    levels = (images.float().clamp(-1, 1) * 127.5 + 127.5).round()
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def grid(pixels: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Lay uint8 images (N, H, W, C) out in rows of `columns`, on white, `gap` pixels apart. Returns (H', W', 3)."""
    count, height, width, channels = pixels.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(np.broadcast_to(pixels, (count, height, width, 3)) if channels == 1 else pixels):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def save_png(path: str, pixels: np.ndarray) -> None:
    """Write uint8 (H, W, 3) as PNG, atomically."""
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", optimize=True)
