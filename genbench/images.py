"""Conversion between images in [-1, 1] and pixels in 0..255. No other module converts between them."""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.tensors import Images, Pixels, image_layout


def from_array(images: NDArray[np.uint8]) -> Pixels:
    """A tensor that shares an array's memory or mapped file, without torch's warning about read-only memory."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(images)


def to_images(pixels: Pixels) -> Images:
    """uint8 (N, H, W, C) in 0..255 to float32 (N, C, H, W) in [-1, 1]."""
    images = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1  # channels last, like the pixels
    return images if image_layout(images.device) is torch.channels_last else images.contiguous()


def to_pixels(images: Images) -> Pixels:
    """Float (N, C, H, W) to uint8 (N, H, W, C): clamp to [-1, 1], scale, and round to the nearest level."""
    levels = (images.float().clamp(-1, 1) * 127.5 + 127.5).round()
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous()
