"""KID's kernel over random subsets of two sets: summed from products, or from distances that are computed already."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import with_progress
from genbench.metrics.neighbours import slices

Indices = NDArray[np.int64]


def draw_subsets(n_real: int, n_fake: int, subsets: int, size: int, seed: int) -> tuple[Indices, Indices]:
    """Random subsets (subsets, size) of the indices of both sets, in order: those of torch-fidelity(real, fake)."""
    random = np.random.RandomState(seed)
    pairs = [np.sort(random.choice(count, size, replace=False)) for _ in range(subsets) for count in (n_real, n_fake)]
    found = np.array(pairs, dtype=np.int64).reshape(subsets, 2, size)
    return found[:, 0], found[:, 1]


def kernel_sums(x: NDArray[Any], y: NDArray[Any], of_x: Indices, of_y: Indices, what: str) -> NDArray[np.float64]:
    """Sums (subsets,) of (x_i.y_j / D + 1)^3 over i and j in each subset; where x is y, over i and j that differ."""
    sums = []
    for i, j in with_progress(list(zip(of_x, of_y, strict=True)), f"{what}, subset"):
        rows = x[i]
        base = rows @ (rows if x is y else y[j]).T  # of rows with themselves NumPy computes one half only
        base /= x.shape[1]
        base += 1
        sums.append(_sum_of_cubes(base, but_diagonal=x is y))
    return np.array(sums)


class KernelSums:
    """The same `sums`, of x (N, D) and y (M, D), as tiles of their squared distances come in.

    x.y = (|x|^2 + |y|^2 - |x - y|^2) / 2. Tiles as by `distance_tiles`.
    """

    def __init__(self, x: NDArray[Any], y: NDArray[Any], of_x: Indices, of_y: Indices) -> None:
        self.sums = np.zeros(len(of_x))
        self._same, self._dim = x is y, x.shape[1]
        self._squares = _squares(x), _squares(y)
        self._subsets = list(zip(of_x, of_y, strict=True))

    def see(self, rows: slice, columns: slice, squared: NDArray[np.float32]) -> None:
        times = 2 if self._same and rows != columns else 1  # the tile below the diagonal does not come
        for subset, (of_x, of_y) in enumerate(self._subsets):
            i, j = _within(of_x, rows), _within(of_y, columns)
            base = self._squares[0][i][:, None] + self._squares[1][j]
            base -= squared[np.ix_(i - rows.start, j - columns.start)]
            base /= 2 * self._dim
            base += 1
            self.sums[subset] += times * _sum_of_cubes(base, but_diagonal=self._same and rows == columns)


def kid_of_sums(
    real: NDArray[np.float64], fake: NDArray[np.float64], between: NDArray[np.float64], size: int
) -> tuple[float, float]:
    """Mean and standard deviation over subsets of the unbiased MMD^2, from the three sums of each."""
    values = (real + fake) / (size * (size - 1)) - 2 * between / size**2
    return float(np.mean(values)), float(np.std(values))


def _sum_of_cubes(base: NDArray[Any], but_diagonal: bool) -> float:
    if but_diagonal:
        np.fill_diagonal(base, 0)
    cubes = np.square(base)
    cubes *= base
    return float(cubes.sum(dtype=np.float64))


def _squares(features: NDArray[Any]) -> NDArray[np.float64]:
    found = np.empty(len(features))
    for rows in slices(len(features)):
        found[rows] = np.square(features[rows], dtype=np.float64).sum(axis=1)
    return found


def _within(indices: Indices, rows: slice) -> Indices:
    start, end = np.searchsorted(indices, (rows.start, rows.stop))
    return indices[start:end]
