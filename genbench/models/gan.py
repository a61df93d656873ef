"""Generative adversarial networks: a generator learns to make what a discriminator takes for real.

GAN (arXiv 1406.2661), LSGAN (1611.04076) and WGAN-GP (1704.00028) differ in two entries, `objective` and
`penalty`: see genbench/adversarial.py. DCGAN (1511.06434) is the first with the networks of networks/dcgan.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch

from genbench.adversarial import OBJECTIVES, PENALTIES
from genbench.construction import choose, construct
from genbench.models import Batch, Model
from genbench.noise import Noise
from genbench.tensors import Images, Labels, Scalar


class GAN(Model):
    """z ~ N(0, I), x = G(z). The discriminator moves every step, the generator every `n_critic` steps."""

    family = "GAN"
    paper = "Goodfellow et al. 2014, arXiv 1406.2661"
    network = "generator"

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        generator: Mapping[str, Any],
        discriminator: Mapping[str, Any],
        latent_size: int = 100,
        objective: Literal["gan", "lsgan", "wgan"] = "gan",
        penalty: str | Mapping[str, Any] | None = None,
        n_critic: int = 1,
    ) -> None:
        super().__init__()
        self.latent_size, self.n_critic = latent_size, n_critic
        self.objective = OBJECTIVES[objective]
        self.penalty = choose(PENALTIES, penalty, "penalty") if penalty else None
        networks = "genbench.networks"
        given: dict[str, Any] = {"image_shape": image_shape, "latent_size": latent_size}
        self.generator = construct(networks, generator, "generator", **given)
        self.discriminator = construct(networks, discriminator, "discriminator", **given)

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        with torch.no_grad():
            fake = self.generator(batch.noise.normal(self.latent_size))
        real_logits, fake_logits = self.discriminator(batch.x0), self.discriminator(fake)
        loss = self.objective.discriminator_loss(real_logits, fake_logits)
        if self.penalty is not None:
            penalty = self.penalty(self.discriminator, batch.x0, fake, batch.noise)
            batch.metrics["penalty"] = penalty.detach()
            loss = loss + penalty
        yield "discriminator", loss

        if (step + 1) % self.n_critic == 0:
            fake = self.generator(batch.noise.normal(self.latent_size))
            yield "generator", self.objective.generator_loss(self.discriminator(fake))

    def sample(self, noise: Noise, y: Labels | None = None) -> Images:
        return self.generator(noise.normal(self.latent_size))

    def allows_compile(self) -> bool:
        return self.penalty is None
