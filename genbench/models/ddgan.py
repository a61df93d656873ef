"""Denoising diffusion GANs (Xiao et al. 2022, arXiv 2112.07804): a few large denoising steps, each learned by a GAN.

Over a large step, q(x_s | x_t) is no longer Gaussian. The generator therefore draws x0_hat = G(x_t, z, t), and x_s is
drawn from the posterior q(x_s | x_t, x0_hat). The discriminator distinguishes such pairs (x_s, x_t) from those of q.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from genbench.errors import InputError, place
from genbench.models import Batch, Model
from genbench.processes.adversarial import OBJECTIVES, r1_penalty
from genbench.processes.noise import Noise
from genbench.processes.reverse import Prediction, reverse_process
from genbench.processes.samplers import ddpm_step
from genbench.processes.schedule import SCHEDULES
from genbench.ranges import Count, NotNegative, StepCount, Steps
from genbench.schema import choose, construct
from genbench.tensors import Images, Labels, Logits, Scalar, Timesteps


class DDGAN(Model):
    """Learns steps from t to s = t - 1. t is drawn uniformly from 1..T, for every image, and separately for
    discriminator and generator.

    generator: The network that draws x0_hat, a class of `ncsnpp`.
    discriminator: The network that distinguishes real images from drawn ones; null for a model that is only sampled.
    latent_size: Numbers in a latent z.
    timesteps: T, the number of steps from data to noise.
    schedule: How noise grows with t: a name, or a mapping with `name` and its options, see below.
    r1_gamma: Weight of the R1 penalty of the discriminator, with respect to x_s.
    r1_every: Number of iterations from one such penalty to the next. As in the authors' runs, the penalty is not
        multiplied by this number.
    """

    family = "DDGAN"
    about = (
        "A conditional GAN removes noise in a few large steps. This combines the coverage of diffusion models with "
        "very few network evaluations."
    )
    paper = "Xiao et al. 2022, arXiv 2112.07804"
    network = "generator"

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        generator: Mapping[str, Any],
        discriminator: Mapping[str, Any] | None,
        latent_size: Count = 100,
        timesteps: StepCount = 4,
        schedule: str | Mapping[str, Any] = "vp",
        r1_gamma: NotNegative = 0.02,
        r1_every: Steps = 15,
    ) -> None:
        super().__init__()
        self.latent_size, self.r1_gamma, self.r1_every = latent_size, r1_gamma, r1_every
        if not r1_gamma:
            self.idle = {"r1_every": "does nothing beside r1_gamma: 0"}
        with place("schedule"):
            self.schedule = choose(SCHEDULES, schedule)(timesteps)
        self.objective = OBJECTIVES["gan"]
        networks = "genbench.networks"
        given: dict[str, Any] = {"image_shape": image_shape, "latent_size": latent_size}
        with place("generator"):
            self.generator = construct(networks, generator, **given)
        self.discriminator: nn.Module | None = None
        if discriminator is not None:
            with place("discriminator"):
                self.discriminator = construct(networks, discriminator, **given)
            self.group_size = getattr(self.discriminator, "group", 1)  # of its minibatch standard deviation

    def real_pair(self, batch: Batch) -> tuple[Images, Images, Timesteps]:
        """x_s and x_t from q(x_s, x_t | x_0), and t."""
        t = batch.noise.integers(1, self.schedule.T + 1)
        x_s = self.schedule.q_sample(batch.x0, t - 1, batch.noise.normal(*batch.x0.shape[1:]))
        root_alpha = self.schedule.levels(t)[0] / self.schedule.levels(t - 1)[0]
        x_t = root_alpha * x_s + (1 - root_alpha**2).sqrt() * batch.noise.normal(*batch.x0.shape[1:])
        return x_s, x_t, t

    def fake_x_s(self, x_t: Images, t: Timesteps, noise: Noise) -> Images:
        """x_s from q(x_s | x_t, x0_hat), with a separate t for every image; at s = 0 it is x0_hat itself."""
        x0_hat = self.predict_x0(x_t, t, noise)
        # As in Schedule.q_posterior; single precision is enough for such large steps.
        abar_t, abar_s = (self.schedule.levels(time)[0] ** 2 for time in (t, t - 1))
        alpha = abar_t / abar_s
        mean = (abar_s.sqrt() * (1 - alpha) * x0_hat + alpha.sqrt() * (1 - abar_s) * x_t) / (1 - abar_t)
        sigma = ((1 - alpha) * (1 - abar_s) / (1 - abar_t)).sqrt()
        return mean + sigma * noise.normal(*x_t.shape[1:])

    def predict_x0(self, x_t: Images, t: Timesteps, noise: Noise) -> Images:
        return self.generator(x_t, noise.normal(self.latent_size), t - 1).float()

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        discriminator = self.discriminator
        if discriminator is None:
            raise InputError("this DDGAN has no discriminator and can only be sampled; expected key 'discriminator'")

        def logits(x_s: Images, x_t: Images, t: Timesteps) -> Logits:
            return discriminator(x_s, x_t, t - 1).float()

        x_s, x_t, t = self.real_pair(batch)
        with torch.no_grad():
            fake_x_s = self.fake_x_s(x_t, t, batch.noise)
        real_logits = logits(x_s, x_t, t)
        loss = self.objective.discriminator_loss(real_logits, logits(fake_x_s, x_t, t))
        if self.r1_gamma and step % self.r1_every == 0:
            # x_t and t are held fixed: the penalty sees a function of x_s only.
            penalty = r1_penalty(lambda x: logits(x, x_t, t), x_s, fake_x_s, batch.noise, gamma=self.r1_gamma)
            batch.metrics["penalty"] = penalty.detach()
            loss = loss + penalty
        yield "discriminator", loss

        _, x_t, t = self.real_pair(batch)
        fake_logits = logits(self.fake_x_s(x_t, t, batch.noise), x_t, t)
        yield "generator", self.objective.generator_loss(real_logits, fake_logits)

    @property
    def typical_steps(self) -> Mapping[int, Fraction]:
        if not self.r1_gamma or self.r1_every == 1:
            return {}
        lazy = Fraction(1, self.r1_every)  # the penalty's share of the steps
        return {0: lazy, 1: 1 - lazy}

    def sample(self, noise: Noise, y: Labels | None = None) -> Images:
        """T network evaluations, each with a fresh z."""

        def predict(x_t: Images, t: int) -> Prediction:
            time = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)
            return Prediction(self.predict_x0(x_t, time, noise))

        x_T = noise.normal(*self.image_shape)
        return reverse_process(x_T, range(self.schedule.T, 0, -1), predict, ddpm_step(self.schedule, noise))

    def describe_walk(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"steps": self.schedule.T}

    def allows_compile(self) -> bool:
        return False
