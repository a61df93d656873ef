"""One reverse process for every diffusion model.

A model predicts x0_hat from x_t; a step moves from time t to any earlier time s. DDPM, DDIM and DPM-Solver++ are
three steps below, and differ in a few lines. At s = 0 every step returns data, without noise.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from genbench.errors import InputError
from genbench.noise import Noise
from genbench.schedule import Schedule
from genbench.tensors import Images

PredictX0 = Callable[[Images, int], Images]  # (x_t, t) -> x0_hat
Step = Callable[[Images, Images, int, int], Images]  # (x_t, x0_hat, t, s) -> x_s, s < t


def reverse_process(x_T: Images, timesteps: Sequence[int], predict_x0: PredictX0, step: Step) -> Images:
    """Walk from x_T to data along `timesteps` (descending, each at least 1; 0 is appended)."""
    x = x_T
    for t, s in pairwise([*timesteps, 0]):
        x = step(x, predict_x0(x, t), t, s)
    return x


def spaced_timesteps(T: int, steps: int, spacing: str = "uniform") -> list[int]:
    """`steps` of the times 1..T, descending.

    uniform: 1 + floor(i T / steps), the DDIM paper's (arXiv 2010.02502, appendix D.2) and diffusers' "leading".
    quadratic: 1 + floor(i^2 c) that ends near 0.8 T, which the DDIM paper uses for CIFAR-10.
    linspace: evenly from 1 to T, both included, rounded (OpenAI's respacing by a number).
    trailing: rounded multiples of T / steps, which ends at T (Lin et al. 2024, arXiv 2305.08891).
    """
    if not 1 <= steps <= T:
        raise InputError(f"key 'steps': found {steps}, expected 1 to {T} (the model's timesteps)")
    if steps == T:
        return list(range(T, 0, -1))
    if spacing == "uniform":
        times = [1 + i * T // steps for i in range(steps)]
    elif spacing == "quadratic":
        times = [1 + int((i / max(steps - 1, 1)) ** 2 * 0.8 * T) for i in range(steps)]
    elif spacing == "linspace":
        times = [1 + round(i * (T - 1) / max(steps - 1, 1)) for i in range(steps)]
    elif spacing == "trailing":
        times = [round((i + 1) * T / steps) for i in range(steps)]
    else:
        raise InputError(f"key 'spacing': found {spacing!r}, expected uniform, quadratic, linspace or trailing")
    return sorted(set(times), reverse=True)


def ddpm_step(schedule: Schedule, noise: Noise, *, variance: Literal["small", "large"] = "small") -> Step:
    """Ancestral sampling from q(x_s | x_t, x0_hat) (Ho et al. 2020, arXiv 2006.11239, algorithm 2).

    variance "small" is the posterior's; "large" is beta of the step from s to t.
    """

    def step(x_t: Images, x0_hat: Images, t: int, s: int) -> Images:
        posterior = schedule.q_posterior(t, s)
        mean = posterior.x0_weight * x0_hat + posterior.xt_weight * x_t
        if s == 0:
            return mean
        beta = 1 - schedule.alpha_bar(t) / schedule.alpha_bar(s)
        sigma = math.sqrt(posterior.variance if variance == "small" else beta)
        return mean + sigma * noise.normal(*x_t.shape[1:])

    return step


def ddim_step(schedule: Schedule, noise: Noise, *, eta: float = 0.0) -> Step:
    """Song et al. 2021 (arXiv 2010.02502), equation 12: eta = 0 is deterministic, eta = 1 is ddpm_step("small")."""
    if not 0 <= eta <= 1:
        raise InputError(f"key 'eta': found {eta}, expected 0 to 1")

    def step(x_t: Images, x0_hat: Images, t: int, s: int) -> Images:
        abar_t, abar_s = schedule.alpha_bar(t), schedule.alpha_bar(s)
        sigma = eta * math.sqrt((1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s))
        eps_hat = (x_t - math.sqrt(abar_t) * x0_hat) / math.sqrt(1 - abar_t)
        x_s = math.sqrt(abar_s) * x0_hat + math.sqrt(max(1 - abar_s - sigma**2, 0.0)) * eps_hat
        return x_s + sigma * noise.normal(*x_t.shape[1:]) if sigma > 0 else x_s

    return step


def dpm_solver_step(schedule: Schedule, noise: Noise) -> Step:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2): second order, one evaluation a step.

    The last x0_hat is kept to extrapolate; the first step and the one to data are of first order.
    """
    last: tuple[Images, float] | None = None  # the previous step's x0_hat and the width of that step in lambda

    def log_snr(t: int) -> float:
        abar_t = schedule.alpha_bar(t)
        return 0.5 * math.log(abar_t / (1 - abar_t))  # lambda_t = log(alpha_t / sigma_t)

    def step(x_t: Images, x0_hat: Images, t: int, s: int) -> Images:
        nonlocal last
        if s == 0:
            return x0_hat
        h = log_snr(s) - log_snr(t)
        D = x0_hat
        if last is not None:
            last_x0_hat, last_h = last
            D = x0_hat + h / (2 * last_h) * (x0_hat - last_x0_hat)
        last = (x0_hat, h)
        sigma_ratio = math.sqrt((1 - schedule.alpha_bar(s)) / (1 - schedule.alpha_bar(t)))
        return sigma_ratio * x_t - math.sqrt(schedule.alpha_bar(s)) * math.expm1(-h) * D

    return step


STEPS: dict[str, Callable[..., Step]] = {"ddpm": ddpm_step, "ddim": ddim_step, "dpm-solver++": dpm_solver_step}
