"""Exported models: diffusers loads them and draws the same, and importing them again gives the original."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from entries import DDPM, GAN
from official_unet2d import SMALL, unet2d

from genbench.errors import InputError
from genbench.files.weights import save_tensors
from genbench.importing import import_checkpoint, read_checkpoint
from genbench.importing.export import export_checkpoint
from genbench.models import Model, build
from genbench.processes.noise import Noise
from genbench.sampling.checkpoint import load_model

ROOT = Path(__file__).parents[2]
SHAPE = (3, 16, 16)
UNET: dict[str, Any] = {
    "class": "unet.UNet", "channels": 16, "channel_mult": [1, 2], "num_res_blocks": 1, "attention_resolutions": [8],
    "norm_groups": 4, "dropout": 0.0,
}  # fmt: skip


def saved(folder: Path, entry: dict, shape: tuple[int, int, int] = SHAPE) -> tuple[Path, Model]:
    """Save a model.safetensors in which no weights stay at their initial zero; returns its path and the model."""
    torch.manual_seed(0)
    model = build(entry, shape).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    path = folder / "model.safetensors"
    save_tensors(path, model.state_dict(), {"model": entry, "image_shape": shape})
    return path, model


def diffusion(unet: dict | None = None, **options: object) -> dict[str, Any]:
    return {"class": "diffusion.Diffusion", "timesteps": 20, "denoiser": UNET | (unet or {}), **options}


def diffusers_chain(
    pipeline: diffusers.DDPMPipeline, draws: Noise, monkeypatch: pytest.MonkeyPatch, steps: int | None = None
) -> torch.Tensor:
    """Return the pipeline's samples, before conversion to pixels, with noise from `draws`."""
    shape = (pipeline.unet.config.in_channels, pipeline.unet.config.sample_size, pipeline.unet.config.sample_size)
    monkeypatch.setattr(
        diffusers.schedulers.scheduling_ddpm, "randn_tensor", lambda *given, **options: draws.normal(*shape)
    )
    scheduler = pipeline.scheduler
    scheduler.set_timesteps(steps or scheduler.config.num_train_timesteps)
    x = draws.normal(*shape)
    for t in scheduler.timesteps:
        x = scheduler.step(pipeline.unet(x, t).sample, int(t), x).prev_sample
    return x


@pytest.mark.parametrize("name", SMALL)
def test_what_was_imported_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    learned = {"variance_type": "learned_range"} if name == "learned variance" else {}
    scheduler = diffusers.DDPMScheduler(beta_schedule="scaled_linear", prediction_type="v_prediction", **learned)
    diffusers.DDPMPipeline(unet2d(name), scheduler).save_pretrained(tmp_path / "theirs")
    import_checkpoint("diffusers", tmp_path / "theirs", tmp_path / "model.safetensors")
    export_checkpoint("diffusers", tmp_path / "model.safetensors", tmp_path / "ours")
    first, second = (read_checkpoint("diffusers", tmp_path / folder) for folder in ("theirs", "ours"))
    assert second.model == first.model
    assert second.image_shape == first.image_shape
    assert second.tensors.keys() == first.tensors.keys()
    assert all(torch.equal(value, first.tensors[key]) for key, value in second.tensors.items())
    # In diffusers, its state dict equals the saved one bit for bit.
    expected, found = unet2d(name).state_dict(), diffusers.DDPMPipeline.from_pretrained(tmp_path / "ours").unet
    assert found.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in found.state_dict().items())


@pytest.mark.parametrize(
    "entry",
    [
        diffusion(),
        diffusion({"time_embedding": "cos-sin", "num_heads": 2, "norm_eps": 1e-5}, schedule="cosine", prediction="v"),
        diffusion({"scale_shift_norm": True, "head_channels": 8}, schedule={"name": "cosine", "offset": 0.02}),
        diffusion({"scale_shift_norm": True, "middle_attention": "bare"}, schedule="vp", prediction="x0"),
        diffusion({"downsample_padding": "symmetric"}, schedule={"name": "sigmoid", "beta_end": 0.3}),
        diffusion({"up_attention_resolutions": [16]}, schedule={"name": "betas", "values": [0.01] * 5 + [0.2] * 15}),
        diffusion(schedule={"name": "linear", "beta_end": 0.4}, learned_variance=True, loss="hybrid"),
        diffusion({"frequency_shift": 0.5, "channel_mult": [1, 1.5]}, timesteps=1000, time_input="rescaled"),
        diffusion(variance="large", clip=False),
        diffusion(variance="large", clip=2.5, spacing="diffusers-trailing"),
    ],
    ids=["linear", "cosine, v", "scale and shift", "vp, x0", "sigmoid", "betas", "learned variance", "rescaled times",
         "large variance, not clipped", "another range"],
)  # fmt: skip
def test_diffusers_draws_the_same(tmp_path: Path, entry: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    path, model = saved(tmp_path, entry)
    export_checkpoint("diffusers", path, tmp_path / "folder")
    pipeline = diffusers.DDPMPipeline.from_pretrained(tmp_path / "folder")
    x, t = Noise(torch.arange(3)).normal(*SHAPE), torch.tensor([0, 5, model.schedule.T - 1])
    with torch.no_grad():
        torch.testing.assert_close(pipeline.unet(x, t).sample, model.denoiser(x, t), rtol=0, atol=1e-5)
        if model.schedule.T > 100:
            return
        abar = pipeline.scheduler.alphas_cumprod
        torch.testing.assert_close(abar.double(), model.schedule.alphas_cumprod[1:], rtol=1e-4, atol=1e-6)
        pipeline.scheduler.alphas_cumprod = model.schedule.alphas_cumprod[1:]  # theirs is a running product in float32
        found = diffusers_chain(pipeline, Noise(torch.arange(3)), monkeypatch)
        torch.testing.assert_close(found.float(), model.sample(Noise(torch.arange(3))), rtol=0, atol=1e-5)


@pytest.mark.parametrize("steps", [4, 7])
@pytest.mark.parametrize(
    "options",
    [
        {"variance_type": "fixed_large"},
        {"variance_type": "fixed_small_log", "clip_sample": False},
        {"clip_sample_range": 0.5, "timestep_spacing": "linspace"},
        {"thresholding": True, "timestep_spacing": "trailing"},
    ],
)
def test_what_was_imported_draws_as_its_scheduler_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict, steps: int
) -> None:
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=20, beta_end=0.3, **options)
    diffusers.DDPMPipeline(unet2d("Ho et al."), scheduler).save_pretrained(tmp_path)
    imported = read_checkpoint("diffusers", tmp_path)
    model = build(imported.model, imported.image_shape).eval()
    model.load_state_dict(imported.tensors)
    pipeline = diffusers.DDPMPipeline.from_pretrained(tmp_path)
    pipeline.scheduler.alphas_cumprod = model.schedule.alphas_cumprod[1:]  # theirs is a running product in float32
    with torch.no_grad():
        found = diffusers_chain(pipeline, Noise(torch.arange(3)), monkeypatch, steps)
        ours = model.sample(Noise(torch.arange(3)), steps=steps)
    torch.testing.assert_close(found.float(), ours, rtol=1e-4, atol=1e-4)


def test_diffusers_knows_every_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, _ = saved(tmp_path, diffusion())
    export_checkpoint("diffusers", path, tmp_path / "folder")
    logger = diffusers.utils.logging.get_logger("diffusers")
    logger.addHandler(caplog.handler)
    try:
        diffusers.DDPMPipeline.from_pretrained(tmp_path / "folder", low_cpu_mem_usage=False)
    finally:
        logger.removeHandler(caplog.handler)
    assert caplog.messages == []


def test_what_is_not_square_comes_back_as_it_was(tmp_path: Path) -> None:
    path, model = saved(tmp_path, diffusion({"attention_resolutions": [14]}), (1, 28, 20))
    export_checkpoint("diffusers", path, tmp_path / "folder")
    imported = read_checkpoint("diffusers", tmp_path / "folder")
    assert imported.image_shape == (1, 28, 20)
    assert all(torch.equal(value, imported.tensors[key]) for key, value in model.state_dict().items())
    back = build(imported.model, imported.image_shape).eval()
    back.load_state_dict(imported.tensors)
    assert torch.equal(back.sample(Noise(torch.arange(2))), model.sample(Noise(torch.arange(2))))
    unet = diffusers.DDPMPipeline.from_pretrained(tmp_path / "folder").unet
    x, t = Noise(torch.arange(2)).normal(1, 28, 20), torch.tensor([0, 19])
    with torch.no_grad():
        torch.testing.assert_close(unet(x, t).sample, model.denoiser(x, t), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (GAN, "key 'class': found 'gan.GAN', which diffusers cannot express; expected diffusion.Diffusion"),
        (DDPM, "key 'patch_size': found 2, which diffusers cannot express; expected 1"),
        (
            diffusion(num_classes=4, label_dropout=0.1),
            "key 'num_classes': found 4, .* expected 0: its pipelines of",
        ),
        (diffusion(time_input="fraction"), "key 'time_input': found 'fraction', .* expected 'index'"),
        (diffusion(time_input="rescaled"), "key 'time_input': found 'rescaled', .* expected 'index'"),
        (diffusion({"middle_attention": "bare"}), "key 'middle_attention': found 'bare'.* without scale_shift_norm"),
        (diffusion({"channel_mult": [2, 1]}), r"key 'channel_mult': found \[2, 1\], .* expected 1 as the first"),
        (
            diffusion({"num_heads": 2, "attention_resolutions": [16]}),
            "key 'num_heads': found 2, .* expected 1, or head_channels: attention has widths 16, 32",
        ),
    ],
)
def test_models_that_diffusers_cannot_express_are_refused(tmp_path: Path, entry: dict, message: str) -> None:
    path, _ = saved(tmp_path, entry)
    with pytest.raises(InputError, match=message) as caught:
        export_checkpoint("diffusers", path, tmp_path / "folder")
    assert str(caught.value).startswith(str(path))
    assert not (tmp_path / "folder").exists()


def test_unknown_formats_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"format: found 'difusers' \(did you mean 'diffusers'\?\)"):
        export_checkpoint("difusers", tmp_path / "model.safetensors", tmp_path)
    with pytest.raises(InputError, match=r"model.safetensors: no such file"):
        export_checkpoint("diffusers", tmp_path / "model.safetensors", tmp_path)


def test_the_script_exports_what_a_training_left(tmp_path: Path, script: Callable[..., str]) -> None:
    path, model = saved(tmp_path, diffusion())
    options = ("--model", path, "--format", "diffusers", "--out")
    script("export_checkpoint", *options, tmp_path / "out" / "pipeline")
    index = json.loads((tmp_path / "out" / "pipeline" / "model_index.json").read_text())
    assert index["_class_name"] == "DDPMPipeline"
    imported = read_checkpoint("diffusers", tmp_path / "out" / "pipeline")
    assert imported.tensors.keys() == load_model(path)[0].state_dict().keys() == model.state_dict().keys()
    (tmp_path / "file").write_text("")
    said = script("export_checkpoint", *options, tmp_path / "file", code=2)
    assert said.splitlines()[-1].startswith(f"error: {tmp_path / 'file'}")
