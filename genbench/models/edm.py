"""EDM (Karras et al. 2022, arXiv 2206.00364): a denoiser D(x; sigma), and the ODE that it defines.

D(x; sigma) learns the mean of all images that noise of standard deviation sigma can turn into x. Factors around the
network F keep its input and its target at unit variance for any sigma: D(x; sigma) = c_skip x + c_out F(c_in x;
c_noise). As sigma falls, the ODE dx/dsigma = (x - D(x; sigma)) / sigma leads from noise to an image. Churn adds noise
on the way, which the ODE then removes together with earlier errors.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from genbench.errors import InputError, place
from genbench.models import Batch, Model
from genbench.processes.augmentation import NUM_LABELS, draw_transformation, transformed
from genbench.processes.noise import Noise, StillNoise
from genbench.processes.samplers import sampler_label
from genbench.ranges import CountOrZero, Factor, NotNegative, Positive, Share, StepCount
from genbench.schema import check_arguments, construct, defaults, divided, find_function
from genbench.tensors import Images, Labels, PerImage, Scalar, Seeds, in_float64

# --- Samplers: from noise to images -----------------------------------------------------------------------------------

Denoise = Callable[[Images, float], Images]  # (x, sigma) -> D(x; sigma)
# A generator: (denoise, noise of variance 1, noise for each step, *, its own options) -> every x_i, the image last
Sampler = Callable[..., Iterator[Images]]


def noise_levels(steps: int, sigma_min: float, sigma_max: float, rho: float) -> list[float]:
    """From sigma_max to sigma_min in `steps`, evenly spaced in sigma^(1 / rho), and 0 (equation 5)."""
    if sigma_min >= sigma_max:
        raise InputError(f"key 'sigma_min': found {sigma_min}, expected less than sigma_max {sigma_max}")
    top, bottom = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(top + i / max(1, steps - 1) * (bottom - top)) ** rho for i in range(steps)] + [0.0]


def churned(
    x: Images, sigma: float, noise: Noise, gamma: float, s_min: float, s_max: float | None, s_noise: float
) -> tuple[Images, float]:
    """Add noise to x: sigma grows to (1 + gamma) sigma, at most sqrt(2) sigma. Outside s_min..s_max, x is unchanged."""
    if not gamma or sigma < s_min or (s_max is not None and sigma > s_max):
        return x, sigma
    more = sigma * (1 + min(gamma, math.sqrt(2) - 1))
    return x + math.sqrt(more**2 - sigma**2) * s_noise * noise.normal(*x.shape[1:]).to(x.device), more


def euler(
    denoise: Denoise,
    x: Images,
    noise: Noise,
    *,
    steps: StepCount = 50,
    sigma_min: Positive = 0.002,
    sigma_max: Positive = 80.0,
    rho: Positive = 7.0,
    s_churn: NotNegative = 0.0,
    s_min: NotNegative = 0.0,
    s_max: Positive | None = None,
    s_noise: NotNegative = 1.0,
) -> Iterator[Images]:
    """First order, one evaluation per step: algorithm 2 without its correction.

    steps: Number of noise levels above 0.
    sigma_min: The lowest noise level.
    sigma_max: The highest noise level, from which sampling starts.
    rho: Noise levels are evenly spaced in sigma^(1 / rho): the larger rho, the more of them are low.
    s_churn: Noise added before each step: sigma grows by the share s_churn / steps. 0 adds none.
    s_min: Lowest sigma at which noise is added.
    s_max: Highest sigma at which noise is added; by default there is no limit.
    s_noise: The added noise is multiplied by this number.
    """
    sigmas = noise_levels(steps, sigma_min, sigma_max, rho)
    x = sigma_max * in_float64(x)
    for sigma, below in pairwise(sigmas):
        x, sigma = churned(x, sigma, noise, s_churn / steps, s_min, s_max, s_noise)
        x = x + (below - sigma) * (x - denoise(x, sigma)) / sigma
        yield x


def heun(
    denoise: Denoise,
    x: Images,
    noise: Noise,
    *,
    steps: StepCount = 18,
    sigma_min: Positive = 0.002,
    sigma_max: Positive = 80.0,
    rho: Positive = 7.0,
    s_churn: NotNegative = 0.0,
    s_min: NotNegative = 0.0,
    s_max: Positive | None = None,
    s_noise: NotNegative = 1.0,
) -> Iterator[Images]:
    """Second order, two evaluations per step, and one in the last step, which ends at 0: algorithm 2.

    steps: Number of noise levels above 0.
    sigma_min: The lowest noise level.
    sigma_max: The highest noise level, from which sampling starts.
    rho: Noise levels are evenly spaced in sigma^(1 / rho): the larger rho, the more of them are low.
    s_churn: Noise added before each step: sigma grows by the share s_churn / steps. 0 adds none.
    s_min: Lowest sigma at which noise is added.
    s_max: Highest sigma at which noise is added; by default there is no limit.
    s_noise: The added noise is multiplied by this number.
    """
    sigmas = noise_levels(steps, sigma_min, sigma_max, rho)
    x = sigma_max * in_float64(x)
    for sigma, below in pairwise(sigmas):
        x, sigma = churned(x, sigma, noise, s_churn / steps, s_min, s_max, s_noise)
        slope = (x - denoise(x, sigma)) / sigma
        if below:
            ahead = x + (below - sigma) * slope
            slope = (slope + (ahead - denoise(ahead, below)) / below) / 2
        x = x + (below - sigma) * slope
        yield x


SAMPLERS: dict[str, Sampler] = {"heun": heun, "euler": euler}
LABELS = {"heun": "Heun", "euler": "Euler"}


def find_sampler(name: str) -> Sampler:
    """The sampler that the key `method` names."""
    return find_function(SAMPLERS, name, "key 'method'", takes=("denoise", "x", "noise"))


class EDM(Model):
    """Minimises the weighted squared error of D(x_0 + sigma eps; sigma). ln(sigma) is drawn from a normal distribution.

    denoiser: The network F, a class of `songunet` or `unet`; its time input is ln(sigma) / 4.
    sigma_data: Standard deviation of the images' values, from which c_skip, c_in and c_out follow.
    p_mean: Mean of ln(sigma) while training.
    p_std: Standard deviation of ln(sigma) while training.
    num_classes: Number of classes of the network's labels; 0 means no labels.
    augment: Probability of each augmentation: images are flipped, scaled, rotated, stretched and shifted. The network
        receives the parameters, which keeps augmentation out of samples (appendix F.2). Flips from left to right always
        have probability 1/2. With `augment` above 0, the training does not need `flip`.
    """

    family = "EDM"
    about = (
        "A network learns to remove noise of any strength from an image; its inputs and targets are scaled to unit "
        "variance. Heun's method then follows the resulting differential equation from noise to a new image."
    )
    paper = "Karras et al. 2022, arXiv 2206.00364"
    network = "denoiser"
    methods: ClassVar[Mapping[str, Callable[..., Any]]] = SAMPLERS
    pictures: ClassVar[tuple[str, ...]] = ("denoising",)

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        denoiser: Mapping[str, Any],
        sigma_data: Positive = 0.5,
        p_mean: Factor = -1.2,
        p_std: Positive = 1.2,
        num_classes: CountOrZero = 0,
        augment: Share = 0.0,
    ) -> None:
        super().__init__()
        self.sigma_data, self.p_mean, self.p_std = sigma_data, p_mean, p_std
        self.num_classes, self.augment = num_classes, augment
        given: dict[str, Any] = {"num_classes": num_classes} if num_classes else {}
        if augment:
            given["augment_size"] = NUM_LABELS
        with place("denoiser"):
            self.denoiser = construct("genbench.networks", denoiser, image_shape=image_shape, **given)

    # --- Training -----------------------------------------------------------------------------------------------------

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        sigma = torch.exp(self.p_mean + self.p_std * batch.noise.normal())
        eps = batch.noise.normal(*batch.x0.shape[1:])
        x0, how = batch.x0, None
        if self.augment:
            transformation = draw_transformation(batch.noise, self.augment)
            x0, how = transformed(x0, transformation), transformation.labels
        x0_hat = self.denoise(x0 + sigma[:, None, None, None] * eps, sigma, self.one_hot(batch.y), how)
        weights = (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2
        error = F.mse_loss(x0_hat, x0, reduction="none").flatten(1).mean(1)
        yield "denoiser", (weights * error).mean()

    def denoise(self, x: Images, sigma: PerImage, labels: Tensor | None = None, how: Tensor | None = None) -> Images:
        """D(x; sigma), float32, with the network as F (equation 7 and table 1).

        labels: zeros and ones (N, num_classes). how: the augmentation of each image (N, 9), or None without any.
        """
        level = sigma[:, None, None, None]
        total = (level**2 + self.sigma_data**2).sqrt()
        conditions = (labels, how) if how is not None else (labels,) if labels is not None else ()
        answer = self.denoiser(x / total, sigma.log() / 4, *conditions).float()
        return (self.sigma_data / total) ** 2 * x + level * self.sigma_data / total * answer

    def one_hot(self, y: Labels) -> Tensor | None:
        """Zeros and ones, float32 (N, num_classes), from classes (N,); None for a model without classes."""
        return (y[:, None] == torch.arange(self.num_classes, device=y.device)).float() if self.num_classes else None

    # --- Sampling -----------------------------------------------------------------------------------------------------

    def path(self, noise: Noise, y: Labels | None, method: str, **options: Any) -> Iterator[Images]:
        """Every x_i from the first noise to the new image, float64."""
        labels = self.one_hot(noise.seeds % max(1, self.num_classes) if y is None else y)

        def denoise(x: Images, sigma: float) -> Images:
            levels = torch.full((len(x),), sigma, device=noise.device)
            return self.denoise(x.float().to(noise.device), levels, labels).to(x)

        return find_sampler(method)(denoise, noise.normal(*self.image_shape), noise, **options)

    def sample(self, noise: Noise, y: Labels | None = None, *, method: str = "heun", **options: Any) -> Images:
        """The options of the named sampler also apply.

        y: labels, for a model with classes; without them, seed i has class i mod num_classes.

        method: The solver of the ODE from sigma_max to 0: one of those below.
        """
        return deque(self.path(noise, y, method, **options), maxlen=1)[0].float().to(noise.device)

    def labels(self, seeds: Seeds) -> Labels | None:
        return seeds % self.num_classes if self.num_classes else None

    def check_sampler(self, options: Mapping[str, Any]) -> dict[str, Any]:
        of_sample, own = divided(options, self.sample)
        checked = super().check_sampler(of_sample)
        method = checked.get("method", "heun")
        sampler = find_sampler(method)
        with place(method):
            checked |= check_arguments(sampler, own, also=["method"])
            zeros = torch.zeros(1, *self.image_shape, device="cpu")
            still = StillNoise(torch.zeros(1, dtype=torch.int64, device="cpu"))
            next(sampler(lambda x, sigma: x, zeros, still, **{key: checked[key] for key in own}))  # the first step
        return {key: checked[key] for key in options}

    def describe_walk(self, options: Mapping[str, Any]) -> dict[str, Any] | None:
        method = options.get("method", "heun")
        steps = {**defaults(find_sampler(method)), **options}.get("steps")
        if not isinstance(steps, int):
            return None
        return {"method": method, "label": LABELS.get(method, sampler_label(method)), "steps": steps}

    def denoising(self, batch: Batch) -> Tensor:
        """Five samples, one row each: ten pictures from noise to data, one after every second of 20 Heun steps.

        Images with noise are scaled to the variance of those without.
        """
        levels = noise_levels(20, 0.002, 80.0, 7.0)[1:]
        path = self.path(Noise(batch.noise.seeds[:5]), None, "heun", steps=20)
        shown = [
            (self.sigma_data / math.hypot(sigma, self.sigma_data) * x).float()
            for sigma, x in zip(levels, path, strict=True)
        ]
        return torch.stack(shown[1::2], dim=1).flatten(0, 1).clamp(-1, 1).to(batch.x0.device)
