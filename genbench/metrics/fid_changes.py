"""The effect of each image on a Frechet distance, to first order: one symmetric eigenvalue problem and one product.

The derivative of FD with respect to the covariance S2 of the generated images is I - T. Here T = R (R^T S2 R)^{-1/2}
R^T, with R R^T = S1, is the optimal map between the two Gaussians. With respect to their mean it is 2 (mu2 - mu1). This
replaces twenty covariances, each without a group of images, and the roots of their products.
Source: Olkin and Pukelsheim 1982, doi 10.1016/0024-3795(82)90112-4, on the map; Efron 1982, chapter 6, on derivatives.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.metric import Statistics

Array = NDArray[np.float64]
ROWS = 4096


def changes_of_fd(of_real: Statistics, root: Array, of_fake: Statistics, fake: NDArray[Any]) -> tuple[Array, float]:
    """The share of each image in FD (N,), with the sum 0, and the variance of FD's second-order part.

    root: R of the real images' covariance. fake: features (N, D), with the statistics `of_fake`. The variance is
    that of Gaussian features. If both sets are almost alike, FD is a sum of squares, and its derivative is only noise.
    """
    (mu1, _), (mu2, sigma2), count = of_real, of_fake, len(fake)
    eigenvalues, eigenvectors = np.linalg.eigh(root.T @ sigma2 @ root)
    there = eigenvalues > len(eigenvalues) * np.finfo(np.float64).eps * eigenvalues[-1]
    roots = np.sqrt(eigenvalues[there])
    half_map = ((root @ eigenvectors[:, there]) / np.sqrt(roots)).astype(np.float32)  # T = half_map half_map^T
    shift = (2 * (mu2 - mu1)).astype(np.float32)
    changes = np.empty(count)
    for start in range(0, count, ROWS):
        x = (fake[start : start + ROWS] - mu2).astype(np.float32)
        mapped = x @ half_map
        changes[start : start + ROWS] = np.vecdot(x, x) - np.vecdot(mapped, mapped) + x @ shift
    in_pairs = roots[:, None] * roots / (roots[:, None] + roots)
    doubled = np.square(in_pairs).sum() + np.square(roots).sum() / 4 + 2 * np.square(sigma2).sum()
    return (changes - changes.mean()) / count, float(doubled) / count**2


def changes_of_fd_infinity(changes: Array, order: NDArray[np.int64], ends: NDArray[np.int64]) -> Array:
    """The share of each image in FD-infinity (N,), the intercept over 1/N.

    changes: those of FD. order, ends: the order of the images, and the sizes of the subsets. Each subset's FD is given
    the derivative of the whole set's FD.
    """
    weights = np.linalg.pinv(np.column_stack([1 / ends, np.ones(len(ends))]))[1]  # each size's in the intercept
    found, of_all = np.zeros(len(changes)), changes[order] * len(changes)
    for end, weight in zip(ends, weights, strict=True):
        part = of_all[:end]
        found[order[:end]] += weight / end * (part - part.mean())
    return found
