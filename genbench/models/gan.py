"""Generative adversarial networks: a generator learns to make images that a discriminator takes for real ones.

GAN (arXiv 1406.2661), LSGAN (1611.04076) and WGAN-GP (1704.00028) differ in two keys, `objective` and `penalty`: see
processes/adversarial.py. DCGAN (1511.06434) is GAN with the networks of networks/dcgan.py. R3GAN (2501.05441) combines
the relativistic objective, R1 + R2 penalties and the networks of networks/r3gan.py.
"""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.errors import InputError, place
from genbench.models import Batch, Model
from genbench.processes.ada import AUGMENTATIONS
from genbench.processes.adversarial import OBJECTIVES, PENALTIES, r1_r2_penalty, remembered
from genbench.processes.densities import great_circles, latent_plane
from genbench.processes.diffaugment import Augmentation
from genbench.processes.noise import Noise
from genbench.ranges import Count, Share, Steps, StepsOrZero
from genbench.schema import choose, construct
from genbench.tensors import Images, Labels, Latents, Logits, Scalar


class GAN(Model):
    """z ~ N(0, I), x = G(z). The discriminator is updated every step, the generator every `n_critic` steps.

    generator: The network that draws, a class of `dcgan`, `resnet`, `sngan` or `r3gan`.
    discriminator: The network that distinguishes real images from drawn ones; null for a model that is only sampled.
    latent_size: Numbers in a latent z.
    objective: The losses that discriminator and generator minimise.
    penalty: Keeps the discriminator's gradient small: a name, or a mapping with `name` and its options, see below.
    penalty_decay_steps: Iterations over which the penalty's weight falls, along half a cosine; 0 keeps it.
    penalty_final: Share of the penalty's weight that is left afterwards.
    augment: The transformation of images, real and drawn, that the discriminator sees, also in penalties: a name, or a
        mapping with `name` and its options, see below. Gradients flow through to the generator.
    n_critic: Steps of the discriminator for each step of the generator.
    image_size: Side of the networks' images, a multiple of the data's. Training images are enlarged to it bilinearly;
        samples are reduced by averaging over squares of pixels (a box filter).
    """

    family = "GAN"
    about = (
        "A generator turns noise into images in a single pass, and a discriminator learns to distinguish them from "
        "real ones; each is trained against the other. GAN, LSGAN and WGAN-GP differ in their losses and in how they "
        "keep the discriminator smooth."
    )
    paper = "Goodfellow et al. 2014, arXiv 1406.2661"
    network = "generator"
    pictures = ("interpolation", "latent_plane")

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        generator: Mapping[str, Any],
        discriminator: Mapping[str, Any] | None,
        latent_size: Count = 100,
        objective: Literal["gan", "lsgan", "wgan", "hinge", "relativistic"] = "gan",
        penalty: str | Mapping[str, Any] | None = None,
        penalty_decay_steps: StepsOrZero = 0,
        penalty_final: Share = 0.1,
        augment: str | Mapping[str, Any] | None = None,
        n_critic: Steps = 1,
        image_size: Count | None = None,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.idle: dict[str, str] = {}
        if image_size is not None:
            channels, height, width = image_shape
            if image_size < height or image_size % height or height != width:
                raise InputError(
                    f"key 'image_size': found {image_size}, expected a multiple of the images' side, {height}x{width}"
                )
            if image_size == height:
                self.idle["image_size"] = "does nothing where it is the images' own side"
            image_shape = (channels, image_size, image_size)
        self.latent_size, self.n_critic = latent_size, n_critic
        self.objective = OBJECTIVES[objective]
        with place("penalty"):
            self.penalty = None if penalty is None else choose(PENALTIES, penalty)
        self.penalty_decay_steps, self.penalty_final = penalty_decay_steps, penalty_final
        if penalty is None:
            self.idle["penalty_decay_steps"] = "does nothing without a penalty"
        if not penalty_decay_steps:
            self.idle["penalty_final"] = "does nothing without penalty_decay_steps"
        networks = "genbench.networks"
        given: dict[str, Any] = {"image_shape": image_shape, "latent_size": latent_size}
        with place("generator"):
            self.generator = construct(networks, generator, **given)
        self.discriminator: nn.Module | None = None
        if discriminator is not None:
            with place("discriminator"):
                self.discriminator = construct(networks, discriminator, **given)
        self.augment: Augmentation | None = None
        if augment is not None:
            with place("augment"):
                self.augment = choose(AUGMENTATIONS, augment)()
                if not isinstance(self.augment, Augmentation):
                    raise InputError(f"found {type(self.augment).__name__}, expected an Augmentation")

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        discriminator = self.discriminator
        if discriminator is None:
            raise InputError("this GAN has no discriminator and can only be sampled; expected key 'discriminator'")
        real = batch.x0
        if self.image_size is not None:
            real = F.interpolate(real, size=(self.image_size, self.image_size), mode="bilinear")

        def judge(x: Images) -> Logits:
            return discriminator(x if self.augment is None else self.augment(x, batch.noise))

        with torch.no_grad():
            fake = self.generator(batch.noise.normal(self.latent_size))
        at_these = getattr(self.penalty, "func", None) is r1_r2_penalty  # exactly the images whose logits are known
        if at_these:
            real, fake = real.detach().requires_grad_(), fake.requires_grad_()
        real_logits, fake_logits = judge(real), judge(fake)
        loss = self.objective.discriminator_loss(real_logits, fake_logits)
        if self.penalty is not None:
            known = [(real, real_logits), (fake, fake_logits)] if at_these else []
            penalty = self.penalty(remembered(judge, *known), real, fake, batch.noise) * self.penalty_share(step)
            batch.metrics["penalty"] = penalty.detach()
            loss = loss + penalty
        if self.augment is not None:
            batch.metrics |= self.augment.observe(batch.gather(real_logits.detach()))
        yield "discriminator", loss

        if (step + 1) % self.n_critic == 0:
            if self.objective.relativistic:  # from the discriminator after its update
                with torch.no_grad():
                    real_logits = judge(real)
            fake = self.generator(batch.noise.normal(self.latent_size))
            yield "generator", self.objective.generator_loss(real_logits, judge(fake))

    def penalty_share(self, step: int) -> float:
        """The share of the penalty's weight that is left at `step`."""
        if not self.penalty_decay_steps:
            return 1.0
        progress = min(1.0, step / self.penalty_decay_steps)
        return self.penalty_final + (1 - self.penalty_final) * 0.5 * (1 + math.cos(math.pi * progress))

    @property
    def typical_steps(self) -> Mapping[int, Fraction]:
        if self.n_critic == 1:
            return {}
        both = Fraction(1, self.n_critic)  # the generator's share of the steps
        return {0: 1 - both, self.n_critic - 1: both}

    def draw(self, z: Latents) -> Images:
        """G(z) at the size of the data."""
        x = self.generator(z)
        return x if self.image_size is None else F.avg_pool2d(x, self.image_size // self.image_shape[1])

    def sample(self, noise: Noise, y: Labels | None = None) -> Images:
        return self.draw(noise.normal(self.latent_size))

    def interpolation(self, batch: Batch) -> Tensor:
        """Ten images from one draw to another, one row for each pair, along a great circle of latents."""
        start, end = Noise(batch.noise.seeds[:10]).normal(self.latent_size).chunk(2)
        return self.draw(great_circles(start, end, 10))

    def latent_plane(self, batch: Batch) -> Tensor:
        """The first two latents over a 10x10 grid in [-1, 1], the others zero."""
        return self.draw(latent_plane(self.latent_size, batch.x0.device))

    def remarks(self, options: Mapping[str, Any]) -> list[str]:
        if self.image_size is None:
            return []
        size, own = self.image_shape[1], self.image_size
        return [f"trained on images enlarged to {own}x{own} (bilinear); samples reduced to {size}x{size} (box filter)"]

    def allows_compile(self) -> bool:
        return self.penalty is None
