"""Precision, recall, density and coverage: fidelity and variety, from the manifolds of two sets."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import check_features, check_pair
from genbench.metrics.intervals import GROUPS, calmed, changed_without, mean_without
from genbench.metrics.kernel import KernelSums, draw_subsets, kernel_sums, kid_changes, kid_of_sums
from genbench.metrics.metric import SPATIAL, Features, Inputs, Metric, Reference, Value
from genbench.metrics.neighbours import Nearest, centre_of, distance_tiles, neighbour_distances

MANIFOLDS = frozenset({"precision", "recall", "density", "coverage"})
Watch = Callable[[slice, slice, NDArray[np.float32]], None]


def precision_recall_density_coverage(
    real: NDArray[Any], fake: NDArray[Any], precision_k: int = 3, density_k: int = 5
) -> dict[str, float]:
    """Fidelity and variety, from a ball around every sample that reaches to its k-th nearest neighbour in its own set.

    precision: share of generated samples inside the ball of some real one. recall: share of real samples inside the
    ball of some generated one (both with k = precision_k). density: mean number of real balls that contain a generated
    sample, over k. coverage: share of real samples whose ball contains a generated one (both with k = density_k).
    real (N, D), fake (M, D); float32 distances, tile by tile: 50,000 x 50,000 needs little memory.
    Raises InputError for k samples or fewer, for features that are not finite, and for real ones that are constant.
    Sources: Kynkaanniemi et al. 2019 (arXiv 1904.06991); Naeem et al. 2020 (arXiv 2002.09797).
    """
    check_pair(real, fake, least=max(precision_k, density_k) + 1)
    radii = neighbour_distances(real, max(precision_k, density_k), centre_of(real), "neighbours of real images")
    return _manifolds(real, fake, radii, precision_k, density_k)[0]


class Holders:
    """For each of `count` real images, the first and the last group of generated images that hold it."""

    def __init__(self, count: int) -> None:
        self._last = np.zeros(count, dtype=np.uint8)  # 1 + the group, 0 for none
        self._first = np.zeros(count, dtype=np.uint8)  # GROUPS - the group

    def see(self, columns: slice, holds: NDArray[np.bool_], groups: NDArray[np.int64]) -> None:
        """holds (n, M): which of n generated images, in these `groups` (n,), hold which of M real ones."""
        for found, code in ((self._last, groups + 1), (self._first, GROUPS - groups)):
            coded = holds * code.astype(np.uint8)[:, None]
            np.maximum(found[columns], coded.max(axis=0), out=found[columns])

    def without(self) -> NDArray[np.float64]:
        """The share of real images that are held without each group: (GROUPS,).

        With n expected holders, a real image loses all of them in a redraw with probability e^-n. The jackknife's
        variance counts images with a single holding group instead, n e^-n. The excess is subtracted.
        """
        held, count = self._last > 0, len(self._last)
        only = held & (self._last + self._first == GROUPS + 1)
        lost = np.bincount(self._last[only].astype(np.int64) - 1, minlength=GROUPS)
        share = float(held.mean())
        independent = share * (1 - share) / count
        excess = max(0.0, np.count_nonzero(only) / count**2 - independent)
        return calmed(share, share - lost / count, excess, least=independent)


def _manifolds(
    real: NDArray[Any],
    fake: NDArray[Any],
    radii: NDArray[np.float32],
    precision_k: int,
    density_k: int,
    watch_fake: Watch = lambda rows, columns, squared: None,
    watch_both: Watch = lambda rows, columns, squared: None,
    groups: NDArray[np.int64] | None = None,
) -> tuple[dict[str, float], dict[str, NDArray[np.float64]]]:
    """The four metrics and, with groups, the same without each group; radii: `neighbour_distances` of real.

    The two watchers see all distances. Without a group, the balls of the other generated images keep their size.
    """
    centre = centre_of(real)
    precision_radii, density_radii = radii[precision_k - 1], radii[density_k - 1]
    what = "neighbours of generated images"
    recall_radii = neighbour_distances(fake, precision_k, centre, what, watch_fake)[-1]
    precise = np.zeros(len(fake), dtype=bool)
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    balls = np.zeros(len(fake), dtype=np.int64)
    recalling, covering = Holders(len(real)), Holders(len(real))
    for rows, columns, squared in distance_tiles(fake, real, centre, "distances from generated to real images"):
        watch_both(rows, columns, squared)
        precise[rows] |= (squared <= precision_radii[columns]).any(axis=1)
        holds = squared <= recall_radii[rows, None]
        recalled[columns] |= holds.any(axis=0)
        inside = squared <= density_radii[columns]
        balls[rows] += np.count_nonzero(inside, axis=1)
        covered[columns] |= inside.any(axis=0)
        if groups is not None:
            recalling.see(columns, holds, groups[rows])
            covering.see(columns, inside, groups[rows])
    values = {
        "precision": float(precise.mean()),
        "recall": float(recalled.mean()),
        "density": int(balls.sum()) / (density_k * len(fake)),
        "coverage": float(covered.mean()),
    }
    if groups is None:
        return values, {}
    without = {"precision": mean_without(precise, groups), "density": mean_without(balls / density_k, groups)}
    return values, without | {"recall": recalling.without(), "coverage": covering.without()}


def real_radii(reference: Reference) -> tuple[NDArray[np.float32]]:
    """Squared distances (k, N) from each real image to its k nearest real ones."""
    real, options = reference.real.features, reference.options
    k = max(options.precision_k, options.density_k)
    check_features("real features", real, least=k + 1)
    return (neighbour_distances(real, k, centre_of(real), "neighbours of real images"),)


class Manifolds(NamedTuple):
    """The four metrics of a row, the nearest real image of each generated one, and KID, all from the same distances.

    without: the four metrics and KID without each group of generated images.
    """

    values: dict[str, float]
    nearest: Nearest
    kid: tuple[float, float]
    without: dict[str, NDArray[np.float64]]

    def value(self, name: str, k: int, of: Features | None = None) -> Value:
        """One of the four metrics. of: the images of which it is a share."""
        count = None if of is None else len(of.features)
        return Value(self.values[name], note=f"k = {k}", without=self.without.get(name), share_of=count)


def manifolds(inputs: Inputs) -> Manifolds:
    """Compute all distances of a row once, and the metrics from them. KID is 0 if it is not wanted."""
    real, fake, options = inputs.real.features, inputs.fake.features, inputs.options
    check_pair(real, fake, least=max(options.precision_k, options.density_k) + 1)
    (radii,) = inputs.reference.once(real_radii)
    nearest = Nearest(len(fake))
    size, subsets = options.kid_subset_size, options.kid_subsets if "kid" in inputs.wanted else 0
    of_real, of_fake = draw_subsets(len(real), len(fake), subsets, size, options.kid_seed)
    of_fakes, of_both = KernelSums(fake, fake, of_fake, of_fake), KernelSums(fake, real, of_fake, of_real)
    groups = inputs.groups

    def watch_both(rows: slice, columns: slice, squared: NDArray[np.float32]) -> None:
        nearest.see(rows, columns, squared)
        of_both.see(rows, columns, squared)

    values, without = _manifolds(
        real, fake, radii, options.precision_k, options.density_k, of_fakes.see, watch_both, groups
    )
    if not subsets:
        return Manifolds(values, nearest, (0, 0), without)
    of_reals, _ = kernel_sums(real, real, of_real, of_real, "KID, real images")
    kid = kid_of_sums(of_reals, of_fakes.sums, of_both.sums, size)
    if groups is not None:
        changes, doubled = kid_changes(len(fake), of_fake, of_fakes.tally(), of_both.tally())
        without["kid"] = changed_without(kid[0], changes, groups, doubled)
    return Manifolds(values, nearest, kid, without)


PRECISION = Metric(
    name="precision",
    label="Precision",
    definition="share of generated images inside the manifold of the real ones",
    direction="higher",
    source="Kynkaanniemi et al. 2019, arXiv 1904.06991",
    compute=lambda inputs: inputs.once(manifolds).value("precision", inputs.options.precision_k, inputs.fake),
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
    compute=lambda inputs: inputs.once(manifolds).value("recall", inputs.options.precision_k, inputs.real),
)
DENSITY = replace(
    PRECISION,
    name="density",
    label="Density",
    definition="mean number of real neighbourhoods that a generated image lies in, divided by k",
    source="Naeem et al. 2020, arXiv 2002.09797",
    compute=lambda inputs: inputs.once(manifolds).value("density", inputs.options.density_k),
    overview=False,
    highlight=False,
)
COVERAGE = replace(
    DENSITY,
    name="coverage",
    label="Coverage",
    definition="share of real images whose neighbourhood holds a generated one",
    compute=lambda inputs: inputs.once(manifolds).value("coverage", inputs.options.density_k, inputs.real),
)
