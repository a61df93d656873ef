"""How much a number would change if the images were drawn again: the delete-a-group jackknife, from one set of images.

The generated images are split into GROUPS, and `without` contains the number without each of these. The spread of these
numbers estimates the variance between redraws. No image occurs twice, unlike in a bootstrap, where duplicates bias
distances and neighbours. The real images stay the same, since all rows of a table are compared with the same ones.
Sources: Shao and Wu 1989, doi 10.1214/aos/1176347263; Kott 2001, Journal of Official Statistics 17(4).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUPS = 20
QUANTILE = 2.093024  # of Student's t with GROUPS - 1 degrees of freedom, for 95 %
SEED = 0  # of the split into groups
Array = NDArray[np.float64]


def groups_of(count: int, labels: NDArray[np.int64] | None = None) -> NDArray[np.int64] | None:
    """A random group, 0 to GROUPS - 1, for each of `count` images; None for fewer than two images per group.

    labels: the requested classes of the images (N,), if any. All groups then have equally many images of a class.
    """
    if count < 2 * GROUPS:
        return None
    order = np.random.default_rng(SEED).permutation(count)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    groups = np.empty(count, dtype=np.int64)
    groups[order] = np.arange(count) % GROUPS
    return groups


def mean_without(values: NDArray[Any], groups: NDArray[np.int64]) -> Array:
    """The mean of one value per image (N,), without each group: (GROUPS,)."""
    sums, sizes = np.bincount(groups, values, GROUPS), np.bincount(groups, minlength=GROUPS)
    return np.asarray((sums.sum() - sums) / (len(values) - sizes))


def changed_without(value: float, changes: NDArray[Any], groups: NDArray[np.int64], doubled: float = 0.0) -> Array:
    """A number without each group, to first order: (GROUPS,).

    changes: the share of each image in the number (N,): the derivative with respect to its weight, with the sum 0.
    doubled: the variance of the number's second-order part, which matters for a distance between sets that are almost
        alike. The derivative counts it twice; it is subtracted once.
    """
    sums, sizes = np.bincount(groups, changes, GROUPS), np.bincount(groups, minlength=GROUPS)
    return calmed(value, value - sums * len(changes) / (len(changes) - sizes), doubled, least=doubled)


def calmed(value: float, without: NDArray[Any], excess: float, least: float) -> Array:
    """Move `without` towards the value until its variance is smaller by `excess`, but not below `least`."""
    found = deviation(without) ** 2
    kept = min(1.0, max(found - excess, least) / found) if found > 0 else 1.0
    return np.asarray(value + np.sqrt(kept) * (without - value))


def deviation(without: NDArray[Any]) -> float:
    """The standard deviation between redraws, estimated from a number without each group."""
    return float(np.sqrt((len(without) - 1) / len(without) * np.square(without - np.mean(without)).sum()))


def interval(value: float, without: NDArray[Any]) -> tuple[float, float]:
    """The 95 % interval around the value, by Student's t."""
    half = QUANTILE * deviation(without)
    return value - half, value + half


def share_interval(share: float, without: NDArray[Any], count: int) -> tuple[float, float]:
    """The 95 % interval of a share, within 0 and 1: Wilson's, for the number of independent images that would give the
    same deviation.

    count: the number of images, which is used for a share of 0 or 1.
    """
    found, binomial = deviation(without) ** 2, share * (1 - share)
    z2 = QUANTILE**2 * (found / binomial if found > 0 and binomial > 0 else 1 / count)
    middle, half = share + z2 / 2, np.sqrt(binomial * z2 + z2**2 / 4)
    low, high = float((middle - half) / (1 + z2)), float((middle + half) / (1 + z2))
    return max(0.0, min(low, share)), min(1.0, max(high, share))  # rounding could leave a share of 1 outside
