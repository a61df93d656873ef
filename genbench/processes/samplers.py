"""The samplers of diffusion models: how x_s follows from x_t. DDPM, DDIM and Heun use only the current step; samplers
that also use earlier steps are in processes/multistep.py. They differ in a few lines. At s = 0 every step returns data,
without noise.

A sampler is a function (schedule, noise, *, its own options) that returns a step or a walk: see processes/reverse.py.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch

from genbench import own_code
from genbench.errors import InputError
from genbench.processes.multistep import (
    dpm_solver_3m_walk,
    dpm_solver_step,
    pndm_walk,
    sde_dpm_solver_step,
    unipc_walk,
)
from genbench.processes.noise import Noise
from genbench.processes.reverse import Predict, Step, Walk
from genbench.processes.schedule import Schedule
from genbench.ranges import Share
from genbench.schema import find_function
from genbench.tensors import Images


def ddpm_step(
    schedule: Schedule, noise: Noise, *, variance: Literal["small", "large", "learned"] | None = None
) -> Step:
    """Ancestral sampling from q(x_s | x_t, x0_hat) (Ho et al. 2020, arXiv 2006.11239, algorithm 2).

    variance: "small" is the posterior's; "large" is beta of the step from s to t; "learned" lies between them, at a
        point that the network predicts (Nichol & Dhariwal 2021, arXiv 2102.09672, equation 15). The default is
        "learned" if the model has learned it, and otherwise the model's `variance`.
    """

    def step(predict: Predict, x_t: Images, t: int, s: int) -> Images:
        x0_hat, fraction = predict(x_t, t)
        if variance == "learned" and fraction is None:
            raise InputError("key 'variance': found 'learned', expected small or large: this model has not learned any")
        posterior = schedule.q_posterior(t, s)
        mean = posterior.x0_weight * x0_hat + posterior.xt_weight * x_t
        if s == 0:
            return mean
        beta = 1 - schedule.alpha_bar(t) / schedule.alpha_bar(s)
        draw = noise.normal(*x_t.shape[1:])
        if fraction is not None and variance in ("learned", None):
            small, large = math.log(posterior.variance), math.log(beta)
            return mean + torch.exp(0.5 * (small + fraction * (large - small))) * draw
        return mean + math.sqrt(beta if variance == "large" else posterior.variance) * draw

    return step


def ddim_step(schedule: Schedule, noise: Noise, *, eta: Share | Literal["sigma-hat"] = 0.0) -> Step:
    """Song et al. 2021 (arXiv 2010.02502), equation 12.

    eta: 0 is deterministic, 1 is DDPM with the small variance; "sigma-hat" is the mean of eta = 1 with the noise of
        DDPM's large variance (appendix D.3).
    """
    if eta != "sigma-hat" and not 0 <= eta <= 1:
        raise InputError(f"key 'eta': found {eta}, expected 0 to 1, or sigma-hat")

    def step(predict: Predict, x_t: Images, t: int, s: int) -> Images:
        x0_hat = predict(x_t, t).x0
        abar_t, abar_s = schedule.alpha_bar(t), schedule.alpha_bar(s)
        largest = math.sqrt((1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s))
        sigma = largest if eta == "sigma-hat" else eta * largest
        eps_hat = (x_t - math.sqrt(abar_t) * x0_hat) / math.sqrt(1 - abar_t)
        x_s = math.sqrt(abar_s) * x0_hat + math.sqrt(max(1 - abar_s - sigma**2, 0.0)) * eps_hat
        if eta == "sigma-hat" and s > 0:
            sigma = math.sqrt(1 - abar_t / abar_s)
        return x_s + sigma * noise.normal(*x_t.shape[1:]) if sigma > 0 else x_s

    return step


def heun_step(schedule: Schedule, noise: Noise) -> Step:
    """Heun's method on the probability-flow ODE (Karras et al. 2022, arXiv 2206.00364, algorithm 1, without churn).

    With y = x_t / sqrt(abar_t) and sigma = sqrt(1 / abar_t - 1), the ODE is dy/dsigma = (y - x0_hat) / sigma. Heun's
    method takes an Euler step (DDIM with eta = 0), then repeats it with the mean of the slopes at both ends. This takes
    two evaluations per step. One is used in the last step, and in steps where sigma falls by more than a factor of 20,
    as at the start of a cosine schedule. There the slope at the end has the network's error divided by sigma_s, which
    the step multiplies by about sigma_t.
    """

    def step(predict: Predict, x_t: Images, t: int, s: int) -> Images:
        x0_hat = predict(x_t, t).x0
        if s == 0:
            return x0_hat
        (sigma_t, scale_t), (sigma_s, scale_s) = (
            (math.sqrt(1 / abar - 1), math.sqrt(abar)) for abar in (schedule.alpha_bar(t), schedule.alpha_bar(s))
        )
        y = x_t / scale_t
        slope = (y - x0_hat) / sigma_t
        y_s = y + (sigma_s - sigma_t) * slope
        if sigma_t > 20 * sigma_s:
            return scale_s * y_s
        slope_s = (y_s - predict(scale_s * y_s, s).x0) / sigma_s
        return scale_s * (y + (sigma_s - sigma_t) * 0.5 * (slope + slope_s))

    return step


def inversion_path(schedule: Schedule, x0: Images, timesteps: Sequence[int], predict: Predict) -> Iterator[Images]:
    """Inverted DDIM with eta = 0: from data to the x_t from which DDIM would make this data; yields every x_t.

    Dhariwal & Nichol 2021 (arXiv 2105.05233), appendix F. timesteps: descending, as for `reverse_path`. The network is
    evaluated at t on x_s, since x_t is not yet known: exact in the limit of many steps. `predict` must not clip.
    """
    x, s = x0, 0
    for t in reversed(timesteps):
        abar_t, abar_s = schedule.alpha_bar(t), schedule.alpha_bar(s)
        eps_hat = (x - math.sqrt(abar_t) * predict(x, t).x0) / math.sqrt(1 - abar_t)
        x0_hat = (x - math.sqrt(1 - abar_s) * eps_hat) / math.sqrt(abar_s)
        x, s = math.sqrt(abar_t) * x0_hat + math.sqrt(1 - abar_t) * eps_hat, t
        yield x


Sampler = Callable[..., Step | Walk]  # (schedule, noise, *, its own options)
SAMPLERS: dict[str, Sampler] = {
    "ddpm": ddpm_step,
    "ddim": ddim_step,
    "heun": heun_step,
    "dpm-solver++": dpm_solver_step,
    "dpm-solver++3m": dpm_solver_3m_walk,
    "sde-dpm-solver++": sde_dpm_solver_step,
    "unipc": unipc_walk,
    "pndm": pndm_walk,
}
LABELS = {  # names on pages
    "ddpm": "DDPM",
    "ddim": "DDIM",
    "heun": "Heun",
    "dpm-solver++": "DPM-Solver++",
    "dpm-solver++3m": "DPM-Solver++(3M)",
    "sde-dpm-solver++": "SDE-DPM-Solver++",
    "unipc": "UniPC",
    "pndm": "PNDM",
}


def find_sampler(name: str) -> Sampler:
    """The sampler that the key `method` names."""
    return find_function(SAMPLERS, name, "key 'method'", takes=("schedule", "noise"))


def sampler_label(name: str) -> str:
    """The sampler's name on a page; for a user's own file, the function's name."""
    own = own_code.parse(name)
    return own.name if own else LABELS.get(name, name)


# --- Without noise: cold diffusion (Bansal et al. 2022, arXiv 2208.09392) ---------------------------------------------

Degrade = Callable[[Images, int], Images]  # (x_0, t) -> D(x_0, t)


def cold_step(degrade: Degrade) -> Step:
    """x_s = x_t - D(x0_hat, t) + D(x0_hat, s), algorithm 2: details of x_t that x0_hat lacks are kept in x_s.

    Exact for any D if x0_hat = x_0, and for any x0_hat if D(x, t) = x + t e with e the same for all x.
    """

    def step(predict: Predict, x_t: Images, t: int, s: int) -> Images:
        x0_hat = predict(x_t, t).x0
        return x_t - degrade(x0_hat, t) + degrade(x0_hat, s)

    return step


def naive_cold_step(degrade: Degrade) -> Step:
    """x_s = D(x0_hat, s), algorithm 1: the errors of x0_hat add up."""

    def step(predict: Predict, x_t: Images, t: int, s: int) -> Images:
        return degrade(predict(x_t, t).x0, s)

    return step


COLD_STEPS: dict[str, Callable[[Degrade], Step]] = {"improved": cold_step, "naive": naive_cold_step}
