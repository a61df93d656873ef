"""Memorisation: the nearest training images, and the share of generated images that are suspiciously near to one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.metrics.checks import check_pair
from genbench.metrics.intervals import mean_without
from genbench.metrics.metric import SPATIAL, Inputs, Metric, Reference, Value
from genbench.metrics.neighbours import Nearest, centre_of, distance_tiles
from genbench.metrics.precision_recall import MANIFOLDS, manifolds

COPY = (
    1e-4  # of the test images' median distance: what rounding makes of the distance to a copy, and no other image has
)
NEAR_QUANTILE = 0.05  # of the test images' distances to training images: nearer than that is suspiciously near


def nearest(train: NDArray[Any], features: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distance (N,) from each of `features` (N, D) to its nearest training sample (M, D), and that one's index (N,).

    Tile by tile, as the manifolds; the distance to the nearest one is then exact, so that to a copy is 0. Raises
    InputError on features that are not finite, and on training ones that are constant.
    """
    check_pair(train, features, least=1)
    found = Nearest(len(features))
    for tile in distance_tiles(features, train, centre_of(train), "nearest training images"):
        found.see(*tile)
    return found.distances(features, train), found.indices


def memorised(fake_distances: NDArray[Any], holdout_distances: NDArray[Any]) -> tuple[float, float]:
    """Shares of generated images as near to a training image as the nearest 5 % of test images, and as the nearer half.

    Arguments: distances to the nearest training image, from `nearest`. A model that learned the distribution and not
    the images has about 0.05 and 0.5, as has a second test set; one that copies has 1. Below: samples unlike both.
    Source: the comparison is that of Meehan et al. 2020 (arXiv 2004.05675), section 3, here at two quantiles.
    """
    near, middle = np.quantile(holdout_distances, [NEAR_QUANTILE, 0.5])
    return float((fake_distances <= near).mean()), float((fake_distances <= middle).mean())


def count_copies(fake_distances: NDArray[Any], holdout_distances: NDArray[Any]) -> int:
    """How many generated images are a training image itself, up to the rounding of features.

    Arguments: as of `memorised`.
    """
    return int((fake_distances <= COPY * np.median(holdout_distances)).sum())


def holdout_distances(reference: Reference) -> tuple[NDArray[np.float32]]:
    """Distance (N,) of each test image to its nearest training image. Raises InputError where there are none."""
    real, holdout = reference.real, reference.holdout
    if holdout is None:
        raise InputError("test images: found none, expected their features")
    if holdout.info.get("images_sha256", "") == real.info.get("images_sha256"):
        raise InputError("test images: found the training images themselves, expected others")
    return (nearest(real.features, holdout.features)[0],)


def _memorised(inputs: Inputs) -> Value:
    """The share at the nearest 5 %; that at the nearer half and the neighbours of the first samples stand beside it."""
    (of_test,) = inputs.reference.once(holdout_distances)
    real, fake = inputs.real.features, inputs.fake.features
    if inputs.wanted.isdisjoint(MANIFOLDS):
        distances, indices = nearest(real, fake)
    else:  # for which all distances are computed anyway
        found = inputs.once(manifolds).nearest
        distances, indices = found.distances(fake, real), found.indices
    share, near_half = memorised(distances, of_test)
    first = slice(inputs.options.neighbours)
    neighbours = {"index": indices[first].tolist(), "distance": distances[first].tolist()}
    note = f"against {len(of_test):,} test images"
    if copies := count_copies(distances, of_test):
        note += f"; {copies:,} of {len(distances):,} are copies of a training image"
    more = {"nearer_than_median": near_half, "neighbours": neighbours}
    if inputs.groups is None:
        return Value(share, note=note, more=more)
    near = distances <= np.quantile(of_test, NEAR_QUANTILE)
    return Value(share, note=note, without=mean_without(near, inputs.groups), share_of=len(fake), more=more)


MEMORISED = Metric(
    name="memorised",
    label="Memorised",
    definition=f"share of generated images nearer to a training image than all but {NEAR_QUANTILE:.0%} of the test "
    f"images are; {NEAR_QUANTILE:.0%} without memorisation, more with it",
    direction=None,  # below 5 % nothing is better: samples are then unlike both
    source="after Meehan et al. 2020, arXiv 2004.05675",
    compute=_memorised,
    besides=(SPATIAL,),
    needs=("features", "holdout"),
    of_reference=(holdout_distances,),
    minimum=lambda dim, options: round(1 / NEAR_QUANTILE),
    minimum_rule=f"{round(1 / NEAR_QUANTILE)} test images",
    optional=True,
    compared=8,
    printed="proportion",
)
