"""Averages of weights over a training, whose length is chosen afterwards (Karras et al. 2024, arXiv 2312.02696).

In a power-function average, the share of the weights of step tau is proportional to tau^gamma. Its profile is therefore
the same at any step, except for its scale. Its length is the standard deviation of this profile, as a share of the
training so far (the paper's sigma_rel). A sum of profiles of two lengths, stored at many steps, approximates the
profile of any other length. The same sum of their averages then approximates the average of that length; least squares
gives the coefficients.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def exponent(length: float) -> float:
    """gamma of the profile with this length, in (0, 0.288): (gamma + 1) / ((gamma + 2)^2 (gamma + 3)) = length^2."""
    t = length**-2
    return float(np.roots([1, 7, 16 - t, 12 - t]).real.max())


def kept_share(length: float, step: int) -> float:
    """Share of the previous average that is kept when the weights of `step` (from 1) are added (equation 127)."""
    return float((1 - 1 / step) ** (exponent(length) + 1))


def overlaps(steps: Sequence[int], lengths: Sequence[float], step: int, length: float) -> NDArray[np.float64]:
    """Integrals of the products of each profile and the profile of `length` at `step`.

    The profile of gamma at t is p(tau) = (gamma + 1) tau^gamma / t^(gamma + 1), 0 <= tau <= t.
    """
    t, own = np.array(steps, np.float64), np.array([exponent(each) for each in lengths])
    gamma = exponent(length)
    ratio = np.where(t < step, t / step, step / t)
    powers = ratio ** np.where(t < step, gamma, own)
    return (own + 1) * (gamma + 1) * powers / ((own + gamma + 1) * np.maximum(t, step))


def coefficients(steps: Sequence[int], lengths: Sequence[float], step: int, length: float) -> NDArray[np.float64]:
    """Coefficients with which the averages of `lengths` at `steps` sum to that of `length` at `step` (algorithm 3).

    The least-squares fit of their profiles to the wanted one, scaled to a sum of 1.
    """
    gram = np.stack([overlaps(steps, lengths, *one) for one in zip(steps, lengths, strict=True)])
    found = np.linalg.solve(gram, overlaps(steps, lengths, step, length))
    return found / found.sum()
