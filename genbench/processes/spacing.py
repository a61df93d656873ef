"""Which of the times 1..T a sampler visits."""

from itertools import accumulate
from typing import Literal, get_args

import numpy as np
import torch

from genbench.errors import InputError

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
    """`steps` of the times 1..T, descending; fewer if some of them are equal.

    uniform: 1 + floor(i T / steps), as in the DDIM paper (arXiv 2010.02502, appendix D.2).
    quadratic: 1 + floor(i^2 c), ending near 0.8 T, which the DDIM paper uses for CIFAR-10. Its first times are so close
        that some are equal: of 1000 times, 50 steps visit 49, and 100 steps 96.
    linspace: evenly spaced from 1 to T, both included, rounded (OpenAI's respacing by a number).
    trailing: rounded multiples of T / steps, ending at T (Lin et al. 2024, arXiv 2305.08891).
    truncated: the last ones, steps to 1, for samples that do not start from pure noise.
    leading: 1 + i floor(T / steps), diffusers' "leading": equal to uniform only if the number of steps divides T.
    diffusers-linspace: diffusers' "linspace": like linspace, except for the rounding of times halfway between two.
    diffusers-trailing: diffusers' "trailing": like trailing, except for its rounding, and counted down from T.
    lucidrains: denoising-diffusion-pytorch's: like trailing, but rounded down.
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
    """Times of 1..T, descending, from a string in the notation of OpenAI's improved-diffusion.

    "50": 50 evenly spaced times, 1 and T included. "10,15,20": three equal sections of the range, with 10, 15 and 20
    times. "ddim50": every k-th time from 1, for the k that gives 50 of them.
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
        # Summed, not multiplied, as in OpenAI's code: at a half, the sum's rounding error decides.
        times += [start + round(place) for place in accumulate([stride] * (count - 1), initial=0.0)]
        start += length
    return times[::-1]
