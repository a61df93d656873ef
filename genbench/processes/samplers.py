"""One reverse process for every diffusion model.

A model predicts x0_hat from x_t; a step moves from time t to any earlier time s, with one prediction or several.
DDPM, DDIM, DPM-Solver++ and Heun are four steps below, and differ in a few lines. At s = 0 every step returns data,
without noise.

A sampler is a function (schedule, noise, *, its own options) that returns a step; a step may remember what it saw. One
that chooses its own times, or how often it visits them, returns a walk instead: a generator.
"""

import inspect
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
import torch

from genbench import own_code
from genbench.errors import InputError
from genbench.processes.noise import Noise
from genbench.processes.schedule import Schedule
from genbench.ranges import Share
from genbench.schema import find_function
from genbench.tensors import Images


class Prediction(NamedTuple):
    """What a model says of x_t: x0_hat, and, where it has learned one, the variance of the step in log space.

    variance_fraction f, about [0, 1]: log variance = f log(beta) + (1 - f) log(the posterior's variance).
    """

    x0: Images
    variance_fraction: Images | None = None


Predict = Callable[[Images, int], Prediction]  # (x_t, t) -> what is known of x_0
Step = Callable[[Predict, Images, int, int], Images]  # (predict, x_t, t, s) -> x_s, s < t
Walk = Callable[[Predict, Images, Sequence[int]], Iterator[Images]]  # a generator: (predict, x_T, times) -> every x_s


def reverse_path(x_T: Images, timesteps: Sequence[int], predict: Predict, step: Step | Walk) -> Iterator[Images]:
    """Walk from x_T to data along `timesteps` (descending, each at least 1; 0 is appended), and yield every x_s.

    A walk is given the same times, and yields as often as it likes.
    """
    if inspect.isgeneratorfunction(step):
        yield from cast(Walk, step)(predict, x_T, timesteps)
        return
    x, move = x_T, cast(Step, step)
    for t, s in pairwise([*timesteps, 0]):
        x = move(predict, x, t, s)
        yield x


def reverse_process(x_T: Images, timesteps: Sequence[int], predict: Predict, step: Step | Walk) -> Images:
    """Where `reverse_path` ends: the sample."""
    return deque(reverse_path(x_T, timesteps, predict, step), maxlen=1)[0]


Spacing = Literal[
    "uniform",
    "quadratic",
    "linspace",
    "trailing",
    "truncated",
    "leading",
    "diffusers-linspace",
    "diffusers-trailing",
    "lucidrains",
]


def spaced_timesteps(T: int, steps: int, spacing: str = "uniform") -> list[int]:
    """`steps` of the times 1..T, descending.

    uniform: 1 + floor(i T / steps), the DDIM paper's (arXiv 2010.02502, appendix D.2).
    quadratic: 1 + floor(i^2 c) that ends near 0.8 T, which the DDIM paper uses for CIFAR-10.
    linspace: evenly from 1 to T, both included, rounded (OpenAI's respacing by a number).
    trailing: rounded multiples of T / steps, which ends at T (Lin et al. 2024, arXiv 2305.08891).
    truncated: the last ones, steps to 1, for samples that need not start from pure noise.
    leading: 1 + i floor(T / steps), diffusers' "leading": as uniform only where the number of steps divides T.
    diffusers-linspace: diffusers' "linspace": as linspace, but for its rounding where a time falls between two.
    diffusers-trailing: diffusers' "trailing": as trailing, but for its rounding, and counted from T downwards.
    lucidrains: denoising-diffusion-pytorch's: as trailing, but rounded down.
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
    elif spacing == "truncated":
        times = list(range(1, steps + 1))
    elif spacing == "leading":
        times = [1 + i * (T // steps) for i in range(steps)]
    elif spacing == "diffusers-linspace":
        times = [1 + int(t) for t in np.linspace(0, T - 1, steps).round()]
    elif spacing == "diffusers-trailing":
        times = [int(t) for t in np.arange(T, 0, -T / steps).round() if t >= 1]
    elif spacing == "lucidrains":
        times = [1 + int(t) for t in torch.linspace(-1, T - 1, steps + 1, device="cpu")[1:]]
    else:
        raise InputError(f"key 'spacing': found {spacing!r}, expected one of {', '.join(get_args(Spacing))}")
    return sorted(set(times), reverse=True)


def respaced_timesteps(T: int, respacing: str) -> list[int]:
    """Times of 1..T, descending, by the strings of OpenAI's improved-diffusion.

    "50": 50 evenly spaced times, 1 and T included. "10,15,20": the range in three equal sections with so many times
    each. "ddim50": every k-th time from 1, for the k that gives 50 of them.
    """

    def bad(expected: str) -> InputError:
        return InputError(f"key 'respacing': found {respacing!r} for {T} timesteps, expected {expected}")

    counts = respacing.removeprefix("ddim").split(",")
    if not all(count.strip().isdecimal() and int(count) > 0 for count in counts):
        raise bad("a positive number, numbers separated by commas, or ddim and a number")
    if respacing.startswith("ddim"):
        strides = [k for k in range(1, T + 1) if len(range(0, T, k)) == int(counts[0])]
        if len(counts) > 1 or not strides:
            raise bad("ddim and a number that some integer stride gives")
        return list(range(1, T + 1, strides[0]))[::-1]
    times: list[int] = []
    start, size, extra = 1, *divmod(T, len(counts))
    for section, count in enumerate(map(int, counts)):
        length = size + (section < extra)
        if count > length:
            raise bad(f"at most {length} times in section {section + 1}")
        stride = (length - 1) / (count - 1) if count > 1 else 1.0
        # Summed, not multiplied, as OpenAI does: at a half, the sum's rounding error decides.
        times += [start + round(place) for place in accumulate([stride] * (count - 1), initial=0.0)]
        start += length
    return times[::-1]


def ddpm_step(
    schedule: Schedule, noise: Noise, *, variance: Literal["small", "large", "learned"] | None = None
) -> Step:
    """Ancestral sampling from q(x_s | x_t, x0_hat) (Ho et al. 2020, arXiv 2006.11239, algorithm 2).

    variance: "small" is the posterior's; "large" is beta of the step from s to t; "learned" lies between, where the
        prediction says (Nichol & Dhariwal 2021, arXiv 2102.09672, equation 15). By default "learned" where the model
        has learned it, else the model's.
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


def dpm_solver_step(schedule: Schedule, noise: Noise) -> Step:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2): second order, one evaluation a step.

    The last x0_hat is kept to extrapolate; the first step and the one to data are of first order.
    """
    last: tuple[Images, float] | None = None  # the previous step's x0_hat and the width of that step in lambda

    def log_snr(t: int) -> float:
        abar_t = schedule.alpha_bar(t)
        return 0.5 * math.log(abar_t / (1 - abar_t))  # lambda_t = log(alpha_t / sigma_t)

    def step(predict: Predict, x_t: Images, t: int, s: int) -> Images:
        nonlocal last
        x0_hat = predict(x_t, t).x0
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


def heun_step(schedule: Schedule, noise: Noise) -> Step:
    """Heun's method on the probability-flow ODE (Karras et al. 2022, arXiv 2206.00364, algorithm 1, without churn).

    In y = x_t / sqrt(abar_t) and sigma = sqrt(1 / abar_t - 1) the ODE is dy/dsigma = (y - x0_hat) / sigma: a step of
    Euler (which is DDIM with eta = 0), then again with the mean of the slopes at both ends. Two evaluations a step, one
    for the last, and for one in which sigma falls by more than a factor of 20, as at the start of a cosine schedule:
    there the slope at the end, wrong by the network's error divided by sigma_s, would be carried over sigma_t.
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


Sampler = Callable[..., Step | Walk]  # (schedule, noise, *, its own options)
SAMPLERS: dict[str, Sampler] = {
    "ddpm": ddpm_step,
    "ddim": ddim_step,
    "dpm-solver++": dpm_solver_step,
    "heun": heun_step,
}
LABELS = {"ddpm": "DDPM", "ddim": "DDIM", "dpm-solver++": "DPM-Solver++", "heun": "Heun"}  # where a page writes another


def find_sampler(name: str) -> Sampler:
    """The sampler that the key `method` names."""
    return find_function(SAMPLERS, name, "key 'method'", takes=("schedule", "noise"))


def sampler_label(name: str) -> str:
    """How a page writes it: of a user's own file, the function's name."""
    own = own_code.parse(name)
    return own.name if own else LABELS.get(name, name)


# --- Without noise: cold diffusion (Bansal et al. 2022, arXiv 2208.09392) ---------------------------------------------

Degrade = Callable[[Images, int], Images]  # (x_0, t) -> D(x_0, t)


def cold_step(degrade: Degrade) -> Step:
    """x_s = x_t - D(x0_hat, t) + D(x0_hat, s), algorithm 2: what x0_hat misses at t is not lost at s.

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
