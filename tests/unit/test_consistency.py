"""Consistency models: their loss and their samples against the papers' equations, written out again."""

import math

import pytest
import torch
from entries import CONSISTENCY as ENTRY
from entries import IMAGE_SHAPE
from perturbed import batch_of_blobs, perturbed
from torch import Tensor

from genbench.errors import InputError
from genbench.models import Batch, build
from genbench.models.consistency import Consistency
from genbench.processes.noise import Noise
from genbench.suites.cost import sampling_costs
from genbench.training.flops import META


def consistency(**options: object) -> Consistency:
    model = perturbed(ENTRY | options, 0.02)
    assert isinstance(model, Consistency)
    model.image_shape = IMAGE_SHAPE
    return model


def karras(count: int) -> Tensor:
    """The levels sigma_1 = 0.002 to sigma_N = 80 of arXiv 2310.14189, with rho = 7."""
    i = torch.arange(count, dtype=torch.float64)
    return (0.002 ** (1 / 7) + i / (count - 1) * (80 ** (1 / 7) - 0.002 ** (1 / 7))) ** 7


def written_out(model: Consistency, x: Tensor, sigma: Tensor) -> Tensor:
    """f(x, sigma) of arXiv 2303.01469, appendix C, for sigma_data = 0.5 and epsilon = 0.002."""
    s = sigma.view(-1, 1, 1, 1)
    c_skip = 0.25 / ((s - 0.002) ** 2 + 0.25)
    c_out = 0.5 * (s - 0.002) / (0.25 + s**2).sqrt()
    return c_skip * x + c_out * model.denoiser(x / (s**2 + 0.25).sqrt(), sigma.log() / 4)


# --- Training ---------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_papers() -> None:
    model = consistency()
    ((name, loss),) = model.losses(batch_of_blobs(8), 0)
    again = batch_of_blobs(8)  # the same draws, in the same order
    u, levels = again.noise.uniform().double(), karras(11)
    share = torch.erf((levels.log() + 1.1) / (math.sqrt(2) * 2))
    p = (share[1:] - share[:-1]) / (share[-1] - share[0])
    i = (u[:, None] > p.cumsum(0)).sum(1)
    below, sigma = levels[i].float(), levels[i + 1].float()
    z = again.noise.normal(*IMAGE_SHAPE)
    student, target = (written_out(model, again.x0 + s.view(-1, 1, 1, 1) * z, s) for s in (sigma, below))
    c = 0.00054 * math.sqrt(16 * 16)
    distance = ((student - target).square().sum((1, 2, 3)) + c**2).sqrt() - c
    assert name == "denoiser"
    assert len(set(i.tolist())) > 2
    torch.testing.assert_close(loss, (distance / (sigma - below)).mean(), rtol=1e-4, atol=0)
    # The target is detached.
    (found,) = torch.autograd.grad(loss, [model.denoiser.conv_out.bias], retain_graph=True)
    distance = ((student - target.detach()).square().sum((1, 2, 3)) + c**2).sqrt() - c
    (expected,) = torch.autograd.grad((distance / (sigma - below)).mean(), [model.denoiser.conv_out.bias])
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_levels_are_drawn_by_their_shares() -> None:
    below, sigma = consistency().draw_levels(Noise(torch.arange(20000)), 10)
    levels = karras(11)
    share = torch.erf((levels.log() + 1.1) / (math.sqrt(2) * 2))
    expected = (share[1:] - share[:-1]) / (share[-1] - share[0])
    found = torch.stack([(sigma == level).double().mean() for level in levels[1:].float()])
    assert (found - expected).abs().max() < 0.01
    assert torch.equal(torch.searchsorted(levels.float(), below) + 1, torch.searchsorted(levels.float(), sigma))


@pytest.mark.parametrize(
    ("total", "end", "expected"),
    [
        (400_000, 1280, [10] * 5 + [20] * 5 + [40] * 5 + [80] * 5 + [160] * 5 + [320] * 5 + [640] * 5 + [1280] * 5),
        (1000, 40, [10] * 14 + [20] * 13 + [40] * 13),
        (4000, 30, [10] * 16 + [20] * 15 + [30] * 9),  # 30 is not 10 times a power of two
        (3, 1280, [10, 20, 40]),  # fewer steps than doublings
    ],
)
def test_intervals_double_at_even_shares_of_the_training(total: int, end: int, expected: list[int]) -> None:
    model = consistency(intervals_end=end)
    model.training_steps = total
    assert [model.intervals(k * total // len(expected)) for k in range(len(expected))] == expected


def test_both_passes_drop_the_same() -> None:
    """If the input is the same at both levels, the same dropout gives the same output."""
    model = consistency(denoiser=ENTRY["denoiser"] | {"dropout": 0.5}).train()
    seen: list[Tensor] = []
    model.denoiser.register_forward_pre_hook(lambda module, inputs: (torch.ones(4, *IMAGE_SHAPE), torch.ones(4)))
    model.denoiser.register_forward_hook(lambda module, inputs, output: seen.append(output))
    for step in range(2):
        list(model.losses(batch_of_blobs(4), step))
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[2], seen[3])
    assert not torch.equal(seen[0], seen[2])


def test_under_autocast_every_weight_has_its_gradient() -> None:
    model = consistency().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ((_, loss),) = model.losses(batch_of_blobs(4), 0)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.denoiser.parameters())


# --- Sampling ---------------------------------------------------------------------------------------------------------


def test_at_the_lowest_level_an_image_is_its_own_origin() -> None:
    x = batch_of_blobs(3).x0
    assert torch.equal(consistency().origin(x, torch.full((3,), 0.002)), x)


def test_samples_are_those_of_the_papers_algorithm() -> None:
    model, noise = consistency(), Noise(torch.arange(4))
    with torch.no_grad():
        x = written_out(model, 80 * noise.normal(*IMAGE_SHAPE), torch.full((4,), 80.0))
        once = x
        for tau in (5.0, 0.821):
            x = x + math.sqrt(tau**2 - 0.002**2) * noise.normal(*IMAGE_SHAPE)
            x = written_out(model, x, torch.full((4,), tau))
        found = model.sample(Noise(torch.arange(4)), sigmas=[5.0, 0.821])
        torch.testing.assert_close(found, x, rtol=0, atol=1e-5)
        torch.testing.assert_close(model.sample(Noise(torch.arange(4))), once, rtol=0, atol=1e-5)
        few = model.sample(Noise(torch.tensor([2, 0])), sigmas=[5.0, 0.821])
    torch.testing.assert_close(few, found[[2, 0]], rtol=0, atol=1e-5)


def test_options_are_checked_and_their_evaluations_known_beforehand() -> None:
    model = build(ENTRY, IMAGE_SHAPE)
    for wrong in ([80.0], [0.002], [1.0, 1.0], [1.0, 2.0]):
        with pytest.raises(InputError, match=r"key 'sigmas': found \[.*\], expected levels that fall from below"):
            model.check_sampler({"sigmas": wrong})
    assert model.check_sampler({"sigmas": [5.0, 0.8]}) == {"sigmas": [5.0, 0.8]}
    assert model.describe_walk({}) == {"steps": 1}
    costs = sampling_costs(model.to(META), {"one": {}, "three": {"sigmas": [5.0, 0.8]}})
    assert (costs["one"]["nfe"], costs["three"]["nfe"]) == (1, 3)
    assert model.describe_walk({"sigmas": [5.0, 0.8]}) == {"steps": 3}
    for options, message in (
        ({"intervals_end": 5}, "key 'intervals_end': found 5, expected at least intervals_start 10"),
        ({"sigma_max": 0.001}, "key 'sigma_min': found 0.002, expected less than sigma_max 0.001"),
    ):
        with pytest.raises(InputError, match=message):
            build(ENTRY | options, IMAGE_SHAPE)


def test_the_picture_shows_five_images_at_ten_levels_and_what_becomes_of_them() -> None:
    model, batch = consistency(), batch_of_blobs(6)
    with torch.no_grad():
        pictures = model.one_step(Batch(batch.x0, batch.y, batch.noise))
    assert pictures.shape == (100, *IMAGE_SHAPE)
    for row in (0, 10):  # both show the same image with almost no noise
        torch.testing.assert_close(pictures[row], batch.x0[0], rtol=0, atol=0.02)
