"""Are these images at all? What goes wrong between a model and its metrics, caught before a network sees it."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError

SMALLEST_SPAN = 16  # grey levels between the darkest and the brightest: fewer are no image
NARROW_SPAN = 128
FEW_DISTINCT = 0.5


def check_images(images: NDArray[Any]) -> tuple[dict[str, Any], list[str]]:
    """Check that images are images; returns {"min", "max", "mean", "dtype", "distinct"} and a list of warnings.

    images: uint8 (N, H, W, C) with C = 1 or 3. Raises InputError on another dtype or shape, on values that are all the
    same, that span no range or look like floats cast to bytes, and on images that are all the same. Warnings are for a
    narrow range and for many duplicates.
    """
    if images.dtype != np.uint8:
        raise InputError(
            f"images: found dtype {images.dtype}, expected uint8 (floats: scale to 0..255 and round first)"
        )
    if images.ndim != 4 or images.shape[3] not in (1, 3) or images.size == 0:
        raise InputError(f"images: found shape {images.shape}, expected (N, H, W, C) with C = 1 or 3")
    counts = np.zeros(256, dtype=np.int64)
    digests = set()
    for image in images:
        counts += np.bincount(image.ravel(), minlength=256)
        digests.add(hashlib.blake2b(image.tobytes(), digest_size=16).digest())
    values = np.flatnonzero(counts)
    low, high = int(values[0]), int(values[-1])
    if low == high:
        raise InputError(
            f"images: every value is {low}, expected images (floats in [-0.5, 0.5] or [0, 1) become this "
            "when they are cast to uint8 without scaling)"
        )
    # -1, 0, 1 as uint8 are 255, 0, 1. Two-level images, of 0 and 255 alone, are possible.
    if set(values.tolist()) <= {0, 1, 2, 3, 253, 254, 255} and not set(values.tolist()) <= {0, 255}:
        raise InputError(
            f"images: the only values are {values.tolist()}: floats cast to uint8 without scaling; expected 0..255"
        )
    if high - low < SMALLEST_SPAN:
        raise InputError(f"images: values span {low} to {high}, expected a range of at least {SMALLEST_SPAN} levels")
    if len(digests) == 1 and len(images) > 1:
        raise InputError(f"images: all {len(images)} are the same, expected images that differ")
    warnings = []
    if high - low < NARROW_SPAN:
        warnings.append(f"pixel values span only {low} to {high} of 0 to 255")
    if len(digests) < FEW_DISTINCT * len(images):
        warnings.append(f"only {len(digests)} of {len(images)} images are distinct")
    mean = float(counts @ np.arange(256)) / images.size
    stats = {"min": low, "max": high, "mean": mean, "dtype": str(images.dtype), "distinct": len(digests)}
    return stats, warnings
