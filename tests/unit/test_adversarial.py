"""GAN objectives against their textbook values, and penalties of linear critics against closed forms."""

import math

import pytest
import torch
from torch.nn import functional as F

from genbench.processes.adversarial import OBJECTIVES, gradient_penalty, r1_penalty, r1_r2_penalty
from genbench.processes.noise import Noise

WEIGHT = torch.randn(3 * 8 * 8, generator=torch.Generator().manual_seed(0)) / 7


def linear_critic(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1) @ WEIGHT


def test_gan_is_cross_entropy_on_logits() -> None:
    real, fake = torch.tensor([0.3, -2.0]), torch.tensor([1.0, 4.0])
    objective = OBJECTIVES["gan"]
    expected = F.binary_cross_entropy_with_logits(real, torch.ones(2)) + F.binary_cross_entropy_with_logits(
        fake, torch.zeros(2)
    )
    torch.testing.assert_close(objective.discriminator_loss(real, fake), expected)
    torch.testing.assert_close(
        objective.generator_loss(real, fake), F.binary_cross_entropy_with_logits(fake, torch.ones(2))
    )
    # At D = 1/2 everywhere the discriminator's loss is 2 log 2.
    assert objective.discriminator_loss(torch.zeros(4), torch.zeros(4)) == pytest.approx(2 * math.log(2))


def test_lsgan_and_wgan_have_their_values() -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0])
    assert OBJECTIVES["lsgan"].discriminator_loss(real, fake) == pytest.approx(0.5 * 2 + 0.5 * 2)
    assert OBJECTIVES["lsgan"].generator_loss(real, fake) == pytest.approx(0.5 * 1)
    assert OBJECTIVES["wgan"].discriminator_loss(real, fake) == pytest.approx(1 - 2)
    assert OBJECTIVES["wgan"].generator_loss(real, fake) == pytest.approx(-1)


def test_relativistic_losses_compare_pair_by_pair() -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 5.0])
    objective = OBJECTIVES["relativistic"]
    # -log sigmoid(D(x) - D(G(z))), where the difference is 1 and -2; the generator's loss swaps real and fake.
    softplus = {value: math.log(1 + math.exp(value)) for value in (-1, 1, -2, 2)}
    assert objective.discriminator_loss(real, fake) == pytest.approx((softplus[-1] + softplus[2]) / 2)
    assert objective.generator_loss(real, fake) == pytest.approx((softplus[1] + softplus[-2]) / 2)
    # A shift of all logits does not change their differences.
    torch.testing.assert_close(objective.generator_loss(real + 7, fake + 7), objective.generator_loss(real, fake))


def test_hinge_has_its_values() -> None:
    real, fake = torch.tensor([0.25, 3.0]), torch.tensor([-2.0, 0.5])
    assert OBJECTIVES["hinge"].discriminator_loss(real, fake) == pytest.approx(0.75 / 2 + 1.5 / 2)
    assert OBJECTIVES["hinge"].generator_loss(real, fake) == pytest.approx(0.75)


def test_gradient_penalty_of_a_linear_critic() -> None:
    real, fake = torch.randn(5, 3, 8, 8), torch.randn(5, 3, 8, 8)
    found = gradient_penalty(linear_critic, real, fake, Noise(torch.arange(5)), weight=10.0)
    assert found.item() == pytest.approx(10 * (WEIGHT.norm().item() - 1) ** 2, rel=1e-5)


def test_gradient_penalty_is_taken_between_real_and_fake_one_point_an_image() -> None:
    # D(x) = |x|^2 / 2 has the gradient x, so with real = 0 and fake = c the penalty shows where the points lie.
    real, fake = torch.zeros(4000, 1, 1, 1), torch.full((4000, 1, 1, 1), 3.0)
    found = gradient_penalty(
        lambda x: x.flatten(1).square().sum(1) / 2, real, fake, Noise(torch.arange(4000)), weight=1.0
    )
    assert found.item() == pytest.approx(1.0, rel=0.1)  # E (3v - 1)^2 for v uniform = 9/3 - 3 + 1


def test_r1_penalty_of_a_linear_critic() -> None:
    real = torch.randn(5, 3, 8, 8)
    found = r1_penalty(linear_critic, real, torch.zeros_like(real), Noise(torch.arange(5)), gamma=0.2)
    assert found.item() == pytest.approx(0.1 * WEIGHT.square().sum().item(), rel=1e-5)


def test_r1_and_r2_are_taken_at_real_and_at_drawn_images() -> None:
    # D(x) = |x|^2 / 2 has the gradient x: 3 pixels, each 2 in real images and 1 in drawn ones.
    real, fake = torch.full((5, 3, 1, 1), 2.0), torch.full((5, 3, 1, 1), 1.0)
    found = r1_r2_penalty(lambda x: x.flatten(1).square().sum(1) / 2, real, fake, Noise(torch.arange(5)), gamma=0.2)
    assert found.item() == pytest.approx(0.1 * (12 + 3))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 1e-6), (torch.bfloat16, 2e-2)])
def test_penalties_under_autocast_train_the_critic(dtype: torch.dtype, tolerance: float) -> None:
    critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 1), torch.nn.Flatten(0))
    with torch.autocast("cpu", dtype):
        penalty = gradient_penalty(critic, torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8), Noise(torch.arange(4)))
    assert penalty.dtype == torch.float32
    penalty.backward()
    weight = critic[1].weight
    assert weight.grad is not None
    norm = weight.norm()
    expected = (20 * (norm - 1) * weight / norm).detach()  # d/dw 10 (|w| - 1)^2; float16 is replaced by float32
    torch.testing.assert_close(weight.grad, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))
