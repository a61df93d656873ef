"""Are these images at all? Checks that find mistakes between a model and its metrics before a network runs."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError

SMALLEST_SPAN = 16  # grey levels between the darkest and the brightest: an image has at least this many
NARROW_SPAN = 128
FEW_DISTINCT = 0.5
JPEG_IMAGES = 500  # the number of images that are checked
JPEG_SCORE = 0.35  # JPEG gives 0.5 to 0.9; other images, both noise and photographs, below 0.1; two-level ones 0.25


def check_images(images: NDArray[Any], drawn_here: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Check that images are images; returns {"min", "max", "mean", "dtype", "distinct"} and a list of warnings.

    images: uint8 (N, H, W, C) with C = 1 or 3. Raises InputError for another dtype or shape, for values that are all
    the same, have too small a range or look like floats cast to bytes, and for images that are all the same. Warns of a
    narrow range, of many duplicates, and of traces of JPEG. drawn_here: whether this package drew them from a model.
    Their scale is then right, and samples of a collapsed model are a result, with warnings, not a broken file.
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
    if not drawn_here:
        _refuse_broken(values, len(digests), len(images))
    warnings = []
    if low == high:
        warnings.append(f"every pixel value is {low}")
    elif high - low < NARROW_SPAN:
        warnings.append(f"pixel values span only {low} to {high} of 0 to 255")
    if len(digests) < FEW_DISTINCT * len(images):
        warnings.append(f"only {len(digests)} of {len(images)} images are distinct")
    if high - low >= SMALLEST_SPAN and jpeg_score(images) > JPEG_SCORE:
        warnings.append("the images were JPEG-compressed once: compare them only with images that were, too")
    mean = float(counts @ np.arange(256)) / images.size
    stats = {"min": low, "max": high, "mean": mean, "dtype": str(images.dtype), "distinct": len(digests)}
    return stats, warnings


def drawn_here(info: Mapping[str, Any]) -> bool:
    """Whether a file of images, by its info, contains samples that this package drew from a model."""
    return info.get("model_sha256") is not None


def _refuse_broken(values: NDArray[Any], distinct: int, count: int) -> None:
    """Raise InputError if the values show that the file's writer confused scales, or if all images are the same.

    values: those that occur, in rising order. distinct: how many of the `count` images differ.
    """
    low, high = int(values[0]), int(values[-1])
    if low == high:
        raise InputError(
            f"images: every value is {low}, expected images (floats in [-0.5, 0.5] or [0, 1) become this "
            "when they are cast to uint8 without scaling)"
        )
    # -1, 0, 1 as uint8 are 255, 0, 1. Two-level images, of 0 and 255 only, are possible.
    if set(values.tolist()) <= {0, 1, 2, 3, 253, 254, 255} and not set(values.tolist()) <= {0, 255}:
        raise InputError(
            f"images: the only values are {values.tolist()}: floats cast to uint8 without scaling; expected 0..255"
        )
    if high - low < SMALLEST_SPAN:
        raise InputError(f"images: values span {low} to {high}, expected a range of at least {SMALLEST_SPAN} levels")
    if distinct == 1 and count > 1:
        raise InputError(f"images: all {count} are the same, expected images that differ")


def jpeg_score(images: NDArray[np.uint8]) -> float:
    """How much the images look like decoded JPEG: about 0 if they do not, 0.5 to 1 for qualities up to 85 or 90.

    JPEG rounds the cosine transform of each 8 x 8 block to multiples of a step; after decoding, values are still close
    to these. For low frequencies, the mean of cos(2 pi c / step), over coefficients c that are not rounded to zero, is
    near 1 for the right step and 0 for smooth distributions. The score is the median over frequencies of the largest
    mean over steps. Grid positions are those of whole images: the score misses JPEGs that were cropped or resized, and
    may miss clipped drawings. Images enlarged by repeating each pixel an even number of times score 0: their
    transforms are coarse, too.
    images: uint8 (N, H, W, C). Source: Fan and de Queiroz 2003, "Identification of bitmap compression history".
    """
    blocks_down, blocks_across = images.shape[1] // 8, images.shape[2] // 8
    if not blocks_down or not blocks_across:
        return 0.0
    chosen = images[:JPEG_IMAGES, : 8 * blocks_down, : 8 * blocks_across]
    if np.array_equal(chosen[:, ::2], chosen[:, 1::2]) and np.array_equal(chosen[:, :, ::2], chosen[:, :, 1::2]):
        return 0.0
    chosen = chosen.astype(np.float64)
    luminance = chosen @ [0.299, 0.587, 0.114] if chosen.shape[3] == 3 else chosen[..., 0]
    blocks = luminance.reshape(-1, blocks_down, 8, blocks_across, 8).swapaxes(2, 3).reshape(-1, 8, 8)
    frequency, position = np.mgrid[:8, :8]
    cosines = np.cos(np.pi * (2 * position + 1) * frequency / 16) * np.where(frequency == 0, 0.125**0.5, 0.5)
    transformed = cosines @ (blocks - 128) @ cosines.T
    scores = []
    for vertical, horizontal in ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0)):
        values = transformed[:, vertical, horizontal]
        rounded = [values[np.abs(values) > step / 2] / step for step in range(3, 41)]
        scores.append(max(float(np.cos(2 * np.pi * x).mean()) if len(x) > 50 else 0.0 for x in rounded))
    return float(np.median(scores))
