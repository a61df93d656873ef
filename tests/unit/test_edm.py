"""EDM: its loss, and its samplers against the paper's algorithm, written out again."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from entries import EDM as ENTRY
from entries import IMAGE_SHAPE
from perturbed import batch_of_blobs, perturbed
from torch import Tensor

from genbench.errors import InputError
from genbench.models import Batch, build
from genbench.models.edm import EDM, euler, heun
from genbench.processes.noise import Noise
from genbench.suites.cost import sampling_costs
from genbench.training.flops import META

M, S = 0.3, 0.5  # mean and standard deviation of an "image" whose values are all independent
CHURN = {"s_churn": 40.0, "s_min": 0.05, "s_max": 50.0, "s_noise": 1.003}


def edm(**options: object) -> EDM:
    model = perturbed(ENTRY | options, 0.02)
    assert isinstance(model, EDM)
    return model


def start(size: int = 4) -> Tensor:
    return Noise(torch.arange(size)).normal(*IMAGE_SHAPE)


def reference(denoise: Callable, z: Tensor, noise: Noise, *, correct: bool, steps: int, churn: Mapping) -> Tensor:
    """Algorithm 2 of arXiv 2206.00364, line by line, at the paper's sigma_min, sigma_max and rho."""
    i = np.arange(steps)
    t = (80 ** (1 / 7) + i / (steps - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    t = np.append(t, 0)
    x = z.double() * t[0]
    for i in range(steps):
        gamma = 0.0
        if churn and churn["s_min"] <= t[i] <= churn["s_max"]:
            gamma = min(churn["s_churn"] / steps, 2**0.5 - 1)
        t_hat = t[i] + gamma * t[i]
        x_hat = x
        if gamma:
            x_hat = x + (t_hat**2 - t[i] ** 2) ** 0.5 * churn["s_noise"] * noise.normal(*z.shape[1:])
        d = (x_hat - denoise(x_hat, t_hat)) / t_hat
        x = x_hat + (t[i + 1] - t_hat) * d
        if correct and t[i + 1] != 0:
            d_next = (x - denoise(x, t[i + 1])) / t[i + 1]
            x = x_hat + (t[i + 1] - t_hat) * (d / 2 + d_next / 2)
    return x


def written_out(model: EDM, x: Tensor, sigma: float | Tensor, *conditions: Tensor) -> Tensor:
    """D(x; sigma) with the factors of table 1, for sigma_data = 0.5."""
    s = torch.as_tensor(sigma, dtype=torch.float32).expand(len(x))
    sigma = s.view(-1, 1, 1, 1)
    c_skip = 0.25 / (sigma**2 + 0.25)
    c_out = sigma * 0.5 / (sigma**2 + 0.25).sqrt()
    c_in = 1 / (0.25 + sigma**2).sqrt()
    x = x.float()
    return c_skip * x + c_out * model.denoiser(c_in * x, s.log() / 4, *conditions)


# --- Training ---------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_papers() -> None:
    model = edm(p_mean=-0.8, p_std=1.5)
    ((name, loss),) = model.losses(batch_of_blobs(8), 0)
    again = batch_of_blobs(8)  # the same draws, in the same order
    sigma = (again.noise.normal() * 1.5 - 0.8).exp()
    y = again.x0 + again.noise.normal(*IMAGE_SHAPE) * sigma[:, None, None, None]
    weight = (sigma**2 + 0.25) / (sigma * 0.5) ** 2
    error = (written_out(model, y, sigma) - again.x0).square().mean((1, 2, 3))
    assert name == "denoiser"
    torch.testing.assert_close(loss, (weight * error).mean())


def test_what_the_network_sees_and_is_to_answer_has_unit_variance() -> None:
    """So an output of zeros has the loss 1 for images of standard deviation sigma_data (appendix B.6)."""
    model = build(ENTRY, IMAGE_SHAPE)  # its last layer starts at zero
    noise = Noise(torch.arange(500))
    x0 = 0.5 * Noise(torch.arange(500), key=5).normal(*IMAGE_SHAPE)
    seen: list[Tensor] = []
    model.denoiser.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    ((_, loss),) = model.losses(Batch(x0, torch.zeros(500, dtype=torch.int64), noise), 0)
    assert seen[0].std().item() == pytest.approx(1, abs=0.01)
    assert loss.item() == pytest.approx(1, abs=0.02)


def test_classes_reach_the_network_while_it_learns_and_draws() -> None:
    model = edm(num_classes=3)
    model.image_shape = IMAGE_SHAPE
    told: list[Tensor] = []
    model.denoiser.register_forward_hook(lambda module, inputs, output: told.append(inputs[2]))
    batch = batch_of_blobs(4)
    batch.y = torch.tensor([2, 0, 1, 2])
    list(model.losses(batch, 0))
    with torch.no_grad():
        model.sample(Noise(torch.tensor([4, 5])), steps=1)
        model.sample(Noise(torch.tensor([4, 5])), torch.tensor([0, 0]), steps=1)
    rows = torch.eye(3)
    for found, classes in zip(told, [[2, 0, 1, 2], [1, 2], [0, 0]], strict=True):
        assert torch.equal(found, rows[classes])
    assert torch.equal(model.labels(torch.tensor([4, 5])), torch.tensor([1, 2]))
    assert edm().labels(torch.tensor([4])) is None


# --- Samplers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("churn", [{}, CHURN], ids=["ode", "churn"])
@pytest.mark.parametrize("method", ["heun", "euler"])
def test_whole_chains_are_the_papers_algorithm(method: str, churn: dict[str, float]) -> None:
    model = edm()
    noise = Noise(torch.arange(4))
    with torch.no_grad():
        expected = reference(
            lambda x, sigma: written_out(model, x, sigma).double(),
            noise.normal(*IMAGE_SHAPE),
            noise,
            correct=method == "heun",
            steps=18,
            churn=churn,
        )
        found = model.sample(Noise(torch.arange(4)), method=method, steps=18, **churn)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-6)


def of_gaussians(x: Tensor, sigma: float) -> Tensor:
    """E[x_0 | x] for data N(M, S^2). Along the ODE, x - M is proportional to sqrt(S^2 + sigma^2)."""
    return M + S**2 / (S**2 + sigma**2) * (x - M)


@pytest.mark.parametrize(("method", "order"), [(euler, 1), (heun, 2)])
def test_samplers_reach_gaussian_data_and_are_of_their_orders(method: Callable, order: int) -> None:
    z = torch.ones(1, 1, 1, 1)
    exact = M + (80 - M) * S / math.hypot(S, 80)
    errors = []
    for steps in (64, 128, 256):
        *_, x0 = method(of_gaussians, z, Noise(torch.arange(1)), steps=steps)
        errors.append(abs(x0.item() - exact))
    assert errors[-1] < (3e-2, 3e-3)[order - 1]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3)


def test_churn_leaves_the_distribution_as_it_is() -> None:
    noise = Noise(torch.arange(400))
    *_, x0 = heun(of_gaussians, noise.normal(1, 4, 4), noise, steps=200, s_churn=30.0)
    assert x0.mean().item() == pytest.approx(M, abs=0.02)
    assert x0.std().item() == pytest.approx(S, rel=0.03)


def test_an_image_does_not_depend_on_those_beside_it() -> None:
    model = edm()
    with torch.no_grad():
        images = model.sample(Noise(torch.arange(4)), steps=4, **CHURN)
        few = model.sample(Noise(torch.tensor([2, 0])), steps=4, **CHURN)
    torch.testing.assert_close(images[[2, 0]], few, rtol=0, atol=1e-4)


def test_options_are_checked_and_known_beforehand() -> None:
    model = build(ENTRY, IMAGE_SHAPE)
    assert model.describe_walk({}) == {"method": "heun", "label": "Heun", "steps": 18}
    assert model.describe_walk({"method": "euler", "steps": 7}) == {"method": "euler", "label": "Euler", "steps": 7}
    assert model.check_sampler({"s_churn": 10, "steps": 3}) == {"s_churn": 10.0, "steps": 3}
    refused: list[tuple[dict[str, Any], str]] = [
        ({"method": "dpm"}, "key 'method': found 'dpm'"),
        ({"steps": 0}, "heun: key 'steps': found 0, expected at least 1"),
        ({"sigma_min": 2, "sigma_max": 1}, "heun: key 'sigma_min': found 2.0, expected less than sigma_max 1.0"),
        ({"method": "euler", "eta": 1}, "euler: unknown key: found 'eta'"),
    ]
    for options, message in refused:
        with pytest.raises(InputError, match=message):
            model.check_sampler(options)
    costs = sampling_costs(model.to(META), {"heun": {"steps": 18}, "euler": {"method": "euler", "steps": 18}})
    assert costs["heun"]["nfe"] == 35
    assert costs["euler"]["nfe"] == 18


def test_the_picture_shows_ten_states_of_five_images() -> None:
    model = edm()
    with torch.no_grad():
        pictures = model.denoising(batch_of_blobs(6))
        assert pictures.shape == (50, *IMAGE_SHAPE)
        last = model.sample(Noise(torch.arange(5)), steps=20).clamp(-1, 1)
    torch.testing.assert_close(pictures[9::10], last, rtol=0, atol=1e-6)
