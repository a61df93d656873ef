"""DiffuseVAE (Pandey et al. 2022, arXiv 2201.00308): a VAE draws a blurred image, a diffusion model sharpens it.

The VAE is trained first and then held fixed. The network of the diffusion model receives the VAE's image x_hat together
with x_t: as additional channels (formulation 1), or as additional channels and also added to x_t (formulation 2). The
paper writes formulation 2 as a process around x_hat, x_t = sqrt(abar_t) x_0 + x_hat + sqrt(1 - abar_t) eps. Apart from
the network, this process depends only on x_t - x_hat, which follows the process of DDPM. The code therefore samples
x_t - x_hat, with any sampler, and its result does not contain x_hat.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from genbench.errors import InputError, place
from genbench.models import Batch
from genbench.models.diffusion import SHOWN_STEPS, Diffusion
from genbench.models.vae import VAE, Prior
from genbench.processes.noise import Noise
from genbench.processes.reverse import reverse_process
from genbench.ranges import NotNegative, StepCount
from genbench.schema import construct
from genbench.tensors import Images, Outputs, Timesteps


class DiffuseVAE(Diffusion):
    """A Diffusion whose denoiser sees the VAE's image together with x_t.

    In training, the VAE's images are decoded draws of q(z|x), not decoded means.

    vae: The first stage. Its weights come from its own training and stay fixed. The key `first_stage` beside `model`
        fills it in.
    denoiser: The network that predicts, a class of `unet`.
    formulation: The paper's formulation: 1 gives the network the VAE's image as additional channels; 2 also adds it to
        x_t.
    timesteps: T, the number of steps from data to noise.
    schedule: How noise grows with t: a name, or a mapping with `name` and its options, see below.
    prediction: What the network predicts: the noise eps, v = sqrt(abar_t) eps - sqrt(1 - abar_t) x0, or x0.
    """

    family = "DiffuseVAE"
    about = (
        "A VAE draws a blurred image, and a diffusion model that sees this image sharpens it. The images keep the "
        "VAE's small latent space, and sampling needs fewer steps than from noise only."
    )
    paper = "Pandey et al. 2022, arXiv 2201.00308"
    first_stage = "vae"
    pictures = ("denoising", "refinement")
    bits_per_dim = None  # type: ignore[assignment]  # the bound is on p(x | x_hat), not on p(x)

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        vae: Mapping[str, Any],
        denoiser: Mapping[str, Any],
        formulation: Literal[1, 2] = 1,
        timesteps: StepCount = 1000,
        schedule: str | Mapping[str, Any] = "linear",
        prediction: Literal["eps", "v", "x0"] = "eps",
    ) -> None:
        super().__init__(
            image_shape=image_shape,
            denoiser={**denoiser, "in_channels": 2 * image_shape[0]},
            timesteps=timesteps,
            schedule=schedule,
            prediction=prediction,
        )
        self.formulation = formulation
        with place("vae"):
            self.vae: VAE = construct("genbench.models", vae, VAE, image_shape=image_shape)
        self.vae.requires_grad_(False)
        if self.vae.deterministic:
            raise InputError("key 'vae': found an autoencoder (deterministic), expected a VAE")

    # --- Training -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def condition_on(self, batch: Batch) -> Images:
        mu, logvar = self.vae.encode(batch.x0)
        z = mu + torch.exp(0.5 * logvar) * batch.noise.normal(self.vae.latent_size)
        return self.vae.decode(z).float().clamp(-1, 1)

    def draw_condition(self, noise: Noise, y: Tensor | None = None, prior: Prior | None = None) -> Images:
        return self.vae.sample(noise, prior=prior).clamp(-1, 1)

    def call(self, x_t: Images, time: Timesteps, c: Tensor | None) -> Outputs:
        assert c is not None
        return self.denoiser(torch.cat([x_t + c if self.formulation == 2 else x_t, c], dim=1), time)

    # --- Sampling -----------------------------------------------------------------------------------------------------

    def sample(
        self,
        noise: Noise,
        y: Tensor | None = None,
        *,
        prior: Prior | None = None,
        temperature: NotNegative = 1.0,
        clip: bool | None = None,
        **walk: Any,
    ) -> Images:
        """The options of the walk and of its `method` also apply, as in Diffusion.

        x_T is drawn first, as in Diffusion: with the same seeds, both start from the same noise.

        prior: The distribution of the VAE's latent, one of its `priors`; by default the first.
        temperature: Scales x_T, the noise that sampling starts from.
        clip: Whether the predicted image is clipped to [-1, 1] before each step; by default true.
        """
        times, step = self.walk(noise, **walk)
        x_T = temperature * noise.normal(*self.image_shape)
        x_hat = self.draw_condition(noise, prior=prior)
        return reverse_process(x_T, times, self.predictor(self.clip if clip is None else clip, x_hat), step)

    def check_sampler(self, options: Mapping[str, Any]) -> dict[str, Any]:
        options = super().check_sampler(options)
        self.vae.check_sampler({"prior": options["prior"]} if "prior" in options else {})
        if not options.get("temperature", 1.0) > 0:
            raise InputError(f"key 'temperature': found {options['temperature']}, expected a positive number")
        return options

    def remarks(self, options: Mapping[str, Any]) -> list[str]:
        prior = options.get("prior")
        return [f"first stage: {remark}" for remark in self.vae.remarks({"prior": prior} if prior else {})]

    def refinement(self, batch: Batch) -> Tensor:
        """A row of ten images of the first stage; below it, the images that the second stage makes from them."""
        few = Noise(batch.noise.seeds[:10])
        x_T, x_hat = few.normal(*self.image_shape), self.draw_condition(few)
        times, step = self.walk(few, steps=min(SHOWN_STEPS, self.schedule.T))
        refined = reverse_process(x_T, times, self.predictor(True, x_hat), step)
        return torch.cat([x_hat, refined.clamp(-1, 1)])
