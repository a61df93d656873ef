"""Memorisation: the nearest training images, and the share of generated images that are suspiciously close to one."""

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
    1e-4  # of the test images' median distance: rounding keeps the distance to a copy below this, but no other image's
)
NEAR_QUANTILE = 0.05  # of the test images' distances to training images: anything closer is suspicious


def nearest(train: NDArray[Any], features: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distance (N,) from each of `features` (N, D) to its nearest training sample (M, D), and the sample's index (N,).

    Searches tile by tile, like the manifolds, then computes the smallest distance exactly: that to a copy is 0. Raises
    InputError if features are not finite, or if training ones are constant.
    """
    check_pair(train, features, least=1)
    found = Nearest(len(features))
    for tile in distance_tiles(features, train, centre_of(train), "nearest training images"):
        found.see(*tile)
    return found.distances(features, train), found.indices


def memorised(fake_distances: NDArray[Any], holdout_distances: NDArray[Any]) -> tuple[float, float]:
    """Shares of generated images as close to a training image as the closest 5 % of test images, and the closer half.

    Arguments: distances to the nearest training image, from `nearest`. A model that learned the distribution but not
    the images has about 0.05 and 0.5, like a second test set; one that copies has 1. Lower shares mean samples that
    resemble neither set.
    Source: the comparison is that of Meehan et al. 2020 (arXiv 2004.05675), section 3, here at two quantiles.
    """
    near, middle = np.quantile(holdout_distances, [NEAR_QUANTILE, 0.5])
    return float((fake_distances <= near).mean()), float((fake_distances <= middle).mean())


def count_copies(fake_distances: NDArray[Any], holdout_distances: NDArray[Any]) -> int:
    """How many generated images are copies of a training image, up to the rounding of features.

    Arguments: as in `memorised`.
    """
    return int((fake_distances <= COPY * np.median(holdout_distances)).sum())


def holdout_distances(reference: Reference) -> tuple[NDArray[np.float32]]:
    """Distance (N,) of each test image to its nearest training image. Raises InputError if there are no test images."""
    real, holdout = reference.real, reference.holdout
    if holdout is None:
        raise InputError("test images: found none, expected their features")
    if holdout.info.get("images_sha256", "") == real.info.get("images_sha256"):
        raise InputError("test images: found the training images themselves, expected others")
    return (nearest(real.features, holdout.features)[0],)


def _memorised(inputs: Inputs) -> Value:
    """The share at the closest 5 %; further keys hold that at the closer half, and the first samples' neighbours."""
    (of_test,) = inputs.reference.once(holdout_distances)
    real, fake = inputs.real.features, inputs.fake.features
    if inputs.wanted.isdisjoint(MANIFOLDS):
        distances, indices = nearest(real, fake)
    else:  # these need all distances anyway
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
    direction=None,  # less than 5 % is not better: such samples resemble neither set
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
