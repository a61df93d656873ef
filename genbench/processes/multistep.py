"""Multistep samplers: they reuse predictions from earlier times, which gives a higher order with one evaluation per
step.

They solve the diffusion ODE, or SDE, in lambda_t = log(alpha_t / sigma_t), half the log of the signal-to-noise ratio,
where x_t = alpha_t x_0 + sigma_t eps. The step to data, s = 0, where lambda is infinite, returns x0_hat.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch

from genbench.processes.noise import Noise
from genbench.processes.reverse import Predict, Step, Walk
from genbench.processes.schedule import Schedule
from genbench.tensors import Images


def dpm_solver_step(schedule: Schedule, noise: Noise) -> Step:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2): second order, one evaluation per step.

    The previous x0_hat is used to extrapolate. The first step and the step to data are of first order.
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


def sde_dpm_solver_step(schedule: Schedule, noise: Noise) -> Step:
    """SDE-DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, appendix B.5): the same with noise in each step.

    It solves the diffusion SDE, whose noise corrects earlier errors if there are enough steps.
    """
    last: tuple[Images, float] | None = None

    def step(predict: Predict, x_t: Images, t: int, s: int) -> Images:
        nonlocal last
        x0_hat = predict(x_t, t).x0
        if s == 0:
            return x0_hat
        (alpha_s, sigma_s, lambda_s), (_, sigma_t, lambda_t) = _levels(schedule, s), _levels(schedule, t)
        h = lambda_s - lambda_t
        D = x0_hat if last is None else x0_hat + h / (2 * last[1]) * (x0_hat - last[0])
        last = (x0_hat, h)
        renewed = -math.expm1(-2 * h)
        mean = sigma_s / sigma_t * math.exp(-h) * x_t + alpha_s * renewed * D
        return mean + sigma_s * math.sqrt(renewed) * noise.normal(*x_t.shape[1:])

    return step


def dpm_solver_3m_walk(schedule: Schedule, noise: Noise) -> Walk:
    """DPM-Solver++(3M) (Lu et al. 2022, arXiv 2211.01095): third order, one evaluation per step.

    The first step is of first order, the second of second order. With fewer than 15 times, the last step but one is
    also of second order, for stability.
    """

    def walk(predict: Predict, x_T: Images, times: Sequence[int]) -> Iterator[Images]:
        x = x_T
        seen: deque[tuple[Images, float]] = deque(maxlen=3)  # x0_hat and lambda, the latest first
        for number, (t, s) in enumerate(pairwise([*times, 0]), start=1):
            (alpha_s, sigma_s, lambda_s), (_, sigma_t, lambda_t) = _levels(schedule, s), _levels(schedule, t)
            seen.appendleft((predict(x, t).x0, lambda_t))
            if s == 0:
                yield seen[0][0]
                return
            h = lambda_s - lambda_t
            slopes = [
                (later - earlier) * (h / (lambda_later - lambda_earlier))
                for (later, lambda_later), (earlier, lambda_earlier) in pairwise(seen)
            ]
            if number == len(times) - 1 and len(times) < 15:
                slopes = slopes[:1]
            phi = math.expm1(-h)
            D = phi * seen[0][0]
            if len(slopes) == 1:
                D = D + 0.5 * phi * slopes[0]
            elif slopes:
                r0, r1 = ((seen[i][1] - seen[i + 1][1]) / h for i in (0, 1))
                D2 = (slopes[0] - slopes[1]) / (r0 + r1)
                D = D - (phi / h + 1) * (slopes[0] + r0 * D2) + ((phi + h) / h**2 - 0.5) * D2
            x = sigma_s / sigma_t * x - alpha_s * D
            yield x

    return walk


def unipc_walk(
    schedule: Schedule, noise: Noise, *, order: Literal[1, 2, 3] = 2, variant: Literal["bh1", "bh2"] = "bh2"
) -> Walk:
    """UniPC (Zhao et al. 2023, arXiv 2302.04867): each evaluation corrects the step before it, then predicts the next.

    order: The order of the predictor; the corrector's is higher by one. The first and last steps have a lower order.
    variant: B(h) of the paper: "bh1" is h, "bh2" is e^h - 1.
    """

    def update(
        x: Images, t: int, s: int, seen: Sequence[tuple[Images, float]], p: int, at_s: Images | None = None
    ) -> Images:
        """x_s from x at t, the last p predictions in `seen` and, for the corrector, x0_hat at s."""
        (alpha_s, sigma_s, lambda_s), (_, sigma_t, lambda_t) = _levels(schedule, s), _levels(schedule, t)
        h, latest = lambda_s - lambda_t, seen[0][0]
        places = [(lambda_i - lambda_t) / h for _, lambda_i in list(seen)[1:p]]
        slopes = [(x0_hat - latest) / place for (x0_hat, _), place in zip(list(seen)[1:p], places, strict=True)]
        if at_s is not None:
            places, slopes = [*places, 1.0], [*slopes, at_s - latest]
        B = -h if variant == "bh1" else math.expm1(-h)
        x_s = sigma_s / sigma_t * x - alpha_s * math.expm1(-h) * latest
        for weight, slope in zip(_weights(places, -h, B), slopes, strict=True):
            x_s = x_s - alpha_s * B * weight * slope
        return x_s

    def walk(predict: Predict, x_T: Images, times: Sequence[int]) -> Iterator[Images]:
        x, before, p = x_T, (x_T, 0), 0
        seen: deque[tuple[Images, float]] = deque(maxlen=3)  # x0_hat and lambda, the latest first
        for left, (t, s) in zip(range(len(times), 0, -1), pairwise([*times, 0]), strict=True):
            x0_hat = predict(x, t).x0
            if s == 0:
                yield x0_hat
                return
            if p:
                x = update(*before, t, seen, p, at_s=x0_hat)
            seen.appendleft((x0_hat, _levels(schedule, t)[2]))
            p = min(order, len(seen), left)
            before, x = (x, t), update(x, t, s, seen, p)
            yield x

    return walk


def _weights(places: Sequence[float], hh: float, B: float) -> Sequence[float]:
    """Weights of the slopes at `places`, which make the step exact for polynomials of that degree (UniPC, theorem 3.1).

    A single slope has the weight 1/2, as in the paper's experiments.
    """
    if len(places) < 2:
        return [0.5] * len(places)
    right, phi, factorial = [], math.expm1(hh) / hh - 1, 1
    for k in range(2, len(places) + 2):
        right.append(phi * factorial / B)
        factorial *= k
        phi = phi / hh - 1 / factorial
    return np.linalg.solve(np.vander(places, increasing=True).T, right).tolist()


ADAMS_BASHFORTH = {
    1: (1.0,),
    2: (3 / 2, -1 / 2),
    3: (23 / 12, -16 / 12, 5 / 12),
    4: (55 / 24, -59 / 24, 37 / 24, -9 / 24),
}


def pndm_walk(
    schedule: Schedule, noise: Noise, *, warm_up: Literal["runge-kutta", "multistep"] = "runge-kutta"
) -> Walk:
    """PNDM (Liu et al. 2022, arXiv 2202.09778): a linear multistep method in eps_hat, for evenly spaced times.

    Its steps divide by alpha_t. At t = T of a cosine schedule, alpha_t is almost 0, and samples diverge if they start
    there (spacing "trailing"); "uniform" starts below T.

    warm_up: The first three steps: "runge-kutta" takes four evaluations for each (F-PNDM); "multistep" takes one for
        each, of lower order, and one more for the first (S-PNDM's start, as in Stable Diffusion).
    """

    def implied(x: Images, t: int, x0_hat: Images) -> Images:
        alpha_t, sigma_t, _ = _levels(schedule, t)
        return (x - alpha_t * x0_hat) / sigma_t

    def move(x: Images, eps_hat: Images, t: int, s: int) -> Images:
        (alpha_t, sigma_t), (alpha_s, sigma_s) = _levels(schedule, t)[:2], _levels(schedule, s)[:2]
        return alpha_s * (x - sigma_t * eps_hat) / alpha_t + sigma_s * eps_hat

    def walk(predict: Predict, x_T: Images, times: Sequence[int]) -> Iterator[Images]:
        def look(x: Images, t: int) -> Images:
            return implied(x, t, predict(x, t).x0)

        x = x_T
        seen: deque[Images] = deque(maxlen=4)  # eps_hat, the latest first
        for number, (t, s) in enumerate(pairwise([*times, 0])):
            x0_hat = predict(x, t).x0
            if number == s == 0:  # the only step
                yield x0_hat
                return
            eps = implied(x, t, x0_hat)
            seen.appendleft(eps)
            if number < 3 and s > 0 and warm_up == "runge-kutta":
                middle = max((t + s) // 2, s)
                second = look(move(x, eps, t, middle), middle)
                third = look(move(x, second, t, middle), middle)
                fourth = look(move(x, third, t, s), s)
                eps = (eps + 2 * second + 2 * third + fourth) / 6
            elif number == 0 and s > 0:
                eps = (eps + look(move(x, eps, t, s), s)) / 2
            else:
                parts = [weight * e for weight, e in zip(ADAMS_BASHFORTH[len(seen)], seen, strict=True)]
                eps = torch.stack(parts).sum(0)
            x = move(x, eps, t, s)
            yield x

    return walk


def _levels(schedule: Schedule, t: int) -> tuple[float, float, float]:
    """alpha_t, sigma_t, and lambda_t, which is infinite at t = 0."""
    abar_t = schedule.alpha_bar(t)
    return math.sqrt(abar_t), math.sqrt(1 - abar_t), 0.5 * math.log(abar_t / (1 - abar_t)) if t else math.inf
