"""KID, the kernel distance: whether two sets of features could be of one distribution, without a Gaussian's bias."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import check_pair, with_progress
from genbench.metrics.metric import Inputs, Metric, Value


def kid(
    real: NDArray[Any], fake: NDArray[Any], subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
    """Mean and standard deviation over random subsets of the unbiased MMD^2 with the kernel (x.y / D + 1)^3.

    real (N, D), fake (M, D); the raw value, which tables show times 1000. Slightly negative values are right for equal
    distributions. Products x.y are of the features' own precision, and sums in float64, as in torch-fidelity and
    clean-fid. Raises InputError when a set is smaller than a subset, its features are not finite, or the real ones
    constant.
    Source: Binkowski et al. 2018 (arXiv 1801.01401), section 4.
    """
    check_pair(real, fake, least=subset_size)
    random = np.random.RandomState(seed)  # the generator, and so the subsets, of torch-fidelity(real, fake)
    n = subset_size
    values = []
    for _ in with_progress(range(subsets), "KID, subset"):
        x = real[random.choice(len(real), n, replace=False)]
        y = fake[random.choice(len(fake), n, replace=False)]
        within = _kernel_sum(x, x) + _kernel_sum(y, y)
        values.append(within / (n * (n - 1)) - 2 * _kernel_sum(x, y) / (n * n))
    return float(np.mean(values)), float(np.std(values))


def _kernel_sum(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Sum of (x_i.y_j / D + 1)^3 over all i and j; where x is y, over those that are not the same."""
    base = x @ y.T  # of x with itself NumPy computes one half only
    base /= x.shape[1]
    base += 1
    if x is y:
        np.fill_diagonal(base, 0)
    cube = np.square(base)
    cube *= base
    return float(cube.sum(dtype=np.float64))


def _kid(inputs: Inputs) -> Value:
    """KID, with the subsets that it is the mean of."""
    options = inputs.options
    subsets, size = options.kid_subsets, options.kid_subset_size
    mean, std = kid(inputs.real.features, inputs.fake.features, subsets, size, options.kid_seed)
    return Value(mean, std, f"{subsets} subsets of {size}")


KID = Metric(
    name="kid",
    label="KID",
    definition="unbiased squared maximum mean discrepancy with the kernel (x.y/d + 1)^3, mean over random subsets",
    direction="lower",
    source="Binkowski et al. 2018, arXiv 1801.01401",
    compute=_kid,
    minimum=lambda dim, options: options.kid_subset_size,
    minimum_rule="kid_subset_size",
    compared=6,
    power=3,
)
