"""Distances between all pairs of two sets of features, by blocks of rows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import with_progress


def distance_blocks(
    x: NDArray[np.float32], y: NDArray[np.float32], what: str
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Rows of x (N, D) and their squared distances (rows, M) to all of y (M, D), block by block; `what` is logged."""
    for rows in with_progress(row_blocks(len(x), len(y)), f"{what}, block"):
        yield rows, squared_distances(x[rows], y)


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
