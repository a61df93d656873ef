"""MeanFlow: its identity, its loss, the times that it draws, and what its derivative costs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from entries import IMAGE_SHAPE, MEANFLOW
from perturbed import batch_of_blobs, perturbed
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.models import build
from genbench.models.meanflow import MeanFlow
from genbench.networks import unet
from genbench.networks.songunet import SongUNet
from genbench.networks.unet import UNet
from genbench.processes.augmentation import draw_transformation
from genbench.processes.noise import Noise
from genbench.suites.load import load_suite
from genbench.training.flops import META, FlopCounter, training_cost
from genbench.training.recipe import TrainConfig

ROOT = Path(__file__).parents[2]
M, S = 0.3, 0.5  # mean and standard deviation of an "image" whose values are all independent


def meanflow(entry: Mapping[str, Any] = MEANFLOW, **options: object) -> MeanFlow:
    model = perturbed({**entry, **options}, 0.05)
    assert isinstance(model, MeanFlow)
    return model.train()


def deviation(t: Tensor) -> Tensor:
    """The standard deviation of z_t for images N(M, S^2)."""
    return (((1 - t) * S) ** 2 + t**2).sqrt()


class OfGaussians(nn.Module):
    """The average velocity for images N(M, S^2): along a path, (z_t - (1 - t) M) / deviation(t) is constant."""

    def forward(self, z: Tensor, times: Tensor) -> Tensor:
        t, r = times[:, 0, None, None, None], (times[:, 0] - times[:, 1])[:, None, None, None]
        z_r = (1 - r) * M + deviation(r) / deviation(t) * (z - (1 - t) * M)
        return (z - z_r) / (t - r)


def of_gaussians() -> MeanFlow:
    model = meanflow()
    model.velocity = OfGaussians()
    return model


def test_the_average_velocity_of_gaussian_data_is_its_own_target() -> None:
    t, r = torch.tensor([0.9, 0.5, 1.0]), torch.tensor([0.2, 0.45, 0.0])
    z = Noise(torch.arange(3)).normal(*IMAGE_SHAPE)
    there = t[:, None, None, None]
    v = -M + (there - (1 - there) * S**2) / deviation(there) ** 2 * (z - (1 - there) * M)  # the mean over all paths
    u, target = of_gaussians().average_and_target(z, v, r, t)
    torch.testing.assert_close(u, target, rtol=0, atol=1e-5)
    assert (u - v).abs().max() > 0.1  # not the velocity itself


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_it_leads_from_noise_to_images_in_any_number_of_steps(steps: int) -> None:
    seeds = torch.arange(3)
    found = of_gaussians().sample(Noise(seeds), steps=steps)
    torch.testing.assert_close(found, M + S * Noise(seeds).normal(*IMAGE_SHAPE), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("power", "offset"), [(1.0, 1e-3), (0.75, 0.1), (0.0, 1e-3)])
def test_the_loss_is_the_weighted_squared_error(power: float, offset: float) -> None:
    model = meanflow(weight_power=power, weight_offset=offset)
    ((name, loss),) = model.losses(batch_of_blobs(6), 0)
    loss.backward()
    found = {key: parameter.grad.clone() for key, parameter in model.named_parameters()}
    model.zero_grad()

    again = batch_of_blobs(6)  # the same draws, in the same order
    x1 = again.noise.normal(*IMAGE_SHAPE)
    r, t = model.draw_times(again.noise)
    assert 0 < (r < t).sum() < 6
    z, v = again.x0 + t[:, None, None, None] * (x1 - again.x0), x1 - again.x0

    def u(z: Tensor, r: Tensor, t: Tensor) -> Tensor:
        return model.velocity(z, torch.stack([t, t - r], dim=1))

    # The derivative along the path by two backward passes; MeanFlow uses a forward derivative.
    _, along = torch.autograd.functional.jvp(u, (z, r, t), (v, torch.zeros(6), torch.ones(6)))
    squared = (u(z, r, t) - (v - (t - r)[:, None, None, None] * along)).square().sum(dim=(1, 2, 3))
    expected = (squared / (squared.detach() + offset) ** power).mean()
    expected.backward()
    assert name == "velocity"
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(found[key], parameter.grad, rtol=1e-3, atol=1e-5 * float(loss.detach()))


def test_where_no_times_differ_it_is_flow_matching() -> None:
    model = meanflow(different=0.0, weight_power=0.0)
    batch, again = batch_of_blobs(4), batch_of_blobs(4)
    ((_, loss),) = model.losses(batch, 0)
    x1 = again.noise.normal(*IMAGE_SHAPE)
    r, t = model.draw_times(again.noise)
    assert torch.equal(r, t)
    z_t = again.x0.lerp(x1, t[:, None, None, None])
    error = (model.velocity_at(z_t, t, t) - (x1 - again.x0)).square()
    torch.testing.assert_close(loss, error.flatten(1).sum(1).mean())
    torch.testing.assert_close(batch.metrics["squared_error"], error.mean())


def test_times_are_a_pair_of_logit_normal_ones_and_differ_as_often_as_stated() -> None:
    r, t = meanflow(times_mean=-2.0, times_std=2.0, different=0.75).draw_times(Noise(torch.arange(20_000)))
    differ = r < t
    assert (r <= t).all()
    assert differ.float().mean().item() == pytest.approx(0.75, abs=0.01)
    # The mean of the larger of two normal numbers is std / sqrt(pi) above their mean.
    higher, lower = torch.logit(t).mean().item(), torch.logit(r[differ]).mean().item()
    assert (higher, lower) == (pytest.approx(-2 + 2 / torch.pi**0.5, abs=0.05), pytest.approx(-2 - 1.128, abs=0.05))


def test_the_network_is_given_t_and_the_time_from_r_to_t() -> None:
    model, seen = meanflow(), []
    model.velocity.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1]))
    model.velocity_at(torch.zeros(2, *IMAGE_SHAPE), torch.tensor([0.25, 0.0]), torch.tensor([0.75, 1.0]))
    torch.testing.assert_close(seen[0], torch.tensor([[0.75, 0.5], [1.0, 1.0]]))


def test_augmented_images_stay_upright() -> None:
    model, seen = meanflow(augment=1.0), []
    model.velocity.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    ((_, loss),) = model.losses(batch_of_blobs(8), 0)
    labels = seen[0][3]
    drawn = draw_transformation(batch_of_blobs(8).noise, 1.0)
    assert torch.equal(labels[:, [0, 2, 5, 6, 7, 8]], drawn.labels[:, [0, 2, 5, 6, 7, 8]])
    assert labels[:, [1, 3, 4]].abs().max() == 0
    assert drawn.labels[:, [3, 4]].abs().min() > 0
    assert loss.isfinite()


# --- The forward derivative -------------------------------------------------------------------------------------------

UNET = MEANFLOW["velocity"] | {"dropout": 0.2}
SONGUNET = {
    "class": "songunet.SongUNet", "channels": 16, "channel_mult": [1, 2], "num_res_blocks": 1,
    "attention_resolutions": [8], "embedding_mult": 2, "resample_filter": [1, 3, 3, 1], "dropout": 0.2,
}  # fmt: skip


@pytest.mark.parametrize("velocity", [UNET, SONGUNET], ids=["unet", "songunet"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_it_passes_through_all_of_a_network_that_drops_and_attends(
    velocity: dict, precision: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    attention = F.scaled_dot_product_attention
    # Contiguous arguments reach torch's fused kernels, which refuse forward derivatives.
    monkeypatch.setattr(unet.F, "scaled_dot_product_attention", lambda *qkv: attention(*(x.contiguous() for x in qkv)))
    model = meanflow(MEANFLOW | {"velocity": velocity, "different": 1.0})
    z, v = Noise(torch.arange(8)).normal(2, *IMAGE_SHAPE).unbind(1)
    r, t = torch.rand(2, 8).sort(dim=0).values

    def drawn(share: float) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)  # the same dropout
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            return model.average_and_target(z + share * v, v, r, t + share)

    u, target = drawn(0.0)
    assert u.dtype == target.dtype == torch.float32
    assert u.requires_grad
    assert not target.requires_grad
    if precision == torch.float32:
        numerical = (drawn(1e-3)[0] - drawn(-1e-3)[0]) / 2e-3
        torch.testing.assert_close((v - target) / (t - r)[:, None, None, None], numerical, rtol=0.02, atol=0.02)
    else:
        model.eval()
        u, target = drawn(0.0)
        exact_u, exact = model.average_and_target(z, v, r, t)
        assert (u - exact_u).abs().mean() < 0.02 * exact_u.abs().mean()
        assert (target - exact).abs().mean() < 0.05 * (v - exact).abs().mean()


def test_preflight_counts_the_derivative() -> None:
    """Forward, the forward derivative and backward: torch multiplies tangents by weights, and values by tangents of the
    weights, which are zeros. So a forward derivative takes two passes, and an iteration takes five instead of three."""
    config = TrainConfig(steps=1, batch_size=4)
    with META:
        model = build(MEANFLOW, IMAGE_SHAPE)
        z, times = torch.empty(4, *IMAGE_SHAPE), torch.empty(4)
        with FlopCounter() as forward:
            model.velocity_at(z, times, times)
    counted = training_cost(model, config)["flops"]
    assert counted == pytest.approx(5 * forward.total, rel=0.03)  # the first layers need no dL/dz
    model = meanflow()
    with FlopCounter() as real:
        ((_, loss),) = model.losses(batch_of_blobs(4), 0)
        loss.backward()
    assert real.total == counted


# --- Networks of several times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [UNet, SongUNet])
def test_each_time_has_its_own_share_of_the_embedding(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    sizes = {"channels": 16, "channel_mult": [1], "num_res_blocks": 1}
    sizes |= {"norm_groups": 4} if kind is UNet else {}
    one = kind(image_shape=(1, 4, 4), **sizes).eval()
    two = kind(image_shape=(1, 4, 4), num_times=2, **sizes).eval()
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        state = one.state_dict()
        first = state["time_mlp.0.weight"]
        two.load_state_dict(state | {"time_mlp.0.weight": torch.cat([0.5 * first, 0.5 * first], dim=1)})
        x, t = torch.randn(3, 1, 4, 4), torch.tensor([0.1, 2.0, -1.0])
        torch.testing.assert_close(two(x, torch.stack([t, t], dim=1)), one(x, t))
        assert not torch.allclose(two(x, torch.stack([t, t + 1], dim=1)), one(x, t), atol=1e-3)


def test_the_entry_of_modern_has_the_authors_network() -> None:
    entry = load_suite(ROOT / "suites/modern.yaml")["models"]["meanflow"]["model"]
    with META:
        model = build(entry, (3, 32, 32))
    # The authors' network has six augmentation labels; genbench has nine, of which three are always 0.
    assert sum(p.numel() for p in model.parameters()) == 55_932_419 + 3 * 512
