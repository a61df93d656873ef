"""Precision, recall, density and coverage: fidelity and variety by the manifolds of two sets."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import check_pair
from genbench.metrics.metric import Inputs, Metric, Value
from genbench.metrics.neighbours import distance_blocks


def precision_recall_density_coverage(
    real: NDArray[Any], fake: NDArray[Any], precision_k: int = 3, density_k: int = 5
) -> dict[str, float]:
    """Fidelity and variety, from balls around every sample that reach to its k-th nearest neighbour in its own set.

    precision: share of generated samples inside the ball of some real one. recall: share of real samples inside the
    ball of some generated one (both with k = precision_k). density: how many real balls a generated sample lies in,
    over k. coverage: share of real samples whose ball holds a generated one (both with k = density_k).
    real (N, D), fake (M, D); float32 distances, by blocks of rows, so that 50,000 x 50,000 needs little memory.
    Raises InputError for k samples or fewer, for features that are not finite, and for real ones that are constant.
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
    for rows, squared in distance_blocks(fake, real, "distances from generated to real images"):  # (rows, N)
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


def _squared_radii(points: NDArray[np.float32], ks: tuple[int, ...], what: str) -> NDArray[np.float32]:
    """Squared distance (len(ks), N) from every point (N, D) to its k-th nearest other point."""
    radii = np.empty((len(ks), len(points)), dtype=np.float32)
    order = [k - 1 for k in ks]
    for rows, squared in distance_blocks(points, points, f"neighbours of {what} images"):
        squared[np.arange(len(squared)), np.arange(rows.start, rows.stop)] = np.inf  # a point is not its own neighbour
        squared.partition(order, axis=1)
        radii[:, rows] = squared[:, order].T
    return radii


def _all_four(inputs: Inputs) -> dict[str, float]:
    options = inputs.options
    return precision_recall_density_coverage(
        inputs.real.features, inputs.fake.features, options.precision_k, options.density_k
    )


PRECISION = Metric(
    name="precision",
    label="Precision",
    definition="share of generated images inside the manifold of the real ones",
    direction="higher",
    source="Kynkaanniemi et al. 2019, arXiv 1904.06991",
    compute=lambda inputs: Value(inputs.once(_all_four)["precision"], note=f"k = {inputs.options.precision_k}"),
    minimum=lambda dim, options: max(options.precision_k, options.density_k) + 1,
    minimum_rule="k + 1 neighbours",
    compared=7,
    overview=True,
    highlight=True,
    printed="proportion",
)
RECALL = replace(
    PRECISION,
    name="recall",
    label="Recall",
    definition="share of real images inside the manifold of the generated ones",
    compute=lambda inputs: Value(inputs.once(_all_four)["recall"], note=f"k = {inputs.options.precision_k}"),
)
DENSITY = replace(
    PRECISION,
    name="density",
    label="Density",
    definition="mean number of real neighbourhoods that a generated image lies in, divided by k",
    source="Naeem et al. 2020, arXiv 2002.09797",
    compute=lambda inputs: Value(inputs.once(_all_four)["density"], note=f"k = {inputs.options.density_k}"),
    overview=False,
    highlight=False,
)
COVERAGE = replace(
    DENSITY,
    name="coverage",
    label="Coverage",
    definition="share of real images whose neighbourhood holds a generated one",
    compute=lambda inputs: Value(inputs.once(_all_four)["coverage"], note=f"k = {inputs.options.density_k}"),
)
