"""Whether two numbers are the same: one test for the ties of the table, for `verify` and for `merge`.

Each number is a mean over runs (training seeds, or draws of one model). Two means are compared by a paired t-test if
both have the same seeds, and else by Welch's t-test, whose degrees of freedom follow from both variances (Welch 1947).
A single run is assigned the variance of the other side's runs. Two single runs are compared by a jackknife over groups
of images, pair by pair if both used the same seeds. Holm's correction (1979) over all comparisons of one question keeps
the probability of any false alarm among them at LEVEL.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

from scipy.special import stdtr

LEVEL = 0.05
Runs = Mapping[Any, float]  # the value of each run, by its seeds


@dataclass(frozen=True)
class Difference:
    """The difference between two means.

    size: the first minus the second. p: the p-value; None if it is unknown, because neither side has several runs or
    groups of images, or because a single run is compared with runs that are all equal. runs: number of runs on each
    side. paired: whether runs or groups were compared pairwise. of_images: whether the comparison used only the images
    of one run on each side.
    """

    size: float
    p: float | None
    runs: tuple[int, int]
    paired: bool
    of_images: bool = False


def difference(a: Runs, b: Runs, paired: bool = True) -> Difference:
    """The difference between two means over runs, with at least one run each.

    With several runs, means that agree in three digits are equal, however small their variance. paired: whether equal
    keys are runs of equal seeds, whose common effect cancels.
    """
    size, runs = fmean(a.values()) - fmean(b.values()), (len(a), len(b))
    paired = paired and a.keys() == b.keys() and len(a) > 1
    if max(runs) < 2:
        return Difference(size, None, runs, False)
    if alike(fmean(a.values()), fmean(b.values())):
        return Difference(size, 1.0, runs, paired)
    if paired:
        error, freedom = variance([a[key] - b[key] for key in a]) / len(a), len(a) - 1.0
    else:
        error, freedom = _welch(list(a.values()), list(b.values()))
    if error == 0 and min(runs) == 1:  # equal runs on one side say nothing about the spread of the other's
        return Difference(size, None, runs, paired)
    return Difference(size, _two_sided(size, error, freedom), runs, paired)


def difference_by_images(
    a: float, b: float, without_a: Sequence[float], without_b: Sequence[float], paired: bool = False
) -> Difference:
    """The difference between the values of two single runs.

    without_a, without_b: the values without each group of images. paired: whether both runs drew their images from the
    same seeds, and split them into the same groups.
    """
    if paired:
        error = _of_groups([x - y for x, y in zip(without_a, without_b, strict=True)])
        return by_errors(a, b, (error, len(without_a) - 1.0))
    return by_errors(a, b, *((_of_groups(found), len(found) - 1.0) for found in (without_a, without_b)))


def by_errors(a: float, b: float, *errors: tuple[float, float]) -> Difference:
    """The difference between two numbers with known standard errors.

    errors: (squared standard error, degrees of freedom) of both numbers, or of their difference.
    """
    total = sum(error for error, _ in errors)
    freedom = 1.0 if total == 0 else 1 / sum((error / total) ** 2 / of_one for error, of_one in errors)
    p = 1.0 if alike(a, b) else _two_sided(a - b, total, freedom)
    return Difference(a - b, p, (1, 1), len(errors) == 1, of_images=True)


def _of_groups(without: Sequence[float]) -> float:
    """The jackknife's variance."""
    mean = fmean(without)
    return (len(without) - 1) / len(without) * sum((found - mean) ** 2 for found in without)


def _welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The squared standard error of the difference between two means, and its degrees of freedom."""
    if min(len(a), len(b)) == 1:
        several = max(a, b, key=len)
        return variance(several) * (1 + 1 / len(several)), len(several) - 1.0
    of_a, of_b = variance(a) / len(a), variance(b) / len(b)
    if of_a + of_b == 0:
        return 0.0, 1.0
    share = of_a / (of_a + of_b)  # avoids the square of a squared error, which may underflow
    return of_a + of_b, 1 / (share**2 / (len(a) - 1) + (1 - share) ** 2 / (len(b) - 1))


def _two_sided(size: float, error: float, freedom: float) -> float:
    if error == 0:
        return 0.0
    return float(2 * stdtr(freedom, -abs(size) / math.sqrt(error)))


def ranks(found: Mapping[tuple[int, int], Difference], count: int, lower: bool) -> list[tuple[int, int]]:
    """The first and the last rank that each of `count` numbers may have, from tests of all pairs at one level.

    found: the difference between two numbers, by their indexes. lower: whether lower is better.
    """
    better = [0] * count
    worse = [0] * count
    for ((a, b), one), differs in zip(found.items(), are_different(list(found.values())), strict=True):
        if differs:
            first, second = (a, b) if (one.size < 0) == lower else (b, a)
            better[second] += 1
            worse[first] += 1
    return [(1 + above, count - below) for above, below in zip(better, worse, strict=True)]


def alike(a: float, b: float) -> bool:
    """Whether two numbers agree in three significant digits."""
    return f"{a:.3g}" == f"{b:.3g}"


def are_different(found: Sequence[Difference], level: float = LEVEL) -> list[bool | None]:
    """Which differences are significant, at one level for all of them; None where the p-value is unknown."""
    order = sorted(
        (place for place, one in enumerate(found) if one.p is not None), key=lambda place: found[place].p or 0.0
    )
    verdicts: list[bool | None] = [None if one.p is None else False for one in found]
    for number, place in enumerate(order):
        if (found[place].p or 0.0) > level / (len(order) - number):
            break
        verdicts[place] = True
    return verdicts
