"""The variational bound on -log p(x_0) of a diffusion model, term by term, in bits per dimension.

Ho et al. 2020 (arXiv 2006.11239, section 2) and, for learned variances, Nichol & Dhariwal 2021 (arXiv 2102.09672).
One term is KL(q(x_T | x_0) || N(0, I)). Each step adds KL(q(x_s | x_t, x_0) || p(x_s | x_t)), and the last one, to
data, adds -log p(x_0 | x_t) of 8-bit pixels.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from genbench.processes.reverse import Prediction
from genbench.processes.schedule import Schedule
from genbench.tensors import Images, PerImage, Timesteps

BITS = 1 / math.log(2)  # in one nat


def gaussian_kl(mean_q: Images, log_variance_q: Tensor, mean_p: Tensor, log_variance_p: Tensor) -> Images:
    """KL(q || p) of diagonal Gaussians, in nats, elementwise."""
    difference = log_variance_q - log_variance_p
    return 0.5 * (difference.exp() - difference - 1 + (mean_q - mean_p) ** 2 * torch.exp(-log_variance_p))


def _normal_cdf(x: Tensor) -> Tensor:
    """The tanh approximation (Page 1977) used for published bits per dimension; error below 2e-4."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def pixel_log_likelihood(x0: Images, mean: Images, log_variance: Tensor) -> Images:
    """log p(x0), in nats, elementwise, of 8-bit values in [-1, 1]: a Gaussian's mass in bins of 2/255.

    The first and last bins are open and contain the tails.
    """
    inverse = torch.exp(-0.5 * log_variance)
    upper = _normal_cdf(inverse * (x0 - mean + 1 / 255))
    lower = _normal_cdf(inverse * (x0 - mean - 1 / 255))
    mass = torch.where(x0 < -0.999, upper, torch.where(x0 > 0.999, 1 - lower, upper - lower))
    return mass.clamp(min=1e-12).log()


class VariationalBound:
    """The bound's terms for a chain of times: all of 1..T, or those kept by respacing.

    variance: the model's, as in `samplers.ddpm_step`. The step to data has a posterior variance of 0; the variance of
    the step before it is used instead.
    """

    def __init__(
        self,
        schedule: Schedule,
        variance: Literal["small", "large", "learned"],
        timesteps: Sequence[int] | None = None,
    ) -> None:
        times = list(range(schedule.T, 0, -1)) if timesteps is None else list(timesteps)
        self.schedule, self.times, self.variance = schedule, times, variance
        rows = [(0.0, 0.0, 0.0, 0.0)] * (schedule.T + 1)
        stand_in = 1 - schedule.alpha_bar(times[0])  # used if the chain is a single step
        for t, s in pairwise([*times, 0]):
            posterior = schedule.q_posterior(t, s)
            stand_in = posterior.variance if s > 0 else stand_in
            large = 1 - schedule.alpha_bar(t) / schedule.alpha_bar(s)
            rows[t] = (posterior.x0_weight, posterior.xt_weight, math.log(stand_in), math.log(large))
        self._table = torch.tensor(rows, dtype=torch.float64, device="cpu")
        self._tables: dict[torch.device, Tensor] = {}

    def term(self, prediction: Prediction, x0: Images, x_t: Images, t: Timesteps) -> PerImage:
        """The term of the step from t (N,), times of the chain: bits per dimension (N,)."""
        if t.device not in self._tables:
            self._tables[t.device] = self._table.float().to(t.device)
        x0_weight, xt_weight, small, large = self._tables[t.device][t].T[:, :, None, None, None]
        first = (t == self.times[-1])[:, None, None, None]
        if self.variance == "learned":
            assert prediction.variance_fraction is not None
            log_variance = small + prediction.variance_fraction * (large - small)
        else:
            log_variance = torch.where(first, small, large) if self.variance == "large" else small
        mean = x0_weight * prediction.x0 + xt_weight * x_t
        step = gaussian_kl(x0_weight * x0 + xt_weight * x_t, small, mean, log_variance)
        data = -pixel_log_likelihood(x0, mean, log_variance)
        return BITS * torch.where(first, data, step).flatten(1).mean(1)

    def prior(self, x0: Images) -> PerImage:
        """KL(q(x_T | x_0) || N(0, I)): bits per dimension (N,)."""
        abar_T = self.schedule.alpha_bar(self.times[0])
        log_variance = torch.tensor(math.log1p(-abar_T), device=x0.device)
        zero = torch.zeros((), device=x0.device)
        return BITS * gaussian_kl(math.sqrt(abar_T) * x0, log_variance, zero, zero).flatten(1).mean(1)
