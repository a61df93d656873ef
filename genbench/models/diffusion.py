"""Denoising diffusion (Ho et al. 2020, arXiv 2006.11239): learn to undo a little noise, and walk back from noise.

The network sees x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps and predicts eps, x_0, or
v = sqrt(abar_t) eps - sqrt(1 - abar_t) x_0 (Salimans & Ho 2022, arXiv 2202.00512). Every sampler works from the
x0_hat that follows: see genbench/samplers.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch.nn import functional as F

from genbench.construction import check_arguments, choose, construct
from genbench.errors import InputError
from genbench.models import Batch, Model
from genbench.noise import Noise
from genbench.samplers import STEPS, PredictX0, Step, reverse_process, spaced_timesteps
from genbench.schedule import SCHEDULES
from genbench.tensors import Images, Labels, Scalar


class Diffusion(Model):
    """L_simple: the mean squared error of the prediction at a uniformly drawn t in 1..T."""

    family = "Diffusion"
    paper = "Ho et al. 2020, arXiv 2006.11239"
    network = "denoiser"

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        denoiser: Mapping[str, Any],
        timesteps: int = 1000,
        schedule: str | Mapping[str, Any] = "linear",
        prediction: Literal["eps", "v", "x0"] = "eps",
    ) -> None:
        super().__init__()
        self.schedule = choose(SCHEDULES, schedule, "schedule")(timesteps)
        self.prediction = prediction
        self.denoiser = construct("genbench.networks", denoiser, "denoiser", image_shape=image_shape)

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        t = batch.noise.integers(1, self.schedule.T + 1)
        eps = batch.noise.normal(*batch.x0.shape[1:])
        x_t = self.schedule.q_sample(batch.x0, t, eps)
        if self.prediction == "eps":
            target = eps
        elif self.prediction == "x0":
            target = batch.x0
        else:
            abar_t = self.schedule.gather(t)
            target = abar_t.sqrt() * eps - (1 - abar_t).sqrt() * batch.x0
        yield "denoiser", F.mse_loss(self.denoiser(x_t, t - 1).float(), target)

    def x0_predictor(self, clip: bool) -> PredictX0:
        """(x_t, t) -> x0_hat from what the network predicts, clipped to [-1, 1] if asked."""

        def predict_x0(x_t: Images, t: int) -> Images:
            abar_t = self.schedule.alpha_bar(t)
            time = torch.full((len(x_t),), t - 1, dtype=torch.int64, device=x_t.device)
            prediction = self.denoiser(x_t, time).float()
            if self.prediction == "eps":
                x0_hat = (x_t - (1 - abar_t) ** 0.5 * prediction) / abar_t**0.5
            elif self.prediction == "x0":
                x0_hat = prediction
            else:
                x0_hat = abar_t**0.5 * x_t - (1 - abar_t) ** 0.5 * prediction
            return x0_hat.clamp(-1, 1) if clip else x0_hat

        return predict_x0

    def sample(
        self,
        noise: Noise,
        y: Labels | None = None,
        *,
        step: Literal["ddpm", "ddim", "dpm-solver++"] = "ddpm",
        steps: int | None = None,
        spacing: Literal["uniform", "quadratic", "linspace", "trailing"] = "uniform",
        clip: bool = True,
        variance: Literal["small", "large"] | None = None,
        eta: float | None = None,
    ) -> Images:
        """`steps` of the T times (default all), chosen by `spacing`. variance goes with ddpm, eta with ddim."""
        options = {key: value for key, value in {"variance": variance, "eta": eta}.items() if value is not None}
        take: Step = STEPS[step](self.schedule, noise, **options)
        x_T = noise.normal(*self.image_shape)
        timesteps = spaced_timesteps(self.schedule.T, self.schedule.T if steps is None else steps, spacing)
        return reverse_process(x_T, timesteps, self.x0_predictor(clip), take)

    def check_sampler(self, options: Mapping[str, Any], where: str) -> dict[str, Any]:
        options = super().check_sampler(options, where)
        step = options.get("step", "ddpm")
        given = {key: options[key] for key in ("variance", "eta") if options.get(key) is not None}
        check_arguments(STEPS[step], given, f"{where}: {step}")
        try:
            STEPS[step](self.schedule, Noise(torch.zeros(0, dtype=torch.int64, device="cpu")), **given)
            steps = options.get("steps")
            spaced_timesteps(
                self.schedule.T, self.schedule.T if steps is None else steps, options.get("spacing", "uniform")
            )
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        return options
