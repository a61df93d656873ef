"""The options of the metrics."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Annotated

from genbench.errors import InputError, place
from genbench.ranges import Passes, Range, Repeats, RepeatsOrZero, Seed
from genbench.schema import check_arguments

READERS = {  # the metrics that read an option, by the start of its name
    "kid": ("kid",),
    "splits": ("inception_score", "classifier_score"),
    "nearest_k": ("precision", "recall", "density", "coverage"),
    "fd_infinity": ("fd_infinity", "fid_infinity"),
    "neighbours": ("memorised",),
}


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The options of the metrics; the defaults follow the literature. Raises InputError on values that make no sense.

    kid_subsets: Number of subsets over which KID is a mean.
    kid_subset_size: Number of images in such a subset.
    kid_seed: Seed of these subsets; by default that of torch-fidelity, whose first input is then the real images.
    splits: Number of parts over which the Inception score is a mean.
    nearest_k: The k of the nearest-neighbour manifolds. By default 3 for precision and recall (as in torch-fidelity)
        and 5 for density and coverage; a number is used for all four.
    fd_infinity_sizes: Number of subset sizes from which FD-infinity is extrapolated; 0 for no FD-infinity.
    fd_infinity_seed: Seed of these subsets.
    neighbours: The number of samples whose nearest training image is kept.
    """

    kid_subsets: Passes = 100
    kid_subset_size: Annotated[int, Range(ge=2, le=10**8)] = 1000
    kid_seed: Seed = 2020
    splits: Passes = 10
    nearest_k: Repeats | None = None
    fd_infinity_sizes: RepeatsOrZero = 15
    fd_infinity_seed: Seed = 0
    neighbours: RepeatsOrZero = 64

    def __post_init__(self) -> None:
        with place("evaluation options"):
            check_arguments(type(self), vars(self))
            if 0 < self.fd_infinity_sizes < 10:
                raise InputError(f"key 'fd_infinity_sizes': found {self.fd_infinity_sizes}, expected 0, or at least 10")

    @property
    def precision_k(self) -> int:
        return 3 if self.nearest_k is None else self.nearest_k

    @property
    def density_k(self) -> int:
        return 5 if self.nearest_k is None else self.nearest_k


def idle_options(options: Iterable[str], metrics: Container[str]) -> dict[str, tuple[str, ...]]:
    """The options that none of genbench's `metrics` (by name) reads, each with the metrics that would read it."""
    readers = {
        option: next((found for start, found in READERS.items() if option.startswith(start)), ()) for option in options
    }
    return {option: found for option, found in readers.items() if found and not any(name in metrics for name in found)}
