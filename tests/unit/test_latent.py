"""Latent diffusion and flow: the second stage as for images, the scale of latents, and options that do not apply."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from entries import DDPM, FLOW, IMAGE_SHAPE, VAE, blobs
from perturbed import batch_of_blobs, perturbed
from torch import Tensor, nn

from genbench.errors import InputError
from genbench.files.weights import load_tensors
from genbench.importing.export import export_checkpoint
from genbench.models import Batch, Model, build
from genbench.models import vae as vae_family
from genbench.models.latent import InLatents
from genbench.networks import autoencoder_kl
from genbench.processes.noise import Noise
from genbench.sampling.checkpoint import load_model
from genbench.sampling.likelihood import check_likelihood
from genbench.suites.cost import sampling_costs
from genbench.training.folder import train
from genbench.training.trainer import Trainer

KL = {"class": "autoencoder_kl.AutoencoderKL", "channels": 4, "num_res_blocks": 1, "norm_groups": 2}
STAGE = {"class": "vae.VAE", "latent_size": 32, "kl_weight": 1e-6, "autoencoder": KL}  # 2 x 4 x 4
UNET = {key: value for key, value in FLOW["velocity"].items() if key not in ("patch_size", "attention_resolutions")}
MODELS: dict[str, dict[str, Any]] = {
    "diffusion": {**DDPM, "class": "latent.LatentDiffusion", "vae": STAGE, "denoiser": UNET},
    "flow": {**FLOW, "class": "latent.LatentFlow", "vae": STAGE, "velocity": UNET},
}


class Itself(nn.Module):
    """An autoencoder whose latents are the images."""

    def __init__(self, *, image_shape: tuple[int, int, int], latent_size: int, out_features: int) -> None:
        super().__init__()
        self.latent_shape = image_shape
        self.encoder, self.decoder = nn.Flatten(), nn.Unflatten(1, image_shape)


def in_latents(name: str, **options: object) -> InLatents:
    model = perturbed(MODELS[name] | options, 0.05)
    assert isinstance(model, InLatents)
    return model


def examples(size: int) -> Batch:
    """Blobs with the memory layout of latents, because other layouts use other kernels."""
    batch = batch_of_blobs(size)
    return replace(batch, x0=batch.x0.clone(memory_format=torch.contiguous_format))


def gradients(model: Model) -> list[Tensor]:
    for _, loss in model.losses(examples(4), 0):
        loss.backward()
    return [p.grad for p in model.get_submodule(model.network).parameters() if p.grad is not None]


@pytest.mark.parametrize(
    ("name", "plain", "samplers"),
    [
        ("diffusion", DDPM | {"clip": False}, [{}, {"method": "unipc", "steps": 5}, {"method": "heun", "steps": 3}]),
        ("flow", FLOW, [{"steps": 5}, {"method": "rk45", "tolerance": 0.1}]),
    ],
)
def test_latents_that_are_the_images_change_no_bit(
    name: str, plain: dict, samplers: list[dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoencoder_kl, "Itself", Itself, raising=False)
    stage = {"class": "vae.VAE", "latent_size": 256, "deterministic": True, "kl_weight": 0, "priors": ["gaussian"]}
    stage |= {"autoencoder": {"class": "autoencoder_kl.Itself"}}
    own = {key: value for key, value in plain.items() if key not in ("class", "clip")}
    images = perturbed(plain, 0.05)
    latents = perturbed({**own, "class": MODELS[name]["class"], "vae": stage}, 0.05)
    assert all(torch.equal(a, b) for a, b in zip(gradients(images), gradients(latents), strict=True))
    batch = examples(6)
    with torch.no_grad():
        for options in samplers:
            expected, found = (model.sample(Noise(torch.arange(3)), **options) for model in (images, latents))
            assert torch.equal(expected, found)
        for picture in images.pictures:
            assert torch.equal(getattr(images, picture)(batch), getattr(latents, picture)(batch))


@pytest.mark.parametrize("name", MODELS)
def test_the_second_stage_learns_from_draws_of_unit_variance(name: str) -> None:
    model = in_latents(name, vae=STAGE | {"latent_size": 16})
    model.vae.autoencoder.encoder[-2].weight.data[:1] *= 20  # makes mu, and so the latents, large
    given: Iterator[Tensor] = iter(batch_of_blobs(1300).x0.split(100))
    model.begin(given)
    assert len(list(given)) == 3  # a thousand images are enough
    batch = batch_of_blobs(1000)
    drawn = model.drawn(batch)
    assert drawn.shape == (1000, 1, 4, 4)
    assert drawn.std().item() == pytest.approx(1, abs=0.02)
    mu, logvar = model.vae.encode(batch.x0)
    eps = batch_of_blobs(1000).noise.normal(16)
    torch.testing.assert_close(drawn.flatten(1), model.scale * (mu + (0.5 * logvar).exp() * eps))
    reconstructed = model.vae.sample(Noise(torch.arange(1000)), batch.x0, mode="reconstruct")
    torch.testing.assert_close(model.decoded(model.encoded(batch.x0)), reconstructed, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_samples_are_decoded_and_belong_to_their_seeds(name: str) -> None:
    model = in_latents(name)
    seen: list[Tensor] = []
    model.get_submodule(model.network).register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        whole, part = (model.sample(Noise(torch.arange(*seeds)), steps=3) for seeds in ((0, 6), (2, 5)))
        for picture in model.pictures:
            shown = getattr(model, picture)(batch_of_blobs(6))
            assert shown.shape == (50, *IMAGE_SHAPE)
            assert shown.abs().max() <= 1
    assert torch.equal(seen[0], Noise(torch.arange(6)).normal(2, 4, 4))
    assert whole.shape == (6, *IMAGE_SHAPE)
    torch.testing.assert_close(part, whole[2:5], rtol=0, atol=1e-4)


class Unplugged(BaseException):
    """An exception that no handler catches."""


@pytest.mark.parametrize("name", MODELS)
def test_a_resumed_training_keeps_stage_and_scale_bitwise(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = blobs(64)

    def run(folder: str, model: dict, first_stage: Path | None = None) -> Path:
        out = tmp_path / folder / "model.safetensors"
        spec = {"model": model, "training": {"steps": 6, "batch_size": 8, "ema_decay": 0.5}}
        given: dict[str, Any] = {"data_sha256": "d", "seed": 0, "first_stage": first_stage, "save_seconds": 0.0}
        train(spec, images, labels, out=out, device=torch.device("cpu"), **given)
        return out

    vae = run("vae", STAGE)
    whole = run("whole", MODELS[name], vae)
    advance = Trainer.advance
    begun: list[float] = []

    def unplug(self: Trainer) -> object:
        begun.append(float(self.model.scale))
        if self.step == 3 and len(begun) == 4:
            raise Unplugged
        return advance(self)

    monkeypatch.setattr(Trainer, "advance", unplug)
    with pytest.raises(Unplugged):
        run("cut", MODELS[name], vae)
    monkeypatch.setattr(InLatents, "begin", lambda self, batches: None)  # the scale comes from the save
    cut = run("cut", MODELS[name], vae)
    assert json.loads((tmp_path / "cut/training.json").read_text())["resumed"] == 1
    first, expected, found = (load_tensors(path)[0] for path in (vae, whole, cut))
    assert all(torch.equal(value, found[key]) for key, value in expected.items())
    assert all(torch.equal(value, found[f"vae.{key}"]) for key, value in first.items())
    model, _ = load_model(whole)
    assert isinstance(model, InLatents)
    assert set(begun) == {float(model.scale)} != {1.0}


def test_a_vae_of_latents_in_place_reconstructs_and_refuses_a_prior_beside() -> None:
    model = perturbed(STAGE, 0.05)
    batch = batch_of_blobs(10)
    assert model.condition({"mode": "reconstruct"}) == "images"
    assert model.condition({}) == "nothing"
    with torch.no_grad():
        found = model.sample(Noise(torch.arange(10)), batch.x0, mode="reconstruct")
        assert isinstance(model, vae_family.VAE)
        assert torch.equal(found, model.reconstructions(batch)[10:])
    assert "reconstruction, not generation" in model.remarks({"mode": "reconstruct"})[0]
    with pytest.raises(InputError, match="key 'prior': found 'standard', which does nothing beside mode: reconstruct"):
        model.check_sampler({"mode": "reconstruct", "prior": "standard"})
    with pytest.raises(InputError, match="starts from images: found none"):
        model.sample(Noise(torch.arange(2)), mode="reconstruct")


@pytest.mark.parametrize("name", MODELS)
def test_the_decoder_costs_flops_and_no_evaluation(name: str) -> None:
    with torch.device("meta"):
        model, stage = build(MODELS[name], IMAGE_SHAPE), build(STAGE, IMAGE_SHAPE)
    (decoder,) = sampling_costs(stage, {"": {}}).values()
    (cost,) = sampling_costs(model, {"": {"steps": 10}}).values()
    assert decoder["nfe"] == 1
    assert cost["nfe"] == 10
    assert cost["flops_per_nfe"] is not None
    assert cost["flops_per_image"] == 10 * cost["flops_per_nfe"] + decoder["flops_per_nfe"]


def wrong(**options: object) -> Callable[[], object]:
    return lambda: build(MODELS["diffusion"] | options, IMAGE_SHAPE)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            wrong(vae=VAE),
            "vae: key 'autoencoder': found autoencoder.Autoencoder, whose latents have no height and width",
        ),
        (wrong(vae={"class": "gan.GAN"}), "vae: class in genbench.models.gan: found 'GAN'"),
        (wrong(vae=STAGE | {"latent_size": 30}), "key 'latent_size': found 30, expected a multiple of the 16 places"),
        (wrong(vae=STAGE | {"autoencoder": KL | {"channel_mult": [1] * 6}}), "whose sides 32 does not divide"),
        (wrong(vae=STAGE | {"autoencoder": KL | {"norm_groups": 3}}), "key 'norm_groups': found 3, which does not"),
        (wrong(loss="vlb"), "unknown key: found 'loss'"),
        (wrong(learned_variance=True), "unknown key: found 'learned_variance'"),
        (wrong(data_scale=0.5), "unknown key: found 'data_scale'"),
        (lambda: check_likelihood(in_latents("diffusion"), None), "LatentDiffusion, which bounds no likelihood"),
        (lambda: check_likelihood(in_latents("flow"), None), "LatentFlow, which bounds no likelihood"),
    ],
)
def test_what_latents_have_no_use_for_is_refused(what: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        what()


def test_a_denoiser_of_latents_is_not_exported_as_one_of_images(tmp_path: Path) -> None:
    from genbench.files.weights import save_tensors

    entry = MODELS["diffusion"]
    info = {"model": entry, "image_shape": list(IMAGE_SHAPE)}
    save_tensors(tmp_path / "model.safetensors", build(entry, IMAGE_SHAPE).state_dict(), info)
    with pytest.raises(InputError, match=r"found 'latent\.LatentDiffusion', which diffusers cannot express"):
        export_checkpoint("diffusers", tmp_path / "model.safetensors", tmp_path / "folder")
