"""Consistency models (Song et al. 2023, arXiv 2303.01469), trained from scratch by the improved recipe (Song & Dhariwal
2023, "Improved techniques for training consistency models", arXiv 2310.14189).

The ODE of EDM leads every x at noise level sigma to one image, the origin of its path. A network learns to predict this
origin in one step: f(x; sigma) = c_skip x + c_out F(c_in x; c_noise), which is x itself at the lowest level. Training
adds the same noise to an image at two neighbouring levels. The prediction from the lower level is the target for the
prediction from the higher one. Training starts with few levels, far apart, which is fast. Their number then doubles
several times, which makes the result more exact.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor

from genbench.errors import InputError, place
from genbench.models import Batch, Model
from genbench.processes.noise import Noise
from genbench.ranges import Count, Factor, Positive
from genbench.schema import construct
from genbench.tensors import Images, Labels, PerImage, Scalar, float64_device, in_float64


class Consistency(Model):
    """Minimises the distance between f at two neighbouring noise levels, divided by the difference of these levels.

    The distance is the pseudo-Huber metric sqrt(|a - b|^2 + c^2) - c. The target has no gradient, and the same dropout
    as the other pass. In a training of K iterations, the number of intervals between levels doubles after every
    K / (log2(floor(intervals_end / intervals_start)) + 1) iterations.

    denoiser: The network F, a class of `songunet` or `unet`; its time input is ln(sigma) / 4.
    sigma_data: Standard deviation of the images' values, from which c_skip, c_in and c_out follow.
    sigma_min: Lowest level of noise, at which f(x) = x.
    sigma_max: Highest level, from which samples start.
    rho: Levels are evenly spaced in sigma^(1 / rho).
    p_mean: Mean of ln(sigma) while training. An interval between levels is drawn with its probability under this normal
        distribution.
    p_std: Standard deviation of ln(sigma) while training.
    intervals_start: Number of intervals between levels when training starts, the paper's s_0.
    intervals_end: Largest number of intervals between levels, the paper's s_1. By the paper's formula, the
        number is sure to reach only intervals_start times a power of two: with 10 and 19, it stays at 10.
    huber: c of the distance is this number times the square root of the number of values in an image.
    """

    family = "Consistency model"
    about = (
        "A network learns to predict the same image from a picture with some noise and with a little less, down to "
        "none. It then turns pure noise into an image in one step; a second step with new noise adds detail."
    )
    paper = "Song & Dhariwal 2023, arXiv 2310.14189"
    network = "denoiser"
    pictures: ClassVar[tuple[str, ...]] = ("one_step",)

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        denoiser: Mapping[str, Any],
        sigma_data: Positive = 0.5,
        sigma_min: Positive = 0.002,
        sigma_max: Positive = 80.0,
        rho: Positive = 7.0,
        p_mean: Factor = -1.1,
        p_std: Positive = 2.0,
        intervals_start: Count = 10,
        intervals_end: Count = 1280,
        huber: Positive = 0.00054,
    ) -> None:
        super().__init__()
        if sigma_min >= sigma_max:
            raise InputError(f"key 'sigma_min': found {sigma_min}, expected less than sigma_max {sigma_max}")
        if intervals_end < intervals_start:
            raise InputError(
                f"key 'intervals_end': found {intervals_end}, expected at least intervals_start {intervals_start}"
            )
        self.sigma_data, self.sigma_min, self.sigma_max, self.rho = sigma_data, sigma_min, sigma_max, rho
        self.p_mean, self.p_std = p_mean, p_std
        self.intervals_start, self.intervals_end = intervals_start, intervals_end
        self.c = huber * math.sqrt(math.prod(image_shape))
        with place("denoiser"):
            self.denoiser = construct("genbench.networks", denoiser, image_shape=image_shape)

    # --- Training -----------------------------------------------------------------------------------------------------

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        below, sigma = self.draw_levels(batch.noise, self.intervals(step))
        eps = batch.noise.normal(*batch.x0.shape[1:])
        # Dropout must hide the same units in both passes, on any device. The pass with the gradient runs first:
        # autocast keeps the weights that it has cast, and those cast in a pass without gradients would have none.
        dropout = int(torch.randint(2**63 - 1, (), device="cpu"))
        torch.manual_seed(dropout)
        x0_hat = self.origin(batch.x0 + sigma[:, None, None, None] * eps, sigma)
        torch.manual_seed(dropout)
        with torch.no_grad():
            target = self.origin(batch.x0 + below[:, None, None, None] * eps, below)
        squares = (x0_hat - target).square().flatten(1).sum(1)
        distance = (squares + self.c**2).sqrt() - self.c
        yield "denoiser", (distance / (sigma - below)).mean()

    def intervals(self, step: int) -> int:
        """The number of intervals between levels at a training step: the paper's N(k) - 1."""
        doublings = math.log2(self.intervals_end // self.intervals_start)
        every = max(1, int(self.training_steps / (doublings + 1)))
        return min(self.intervals_start * 2 ** min(step // every, math.ceil(doublings)), self.intervals_end)

    def levels(self, intervals: int) -> Tensor:
        """(intervals + 1,) from sigma_min to sigma_max, float64, on the CPU."""
        ends = (self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho))
        return torch.linspace(*ends, intervals + 1, dtype=torch.float64, device="cpu") ** self.rho

    def draw_levels(self, noise: Noise, intervals: int) -> tuple[PerImage, PerImage]:
        """The lower and upper ends of one interval per image, drawn with its probability under N(p_mean, p_std^2)."""
        levels = self.levels(intervals)
        shares = torch.special.ndtr((levels.log() - self.p_mean) / self.p_std)
        inner = ((shares[1:-1] - shares[0]) / (shares[-1] - shares[0])).to(float64_device(noise.device))
        index = torch.searchsorted(inner, in_float64(noise.uniform()), right=True).to(noise.device)
        levels = levels.float().to(noise.device)
        return levels[index], levels[index + 1]

    def origin(self, x: Images, sigma: PerImage) -> Images:
        """f(x; sigma), float32: x itself at sigma_min."""
        level = sigma[:, None, None, None]
        total = (level**2 + self.sigma_data**2).sqrt()
        above = level - self.sigma_min
        c_skip = self.sigma_data**2 / (above**2 + self.sigma_data**2)
        answer = self.denoiser(x / total, sigma.log() / 4).float()
        return c_skip * x + above * self.sigma_data / total * answer

    # --- Sampling -----------------------------------------------------------------------------------------------------

    def sample(self, noise: Noise, y: Labels | None = None, *, sigmas: Sequence[Positive] = ()) -> Images:
        """One step, then for each of `sigmas` new noise and another step: algorithm 1 of arXiv 2303.01469.

        sigmas: Noise levels, falling, between sigma_max and sigma_min.
        """
        x0 = self._step(self.sigma_max * noise.normal(*self.image_shape), self.sigma_max)
        for sigma in sigmas:
            fresh = math.sqrt(sigma**2 - self.sigma_min**2) * noise.normal(*self.image_shape)
            x0 = self._step(x0 + fresh, sigma)
        return x0

    def _step(self, x: Images, sigma: float) -> Images:
        return self.origin(x, torch.full((len(x),), sigma, device=x.device))

    def check_sampler(self, options: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_sampler(options)
        levels = [self.sigma_max, *checked.get("sigmas", ()), self.sigma_min]
        if any(below >= sigma for sigma, below in pairwise(levels)):
            raise InputError(
                f"key 'sigmas': found {list(checked['sigmas'])}, expected levels that fall from below sigma_max "
                f"{self.sigma_max} to above sigma_min {self.sigma_min}"
            )
        return checked

    def describe_walk(self, options: Mapping[str, Any]) -> dict[str, Any] | None:
        return {"steps": 1 + len(options.get("sigmas", ()))}

    def one_step(self, batch: Batch) -> Tensor:
        """Five held-out images with ten levels of noise, one row each; below each row, the images after one step.

        Images with noise are scaled to the variance of those without.
        """
        rows = []
        for x0, eps in zip(batch.x0[:5], batch.noise.normal(*self.image_shape)[:5], strict=True):
            sigma = self.levels(9).float().to(x0.device)
            x = x0 + sigma[:, None, None, None] * eps
            scale = self.sigma_data / (sigma**2 + self.sigma_data**2).sqrt()
            rows += [scale[:, None, None, None] * x, self.origin(x, sigma)]
        return torch.cat(rows).clamp(-1, 1)
