"""Distances between all pairs of two sets of features, tile by tile, and nearest neighbours."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import with_progress

TILE = 2048  # rows and columns: 16 MB of distances at a time, and a matrix product large enough to run at full speed


def distance_tiles(
    x: NDArray[Any], y: NDArray[Any], centre: NDArray[np.float32], what: str
) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
    """Rows of x (N, D), rows of y (M, D), and the squared distances between them, tile by tile. `what` is logged.

    If x is y, yields only the tiles on and above the diagonal: those below are their transposes. centre: a point (D,)
    near the features, which is subtracted: this keeps distances the same, and their float32 error is smaller near 0.
    """
    tiles = [
        (rows, columns)
        for rows in slices(len(x))
        for columns in slices(len(y))
        if x is not y or columns.start >= rows.start
    ]
    previous = None
    for rows, columns in with_progress(tiles, f"{what}, tile"):
        if rows != previous:
            of_rows, previous = shifted(x[rows], centre), rows
        of_columns = of_rows if x is y and rows == columns else shifted(y[columns], centre)
        yield rows, columns, squared_distances(of_rows, of_columns)


def squared_distances(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared Euclidean distances (len(x), len(y)) as |x|^2 + |y|^2 - 2 x.y, in place: one matrix product."""
    squared: NDArray[np.float32] = x @ y.T
    squared *= -2
    squared += np.vecdot(x, x)[:, None]
    squared += np.vecdot(y, y)
    return np.maximum(squared, 0, out=squared)


def shifted(features: NDArray[Any], centre: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features (N, D) minus `centre` (D,), in float32."""
    return np.subtract(features, centre).astype(np.float32, copy=False)


def centre_of(features: NDArray[Any]) -> NDArray[np.float32]:
    """The mean of the features (D,)."""
    return features.mean(axis=0, dtype=np.float64).astype(np.float32)


def slices(count: int) -> list[slice]:
    """Slices over `count` rows, of TILE each."""
    return [slice(start, min(start + TILE, count)) for start in range(0, count, TILE)]


def neighbour_distances(
    points: NDArray[Any],
    k: int,
    centre: NDArray[np.float32],
    what: str,
    watch: Callable[[slice, slice, NDArray[np.float32]], None] = lambda rows, columns, squared: None,
) -> NDArray[np.float32]:
    """Squared distances (k, N) from every point (N, D) to its k nearest other points, the nearest first.

    watch: called with every tile.
    """
    smallest = np.full((len(points), k), np.inf, dtype=np.float32)

    def see(rows: slice, squared: NDArray[np.float32]) -> None:
        known = smallest[rows]
        nearer = np.flatnonzero((squared < known[:, -1:]).any(axis=1))  # the others already have their k
        found = np.concatenate([known[nearer], squared[nearer]], axis=1)
        found.partition(k - 1, axis=1)
        known[nearer] = found[:, :k]
        known.sort(axis=1)

    for rows, columns, squared in distance_tiles(points, points, centre, what):
        watch(rows, columns, squared)
        if rows == columns:
            np.fill_diagonal(squared, np.inf)  # a point is not its own neighbour
        else:
            see(columns, squared.T)
        see(rows, squared)
    return smallest.T


class Nearest:
    """For each of N rows, the index of its nearest other point, found from tiles of distances."""

    def __init__(self, count: int) -> None:
        self.indices = np.zeros(count, dtype=np.int64)
        self._squared = np.full(count, np.inf, dtype=np.float32)

    def see(self, rows: slice, columns: slice, squared: NDArray[np.float32]) -> None:
        index = squared.argmin(axis=1)
        found = np.take_along_axis(squared, index[:, None], axis=1)[:, 0]
        nearer = np.flatnonzero(found < self._squared[rows])
        self.indices[rows][nearer] = index[nearer] + columns.start
        self._squared[rows][nearer] = found[nearer]

    def distances(self, features: NDArray[Any], train: NDArray[Any]) -> NDArray[np.float32]:
        """Distance from each of `features` (N, D) to its nearest in `train` (M, D), in float64: 0 for a copy."""
        found = np.empty(len(features), dtype=np.float32)
        for rows in slices(len(features)):
            apart = np.subtract(features[rows], train[self.indices[rows]], dtype=np.float64)
            found[rows] = np.sqrt(np.einsum("nd,nd->n", apart, apart))
        return found
