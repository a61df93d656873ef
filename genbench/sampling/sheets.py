"""Pictures of image files: part of a set, and samples above their nearest training images. Imports no torch."""

import os
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genbench.data import choose, load_image_set, load_images
from genbench.errors import InputError
from genbench.metrics import METRICS
from genbench.records.metrics import Metrics
from genbench.records.record import read_record
from genbench.sampling.grids import blank, grid, save_png


def draw_grid(images: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Draw 100 random images of a prepared split, always the same, as a PNG."""
    pixels = load_image_set(images).images
    save_png(out, grid(pixels[choose(len(pixels))[:100]], columns=10))


def draw_neighbours(
    metrics: str | os.PathLike[str],
    samples: str | os.PathLike[str],
    train: str | os.PathLike[str],
    out: str | os.PathLike[str],
    headline: str,
) -> None:
    """Draw the first 30 samples, and below each the training image that is nearest to it, as a PNG.

    metrics: metrics.json, evaluated with test images. headline: a metric; images are nearest in its features, or in
    others if there are none in these. If no images were drawn, or too few, the picture is blank. Raises InputError
    without nearest images.
    """
    evaluation = read_record(metrics, Metrics)
    few = any(warning.startswith(f"{METRICS['memorised'].label} is left out") for warning in evaluation.warnings)
    if few or evaluation.unavailable is not None:  # too few images, or none drawn: the report says why
        save_png(out, blank(*load_image_set(train).images.shape[1:]))
        return
    found = {key: metric.neighbours for key, metric in evaluation.metrics.items() if metric.neighbours}
    if not found:
        raise InputError(f"{metrics}: found no nearest training images; expected an evaluation with --test")
    features = re.sub("^[a-z]+_", "", headline)  # fid_clean: clean
    chosen = next((near for key, near in found.items() if key.endswith(features)), next(iter(found.values())))
    nearest = chosen.index[:30]
    drawn, _ = load_images(samples)
    real = load_image_set(train).images
    save_png(out, above_their_neighbours(drawn, real, nearest))


def above_their_neighbours(
    drawn: NDArray[np.uint8], real: NDArray[np.uint8], nearest: Sequence[int]
) -> NDArray[np.uint8]:
    """A sheet (H', W', 3) of images `drawn`, ten per row, and below each its nearest image in `real`.

    nearest: the indices of these, for the first images of `drawn`. Images are uint8 (N, H, W, C) of one shape. A last
    row of fewer than ten is left out if there are others.
    """
    rows = [
        row
        for start in range(0, len(nearest), 10)
        for row in (drawn[start : start + 10], real[list(nearest[start : start + 10])])
    ]
    rows = [row for row in rows if len(row) == 10] or rows
    return grid(np.concatenate(rows), columns=10)
