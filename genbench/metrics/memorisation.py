"""Memorisation: the nearest training images, and the share of generated images that are suspiciously near to one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.metrics.checks import check_pair
from genbench.metrics.metric import Inputs, Metric, Value
from genbench.metrics.neighbours import distance_blocks

NEAR_QUANTILE = 0.05  # of the test images' distances to training images: nearer than that is suspiciously near


def nearest(train: NDArray[Any], features: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distance (N,) from each of `features` (N, D) to its nearest training sample (M, D), and that one's index (N,).

    By blocks of rows, as the manifolds. Raises InputError on features that are not finite, and on training
    ones that are constant.
    """
    check_pair(train, features, least=1)
    centre = train.mean(axis=0, dtype=np.float64)
    train, features = ((array - centre).astype(np.float32) for array in (train, features))
    distances = np.empty(len(features), dtype=np.float32)
    indices = np.empty(len(features), dtype=np.int64)
    for rows, squared in distance_blocks(features, train, "nearest training images"):
        indices[rows] = squared.argmin(axis=1)
        distances[rows] = np.sqrt(squared.min(axis=1))
    return distances, indices


def memorised(fake_distances: NDArray[Any], test_distances: NDArray[Any]) -> tuple[float, float]:
    """Shares of generated images as near to a training image as the nearest 5 % of test images, and as the nearer half.

    Arguments: distances to the nearest training image, from `nearest`. A model that learnt the distribution and not the
    images has about 0.05 and 0.5, as has a second test set; one that copies has 1. Below: samples that are unlike both.
    Source: the comparison is that of Meehan et al. 2020 (arXiv 2004.05675), section 3, here at two quantiles.
    """
    near, middle = np.quantile(test_distances, [NEAR_QUANTILE, 0.5])
    return float((fake_distances <= near).mean()), float((fake_distances <= middle).mean())


def _memorised(inputs: Inputs) -> Value:
    """The share at the nearest 5 %; that at the nearer half and the neighbours of the first samples stand beside it."""
    real, holdout = inputs.real, inputs.holdout
    if holdout is None:
        raise InputError("test images: found none, expected their features")
    if holdout.info.get("images_sha256", "") == real.info.get("images_sha256"):
        raise InputError("test images: found the training images themselves, expected others")
    distances, indices = nearest(real.features, inputs.fake.features)
    share, near_half = memorised(distances, nearest(real.features, holdout.features)[0])
    first = slice(inputs.options.neighbours)
    neighbours = {"index": indices[first].tolist(), "distance": distances[first].tolist()}
    note = f"against {len(holdout.features):,} test images"
    return Value(share, note=note, more={"nearer_than_median": near_half, "neighbours": neighbours})


MEMORISED = Metric(
    name="memorised",
    label="Memorised",
    definition=f"share of generated images nearer to a training image than all but {NEAR_QUANTILE:.0%} of the test "
    f"images are; {NEAR_QUANTILE:.0%} without memorisation, more with it",
    direction=None,  # below 5 % nothing is better: samples are then unlike both
    source="after Meehan et al. 2020, arXiv 2004.05675",
    compute=_memorised,
    needs=("features", "holdout"),
    minimum=lambda dim, options: round(1 / NEAR_QUANTILE),
    minimum_rule=f"{round(1 / NEAR_QUANTILE)} test images",
    optional=True,
    compared=8,
    printed="proportion",
)
