"""Variance-preserving noise schedules: q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I).

Times are integers from 0 (data, abar_0 = 1) to T (noise). q_posterior works between any two of them, so a shorter chain
is just a shorter list of integers. Sources: Ho et al. 2020 (arXiv 2006.11239), Nichol & Dhariwal 2021 (arXiv
2102.09672), Song et al. 2021 (arXiv 2011.13456).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from genbench.errors import InputError
from genbench.ranges import Factor, InnerShare, NotNegative, Positive, ShareBelowOne
from genbench.tensors import Images, Timesteps


class Posterior(NamedTuple):
    """q(x_s | x_t, x_0) = N(x0_weight * x_0 + xt_weight * x_t, variance * I)."""

    x0_weight: float
    xt_weight: float
    variance: float


@dataclass(frozen=True)
class Schedule:
    """alphas_cumprod: float64 (T+1,), from 1 downwards, on the CPU."""

    alphas_cumprod: Tensor
    _tables: dict[torch.device, Tensor] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_betas(cls, betas: Tensor) -> "Schedule":
        """betas: (T,), beta_1 .. beta_T, each in (0, 1)."""
        betas = betas.to("cpu", torch.float64)
        if not bool(((betas > 0) & (betas < 1)).all()):
            raise InputError(f"betas must lie in (0, 1), found {betas.min():.3g} to {betas.max():.3g}")
        one = torch.ones(1, dtype=torch.float64, device="cpu")
        return cls(torch.cat([one, torch.cumprod(1 - betas, dim=0)]))

    @property
    def T(self) -> int:
        return len(self.alphas_cumprod) - 1

    def alpha_bar(self, t: int) -> float:
        """abar_t as a number, since sampling needs no tensor on the device."""
        return self.alphas_cumprod[t].item()

    def levels(self, t: Timesteps) -> tuple[Tensor, Tensor]:
        """Signal sqrt(abar_t) and noise sqrt(1 - abar_t) for a batch of times, float32 (N, 1, 1, 1) on t's device."""
        if t.device not in self._tables:  # copied once: a copy at every step would make the host wait
            with torch.inference_mode(False):  # sampling may fill this first, and training use it later
                table = torch.stack([self.alphas_cumprod.sqrt(), (1 - self.alphas_cumprod).sqrt()])
                self._tables[t.device] = table.float().to(t.device)  # from float64: 1 - abar_1 is near 0
        signal, noise = self._tables[t.device][:, t, None, None, None]
        return signal, noise

    def q_sample(self, x0: Images, t: Timesteps, eps: Images) -> Images:
        """x_t for noise eps: sqrt(abar_t) x0 + sqrt(1 - abar_t) eps."""
        signal, noise = self.levels(t)
        return signal * x0 + noise * eps

    def q_posterior(self, t: int, s: int) -> Posterior:
        """The Gaussian q(x_s | x_t, x_0) for any 0 <= s < t <= T (Ho et al., equations 6 and 7, at s = t - 1)."""
        abar_t, abar_s = self.alpha_bar(t), self.alpha_bar(s)
        alpha = abar_t / abar_s  # the product of alphas from s + 1 to t
        return Posterior(
            x0_weight=math.sqrt(abar_s) * (1 - alpha) / (1 - abar_t),
            xt_weight=math.sqrt(alpha) * (1 - abar_s) / (1 - abar_t),
            variance=(1 - alpha) * (1 - abar_s) / (1 - abar_t),
        )


def linear(T: int, *, beta_start: InnerShare = 1e-4, beta_end: InnerShare = 0.02) -> Schedule:
    """Ho et al.: betas evenly spaced from beta_start to beta_end, designed for T = 1000.

    beta_start: The first beta.
    beta_end: The last beta.
    """
    return Schedule.from_betas(torch.linspace(beta_start, beta_end, T, dtype=torch.float64, device="cpu"))


def cosine(T: int, *, offset: NotNegative = 0.008, max_beta: InnerShare = 0.999) -> Schedule:
    """Nichol & Dhariwal: abar(u) = cos^2(pi/2 (u + offset) / (1 + offset)) for u = t / T, betas capped at max_beta.

    offset: Keeps the first betas from being too small.
    max_beta: The largest beta.
    """
    u = torch.linspace(0, 1, T + 1, dtype=torch.float64, device="cpu")
    abar = torch.cos((u + offset) / (1 + offset) * (math.pi / 2)) ** 2
    return Schedule.from_betas((1 - abar[1:] / abar[:-1]).clamp(max=max_beta))


def vp(T: int, *, beta_min: NotNegative = 0.1, beta_max: Positive = 20.0, eps: ShareBelowOne = 1e-3) -> Schedule:
    """Song et al.'s variance-preserving SDE at T + 1 evenly spaced times u from eps to 1, for short chains (DDGAN).

    log abar(u) = -u beta_min - u^2 (beta_max - beta_min) / 2; abar_0 leaves out the little noise at u = eps.

    beta_min: Rate of noise at u = 0.
    beta_max: Rate of noise at u = 1.
    eps: The first time u.
    """
    u = torch.linspace(eps, 1, T + 1, dtype=torch.float64, device="cpu")
    log_abar = -u * beta_min - 0.5 * u**2 * (beta_max - beta_min)
    return Schedule.from_betas(-torch.expm1(log_abar.diff()))


def scaled_linear(T: int, *, beta_start: InnerShare = 1e-4, beta_end: InnerShare = 0.02) -> Schedule:
    """Betas whose square roots are evenly spaced (Rombach et al. 2022, arXiv 2112.10752).

    beta_start: The first beta.
    beta_end: The last beta.
    """
    ends = math.sqrt(beta_start), math.sqrt(beta_end)
    return Schedule.from_betas(torch.linspace(*ends, T, dtype=torch.float64, device="cpu") ** 2)


def sigmoid(T: int, *, beta_start: InnerShare = 1e-4, beta_end: InnerShare = 0.02) -> Schedule:
    """Betas along a logistic curve from -6 to 6, like diffusers' "sigmoid" (from Xu et al. 2022, arXiv 2203.02923).

    beta_start: The start of the curve: slightly below the first beta.
    beta_end: The end of the curve: slightly above the last beta.
    """
    rise = torch.sigmoid(torch.linspace(-6, 6, T, dtype=torch.float64, device="cpu"))
    return Schedule.from_betas(beta_start + (beta_end - beta_start) * rise)


def sigmoid_abar(
    T: int, *, start: Factor = -3.0, end: Factor = 3.0, tau: Positive = 1.0, max_beta: InnerShare = 0.999
) -> Schedule:
    """abar along a falling logistic curve (Jabri et al. 2022, arXiv 2212.11972), from 1 at the data to 0.

    abar(u) = (g(end) - g(start + u (end - start))) / (g(end) - g(start)) for g(x) = 1 / (1 + exp(-x / tau)), u = t / T.

    start: The position of the data on the curve.
    end: The position of the noise on the curve.
    tau: Stretches the curve.
    max_beta: The largest beta.
    """
    u = torch.linspace(0, 1, T + 1, dtype=torch.float64, device="cpu")
    rise = torch.sigmoid((start + u * (end - start)) / tau)
    abar = (rise[-1] - rise) / (rise[-1] - rise[0])
    return Schedule.from_betas((1 - abar[1:] / abar[:-1]).clamp(max=max_beta))


def given(T: int, *, values: Sequence[InnerShare]) -> Schedule:
    """T given betas, for checkpoints whose schedule has no name.

    values: The betas.
    """
    if len(values) != T:
        raise InputError(f"betas: values: found {len(values)} numbers, expected {T} (timesteps)")
    return Schedule.from_betas(torch.tensor(values, dtype=torch.float64, device="cpu"))


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "linear": linear,
    "cosine": cosine,
    "scaled_linear": scaled_linear,
    "sigmoid": sigmoid,
    "sigmoid_abar": sigmoid_abar,
    "vp": vp,
    "betas": given,
}
