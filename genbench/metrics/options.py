"""The few knobs of the metrics."""

from dataclasses import dataclass

from genbench.errors import InputError


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The few knobs of the metrics; the defaults are the literature's. Raises InputError on values that make no sense.

    kid_subsets: Subsets over which KID is a mean.
    kid_subset_size: Images in such a subset.
    kid_seed: Draws these subsets; by default as torch-fidelity, whose first input is then the real images.
    splits: Parts over which the Inception score is a mean.
    nearest_k: The k of the nearest-neighbour manifolds. By default 3 for precision and recall (as in torch-fidelity)
        and 5 for density and coverage; a number is used for all four.
    fd_infinity_sizes: Over how many sizes of subsets FD-infinity extrapolates, 0 for none.
    fd_infinity_seed: Draws these subsets.
    neighbours: For how many samples the nearest training image is kept.
    """

    kid_subsets: int = 100
    kid_subset_size: int = 1000
    kid_seed: int = 2020
    splits: int = 10
    nearest_k: int | None = None
    fd_infinity_sizes: int = 15
    fd_infinity_seed: int = 0
    neighbours: int = 64

    def __post_init__(self) -> None:
        leasts = {"kid_subsets": 1, "kid_subset_size": 2, "kid_seed": 0, "splits": 1, "nearest_k": 1}
        leasts |= {"fd_infinity_sizes": 10 if self.fd_infinity_sizes else 0, "fd_infinity_seed": 0, "neighbours": 0}
        for key, least in leasts.items():
            value = getattr(self, key)
            if value is not None and value < least:
                raise InputError(f"evaluation options: {key}: found {value}, expected at least {least}")
        for key, most in {"kid_subsets": 100_000, "fd_infinity_sizes": 1000, "neighbours": 1000}.items():
            if (value := getattr(self, key)) > most:
                raise InputError(f"evaluation options: {key}: found {value}, expected at most {most}")

    @property
    def precision_k(self) -> int:
        return 3 if self.nearest_k is None else self.nearest_k

    @property
    def density_k(self) -> int:
        return 5 if self.nearest_k is None else self.nearest_k
