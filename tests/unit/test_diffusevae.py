"""DiffuseVAE: sizes, both formulations against the paper's equations, and the training of its stages."""

import math
from pathlib import Path

import pytest
import torch
import yaml
from entries import IMAGE_SHAPE, MODELS, blobs
from perturbed import batch_of_blobs, perturbed

from genbench.errors import InputError
from genbench.files.artifacts import read_json
from genbench.files.weights import load_tensors
from genbench.models import Batch, build, count_parameters
from genbench.models.diffusevae import DiffuseVAE
from genbench.processes.noise import Noise
from genbench.sampling.checkpoint import load_model
from genbench.suites.load import load_suite
from genbench.training.folder import train

ENTRY = {
    "class": "diffusevae.DiffuseVAE",
    "vae": MODELS["vae"],
    "denoiser": MODELS["ddpm"]["denoiser"] | {"dropout": 0.0},
    "timesteps": 20,
}


def diffusevae(**options: object) -> DiffuseVAE:
    model = perturbed(ENTRY | options, 0.05)
    assert isinstance(model, DiffuseVAE)
    return model


def batch(size: int = 4) -> Batch:
    return batch_of_blobs(size)


def test_networks_have_the_published_sizes() -> None:
    vae = {"class": "vae.VAE", "latent_size": 512, "autoencoder": {"class": "bottleneck.Autoencoder"}}
    # The authors' attention_resolutions "16" is a downsampling factor, and the largest is 8: it adds no attention.
    unet = {"class": "unet.UNet", "attention_resolutions": [], "num_heads": 8, "dropout": 0.3}
    sizes = {}
    for name, wider in {"paper's configuration": {}, "72M": {"channels": 160, "num_res_blocks": 3}}.items():
        with torch.device("meta"):
            model = build(ENTRY | {"vae": vae, "denoiser": unet | wider}, (3, 32, 32))
        sizes[name] = count_parameters(model)
    assert sizes["paper's configuration"] == {"denoiser": 34_431_363, "vae": 9_243_107}
    assert sizes["72M"]["denoiser"] == 70_875_203
    assert sum(p.numel() for p in model.vae.autoencoder.encoder.parameters()) == 5_830_528


def test_without_a_first_image_the_formulations_agree() -> None:
    one, two = diffusevae(formulation=1), diffusevae(formulation=2)
    x_t, t = torch.randn(3, *IMAGE_SHAPE), torch.tensor([1, 7, 20])
    nothing, something = torch.zeros_like(x_t), torch.full_like(x_t, 0.3)
    assert torch.equal(one.evaluate(x_t, t, nothing)[0], two.evaluate(x_t, t, nothing)[0])
    assert not torch.equal(one.evaluate(x_t, t, something)[0], two.evaluate(x_t, t, something)[0])


def test_formulation_two_is_the_papers_process_around_the_first_image() -> None:
    # The paper has x_hat in every equation and removes it at the end; genbench uses it only in the network.
    model = diffusevae(formulation=2)
    noise, draws = Noise(torch.arange(3)), Noise(torch.arange(3))
    with torch.no_grad():
        found = model.sample(noise, clip=True, variance="small")
        x_T = draws.normal(*IMAGE_SHAPE)
        x_hat = model.vae.sample(draws).clamp(-1, 1)
        x = x_T + x_hat  # N(x_hat, I)
        for t in range(20, 0, -1):
            abar, before = model.schedule.alpha_bar(t), model.schedule.alpha_bar(t - 1)
            alpha = abar / before
            time = torch.full((3,), t - 1)
            eps = model.denoiser(torch.cat([x, x_hat], dim=1), time)
            x0_hat = ((x - x_hat - math.sqrt(1 - abar) * eps) / math.sqrt(abar)).clamp(-1, 1)
            c1, c2 = math.sqrt(before) * (1 - alpha) / (1 - abar), math.sqrt(alpha) * (1 - before) / (1 - abar)
            x = c1 * x0_hat + c2 * x + (1 - c2) * x_hat
            if t > 1:
                x = x + math.sqrt((1 - alpha) * (1 - before) / (1 - abar)) * draws.normal(*IMAGE_SHAPE)
    torch.testing.assert_close(found, x - x_hat, rtol=0, atol=1e-5)


def test_the_network_learns_from_the_shifted_process() -> None:
    model = diffusevae(formulation=2)
    seen = []
    model.denoiser.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    examples = batch()
    list(model.losses(examples, 0))
    x_t, x_hat = seen[0].chunk(2, dim=1)
    again = batch()  # the same draws, in the same order
    t = again.noise.integers(1, 21)
    eps = again.noise.normal(*IMAGE_SHAPE)
    mu, logvar = model.vae.encode(again.x0)
    z = mu + torch.exp(0.5 * logvar) * again.noise.normal(model.vae.latent_size)
    expected = model.vae.decode(z).clamp(-1, 1)
    torch.testing.assert_close(x_hat, expected)
    torch.testing.assert_close(x_t, model.schedule.q_sample(again.x0, t, eps) + expected)


def test_it_starts_from_the_noise_of_the_plain_model() -> None:
    model, starts = diffusevae(), []
    model.denoiser.register_forward_pre_hook(lambda module, inputs: starts.append(inputs[0]))
    with torch.no_grad():
        for temperature in (1.0, 0.5):
            model.sample(Noise(torch.arange(2)), steps=1, temperature=temperature)
    x_T = Noise(torch.arange(2)).normal(*IMAGE_SHAPE)
    torch.testing.assert_close(starts[0][:, :1], x_T)
    torch.testing.assert_close(starts[1][:, :1], 0.5 * x_T)


@pytest.mark.parametrize(
    "options", [{"method": "ddim", "steps": 5}, {"steps": 5, "spacing": "truncated"}, {"method": "heun"}]
)
def test_every_sampler_of_diffusion_serves(options: dict[str, object]) -> None:
    model = diffusevae()
    with torch.no_grad():
        images = model.sample(Noise(torch.arange(3)), **model.check_sampler(options))
        assert images.shape == (3, *IMAGE_SHAPE)
        alone = model.sample(Noise(torch.arange(1, 2)), **options)
    torch.testing.assert_close(images[1:2], alone, rtol=1e-3, atol=1e-4)
    assert model.refinement(batch(12)).shape == (20, *IMAGE_SHAPE)


def test_the_second_stage_trains_on_the_first_and_leaves_it_alone(tmp_path: Path) -> None:
    images, labels = blobs(64)

    def run(name: str, model: dict, first_stage: Path | None = None) -> Path:
        out = tmp_path / name / "model.safetensors"
        spec = {"model": model, "training": {"steps": 6, "batch_size": 8, "ema_decay": 0.5}}
        train(
            spec, images, labels, data_sha256="d", seed=0, out=out, first_stage=first_stage, device=torch.device("cpu")
        )
        return out

    vae = run("vae", MODELS["vae"])
    trained = run("second", ENTRY, vae)
    first, about = load_tensors(vae)
    assert read_json(trained.with_name("training.json"))["first_stage_sha256"] == about["sha256"]
    model, info = load_model(trained)
    assert info["model"] == ENTRY
    for name, value in model.vae.state_dict().items():
        assert torch.equal(value, first[name])
    with pytest.raises(InputError, match="first stage: found none, expected the trained vae of DiffuseVAE"):
        run("alone", ENTRY)
    with pytest.raises(InputError, match=r"first stage: found a model .*'latent_size'.*expected"):
        run("other", ENTRY | {"vae": MODELS["vae"] | {"latent_size": 5}}, vae)
    with pytest.raises(InputError, match="first stage: found one, expected none"):
        run("none", MODELS["ddpm"], vae)


def test_a_suite_names_the_first_stage(tmp_path: Path) -> None:
    second = {key: value for key, value in ENTRY.items() if key != "vae"}
    suite = {
        "title": "Toy",
        "dataset": {"source": "demo"},
        "models": {
            "vae": {"model": MODELS["vae"], "training": {"steps": 1, "batch_size": 8}},
            "second": {"model": second, "training": {"steps": 1, "batch_size": 8}, "first_stage": "vae"},
        },
    }
    path = tmp_path / "toy.yaml"

    def loaded(**changes: object) -> dict:
        suite["models"]["second"] |= changes
        path.write_text(yaml.safe_dump(suite))
        return load_suite(path)["models"]["second"]["model"]

    assert loaded() == ENTRY
    with pytest.raises(InputError, match=r"models: second: first_stage: found 'vea' \(did you mean 'vae'"):
        loaded(first_stage="vea")
    with pytest.raises(
        InputError, match="found 'second', expected a model of this suite that is trained without a first stage"
    ):
        loaded(first_stage="second")
    with pytest.raises(InputError, match="model: found 'vae' beside first_stage"):
        loaded(first_stage="vae", model=ENTRY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": "mixture"}, "key 'prior': found 'mixture', expected one of the model's priors: standard"),
        ({"temperature": 0.0}, "key 'temperature': found 0.0, expected a positive number"),
        ({"variance": "learned"}, "key 'variance'"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        diffusevae().check_sampler(options)


def test_an_autoencoder_is_no_first_stage() -> None:
    with pytest.raises(InputError, match="found an autoencoder"):
        diffusevae(vae=MODELS["autoencoder"])
