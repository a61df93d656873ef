"""KID's kernel over random subsets of two sets: summed from products, or from distances that are already computed."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import with_progress
from genbench.metrics.neighbours import slices

Indices = NDArray[np.int64]


class Tally(NamedTuple):
    """For each subset: the sum of each row of one set (subsets, size), and the sum of squares (subsets,)."""

    rows: NDArray[np.float64]
    squares: NDArray[np.float64]


def draw_subsets(n_real: int, n_fake: int, subsets: int, size: int, seed: int) -> tuple[Indices, Indices]:
    """Random subsets (subsets, size) of the indices of both sets, sorted: the same as torch-fidelity(real, fake)."""
    random = np.random.RandomState(seed)
    pairs = [np.sort(random.choice(count, size, replace=False)) for _ in range(subsets) for count in (n_real, n_fake)]
    found = np.array(pairs, dtype=np.int64).reshape(subsets, 2, size)
    return found[:, 0], found[:, 1]


def kernel_sums(
    x: NDArray[Any], y: NDArray[Any], of_x: Indices, of_y: Indices, what: str, tallied: bool = False
) -> tuple[NDArray[np.float64], Tally]:
    """Sums (subsets,) of (x_i.y_j / D + 1)^3 over i and j in each subset; if x is y, over i and j that differ.

    tallied: whether to fill the Tally of the rows of y, which is otherwise empty.
    """
    sums, rows_of, squares = [], [], []
    for i, j in with_progress(list(zip(of_x, of_y, strict=True)), f"{what}, subset"):
        rows = x[i]
        base = rows @ (rows if x is y else y[j]).T  # for rows with themselves, NumPy computes only one half
        base /= x.shape[1]
        base += 1
        cubes = _cubes(base, but_diagonal=x is y)
        sums.append(float(cubes.sum(dtype=np.float64)))
        if tallied:
            rows_of.append(cubes.sum(axis=0, dtype=np.float64))
            squares.append(float(np.vdot(cubes, cubes)))
    return np.array(sums), Tally(np.array(rows_of), np.array(squares))


class KernelSums:
    """The same `sums` for x (N, D) and y (M, D), from tiles of their squared distances, and the tally of x's rows.

    x.y = (|x|^2 + |y|^2 - |x - y|^2) / 2. Tiles are those of `distance_tiles`.
    """

    def __init__(self, x: NDArray[Any], y: NDArray[Any], of_x: Indices, of_y: Indices) -> None:
        self.sums = np.zeros(len(of_x))
        self._same, self._dim = x is y, x.shape[1]
        self._squares = _squares(x), _squares(y)
        self._subsets = list(zip(of_x, of_y, strict=True))
        self._rows, self._squared = np.zeros(of_x.shape), np.zeros(len(of_x))

    def tally(self) -> Tally:
        """The tally of the tiles so far."""
        return Tally(self._rows, self._squared)

    def see(self, rows: slice, columns: slice, squared: NDArray[np.float32]) -> None:
        times = 2 if self._same and rows != columns else 1  # stands for its mirror image below the diagonal, too
        for subset, (of_x, of_y) in enumerate(self._subsets):
            own, others = _part(of_x, rows), _part(of_y, columns)
            i, j = of_x[own], of_y[others]
            base = self._squares[0][i][:, None] + self._squares[1][j]
            base -= squared[np.ix_(i - rows.start, j - columns.start)]
            base /= 2 * self._dim
            base += 1
            cubes = _cubes(base, but_diagonal=self._same and rows == columns)
            self.sums[subset] += times * float(cubes.sum(dtype=np.float64))
            self._rows[subset, own] += cubes.sum(axis=1)
            if times == 2:
                self._rows[subset, others] += cubes.sum(axis=0)
            self._squared[subset] += times * np.vdot(cubes, cubes)


def kid_of_sums(
    real: NDArray[np.float64], fake: NDArray[np.float64], between: NDArray[np.float64], size: int
) -> tuple[float, float]:
    """Mean and standard deviation over subsets of the unbiased MMD^2, from the three sums of each."""
    values = (real + fake) / (size * (size - 1)) - 2 * between / size**2
    return float(np.mean(values)), float(np.std(values))


def kid_changes(count: int, of_fake: Indices, within: Tally, between: Tally) -> tuple[NDArray[np.float64], float]:
    """The share of each of `count` generated images in KID (N,), and the variance of KID's second-order part.

    within, between: tallies of the generated images of each subset, with each other and with the real ones. The shares
    are Hoeffding's projection (1948) of a U-statistic. The variance is 2 E k^2 over the number of pairs, where k is the
    kernel minus its projections; the number allows for pairs that occur in several subsets.
    """
    subsets, size = of_fake.shape
    mean_within, mean_between = within.rows / (size - 1), between.rows / size
    mean = mean_within.mean(axis=1, keepdims=True)
    apart = mean_within - mean
    shares = 2 / (size * subsets) * (apart - mean_between + mean_between.mean(axis=1, keepdims=True))
    changes: NDArray[np.float64] = np.bincount(of_fake.ravel(), shares.ravel(), count).astype(np.float64)
    rest = within.squares / (size * (size - 1)) - mean[:, 0] ** 2 - 2 * np.square(apart).mean(axis=1)
    return changes, float(2 * rest.mean().clip(min=0) * (1 / count**2 + 1 / (subsets * size**2)))


def _cubes(base: NDArray[Any], but_diagonal: bool) -> NDArray[Any]:
    if but_diagonal:
        np.fill_diagonal(base, 0)
    cubes: NDArray[Any] = np.square(base)
    cubes *= base
    return cubes


def _squares(features: NDArray[Any]) -> NDArray[np.float64]:
    found = np.empty(len(features))
    for rows in slices(len(features)):
        found[rows] = np.square(features[rows], dtype=np.float64).sum(axis=1)
    return found


def _part(indices: Indices, rows: slice) -> slice:
    start, end = np.searchsorted(indices, (rows.start, rows.stop))
    return slice(int(start), int(end))
