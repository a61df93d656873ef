"""The contract of every family, their published sizes, and their mathematics."""

import copy
import math
from pathlib import Path

import diffusers
import pytest
import torch
from entries import AUTOENCODER, IMAGE_SHAPE, MODELS, VAE
from torch.nn import functional as F

from genbench.errors import InputError, place
from genbench.importing.diffusers_names import from_official
from genbench.models import Batch, Model, build, count_parameters
from genbench.models import vae as vae_family
from genbench.models.cold import ColdDiffusion
from genbench.models.ddgan import DDGAN
from genbench.models.diffusevae import DiffuseVAE
from genbench.models.diffusion import Diffusion
from genbench.models.gan import GAN
from genbench.models.vae import kl_to_standard_normal
from genbench.networks.unet import UNet
from genbench.processes.densities import GaussianMixture, great_circles, latent_plane
from genbench.processes.noise import Noise


def batch(size: int = 4) -> Batch:
    noise = Noise(torch.arange(size), key=3)
    return Batch(noise.normal(*IMAGE_SHAPE).clamp(-1, 1), torch.zeros(size, dtype=torch.int64), noise)


# --- The contract -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_each_loss_moves_exactly_the_submodule_it_names(name: str) -> None:
    torch.manual_seed(0)
    model = build(MODELS[name], IMAGE_SHAPE)
    moved = set()
    for submodule, loss in model.losses(batch(), step=1):
        assert loss.shape == ()
        assert loss.isfinite()
        parameters = list(model.get_submodule(submodule).parameters())
        before = copy.deepcopy(dict(model.named_parameters()))
        loss.backward(inputs=parameters)
        torch.optim.SGD(parameters, lr=0.1).step()
        changed = {key.split(".")[0] for key, value in model.named_parameters() if not torch.equal(value, before[key])}
        assert changed == {submodule}
        model.zero_grad()
        moved.add(submodule)
    assert moved == set(count_parameters(model))


@pytest.mark.parametrize("name", MODELS)
def test_samples_have_the_shape_of_images_and_belong_to_their_seeds(name: str) -> None:
    torch.manual_seed(0)
    model = build(MODELS[name], IMAGE_SHAPE).eval()
    with torch.inference_mode():
        whole = model.sample(Noise(torch.arange(6)))
        part = model.sample(Noise(torch.arange(2, 5)))
    assert whole.shape == (6, *IMAGE_SHAPE)
    assert whole.isfinite().all()
    torch.testing.assert_close(part, whole[2:5], rtol=0, atol=1e-4)  # another batch size: equal within tolerance
    assert not torch.equal(whole[0], whole[1])


def test_the_critic_moves_n_critic_times_as_often() -> None:
    model = build(MODELS["wgan-gp"], IMAGE_SHAPE)
    names = [name for step in range(4) for name, _ in model.losses(batch(), step)]
    assert names == ["discriminator", "discriminator", "generator"] * 2


def test_a_relativistic_generator_is_judged_beside_real_images_by_the_critic_as_it_is_now() -> None:
    model = build(MODELS["r3gan"], IMAGE_SHAPE)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    model.discriminator.register_forward_hook(lambda module, inputs, logits: seen.append((inputs[0], logits)))
    given = batch()
    losses = model.losses(given, 0)
    next(losses)
    with torch.no_grad():  # the trainer's update
        model.discriminator.linear.weight.add_(1)
    seen.clear()
    _, loss = next(losses)
    (real, real_logits), (_, fake_logits) = seen
    assert torch.equal(real, given.x0)
    torch.testing.assert_close(real_logits, model.discriminator(given.x0).detach())
    torch.testing.assert_close(loss, F.softplus(real_logits - fake_logits).mean())


def test_r1_and_r2_take_the_logits_that_the_loss_has() -> None:
    model = build(MODELS["r3gan"], IMAGE_SHAPE)
    calls: list[str] = []
    model.discriminator.register_forward_pre_hook(lambda *_: calls.append("discriminator"))
    next(model.losses(batch(), 0))
    assert len(calls) == 2  # for real and generated images


def test_a_penalty_s_weight_falls_along_half_a_cosine() -> None:
    torch.manual_seed(0)
    plain = build(MODELS["lsgan-r1"], IMAGE_SHAPE)
    falling = build(MODELS["lsgan-r1"] | {"penalty_decay_steps": 8, "penalty_final": 0.2}, IMAGE_SHAPE)
    falling.load_state_dict(plain.state_dict())

    def penalty(model: Model, step: int) -> float:
        given = batch()
        next(model.losses(given, step))
        return float(given.metrics["penalty"])

    shares = [penalty(falling, step) / penalty(plain, step) for step in (0, 4, 8, 100)]
    assert shares == pytest.approx([1, 0.6, 0.2, 0.2], rel=1e-5)


# --- Published sizes (parameters, from the official modules) ----------------------------------------------------------


def parameters(entry: dict, image_shape: tuple[int, int, int]) -> dict[str, int]:
    with torch.device("meta"):
        return count_parameters(build(entry, image_shape))


def gan(networks: str, latent_size: int) -> dict:
    return {
        "class": "gan.GAN",
        "latent_size": latent_size,
        "generator": {"class": f"{networks}.Generator"},
        "discriminator": {"class": f"{networks}.Discriminator"},
    }


def test_dcgan_has_the_tutorial_s_parameters() -> None:
    expected = {"generator": 3_576_704, "discriminator": 2_765_568}
    assert parameters(gan("dcgan", 100), (3, 64, 64)) == expected


def test_the_resnets_have_the_course_s_parameters() -> None:
    expected = {"generator": 1_204_099, "discriminator": 1_053_825}
    assert parameters(gan("resnet", 128), (3, 32, 32)) == expected


@pytest.mark.parametrize(
    ("latent_size", "plain", "variational"),
    [(16, 1_212_819, 1_278_371), (128, 2_130_435, 2_654_851), (1024, 9_471_363, 13_666_691)],
)
def test_autoencoders_have_the_course_s_parameters(latent_size: int, plain: int, variational: int) -> None:
    sizes = {"latent_size": latent_size, "channels": 32}
    assert parameters(AUTOENCODER | sizes, (3, 32, 32)) == {"autoencoder": plain}
    assert parameters(VAE | sizes, (3, 32, 32)) == {"autoencoder": variational}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 35_746_307),  # Ho et al., CIFAR-10
        ({"channel_mult": [1, 1, 2, 2, 4, 4], "attention_resolutions": [2], "head_channels": 8}, 113_673_219),
        (
            {"num_res_blocks": 3, "scale_shift_norm": True, "attention_resolutions": [16, 8], "num_heads": 4}
            | {"out_channels": 6},
            52_546_438,  # improved-diffusion with learned variance
        ),
    ],
)
def test_unets_have_the_published_parameters(options: dict, expected: int) -> None:
    entry = {"class": "diffusion.Diffusion", "denoiser": {"class": "unet.UNet", **options}}
    assert parameters(entry, (3, 32, 32)) == {"denoiser": expected}


@pytest.mark.parametrize(("size", "start"), [(64, 4), (32, 4), (28, 7)])
@pytest.mark.parametrize("networks", ["dcgan", "resnet", "r3gan"])
def test_gan_networks_fit_common_sizes(networks: str, size: int, start: int) -> None:
    entry = gan(networks, 8)
    entry["generator"]["channels"] = entry["discriminator"]["channels"] = 8
    model = build(entry, (3, size, size))
    first = {
        "dcgan": lambda network: network.layers[0].kernel_size[0],
        "resnet": lambda network: network.start[1],
        "r3gan": lambda network: network.basis.shape[1],
    }
    assert first[networks](model.generator) == start
    images = model.sample(Noise(torch.arange(2)))
    assert images.shape == (2, 3, size, size)
    assert model.discriminator(images).shape == (2,)


# --- Mathematics ------------------------------------------------------------------------------------------------------


def test_kl_against_monte_carlo_and_zero_for_the_prior() -> None:
    torch.manual_seed(0)
    mu, logvar = torch.tensor([[0.5, -1.0]]), torch.tensor([[-0.7, 0.3]])
    q = torch.distributions.Normal(mu, torch.exp(0.5 * logvar))
    z = q.sample((200_000,))
    estimate = (q.log_prob(z) - torch.distributions.Normal(0, 1).log_prob(z)).sum(-1).mean()
    assert kl_to_standard_normal(mu, logvar).item() == pytest.approx(estimate.item(), rel=0.01)
    assert kl_to_standard_normal(torch.zeros(1, 3), torch.zeros(1, 3)).item() == 0


def test_the_kl_divergence_keeps_single_precision_under_autocast() -> None:
    torch.manual_seed(0)
    model = build(VAE, IMAGE_SHAPE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mu, logvar = model.encode(batch().x0)
    assert mu.dtype == logvar.dtype == torch.float32
    assert kl_to_standard_normal(torch.full((1, 100), 1e-3), torch.full((1, 100), 1e-3)).item() == pytest.approx(
        0.5 * 100 * (1e-6 + 5e-7), rel=0.05
    )


def test_vae_loss_is_summed_over_pixels_and_weighted() -> None:
    torch.manual_seed(0)
    model = build(VAE | {"kl_weight": 3.0, "kl_anneal_steps": 10}, IMAGE_SHAPE)
    for step, weight in [(0, 0.0), (5, 1.5), (10, 3.0), (99, 3.0)]:
        b = batch()
        ((_, loss),) = model.losses(b, step)
        assert loss.item() == pytest.approx(float(b.metrics["reconstruction"] + weight * b.metrics["kl"]), rel=1e-5)
    mu, _ = model.encode(b.x0)
    scale = float(b.metrics["reconstruction"]) / (b.x0 - model.decode(mu)).square().mean().item()
    assert scale == pytest.approx(math.prod(IMAGE_SHAPE), rel=0.2)


@pytest.mark.parametrize("prior", ["gaussian", "mixture"])
def test_autoencoder_encodes_without_noise_and_samples_from_its_fitted_density(prior: str) -> None:
    torch.manual_seed(0)
    model = build(AUTOENCODER | {"priors": ["gaussian", "mixture"], "mixture_components": 3}, IMAGE_SHAPE).eval()
    x = Noise(torch.arange(300)).normal(*IMAGE_SHAPE).clamp(-1, 1)
    with torch.no_grad():
        z = model.encode(x)[0]
        model.after_training(iter(x.split(100)))
        drawn = model.densities[prior].sample(Noise(torch.arange(20_000)))
    spread = z.std(0)
    assert ((drawn.mean(0) - z.mean(0)) / spread).abs().max() < 0.05
    torch.testing.assert_close(
        torch.cov(drawn.T) / spread.max() ** 2, torch.cov(z.T) / spread.max() ** 2, atol=0.05, rtol=0
    )


def test_a_mixture_finds_separate_groups_and_draws_from_each_in_proportion() -> None:
    centres = torch.tensor([[-8.0, 0.0], [8.0, 0.0], [0.0, 30.0]])
    group = torch.tensor([0] * 600 + [1] * 300 + [2] * 100)
    z = centres[group] + Noise(torch.arange(1000)).normal(2)
    density = GaussianMixture(3, 2)
    density.fit(z)
    drawn = density.sample(Noise(torch.arange(20_000), key=1))
    nearest = torch.cdist(drawn, centres).argmin(1)
    share = torch.bincount(nearest, minlength=3) / len(drawn)
    torch.testing.assert_close(share, torch.tensor([0.6, 0.3, 0.1]), atol=0.01, rtol=0)
    assert torch.cdist(drawn, centres).amin(1).max() < 6  # nothing between the groups


def test_a_larger_image_size_trains_there_and_samples_at_the_size_of_the_data() -> None:
    torch.manual_seed(0)
    _, height, width = IMAGE_SHAPE
    model = build(MODELS["gan"] | {"image_size": 2 * height}, IMAGE_SHAPE).eval()
    seen = []
    model.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[2:]))
    list(model.losses(batch(), 0))
    assert set(seen) == {(2 * height, 2 * width)}
    noise = Noise(torch.arange(3))
    with torch.no_grad():
        large = model.generator(Noise(torch.arange(3)).normal(model.latent_size))
        small = model.sample(noise)
    torch.testing.assert_close(small, large.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).mean((3, 5)))


def test_interpolations_and_reconstructions_are_grids() -> None:
    torch.manual_seed(0)
    x0 = Noise(torch.arange(20)).normal(*IMAGE_SHAPE).clamp(-1, 1)
    model = build(AUTOENCODER, IMAGE_SHAPE).eval()
    rows = model.reconstructions(Batch(x0, torch.zeros(20, dtype=torch.int64), Noise(torch.arange(20))))
    assert torch.equal(rows[:10], x0[:10])
    assert torch.equal(rows[20:30], x0[10:])
    assert len(rows) == 40
    ways = model.interpolation(Batch(x0, torch.zeros(20, dtype=torch.int64), Noise(torch.arange(20))))
    torch.testing.assert_close(ways[::10], rows[10:15])  # from one image's reconstruction
    torch.testing.assert_close(ways[9::10], rows[15:20])  # to another's
    plane = latent_plane(5, torch.device("cpu"))
    assert plane[0].tolist() == [-1, -1, 0, 0, 0]
    assert plane[99].tolist() == [1, 1, 0, 0, 0]
    assert len({tuple(z.tolist()) for z in plane}) == 100


def test_great_circles_keep_the_length_of_latents_and_turn_evenly() -> None:
    start, end = F.normalize(Noise(torch.arange(6)).normal(16)).chunk(2)
    ways = great_circles(3 * start, 3 * end, 5).unflatten(0, (3, 5))
    torch.testing.assert_close(ways[:, 0], 3 * start)
    torch.testing.assert_close(ways[:, -1], 3 * end)
    torch.testing.assert_close(ways.norm(dim=2), torch.full((3, 5), 3.0))
    turns = F.cosine_similarity(ways[:, :-1], ways[:, 1:], dim=2)
    torch.testing.assert_close(turns, turns[:, :1].expand(3, 4))


@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
def test_a_perfect_prediction_gives_back_x0(prediction: str) -> None:
    entry = MODELS["ddpm"] | {"prediction": prediction, "schedule": "linear"}
    model = build(entry, IMAGE_SHAPE)
    x0 = batch().x0
    eps = Noise(torch.arange(4), key=9).normal(*IMAGE_SHAPE)
    t = 12
    abar_t = model.schedule.alpha_bar(t)
    target = {"eps": eps, "x0": x0, "v": abar_t**0.5 * eps - (1 - abar_t) ** 0.5 * x0}[prediction]
    seen = []

    def perfect(module: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        seen.append(inputs[1])
        return target

    model.denoiser.register_forward_hook(perfect)
    x_t = model.schedule.q_sample(x0, torch.full((4,), t), eps)
    torch.testing.assert_close(model.predictor(clip=True)(x_t, t).x0, x0, rtol=0, atol=1e-5)
    assert (seen[0] == t - 1).all()  # published networks count from 0

    # With a perfect network the loss is zero for any t.
    def perfect_for_any_t(module: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        x_t, time = inputs
        signal, level = model.schedule.levels(time + 1)
        noise = (x_t - signal * x0) / level
        return {"eps": noise, "x0": x0, "v": signal * noise - level * x0}[prediction]

    model.denoiser.register_forward_hook(perfect_for_any_t)
    ((_, loss),) = model.losses(Batch(x0, torch.zeros(4, dtype=torch.int64), Noise(torch.arange(4))), 0)
    assert loss.item() < 1e-8


def test_training_draws_every_time_from_1_to_T() -> None:
    model = build(MODELS["ddpm"], IMAGE_SHAPE)
    times: list[int] = []
    model.denoiser.register_forward_pre_hook(lambda module, inputs: times.extend((inputs[1] + 1).tolist()))
    size = 600
    b = Batch(torch.zeros(size, *IMAGE_SHAPE), torch.zeros(size, dtype=torch.int64), Noise(torch.arange(size)))
    with torch.no_grad():
        next(iter(model.losses(b, 0)))
    assert set(times) == set(range(1, 21))


# --- Equivalence ------------------------------------------------------------------------------------------------------

DIFFUSERS_CONFIGURATIONS = {
    "google/ddpm-cifar10-32": (
        {
            "block_out_channels": (128, 256, 256, 256),
            "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1, "norm_eps": 1e-6,
            "attention_head_dim": None,
        },
        {},
    ),
    "Hugging Face tutorial": (
        {
            "block_out_channels": (128, 128, 256, 256, 512, 512),
            "down_block_types": (*["DownBlock2D"] * 4, "AttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "AttnUpBlock2D", *["UpBlock2D"] * 4),
        },
        {
            "channel_mult": [1, 1, 2, 2, 4, 4], "attention_resolutions": [2], "head_channels": 8,
            "norm_eps": 1e-5, "time_embedding": "cos-sin", "downsample_padding": "symmetric",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFUSERS_CONFIGURATIONS)
def test_unet_equals_diffusers_weight_for_weight(name: str) -> None:
    theirs_options, ours_options = DIFFUSERS_CONFIGURATIONS[name]
    torch.manual_seed(0)
    theirs = diffusers.UNet2DModel(sample_size=32, in_channels=3, out_channels=3, **theirs_options).eval()
    with torch.device("meta"):
        ours = UNet(image_shape=(3, 32, 32), **ours_options)
    ours.load_state_dict(from_official(theirs.state_dict(), ours, Path(name), "a UNet2DModel"), assign=True)
    ours.eval()
    x, t = torch.randn(2, 3, 32, 32), torch.tensor([3, 977])
    with torch.no_grad():
        torch.testing.assert_close(ours(x, t), theirs(x, t).sample, rtol=0, atol=1e-5)


# --- Errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "key 'class' is missing"),
        ({"class": "vae.VEA"}, r"found 'VEA' \(did you mean 'VAE'\?\)"),
        ({"class": "os.path"}, "no module genbench.models.os"),
        ({"class": "vae.VAE", "latents": 3}, r"unknown key: found 'latents' .*latent_size"),
        ({"class": "vae.VAE", "latent_size": 1.5}, "key 'latent_size': found 1.5, expected an integer"),
        ({"class": "vae.VAE", "kl_weight": "2e-4"}, r"write 2.0e-4"),
        ({"class": "vae.VAE", "deterministic": True}, "expected kl_weight 0 and priors out of 'gaussian', 'mixture'"),
        (
            MODELS["gan"] | {"objective": "wgann"},
            "key 'objective': found 'wgann', expected one of 'gan', 'lsgan', 'wgan', 'hinge', 'relativistic'",
        ),
        (MODELS["gan"] | {"image_size": 37}, "key 'image_size': found 37, expected a multiple"),
        (MODELS["gan"] | {"penalty": "gpp"}, r"penalty: name: found 'gpp'"),
        (MODELS["gan"] | {"penalty": {"name": "r1", "weight": 1}}, r"penalty: r1: unknown key: found 'weight'"),
        (
            MODELS["gan"] | {"generator": {"class": "dcgan.Generator", "width": 3}},
            "generator: unknown key: found 'width'",
        ),
        (MODELS["ddpm"] | {"denoiser": {"class": "unet.UNet", "channel_mult": [1] * 6}}, "not divisible by 32"),
        (
            MODELS["ddpm"] | {"denoiser": {"class": "unet.UNet", "channel_mult": [1, 1.51]}},
            "channel_mult.: found 1.51",
        ),
        (MODELS["ddpm"] | {"denoiser": {"class": "unet.UNet", "num_heads": 3}}, "found 3, which does not divide 128"),
        (MODELS["ddpm"] | {"denoiser": {"class": "unet.UNet", "head_channels": 48}}, "found 48, which .* divide 128"),
    ],
)
def test_wrong_entries_are_named(entry: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught, place("suite.yaml", "models", "x", "model"):
        build(entry, IMAGE_SHAPE)
    assert str(caught.value).startswith("suite.yaml: models: x: model: ")
    assert str(caught.value).count("model: ") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stepp": "ddim"}, "unknown key: found 'stepp'"),
        ({"method": "dpm"}, "key 'method': found 'dpm' .*expected one of: ddim, ddpm, dpm-solver"),
        ({"step": "dpm"}, "key 'method': found 'dpm' .*expected one of: ddim, ddpm, dpm-solver"),  # its old name
        ({"step": "ddim", "method": "ddim"}, "key 'step': found beside 'method', its new name"),
        ({"method": "ddpm", "eta": 0.5}, "ddpm: unknown key: found 'eta'"),
        ({"method": "ddim", "eta": 3.0}, "key 'eta': found 3.0, expected at least 0 and at most 1"),
        ({"method": "ddim", "steps": 21}, "found 21, expected 1 to 20"),
        ({"steps": 0}, "found 0, expected at least 1 and at most 1000000"),
    ],
)
def test_wrong_sampler_options_are_named(options: dict, message: str) -> None:
    with torch.device("meta"):
        model = build(MODELS["ddpm"], IMAGE_SHAPE)
    with pytest.raises(InputError, match=message) as caught, place("suite.yaml", "samplers", "x"):
        model.check_sampler(options)
    assert str(caught.value).startswith("suite.yaml: samplers: x: ")


def test_a_model_without_samplers_refuses_sampler_options() -> None:
    with torch.device("meta"):
        model = build(VAE, IMAGE_SHAPE)
    with pytest.raises(InputError, match="unknown key: found 'method'"):
        model.check_sampler({"method": "ddim"})
    with pytest.raises(InputError, match="unknown key: found 'step'"):
        model.check_sampler({"step": "ddim"})


def test_every_family_says_what_it_is_in_two_sentences():
    families = [GAN, vae_family.VAE, DDGAN, Diffusion, ColdDiffusion, DiffuseVAE]
    abouts = [family.about for family in families]
    assert len(set(abouts)) == len(families)
    assert all(about.endswith(".") and about.count(". ") == 1 for about in abouts)
