"""Nearest neighbours: fidelity and variety by the manifolds of two sets, and what was learnt by heart."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import check_pair, with_progress

NEAR_QUANTILE = 0.05  # of the test images' distances to training images: nearer than that is suspiciously near


def precision_recall_density_coverage(
    real: NDArray[Any], fake: NDArray[Any], precision_k: int = 3, density_k: int = 5
) -> dict[str, float]:
    """Fidelity and variety, from balls around every sample that reach to its k-th nearest neighbour in its own set.

    precision: share of generated samples inside the ball of some real one. recall: share of real samples inside the
    ball of some generated one (both with k = precision_k). density: how many real balls a generated sample lies in,
    over k. coverage: share of real samples whose ball holds a generated one (both with k = density_k).
    real (N, D), fake (M, D); float32 distances, by blocks of rows, so that 50,000 x 50,000 needs little memory.
    Raises InputError for k samples or fewer, and for features that are not finite or constant.
    Sources: Kynkaanniemi et al. 2019 (arXiv 1904.06991); Naeem et al. 2020 (arXiv 2002.09797).
    """
    check_pair(real, fake, least=max(precision_k, density_k) + 1)
    # Distances are what they were after a shift, and their float32 error is smaller around the origin.
    centre = real.mean(axis=0, dtype=np.float64)
    real, fake = ((features - centre).astype(np.float32) for features in (real, fake))
    precision_radii, density_radii = _squared_radii(real, (precision_k, density_k), "real")
    (recall_radii,) = _squared_radii(fake, (precision_k,), "generated")

    precise = np.zeros(len(fake), dtype=bool)
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    balls = 0
    for rows in with_progress(row_blocks(len(fake), len(real)), "distances from generated to real images, block"):
        squared = squared_distances(fake[rows], real)  # (rows, N)
        precise[rows] = (squared <= precision_radii).any(axis=1)
        recalled |= (squared <= recall_radii[rows, None]).any(axis=0)
        inside = squared <= density_radii
        balls += int(np.count_nonzero(inside))
        covered |= inside.any(axis=0)
    return {
        "precision": float(precise.mean()),
        "recall": float(recalled.mean()),
        "density": balls / (density_k * len(fake)),
        "coverage": float(covered.mean()),
    }


def nearest(train: NDArray[Any], features: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distance (N,) from each of `features` (N, D) to its nearest training sample (M, D), and that one's index (N,).

    By blocks of rows, as the manifolds. Raises InputError on features that are not finite or constant.
    """
    check_pair(train, features, least=1)
    centre = train.mean(axis=0, dtype=np.float64)
    train, features = ((array - centre).astype(np.float32) for array in (train, features))
    distances = np.empty(len(features), dtype=np.float32)
    indices = np.empty(len(features), dtype=np.int64)
    for rows in with_progress(row_blocks(len(features), len(train)), "nearest training images, block"):
        squared = squared_distances(features[rows], train)
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


def _squared_radii(points: NDArray[np.float32], ks: tuple[int, ...], what: str) -> NDArray[np.float32]:
    """Squared distance (len(ks), N) from every point (N, D) to its k-th nearest other point."""
    radii = np.empty((len(ks), len(points)), dtype=np.float32)
    order = [k - 1 for k in ks]
    for rows in with_progress(row_blocks(len(points), len(points)), f"neighbours of {what} images, block"):
        squared = squared_distances(points[rows], points)
        squared[np.arange(len(squared)), np.arange(rows.start, rows.stop)] = np.inf  # a point is not its own neighbour
        squared.partition(order, axis=1)
        radii[:, rows] = squared[:, order].T
    return radii


def squared_distances(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared Euclidean distances (len(x), len(y)) as |x|^2 + |y|^2 - 2 x.y, in place: one matrix product."""
    squared = x @ y.T
    squared *= -2
    squared += np.einsum("nd,nd->n", x, x)[:, None]
    squared += np.einsum("nd,nd->n", y, y)
    return np.maximum(squared, 0, out=squared)


def row_blocks(rows: int, columns: int, elements: int = 1 << 24) -> list[slice]:
    """Slices over the rows of a (rows, columns) matrix, of about `elements` entries (64 MB in float32) each."""
    step = max(1, elements // columns)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
