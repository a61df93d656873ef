"""KID, the kernel distance: whether two sets of features could come from one distribution; unbiased, unlike FID."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import check_pair
from genbench.metrics.intervals import changed_without
from genbench.metrics.kernel import draw_subsets, kernel_sums, kid_changes, kid_of_sums
from genbench.metrics.metric import SPATIAL, Inputs, Metric, Value
from genbench.metrics.precision_recall import MANIFOLDS, manifolds


def kid(
    real: NDArray[Any], fake: NDArray[Any], subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
    """Mean and standard deviation over random subsets of the unbiased MMD^2 with the kernel (x.y / D + 1)^3.

    real (N, D), fake (M, D). Tables show this value times 1000. Slightly negative values are correct for equal
    distributions. Products x.y have the features' own precision, and sums are in float64, as in torch-fidelity and
    clean-fid. Raises InputError if a set is smaller than a subset, if features are not finite, or if real ones are
    constant.
    Source: Binkowski et al. 2018 (arXiv 1801.01401), section 4.
    """
    mean, std, _ = _kid_of(real, fake, subsets, subset_size, seed, None)
    return mean, std


def _kid_of(
    real: NDArray[Any], fake: NDArray[Any], subsets: int, size: int, seed: int, groups: NDArray[np.int64] | None
) -> tuple[float, float, NDArray[np.float64] | None]:
    """KID, its standard deviation between subsets, and KID without each group of generated images."""
    check_pair(real, fake, least=size)
    of_real, of_fake = draw_subsets(len(real), len(fake), subsets, size, seed)
    within_real, _ = kernel_sums(real, real, of_real, of_real, "KID, real images")
    within_fake, tally = kernel_sums(fake, fake, of_fake, of_fake, "KID, generated images", groups is not None)
    between, tally_both = kernel_sums(real, fake, of_real, of_fake, "KID, both", groups is not None)
    mean, std = kid_of_sums(within_real, within_fake, between, size)
    if groups is None:
        return mean, std, None
    changes, doubled = kid_changes(len(fake), of_fake, tally, tally_both)
    return mean, std, changed_without(mean, changes, groups, doubled)


def _kid(inputs: Inputs) -> Value:
    """KID, with a note on its subsets. If distances are computed anyway, two of its three sums come from them."""
    real, fake, options = inputs.real.features, inputs.fake.features, inputs.options
    subsets, size = options.kid_subsets, options.kid_subset_size
    if inputs.wanted.isdisjoint(MANIFOLDS):
        mean, std, without = _kid_of(real, fake, subsets, size, options.kid_seed, inputs.groups)
    else:
        check_pair(real, fake, least=size)
        found = inputs.once(manifolds)
        (mean, std), without = found.kid, found.without.get("kid")
    return Value(mean, std, f"{subsets} subsets of {size}", without=without)


KID = Metric(
    name="kid",
    label="KID",
    definition="unbiased squared maximum mean discrepancy with the kernel (x.y/d + 1)^3, mean over random subsets",
    direction="lower",
    source="Binkowski et al. 2018, arXiv 1801.01401",
    compute=_kid,
    besides=(SPATIAL,),
    minimum=lambda dim, options: options.kid_subset_size,
    minimum_rule="kid_subset_size",
    compared=6,
    power=3,
)
