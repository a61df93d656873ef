"""How far images are from the images that they should equal, pair by pair."""

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError


def psnr(images: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The peak signal-to-noise ratio of each image in decibels, 10 log10(255^2 / mean squared error): (N,).

    images, reference: uint8 (N, H, W, C). Equal images count as if a single value were off by one, which gives the
    largest finite ratio.
    """
    if images.shape != reference.shape or images.ndim != 4:
        raise InputError(f"found images of shapes {images.shape} and {reference.shape}, expected one (N, H, W, C)")
    squares = [np.square(a.astype(np.float64) - b).sum() for a, b in zip(images, reference, strict=True)]
    return 10 * np.log10(255**2 * float(np.prod(images.shape[1:])) / np.maximum(squares, 1.0))
