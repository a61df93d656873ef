"""The differences between GAN, LSGAN and WGAN-GP: the objective, a pair of functions of logits, and the penalty.

`real_logits` and `fake_logits` (N,) are the discriminator's raw outputs D(x) and D(G(z)).
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch.nn import functional as F

from genbench.processes.noise import Noise
from genbench.ranges import NotNegative
from genbench.tensors import Images, Logits, Scalar

Discriminator = Callable[[Images], Logits]


class Objective(NamedTuple):
    discriminator_loss: Callable[[Logits, Logits], Scalar]  # (real_logits, fake_logits)
    generator_loss: Callable[[Logits, Logits], Scalar]  # (real_logits, fake_logits)
    relativistic: bool = False  # whether the generator's loss also depends on real_logits


# Goodfellow et al. 2014 (arXiv 1406.2661), non-saturating: cross-entropy on logits; softplus(-s) = -log sigmoid(s).
gan = Objective(
    discriminator_loss=lambda real_logits, fake_logits: (
        F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
    ),
    generator_loss=lambda real_logits, fake_logits: F.softplus(-fake_logits).mean(),
)

# Mao et al. 2017 (arXiv 1611.04076): least squares, with 1 for real and 0 for fake.
lsgan = Objective(
    discriminator_loss=lambda real_logits, fake_logits: (
        0.5 * (real_logits - 1).square().mean() + 0.5 * fake_logits.square().mean()
    ),
    generator_loss=lambda real_logits, fake_logits: 0.5 * (fake_logits - 1).square().mean(),
)

# Arjovsky et al. 2017 (arXiv 1701.07875): D approximates the Wasserstein distance, if it is 1-Lipschitz.
wgan = Objective(
    discriminator_loss=lambda real_logits, fake_logits: fake_logits.mean() - real_logits.mean(),
    generator_loss=lambda real_logits, fake_logits: -fake_logits.mean(),
)

# Lim and Ye 2017 (arXiv 1705.02894), as in SNGAN: no gain from D above 1 for real, or below -1 for fake.
hinge = Objective(
    discriminator_loss=lambda real_logits, fake_logits: F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean(),
    generator_loss=lambda real_logits, fake_logits: -fake_logits.mean(),
)

# Jolicoeur-Martineau 2018 (arXiv 1807.00734), RpGAN: each real image should look more real than its paired fake one.
relativistic = Objective(
    discriminator_loss=lambda real_logits, fake_logits: F.softplus(fake_logits - real_logits).mean(),
    generator_loss=lambda real_logits, fake_logits: F.softplus(real_logits - fake_logits).mean(),
    relativistic=True,
)

Penalty = Callable[[Discriminator, Images, Images, Noise], Scalar]  # (discriminator, real, fake, noise)


def _gradient(discriminator: Discriminator, x: Images) -> Images:
    """dD/dx for each image, float32, differentiable once more. If x requires gradients, D(x) may be a stored result.

    Under autocast to bfloat16, the discriminator also computes in bfloat16. float16 is too narrow for these gradients,
    which no scaler has scaled, so float32 replaces it.
    """
    device = x.device.type if x.device.type in ("cpu", "cuda") else "cpu"  # other devices never have autocast on
    narrow = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) is torch.float16
    if narrow or not x.requires_grad:
        x = x.detach().float().requires_grad_()
    with torch.autocast(device, enabled=False) if narrow else nullcontext():
        total = discriminator(x).float().sum()
    with torch.autocast(device, enabled=False):
        (gradient,) = torch.autograd.grad(total, x, create_graph=True)
    return gradient


def gradient_penalty(
    discriminator: Discriminator, real: Images, fake: Images, noise: Noise, *, weight: NotNegative = 10.0
) -> Scalar:
    """weight * E (||dD/dx|| - 1)^2 at random points between real and fake (Gulrajani et al. 2017, arXiv 1704.00028).

    weight: Weight of the penalty, the paper's lambda.
    """
    u = noise.uniform(1, 1, 1)  # one number per image
    gradient = _gradient(discriminator, u * real + (1 - u) * fake)
    return weight * (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def r1_penalty(
    discriminator: Discriminator, real: Images, fake: Images, noise: Noise, *, gamma: NotNegative = 0.1
) -> Scalar:
    """gamma / 2 * E ||dD/dx||^2 at real images (Mescheder et al. 2018, arXiv 1801.04406).

    gamma: Twice the weight of the penalty.
    """
    return gamma / 2 * _gradient(discriminator, real).flatten(1).square().sum(1).mean()


def r1_r2_penalty(
    discriminator: Discriminator, real: Images, fake: Images, noise: Noise, *, gamma: NotNegative = 0.05
) -> Scalar:
    """gamma / 2 * E ||dD/dx||^2 at real images, plus the same at drawn ones (Huang et al. 2024, arXiv 2501.05441).

    gamma: Twice the weight of both penalties.
    """
    at_real, at_fake = (r1_penalty(discriminator, x, x, noise, gamma=gamma) for x in (real, fake))
    return at_real + at_fake


def remembered(discriminator: Discriminator, *known: tuple[Images, Logits]) -> Discriminator:
    """The discriminator, without computing again the logits of the tensors in `known`."""

    def logits(x: Images) -> Logits:
        for images, found in known:
            if images is x:
                return found
        return discriminator(x)

    return logits


OBJECTIVES: dict[str, Objective] = {
    "gan": gan,
    "lsgan": lsgan,
    "wgan": wgan,
    "hinge": hinge,
    "relativistic": relativistic,
}
PENALTIES: dict[str, Callable[..., Scalar]] = {"gp": gradient_penalty, "r1": r1_penalty, "r1+r2": r1_r2_penalty}
