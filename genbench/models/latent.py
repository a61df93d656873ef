"""Latent diffusion (Rombach et al. 2022, arXiv 2112.10752): learn the distribution of a VAE's latents, decode samples.

A VAE with a small weight of its KL divergence compresses images and keeps what matters in them. It is trained first
and then held fixed. A diffusion model, or a flow, learns from draws z of q(z|x), grids (C, h, w) scaled to unit
variance. Its samples are decoded. Each evaluation of its network is that of a smaller image, and the decoder runs once.
The paper also trains its first stages with LPIPS, a network's measure of similarity, and with a GAN on patches. Ours
use only the VAE's own loss; entries that follow the paper give the KL divergence a weight of 1e-6.
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

SCALED_BY = 10  # batches of a hundred images, whose latents determine the scale


def first_stage(vae: Mapping[str, Any], image_shape: tuple[int, int, int]) -> tuple[VAE, tuple[int, int, int]]:
    """The VAE of an entry, held fixed, and the shape (C, h, w) of its latents. Raises InputError for flat latents."""
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
    """A second base class for a family: it then learns from a VAE's latents instead of images.

    scale: 1 over the standard deviation of the first thousand training images' latents. The family learns from z times
        this number.
    """

    vae: VAE
    scale: Tensor  # ()
    first_stage = "vae"

    def hold(self, vae: VAE) -> None:
        """Store the first stage. Called at the end of the constructor."""
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
        self.vae.eval()  # the first stage stays fixed in every respect
        return self

    @torch.no_grad()
    def drawn(self, batch: Batch) -> Images:
        """A draw of q(z|x) for each image, scaled for the second stage."""
        mu, logvar = self.vae.encode(batch.x0)
        z = mu if self.vae.deterministic else mu + torch.exp(0.5 * logvar) * batch.noise.normal(self.vae.latent_size)
        return z.unflatten(1, self.x_shape) * self.scale

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        yield from super().losses(replace(batch, x0=self.drawn(batch)), step)  # type: ignore[safe-super]

    @torch.no_grad()
    def encoded(self, x0: Images) -> Tensor:
        """The means of q(z|x), scaled for the second stage."""
        return self.vae.encode(x0)[0].unflatten(1, self.x_shape) * self.scale

    def decoded(self, x: Tensor) -> Images:
        return self.vae.decode((x / self.scale).flatten(1)).float()


class LatentDiffusion(InLatents, Diffusion):
    """A Diffusion of a VAE's latents: minimises L_simple at a random t in 1..T.

    The paper also trains its first stages with LPIPS and a GAN on patches; ours use only the VAE's own loss. The bound
    on the likelihood of images of 256 levels, and the losses that need it, are left out.

    vae: The first stage. Its weights come from its own training and stay fixed. The key `first_stage` beside `model`
        fills it in. Its latents must have a height and a width: its `autoencoder` is autoencoder_kl.AutoencoderKL.
    denoiser: The network that predicts, a class of `unet` or `plain_cnn`; it sees latents (C, h, w).
    timesteps: T, the number of steps from data to noise.
    schedule: How noise grows with t: a name, or a mapping with `name` and its options, see below.
    prediction: What the network predicts: the noise eps, v = sqrt(abar_t) eps - sqrt(1 - abar_t) x0, or x0.
    variance: The variance of a step of ddpm, unless a sampler states another one: "small" is the posterior's, "large"
        is beta.
    clip: Whether a sampler clips the predicted latents to [-1, 1] before each step, unless it states otherwise; a
        number is another range, [-clip, clip]. Latents have unit variance: a useful range is several times as wide.
    spacing: Which times a sampler visits if it does not visit all of them, unless the sampler states others.
    time_input: The time that the network receives: the index t - 1; "rescaled" to 1000 steps, (t - 1) 1000 / T
        (OpenAI's rescale_timesteps); or the fraction t / T.
    time_sampler: How often training draws each t: a name, or a mapping with `name` and its options, see below.
    num_classes: Number of classes. A linear layer adds the labels to the network's embedding of time; 0 means no
        labels.
    multi_label: Whether an image has several labels at once, a row of zeros and ones, instead of one class.
    label_dropout: Share of the training images whose labels are left out, as `guidance` requires (Ho & Salimans 2022,
        arXiv 2207.12598).
    """

    family = "Latent diffusion"
    about = (
        "A VAE compresses images and keeps what matters in them; a diffusion model learns from its latents, and its "
        "decoder turns new latents into images. Steps are cheap, and the VAE limits how sharp an image can be."
    )
    paper = "Rombach et al. 2022, arXiv 2112.10752"
    bits_per_dim = None  # type: ignore[assignment]  # the bound would be on latents

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
    """A Flow of a VAE's latents: minimises the mean squared error of the velocity at a random t in (0, 1).

    The paper also trains its first stages with LPIPS and a GAN on patches; ours use only the VAE's own loss.

    vae: The first stage. Its weights come from its own training and stay fixed. The key `first_stage` beside `model`
        fills it in. Its latents must have a height and a width: its `autoencoder` is autoencoder_kl.AutoencoderKL.
    velocity: The network that predicts the velocity, a class of `unet`; its inputs are latents (C, h, w) and 1000 t.
    times: How t is drawn: "uniform", or "logit-normal".
    times_mean: Mean of the logit of t. Below 0, times nearer to the latents are drawn more often.
    times_std: Standard deviation of the logit of t.
    matched: Size of the groups in which the latents of a batch are matched with noise by optimal transport; 1 matches
        none.
    """

    family = "Latent flow"
    about = (
        "A VAE compresses images and keeps what matters in them; flow matching leads from noise to its latents, and "
        "its decoder turns new latents into images. Steps are cheap, and the VAE limits how sharp an image can be."
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
