"""Precision, recall, density and coverage: fidelity and variety by the manifolds of two sets."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import check_features, check_pair
from genbench.metrics.kernel import KernelSums, draw_subsets, kernel_sums, kid_of_sums
from genbench.metrics.metric import SPATIAL, Inputs, Metric, Reference, Value
from genbench.metrics.neighbours import Nearest, centre_of, distance_tiles, neighbour_distances

MANIFOLDS = frozenset({"precision", "recall", "density", "coverage"})
Watch = Callable[[slice, slice, NDArray[np.float32]], None]


def precision_recall_density_coverage(
    real: NDArray[Any], fake: NDArray[Any], precision_k: int = 3, density_k: int = 5
) -> dict[str, float]:
    """Fidelity and variety, from balls around every sample that reach to its k-th nearest neighbour in its own set.

    precision: share of generated samples inside the ball of some real one. recall: share of real samples inside the
    ball of some generated one (both with k = precision_k). density: how many real balls a generated sample lies in,
    over k. coverage: share of real samples whose ball holds a generated one (both with k = density_k).
    real (N, D), fake (M, D); float32 distances, tile by tile, so that 50,000 x 50,000 needs little memory.
    Raises InputError for k samples or fewer, for features that are not finite, and for real ones that are constant.
    Sources: Kynkaanniemi et al. 2019 (arXiv 1904.06991); Naeem et al. 2020 (arXiv 2002.09797).
    """
    check_pair(real, fake, least=max(precision_k, density_k) + 1)
    radii = neighbour_distances(real, max(precision_k, density_k), centre_of(real), "neighbours of real images")
    return _manifolds(real, fake, radii, precision_k, density_k)


def _manifolds(
    real: NDArray[Any],
    fake: NDArray[Any],
    radii: NDArray[np.float32],
    precision_k: int,
    density_k: int,
    watch_fake: Watch = lambda rows, columns, squared: None,
    watch_both: Watch = lambda rows, columns, squared: None,
) -> dict[str, float]:
    """The four; radii as by `neighbour_distances` of real. What watches sees all distances on the way."""
    centre = centre_of(real)
    precision_radii, density_radii = radii[precision_k - 1], radii[density_k - 1]
    what = "neighbours of generated images"
    recall_radii = neighbour_distances(fake, precision_k, centre, what, watch_fake)[-1]
    precise = np.zeros(len(fake), dtype=bool)
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    balls = 0
    for rows, columns, squared in distance_tiles(fake, real, centre, "distances from generated to real images"):
        watch_both(rows, columns, squared)
        precise[rows] |= (squared <= precision_radii[columns]).any(axis=1)
        recalled[columns] |= (squared <= recall_radii[rows, None]).any(axis=0)
        inside = squared <= density_radii[columns]
        balls += int(np.count_nonzero(inside))
        covered[columns] |= inside.any(axis=0)
    return {
        "precision": float(precise.mean()),
        "recall": float(recalled.mean()),
        "density": balls / (density_k * len(fake)),
        "coverage": float(covered.mean()),
    }


def real_radii(reference: Reference) -> tuple[NDArray[np.float32]]:
    """Squared distances (k, N) from each real image to the k real ones nearest to it."""
    real, options = reference.real.features, reference.options
    k = max(options.precision_k, options.density_k)
    check_features("real features", real, least=k + 1)
    return (neighbour_distances(real, k, centre_of(real), "neighbours of real images"),)


class Manifolds(NamedTuple):
    """The four of a row, and what else its distances give: the nearest real image of each generated one, and KID."""

    values: dict[str, float]
    nearest: Nearest
    kid: tuple[float, float]


def manifolds(inputs: Inputs) -> Manifolds:
    """From all distances of a row, each computed once. KID is left at 0 where it is not wanted."""
    real, fake, options = inputs.real.features, inputs.fake.features, inputs.options
    check_pair(real, fake, least=max(options.precision_k, options.density_k) + 1)
    (radii,) = inputs.reference.once(real_radii)
    nearest = Nearest(len(fake))
    size, subsets = options.kid_subset_size, options.kid_subsets if "kid" in inputs.wanted else 0
    of_real, of_fake = draw_subsets(len(real), len(fake), subsets, size, options.kid_seed)
    of_fakes, of_both = KernelSums(fake, fake, of_fake, of_fake), KernelSums(fake, real, of_fake, of_real)

    def watch_both(rows: slice, columns: slice, squared: NDArray[np.float32]) -> None:
        nearest.see(rows, columns, squared)
        of_both.see(rows, columns, squared)

    values = _manifolds(real, fake, radii, options.precision_k, options.density_k, of_fakes.see, watch_both)
    of_reals = kernel_sums(real, real, of_real, of_real, "KID, real images")
    return Manifolds(values, nearest, kid_of_sums(of_reals, of_fakes.sums, of_both.sums, size) if subsets else (0, 0))


PRECISION = Metric(
    name="precision",
    label="Precision",
    definition="share of generated images inside the manifold of the real ones",
    direction="higher",
    source="Kynkaanniemi et al. 2019, arXiv 1904.06991",
    compute=lambda inputs: Value(inputs.once(manifolds).values["precision"], note=f"k = {inputs.options.precision_k}"),
    besides=(SPATIAL,),
    minimum=lambda dim, options: max(options.precision_k, options.density_k) + 1,
    minimum_rule="k + 1 neighbours",
    of_reference=(real_radii,),
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
    compute=lambda inputs: Value(inputs.once(manifolds).values["recall"], note=f"k = {inputs.options.precision_k}"),
)
DENSITY = replace(
    PRECISION,
    name="density",
    label="Density",
    definition="mean number of real neighbourhoods that a generated image lies in, divided by k",
    source="Naeem et al. 2020, arXiv 2002.09797",
    compute=lambda inputs: Value(inputs.once(manifolds).values["density"], note=f"k = {inputs.options.density_k}"),
    overview=False,
    highlight=False,
)
COVERAGE = replace(
    DENSITY,
    name="coverage",
    label="Coverage",
    definition="share of real images whose neighbourhood holds a generated one",
    compute=lambda inputs: Value(inputs.once(manifolds).values["coverage"], note=f"k = {inputs.options.density_k}"),
)
