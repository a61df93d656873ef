"""Denoising diffusion GANs: the chain and the losses against closed forms, the networks against the authors' code."""

import json
import math
import os
from pathlib import Path

import pytest
import torch
from entries import DDGAN, IMAGE_SHAPE
from official_ddgan import CIFAR10, DISCRIMINATOR_SIZE, TINY, inputs, official_answers, weights

from genbench.errors import InputError
from genbench.importing.nvlabs_ddgan import from_official, official_shapes
from genbench.models import Batch, build
from genbench.networks import ncsnpp, resampling
from genbench.processes.noise import Noise
from genbench.processes.schedule import SCHEDULES
from genbench.training.flops import training_cost
from genbench.training.recipe import TrainConfig

OFFICIAL = {
    "class": "ddgan.DDGAN",
    "generator": {"class": "ncsnpp.Generator"},
    "discriminator": {"class": "ncsnpp.Discriminator"},
}


def batch(size: int = 8, key: int = 3) -> Batch:
    noise = Noise(torch.arange(size), key=key)
    return Batch(noise.normal(*IMAGE_SHAPE).clamp(-1, 1), torch.zeros(size, dtype=torch.int64), noise)


class LinearPairs(torch.nn.Module):
    """D(x_s, x_t, t) = a . x_s + b . x_t, with b much larger than a."""

    def __init__(self) -> None:
        super().__init__()
        size = math.prod(IMAGE_SHAPE)
        self.a = torch.nn.Parameter(torch.randn(size, generator=torch.Generator().manual_seed(0)))
        self.b = torch.nn.Parameter(100 * torch.ones(size))

    def forward(self, x_s: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return x_s.flatten(1) @ self.a + x_t.flatten(1) @ self.b


class ConstantLogit(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x_s: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.c.expand(len(x_s)) + 0 * x_s.flatten(1).sum(1)


# --- The chain --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("T", "betas", "places"),
    [
        (2, [0.92132, 0.99945], 5),
        (4, [0.47826, 0.84921, 0.95642, 0.98740], 5),
        (8, [0.156, 0.381, 0.546, 0.667, 0.756, 0.821, 0.869, 0.904], 3),
    ],
)
def test_vp_has_the_authors_betas(T: int, betas: list[float], places: int) -> None:
    abar = SCHEDULES["vp"](T).alphas_cumprod
    assert abar[0] == 1
    assert (1 - abar[1:] / abar[:-1]).tolist() == pytest.approx(betas, abs=0.6 * 10**-places)
    # The end is that of the continuous process: log abar(1) - log abar(0.001).
    assert math.log(abar[-1]) == pytest.approx(-0.1 * 0.999 - 0.5 * 19.9 * (1 - 1e-6), rel=1e-12)


def test_the_posterior_of_large_steps_is_the_textbook_s() -> None:
    model = build(DDGAN, IMAGE_SHAPE)
    x0_hat, x_t = torch.full((4, *IMAGE_SHAPE), 0.3), torch.full((4, *IMAGE_SHAPE), -1.2)
    model.generator.register_forward_hook(lambda module, inputs, output: x0_hat)
    noise = Noise(torch.arange(4))
    found = model.fake_x_s(x_t, torch.tensor([1, 2, 3, 4]), noise)
    again = Noise(torch.arange(4))
    again.normal(model.latent_size)
    eps = again.normal(*IMAGE_SHAPE)

    abar = [1.0, 0.5217446970, 0.0786759676, 0.0034288789, 0.0000431905]  # T = 4
    for i, t in enumerate([1, 2, 3, 4]):
        beta = 1 - abar[t] / abar[t - 1]
        mean = (math.sqrt(abar[t - 1]) * beta * 0.3 - 1.2 * math.sqrt(1 - beta) * (1 - abar[t - 1])) / (1 - abar[t])
        sigma = math.sqrt(beta * (1 - abar[t - 1]) / (1 - abar[t]))
        torch.testing.assert_close(found[i], mean + sigma * eps[i], rtol=0, atol=2e-6)
    assert torch.equal(found[0], x0_hat[0])  # s = 0 is x0_hat itself


def test_real_pairs_are_neighbours_of_the_forward_process() -> None:
    model = build(DDGAN, IMAGE_SHAPE)
    size = 4000
    x0 = torch.full((size, *IMAGE_SHAPE), 0.8)
    pairs = Batch(x0, torch.zeros(size, dtype=torch.int64), Noise(torch.arange(size)))
    x_s, x_t, t = model.real_pair(pairs)
    assert t.unique().tolist() == [1, 2, 3, 4]
    assert torch.equal(x_s[t == 1], x0[t == 1])
    for time in (1, 2, 3, 4):
        s_values, t_values = x_s[t == time].double(), x_t[t == time].double()
        abar_s, abar_t = model.schedule.alpha_bar(time - 1), model.schedule.alpha_bar(time)
        alpha = abar_t / abar_s
        assert t_values.mean().item() == pytest.approx(0.8 * math.sqrt(abar_t), abs=0.01)
        assert t_values.var().item() == pytest.approx(1 - abar_t, rel=0.01)
        covariance = ((s_values - s_values.mean()) * (t_values - t_values.mean())).mean()
        assert covariance.item() == pytest.approx(math.sqrt(alpha) * (1 - abar_s), abs=0.01)


def test_sampling_walks_from_T_to_data_with_a_fresh_z_each_time() -> None:
    model = build(DDGAN, IMAGE_SHAPE).eval()
    seen: list[tuple[torch.Tensor, ...]] = []
    model.generator.register_forward_hook(lambda module, inputs, output: seen.append((*inputs, output)))
    with torch.inference_mode():
        images = model.sample(Noise(torch.arange(2)))
    assert [int(t[0]) for _, _, t, _ in seen] == [3, 2, 1, 0]  # published networks count from 0
    assert len({z.sum().item() for _, z, _, _ in seen}) == 4
    torch.testing.assert_close(images, seen[-1][3], rtol=0, atol=1e-7)  # the last step returns x0_hat


# --- The losses -------------------------------------------------------------------------------------------------------


def test_losses_are_the_gan_s_with_fresh_draws_for_the_generator() -> None:
    model = build(DDGAN, IMAGE_SHAPE)
    model.discriminator = ConstantLogit()
    seen: list[tuple[torch.Tensor, ...]] = []
    model.generator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    losses = dict(model.losses(batch(), step=1))
    assert losses["discriminator"].item() == pytest.approx(2 * math.log(2))
    assert losses["generator"].item() == pytest.approx(math.log(2))
    (x_t, z, t), (other_x_t, other_z, other_t) = seen
    assert not torch.equal(z, other_z)
    assert not torch.equal(x_t, other_x_t)
    assert not torch.equal(t, other_t)
    assert min(t.min(), other_t.min()) >= 0
    assert max(t.max(), other_t.max()) <= 3


def test_r1_is_of_the_less_noisy_image_alone_every_so_often_and_not_scaled_up() -> None:
    model = build(DDGAN | {"r1_gamma": 0.02, "r1_every": 15}, IMAGE_SHAPE)
    model.discriminator = LinearPairs()
    penalties = []
    for step in range(16):
        b = batch(4)
        next(iter(model.losses(b, step)))
        penalties.append(b.metrics.get("penalty"))
    expected = 0.01 * model.discriminator.a.square().sum().item()
    assert [step for step, value in enumerate(penalties) if value is not None] == [0, 15]
    assert penalties[0].item() == pytest.approx(expected, rel=1e-5)


def test_r1_pulls_the_discriminator_towards_flatness() -> None:
    model = build(DDGAN | {"r1_gamma": 0.5}, IMAGE_SHAPE)
    model.discriminator = LinearPairs()
    gradients = []
    for step in (0, 1):  # with the penalty and without
        _, loss = next(iter(model.losses(batch(), step)))
        gradients.append(torch.autograd.grad(loss, model.discriminator.a)[0])
    torch.testing.assert_close(gradients[0] - gradients[1], 0.5 * model.discriminator.a.detach(), rtol=1e-3, atol=1e-4)


def test_losses_under_autocast_are_finite_and_float32() -> None:
    torch.manual_seed(0)
    model = build(DDGAN, IMAGE_SHAPE)
    losses = model.losses(batch(), step=0)
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            _, loss = next(losses)
        assert loss.dtype == torch.float32
        assert loss.isfinite()
        loss.backward()


# --- The networks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "expected"), [(128, 48_432_515), (64, 14_309_187), (32, 4_786_211)])
def test_networks_have_the_authors_parameters(channels: int, expected: int) -> None:
    entry = OFFICIAL | {"generator": {"class": "ncsnpp.Generator", "channels": channels}}
    with torch.device("meta"):
        model = build(entry, (3, 32, 32))
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert counts == {"generator": expected, "discriminator": 12_741_633}


def test_resampling_keeps_brightness_and_is_each_other_s_transpose() -> None:
    ones = torch.ones(1, 2, 8, 8)
    torch.testing.assert_close(resampling.downsample(ones)[:, :, 1:-1, 1:-1], torch.ones(1, 2, 2, 2))
    torch.testing.assert_close(resampling.upsample(ones)[:, :, 1:-1, 1:-1], torch.ones(1, 2, 14, 14))
    impulse = torch.zeros(1, 1, 8, 8)
    impulse[0, 0, 3, 3] = 1
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    torch.testing.assert_close(resampling.upsample(impulse)[0, 0, 5:9, 5:9], torch.outer(taps, taps) / 16)
    x, y = Noise(torch.arange(2)).normal(3, 8, 8), Noise(torch.arange(2), key=1).normal(3, 4, 4)
    torch.testing.assert_close((4 * resampling.downsample(x) * y).sum(), (x * resampling.upsample(y)).sum())


def test_minibatch_deviation_is_taken_within_groups_that_are_dealt_out() -> None:
    h = torch.zeros(8, 3, 2, 2)
    h[[0, 2]] = 2.0  # images 0, 2, 4, 6 are one group, and 1, 3, 5, 7 the other
    found = ncsnpp.minibatch_deviation(h, 4)
    assert found.shape == (8, 4, 2, 2)
    torch.testing.assert_close(found[:, :3], h)
    deviation = torch.tensor([1.0, 1e-4] * 4)  # of (2, 2, 0, 0), and the root of 1e-8
    torch.testing.assert_close(found[:, 3], deviation[:, None, None].expand(8, 2, 2))
    assert ncsnpp.minibatch_deviation(h[:3], 4)[:, 3].unique().numel() == 1  # fewer images than a group form one group


@pytest.mark.parametrize(("size", "last"), [(16, 4), (28, 3), (32, 4), (64, 8)])
def test_discriminators_fit_common_sizes(size: int, last: int) -> None:
    discriminator = ncsnpp.Discriminator(image_shape=(1, size, size), channels=4, time_size=8)
    sides = []
    discriminator.blocks[-1].register_forward_hook(lambda module, inputs, output: sides.append(output.shape[-1]))
    x = torch.zeros(4, 1, size, size)
    assert discriminator(x, x, torch.arange(4)).shape == (4,)
    assert sides == [last]


def tiny_networks(options: dict) -> tuple[ncsnpp.Generator, ncsnpp.Discriminator]:
    channels = options["num_channels"]
    generator = ncsnpp.Generator(
        image_shape=(channels, options["image_size"], options["image_size"]),
        latent_size=options["nz"],
        channels=options["num_channels_dae"],
        channel_mult=options["ch_mult"],
        num_res_blocks=options["num_res_blocks"],
        attention_resolutions=options["attn_resolutions"],
        latent_embedding=options["z_emb_dim"],
        latent_layers=options["n_mlp"],
    )
    discriminator = ncsnpp.Discriminator(
        image_shape=(channels, DISCRIMINATOR_SIZE, DISCRIMINATOR_SIZE),
        channels=2 * options["ngf"],
        time_size=options["t_emb_dim"],
    )
    for network in (generator, discriminator):
        network.load_state_dict(from_official(weights(official_shapes(network)), network, "formula", "the network"))
    return generator.eval(), discriminator.eval()


@torch.no_grad()
def our_answers(options: dict) -> dict[str, torch.Tensor]:
    given = inputs(options)
    generator, discriminator = tiny_networks(options)
    return {
        "x0_hat": generator(given["x"], given["z"], given["t"]),
        "logits": discriminator(given["x_s"], given["x_t"], given["t"]),
    }


def test_networks_answer_as_the_authors_do() -> None:
    expected = json.loads((Path(__file__).parents[1] / "support/data" / "ddgan.json").read_text(encoding="utf-8"))
    found = our_answers(TINY)
    torch.testing.assert_close(found["x0_hat"][:, :, ::3, ::3], torch.tensor(expected["x0_hat"]), rtol=0, atol=1e-5)
    torch.testing.assert_close(found["logits"], torch.tensor(expected["logits"]), rtol=0, atol=5e-5)


@pytest.mark.slow
@pytest.mark.skipif("GENBENCH_DDGAN_REPO" not in os.environ, reason="GENBENCH_DDGAN_REPO names no checkout")
@pytest.mark.filterwarnings("ignore")  # the authors' code is from 2022
@pytest.mark.parametrize("options", [CIFAR10, TINY], ids=["CIFAR-10", "tiny"])
def test_networks_equal_the_authors_code(options: dict) -> None:
    expected = official_answers(os.environ["GENBENCH_DDGAN_REPO"], options)
    found = our_answers(options)
    for name, value in expected.items():
        print(f"{name}: largest difference {(found[name] - value).abs().max():.2g} of {value.abs().max():.2g}")
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-4)


# --- Errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r1_every": 0}, "key 'r1_every': found 0, expected at least 1"),
        (
            {"generator": DDGAN["generator"] | {"channels": 6}},
            "found a layer of 18 channels|found a layer of 6 channels",
        ),
        ({"generator": DDGAN["generator"] | {"channel_mult": [1] * 5}}, "16x16 are not divisible by 32"),
        ({"discriminator": DDGAN["discriminator"] | {"patch_size": 3}}, "16x16 are not divisible by 3"),
        ({"discriminator": {}}, "discriminator: key 'class' is missing"),
        ({"schedule": {"name": "vp", "beta": 1}}, "vp: unknown key: found 'beta'"),
    ],
)
def test_wrong_entries_are_named(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message), torch.device("meta"):
        build(DDGAN | change, IMAGE_SHAPE)


def test_preflight_finds_micro_batches_that_the_groups_do_not_divide() -> None:
    with torch.device("meta"):
        model = build(DDGAN, IMAGE_SHAPE)
    assert training_cost(model, TrainConfig(steps=10, batch_size=8, accumulate=2))["flops"] > 0
    with pytest.raises(InputError, match=r"found 6 images at once .*batch_size / accumulate.*a multiple of 4"):
        training_cost(model, TrainConfig(steps=10, batch_size=12, accumulate=2))


def test_without_a_discriminator_it_samples_and_refuses_to_train() -> None:
    model = build(DDGAN | {"discriminator": None}, IMAGE_SHAPE).eval()
    assert [name for name, _ in model.named_children()] == ["generator"]
    assert model.sample(Noise(torch.arange(2))).shape == (2, *IMAGE_SHAPE)
    with pytest.raises(InputError, match="no discriminator and can only be sampled"):
        next(iter(model.losses(batch(), 0)))
