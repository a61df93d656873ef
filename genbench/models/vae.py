"""Variational autoencoders: maximise E log p(x|z) - KL(q(z|x) || p(z)) (Kingma & Welling 2014, arXiv 1312.6114).

kl_weight is the beta of beta-VAE (Higgins et al. 2017). Without sampling noise and KL it is the plain autoencoder.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError, place
from genbench.models import Batch, Model
from genbench.processes.densities import GaussianMixture, latent_plane
from genbench.processes.noise import Noise
from genbench.ranges import Count, NotNegative, StepsOrZero
from genbench.schema import construct
from genbench.tensors import Images, Latents, Scalar

Prior = Literal["standard", "gaussian", "mixture"]


def kl_to_standard_normal(mu: Latents, logvar: Latents) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)), summed over latents: (N,), in nats."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)


class VAE(Model):
    """q(z|x) = N(mu, exp(logvar)), reconstruction = sum of squared errors over an image's values in [-1, 1].

    latent_size: Numbers in a latent z.
    channels: Width of the default network; a network in `autoencoder` has its own key.
    autoencoder: The network, a class of `autoencoder` or `bottleneck`; by default autoencoder.Autoencoder.
    kl_weight: Weight of the KL divergence, the beta of a beta-VAE.
    kl_anneal_steps: Steps over which that weight rises linearly from 0.
    deterministic: Encodes to z = mu without noise or KL divergence: an autoencoder.
    output: The decoder's last step. "sigmoid" is scaled to [-1, 1]; kl_weight 4 then equals kl_weight 1 for errors of
        values in [0, 1].
    priors: The distributions from which sampling can draw z: N(0, I) ("standard"), or a density fitted to the training
        images' mu after training (Ghosh et al. 2020, arXiv 1903.12436), which an autoencoder needs: one Gaussian
        ("gaussian") or a mixture of `mixture_components` ("mixture"), with full covariances.
    mixture_components: Number of Gaussians in a fitted mixture.
    """

    family = "VAE"
    about = (
        "An encoder describes an image by a few numbers, kept near a simple prior, and a decoder reconstructs the "
        "image from them. New images are decoded draws of that prior: they are fast and smooth, with a known bound on "
        "the likelihood."
    )
    paper = "Kingma & Welling 2014, arXiv 1312.6114"
    network = "autoencoder.decoder"
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {"images": {"mode": "reconstruct"}}
    pictures = ("reconstructions", "interpolation", "latent_plane")

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        latent_size: Count = 128,
        channels: Count = 32,
        autoencoder: Mapping[str, Any] | None = None,
        kl_weight: NotNegative = 1.0,
        kl_anneal_steps: StepsOrZero = 0,
        deterministic: bool = False,
        output: Literal["linear", "tanh", "sigmoid"] = "linear",
        priors: Sequence[Prior] = ("standard",),
        mixture_components: Count = 10,
    ) -> None:
        super().__init__()
        if deterministic and (kl_weight or not priors or "standard" in priors):
            raise InputError(
                f"a deterministic VAE is an autoencoder, which has no prior of its own: found kl_weight {kl_weight}, "
                f"priors {list(priors)}; expected kl_weight 0 and priors out of 'gaussian', 'mixture'"
            )
        if not priors:
            raise InputError("key 'priors': found [], expected at least one")
        if len(set(priors)) < len(priors):
            raise InputError(f"key 'priors': found {list(priors)}, expected each once")
        self.idle: dict[str, str] = {}  # keys that the others make useless
        if "mixture" not in priors:
            self.idle["mixture_components"] = "does nothing without 'mixture' among the priors"
        if not kl_weight:
            self.idle["kl_anneal_steps"] = "does nothing beside kl_weight: 0"
        if autoencoder is not None:
            self.idle["channels"] = "does nothing beside autoencoder, which has its own"
        self.latent_size, self.deterministic, self.priors, self.output = latent_size, deterministic, priors, output
        self.kl_weight, self.kl_anneal_steps = kl_weight, kl_anneal_steps
        with place("autoencoder"):
            self.autoencoder = construct(
                "genbench.networks",
                autoencoder or {"class": "autoencoder.Autoencoder", "channels": channels},
                image_shape=image_shape,
                latent_size=latent_size,
                out_features=latent_size * (1 if deterministic else 2),
            )
        components = {"gaussian": 1, "mixture": mixture_components}
        self.densities = nn.ModuleDict(
            {prior: GaussianMixture(components[prior], latent_size) for prior in priors if prior != "standard"}
        )

    def _density(self, prior: str) -> GaussianMixture:
        return cast(GaussianMixture, self.densities[prior])

    def encode(self, x: Images) -> tuple[Latents, Latents]:
        """mu and logvar of q(z|x), each (N, latent_size); logvar is minus infinity without noise."""
        encoded = self.autoencoder.encoder(x).float()  # the KL divergence is a small difference of large terms
        if self.deterministic:
            return encoded, torch.full_like(encoded, -torch.inf)
        mu, logvar = encoded.chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: Latents) -> Images:
        x = self.autoencoder.decoder(z)
        if self.output == "linear":
            return x
        return x.tanh() if self.output == "tanh" else 2 * x.sigmoid() - 1

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        """The reconstruction error and, of a VAE, the KL divergence: means over the batch."""
        mu, logvar = self.encode(batch.x0)
        z = mu if self.deterministic else mu + torch.exp(0.5 * logvar) * batch.noise.normal(self.latent_size)
        terms = {"reconstruction": F.mse_loss(self.decode(z), batch.x0, reduction="sum") / len(batch.x0)}
        if not self.deterministic:
            terms["kl"] = kl_to_standard_normal(mu, logvar).mean()
        return terms

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        terms = self._terms(batch)
        batch.metrics.update({name: value.detach() for name, value in terms.items()})
        rise = min(1.0, step / self.kl_anneal_steps) if self.kl_anneal_steps else 1.0
        yield "autoencoder", terms["reconstruction"] + self.kl_weight * rise * terms.get("kl", 0.0)

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return self._terms(batch)

    def after_training(self, batches: Iterator[Images]) -> None:
        if self.densities:
            z = torch.cat([self.encode(x)[0] for x in batches])  # (N, latent_size)
            for prior in self.densities:
                self._density(prior).fit(z)

    def sample(
        self,
        noise: Noise,
        y: Tensor | None = None,
        *,
        mode: Literal["generate", "reconstruct"] = "generate",
        prior: Prior | None = None,
    ) -> Images:
        """Decoded draws of a prior, or images that were encoded and decoded. y: the images to encode, one per seed.

        mode: "generate" draws z from a prior; "reconstruct" decodes the means of test images' latents, and generates
            nothing new: it bounds what a model of these latents can reach.
        prior: The distribution of z, one of the model's `priors`; by default the first.
        """
        if mode == "reconstruct":
            if y is None:
                raise InputError("mode 'reconstruct' starts from images: found none, expected y")
            return self.decode(self.encode(y)[0])
        prior = prior or self.priors[0]
        if prior == "standard":
            return self.decode(noise.normal(self.latent_size))
        return self.decode(self._density(prior).sample(noise))

    def check_sampler(self, options: Mapping[str, Any]) -> dict[str, Any]:
        options = super().check_sampler(options)
        if options.get("prior") not in (None, *self.priors):
            raise InputError(
                f"key 'prior': found {options['prior']!r}, expected one of the model's priors: {', '.join(self.priors)}"
            )
        if options.get("prior") is not None and options.get("mode") == "reconstruct":
            raise InputError(f"key 'prior': found {options['prior']!r}, which does nothing beside mode: reconstruct")
        return options

    def remarks(self, options: Mapping[str, Any]) -> list[str]:
        if options.get("mode") == "reconstruct":
            return [
                "starts from test images: reconstruction, not generation",
                "distances are of these reconstructed test images to the training images",
            ]
        prior = options.get("prior") or self.priors[0]
        if prior == "standard":
            return []
        components = self._density(prior).components
        density = "a Gaussian" if components == 1 else f"a mixture of {components} Gaussians"
        return [f"prior: {density} fitted to the latents of the training images"]

    def reconstructions(self, batch: Batch) -> Tensor:
        """Rows of ten images; below each, a row of their reconstructions, decoded from the means of their latents."""
        x0 = batch.x0
        rows = zip(x0.split(10), self.decode(self.encode(x0)[0]).split(10), strict=True)
        return torch.cat([row for pair in rows for row in pair])

    def interpolation(self, batch: Batch) -> Tensor:
        """Ten images from one held-out image to another, one row per pair, along the line between their latents."""
        start, end = self.encode(batch.x0[:10])[0][:, None].chunk(2)
        share = torch.linspace(0, 1, 10, device=start.device)[None, :, None]
        return self.decode(start.lerp(end, share).flatten(0, 1))

    def latent_plane(self, batch: Batch) -> Tensor:
        """The first two latents over a 10x10 grid in [-1, 1], the others zero."""
        return self.decode(latent_plane(self.latent_size, batch.x0.device))
