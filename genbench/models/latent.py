"""Latent diffusion (Rombach et al. 2022, arXiv 2112.10752): learn where a VAE's latents lie, and decode what is drawn.

A VAE with a small weight of its KL divergence makes images small and keeps what matters in them. It is trained first
and held fixed. A diffusion model, or a flow, then learns from draws z of q(z|x), a grid (C, h, w), scaled to unit
variance; its samples are decoded. Each evaluation of its network is that of a smaller image; the decoder runs once.
The paper's first stages are also taught by LPIPS, a network's judgement of likeness, and by a GAN on patches; ours only
by the VAE's own loss, with 1e-6 as the weight of its KL divergence where an entry follows the paper.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor

from genbench.errors import InputError, place
from genbench.models import Batch, Model
from genbench.models.diffusion import Diffusion
from genbench.models.flow import Flow
from genbench.models.vae import VAE
from genbench.processes.spacing import Spacing
from genbench.ranges import Count, CountOrZero, Factor, Positive, ShareBelowOne, StepCount
from genbench.schema import construct
from genbench.tensors import Images, Scalar, in_float64

SCALED_BY = 10  # batches of a hundred images, whose latents say how large a latent is


def first_stage(vae: Mapping[str, Any], image_shape: tuple[int, int, int]) -> tuple[VAE, tuple[int, int, int]]:
    """The VAE of an entry, held fixed, and the shape (C, h, w) of its latents. Raises InputError for flat ones."""
    with place("vae"):
        found: VAE = construct("genbench.models", vae, VAE, image_shape=image_shape)
        shape = getattr(found.autoencoder, "latent_shape", None)
        if shape is None:
            raise InputError(
                f"key 'autoencoder': found {type(found.autoencoder).__module__.rpartition('.')[2]}."
                f"{type(found.autoencoder).__name__}, whose latents have no height and width; expected a network with "
                "latent_shape, such as autoencoder_kl.AutoencoderKL"
            )
    return found.requires_grad_(False).eval(), shape


class InLatents(Model):
    """What makes a family learn from a VAE's latents instead of images: a base class beside the family's own.

    scale: 1 over the standard deviation of the first thousand training images' latents: what is learned from is z
        times this.
    """

    vae: VAE
    scale: Tensor  # ()
    first_stage = "vae"

    def hold(self, vae: VAE) -> None:
        """Take the first stage, at the end of the constructor."""
        self.vae = vae
        self.register_buffer("scale", torch.ones(()))

    @property
    def x_shape(self) -> tuple[int, int, int]:
        shape: tuple[int, int, int] = self.vae.autoencoder.latent_shape
        return shape

    @torch.no_grad()
    def begin(self, batches: Iterator[Images]) -> None:
        mu, logvar = self.vae.encode(next(batches))
        for x0 in islice(batches, SCALED_BY - 1):
            more = self.vae.encode(x0)
            mu, logvar = torch.cat([mu, more[0]]), torch.cat([logvar, more[1]])
        variance = in_float64(mu).var(correction=0) + in_float64(logvar).exp().mean()  # of z, without drawing any
        self.scale.copy_(variance.rsqrt())

    def train(self, mode: bool = True) -> "InLatents":
        super().train(mode)
        self.vae.eval()  # it is held fixed, in all that it does
        return self

    @torch.no_grad()
    def drawn(self, batch: Batch) -> Images:
        """A draw of q(z|x) for each image, as the second stage has it."""
        mu, logvar = self.vae.encode(batch.x0)
        z = mu if self.vae.deterministic else mu + torch.exp(0.5 * logvar) * batch.noise.normal(self.vae.latent_size)
        return z.unflatten(1, self.x_shape) * self.scale

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        yield from super().losses(replace(batch, x0=self.drawn(batch)), step)  # type: ignore[safe-super]

    @torch.no_grad()
    def encoded(self, x0: Images) -> Tensor:
        """The means of q(z|x), as the second stage has them."""
        return self.vae.encode(x0)[0].unflatten(1, self.x_shape) * self.scale

    def decoded(self, x: Tensor) -> Images:
        return self.vae.decode((x / self.scale).flatten(1)).float()


class LatentDiffusion(InLatents, Diffusion):
    """A Diffusion of a VAE's latents: L_simple at a drawn t in 1..T.

    The paper also trains its first stages with LPIPS and a GAN on patches; ours use only the VAE's own loss. The bound
    on the likelihood of images of 256 levels, and the losses that need it, are left out.

    vae: The first stage, whose weights come from its own training and do not move; `first_stage` beside `model` fills
        it in. Its latents must have a height and a width: its `autoencoder` is autoencoder_kl.AutoencoderKL.
    denoiser: The network that predicts, a class of `unet` or `plain_cnn`; it sees latents (C, h, w).
    timesteps: T, the number of steps from data to noise.
    schedule: How noise grows with t: a name, or a mapping with `name` and its options, see below.
    prediction: What the network predicts: the noise eps, v = sqrt(abar_t) eps - sqrt(1 - abar_t) x0, or x0.
    variance: The variance of a step of ddpm, unless a sampler states another one: "small" is the posterior's, "large"
        is beta.
    clip: Whether a sampler clips the predicted latents to [-1, 1] before each step, unless it says otherwise; a number
        is another range, [-clip, clip]. Latents have unit variance: a useful range is several times as wide.
    spacing: The times that a sampler visits if these are not all of them, unless the sampler states others.
    time_input: The time that the network receives: the index t - 1; "rescaled" to 1000 steps, (t - 1) 1000 / T
        (OpenAI's rescale_timesteps); or the fraction t / T.
    time_sampler: Which t are learned from how often: a name, or a mapping with `name` and its options, see below.
    num_classes: Number of classes. A linear layer adds the labels to the network's embedding of time; 0 means no
        labels.
    multi_label: An image has several labels at once, a row of zeros and ones, instead of one class.
    label_dropout: Share of the images that are learned without their labels, as `guidance` requires (Ho & Salimans
        2022, arXiv 2207.12598).
    """

    family = "Latent diffusion"
    about = (
        "A VAE makes images small and keeps what matters in them; a diffusion model learns from its latents, and its "
        "decoder turns new latents into images. Steps are cheap, and the VAE bounds how sharp an image can be."
    )
    paper = "Rombach et al. 2022, arXiv 2112.10752"
    bits_per_dim = None  # type: ignore[assignment]  # the bound would be of latents

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        vae: Mapping[str, Any],
        denoiser: Mapping[str, Any],
        timesteps: StepCount = 1000,
        schedule: str | Mapping[str, Any] = "linear",
        prediction: Literal["eps", "v", "x0"] = "eps",
        variance: Literal["small", "large"] = "small",
        clip: bool | Positive = False,
        spacing: Spacing = "uniform",
        time_input: Literal["index", "rescaled", "fraction"] = "index",
        time_sampler: str | Mapping[str, Any] = "uniform",
        num_classes: CountOrZero = 0,
        multi_label: bool = False,
        label_dropout: ShareBelowOne = 0.0,
    ) -> None:
        stage, latent_shape = first_stage(vae, image_shape)
        super().__init__(
            image_shape=latent_shape,
            denoiser=denoiser,
            timesteps=timesteps,
            schedule=schedule,
            prediction=prediction,
            variance=variance,
            clip=clip,
            spacing=spacing,
            time_input=time_input,
            time_sampler=time_sampler,
            num_classes=num_classes,
            multi_label=multi_label,
            label_dropout=label_dropout,
        )
        self.hold(stage)


class LatentFlow(InLatents, Flow):
    """A Flow of a VAE's latents: the mean squared error of the velocity at a drawn t in (0, 1).

    The paper also trains its first stages with LPIPS and a GAN on patches; ours use only the VAE's own loss.

    vae: The first stage, whose weights come from its own training and do not move; `first_stage` beside `model` fills
        it in. Its latents must have a height and a width: its `autoencoder` is autoencoder_kl.AutoencoderKL.
    velocity: The network that predicts it, a class of `unet`; its inputs are latents (C, h, w) and 1000 t.
    times: How t is drawn: "uniform", or "logit-normal".
    times_mean: Mean of the logit of t, below 0 nearer to the latents.
    times_std: Standard deviation of the logit of t.
    matched: So many latents of a batch are matched with as many noises by optimal transport; 1 matches none.
    """

    family = "Latent flow"
    about = (
        "A VAE makes images small and keeps what matters in them; flow matching leads from noise to its latents, and "
        "its decoder turns new latents into images. Steps are cheap, and the VAE bounds how sharp an image can be."
    )
    paper = "Rombach et al. 2022, arXiv 2112.10752"

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        vae: Mapping[str, Any],
        velocity: Mapping[str, Any],
        times: Literal["uniform", "logit-normal"] = "uniform",
        times_mean: Factor = 0.0,
        times_std: Positive = 1.0,
        matched: Count = 1,
    ) -> None:
        stage, latent_shape = first_stage(vae, image_shape)
        super().__init__(
            image_shape=latent_shape,
            velocity=velocity,
            times=times,
            times_mean=times_mean,
            times_std=times_std,
            matched=matched,
        )
        self.hold(stage)
