"""Variational autoencoders: maximise E log p(x|z) - KL(q(z|x) || p(z)) (Kingma & Welling 2014, arXiv 1312.6114).

kl_weight is the beta of beta-VAE (Higgins et al. 2017). Without sampling noise and KL it is the plain autoencoder.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.models import Batch, Model
from genbench.networks.autoencoder import Autoencoder
from genbench.noise import Noise
from genbench.tensors import Images, Labels, Latents, Scalar


def kl_to_standard_normal(mu: Latents, logvar: Latents) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)), summed over latents: (N,), in nats."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)


class VAE(Model):
    """q(z|x) = N(mu, exp(logvar)), reconstruction = sum of squared errors over an image's values in [-1, 1].

    kl_weight rises linearly from 0 over `kl_anneal_steps` steps. `deterministic` encodes to z = mu without noise
    or KL: an autoencoder. prior: z is drawn from N(0, I) ("standard"), or from the Gaussian fitted to the training
    images' mu once training is over ("gaussian"; Ghosh et al. 2020, arXiv 1903.12436), which an autoencoder needs.
    """

    family = "VAE"
    paper = "Kingma & Welling 2014, arXiv 1312.6114"
    network = "autoencoder.decoder"
    prior_mean: Tensor
    prior_scale_tril: Tensor

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        latent_size: int = 128,
        channels: int = 32,
        kl_weight: float = 1.0,
        kl_anneal_steps: int = 0,
        deterministic: bool = False,
        output: Literal["linear", "tanh"] = "linear",
        prior: Literal["standard", "gaussian"] = "standard",
    ) -> None:
        super().__init__()
        if deterministic and (kl_weight or prior == "standard"):
            raise InputError(
                f"a deterministic VAE is an autoencoder, which has no prior of its own: found kl_weight {kl_weight}, "
                f"prior {prior!r}; expected kl_weight 0 and prior 'gaussian'"
            )
        self.latent_size, self.deterministic, self.prior, self.output = latent_size, deterministic, prior, output
        self.kl_weight, self.kl_anneal_steps = kl_weight, kl_anneal_steps
        self.autoencoder = Autoencoder(
            image_shape=image_shape,
            latent_size=latent_size,
            out_features=latent_size * (1 if deterministic else 2),
            channels=channels,
        )
        self.register_buffer("prior_mean", torch.zeros(latent_size))
        self.register_buffer("prior_scale_tril", torch.eye(latent_size))

    def encode(self, x: Images) -> tuple[Latents, Latents]:
        """mu and logvar of q(z|x), each (N, latent_size); logvar is minus infinity without noise."""
        encoded = self.autoencoder.encoder(x)
        if self.deterministic:
            return encoded, torch.full_like(encoded, -torch.inf)
        mu, logvar = encoded.chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: Latents) -> Images:
        x = self.autoencoder.decoder(z)
        return x.tanh() if self.output == "tanh" else x

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        mu, logvar = self.encode(batch.x0)
        z = mu if self.deterministic else mu + torch.exp(0.5 * logvar) * batch.noise.normal(self.latent_size)
        reconstruction = F.mse_loss(self.decode(z), batch.x0, reduction="sum") / len(batch.x0)
        batch.metrics["reconstruction"] = reconstruction.detach()
        loss = reconstruction
        if not self.deterministic:
            kl = kl_to_standard_normal(mu, logvar).mean()
            batch.metrics["kl"] = kl.detach()
            rise = min(1.0, step / self.kl_anneal_steps) if self.kl_anneal_steps else 1.0
            loss = loss + self.kl_weight * rise * kl
        yield "autoencoder", loss

    def after_training(self, batches: Iterator[Images]) -> None:
        if self.prior == "gaussian":
            z = torch.cat([self.encode(x)[0] for x in batches]).double()  # (N, latent_size)
            self.prior_mean.copy_(z.mean(0))
            covariance = torch.cov(z.T) + 1e-6 * torch.eye(self.latent_size, dtype=z.dtype, device=z.device)
            self.prior_scale_tril.copy_(torch.linalg.cholesky(covariance))

    def sample(self, noise: Noise, y: Labels | None = None) -> Images:
        z = noise.normal(self.latent_size)
        return self.decode(self.prior_mean + z @ self.prior_scale_tril.T)
