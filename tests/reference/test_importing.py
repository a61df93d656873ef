"""Published checkpoints: what is inferred from them, what they draw, and which are refused."""

import argparse
import hashlib
import json
import pickle
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from official_ddgan import TINY, inputs, weights
from official_unet2d import SMALL, unet2d
from safetensors.torch import save_file
from torch import nn

from genbench.errors import InputError
from genbench.importing import import_checkpoint, read_checkpoint
from genbench.importing.diffusers import diffusers as read_diffusers
from genbench.importing.improved_diffusion import official_shapes as improved_diffusion_shapes
from genbench.importing.nvlabs_ddgan import official_shapes
from genbench.models import Batch, Model, build
from genbench.networks import ncsnpp
from genbench.networks.unet import UNet
from genbench.processes.noise import Noise
from genbench.sampling.checkpoint import load_model

ROOT = Path(__file__).parents[2]
SIZES = {"image_size": TINY["image_size"], "timesteps": 4}
GENERATOR = {
    "class": "ncsnpp.Generator",
    "channels": 8,
    "channel_mult": [1, 2, 3],
    "num_res_blocks": 1,
    "attention_resolutions": [8],
    "latent_embedding": 12,
    "latent_layers": 2,
}


def official_state(generator: dict = GENERATOR, **sizes: int) -> dict[str, torch.Tensor]:
    """The authors' state dict of a generator that was trained on several GPUs."""
    options = {key: value for key, value in generator.items() if key != "class"}
    sizes = {"channels": TINY["num_channels"], "size": TINY["image_size"], "latent_size": TINY["nz"]} | sizes
    image_shape = (sizes["channels"], sizes["size"], sizes["size"])
    network = ncsnpp.Generator(image_shape=image_shape, latent_size=sizes["latent_size"], **options)
    return {f"module.{name}": value for name, value in weights(official_shapes(network)).items()}


def content(average: bool, **options: object) -> dict[str, object]:
    """What the authors' training saves for resuming; average: include an average, here twice the weights."""
    state = official_state()
    network = ncsnpp.Discriminator(image_shape=(2, 16, 16), channels=8, time_size=10)
    defaults = {"image_size": 16, "num_timesteps": 2, "beta_min": 0.1, "beta_max": 20.0, "skip_rescale": True}
    moments = {i: {"step": 7} | ({"ema": 2 * value} if average else {}) for i, value in enumerate(state.values())}
    return {
        "epoch": 3,
        "args": argparse.Namespace(**defaults | {"fir_kernel": [1, 3, 3, 1], "attn_resolutions": (8,)} | options),
        "netG_dict": state,
        "netD_dict": {f"module.{name}": value for name, value in weights(official_shapes(network)).items()},
        "optimizerG": {"state": moments, "param_groups": [{"lr": 1e-4, "params": list(moments)}]},
    }


def saved(path: Path, value: object) -> Path:
    torch.save(value, path)
    return path


# --- Denoising diffusion GANs -----------------------------------------------------------------------------------------


def test_a_netG_file_becomes_a_model_that_answers_as_the_authors_do(tmp_path: Path) -> None:
    path, out = saved(tmp_path / "netG_1200.pth", official_state()), tmp_path / "model.safetensors"
    written = import_checkpoint("ddgan", path, out, **SIZES)
    model, info = load_model(out)
    assert info["model"]["generator"] == GENERATOR
    assert (info["model"]["latent_size"], info["model"]["timesteps"]) == (5, 4)
    given = inputs(TINY)
    expected = json.loads((ROOT / "tests/support/data/ddgan.json").read_text(encoding="utf-8"))["x0_hat"]
    found = model.generator(given["x"], given["z"], given["t"])[:, :, ::3, ::3]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-5)
    with torch.inference_mode():
        images = model.sample(Noise(torch.arange(3)))
    assert images.shape == (3, 2, 16, 16)
    assert images.abs().max() <= 1 + 1e-6
    assert json.loads(json.dumps(written)) == info
    assert info["weights"] == "unknown"
    file = {"name": "netG_1200.pth", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert info["imported"]["files"] == [file]
    assert info["imported"]["format"] == "ddgan"
    assert "is unknown" in info["imported"]["note"]
    assert "authors' defaults: centered, fir_kernel, not_use_tanh, skip_rescale" in info["imported"]["note"]
    other = import_checkpoint("ddgan", path, out, **SIZES, beta_max=5.0)
    assert other["model"]["schedule"] == {"name": "vp", "beta_max": 5.0}
    assert info["training"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"channel_mult": [1, 1, 2, 2], "num_res_blocks": 2, "attention_resolutions": [16]},
        {"channel_mult": [2], "num_res_blocks": 3, "attention_resolutions": [16]},
        {"channel_mult": [1, 2], "num_res_blocks": 2, "attention_resolutions": [], "latent_layers": 0},
        {"channel_mult": [2, 1], "attention_resolutions": [16, 8], "channels": 16},
    ],
)
def test_generators_are_inferred_from_names_and_shapes(tmp_path: Path, change: dict) -> None:
    path = saved(tmp_path / "netG.pth", official_state(GENERATOR | change, channels=1, latent_size=9))
    info = import_checkpoint("ddgan", path, tmp_path / "model.safetensors", **SIZES)
    assert info["model"]["generator"] == GENERATOR | change
    assert (info["model"]["latent_size"], info["image_shape"]) == (9, (1, 16, 16))


@pytest.mark.parametrize("average", [True, False])
def test_content_gives_the_average_if_there_is_one_and_says_so(tmp_path: Path, average: bool) -> None:
    path, out = saved(tmp_path / "content.pth", content(average)), tmp_path / "model.safetensors"
    import_checkpoint("ddgan", path, out)
    model, info = load_model(out)
    expected = official_state()["module.all_modules.2.weight"] * (2 if average else 1)
    torch.testing.assert_close(model.generator.conv_in.weight, expected)
    assert info["weights"] == ("ema" if average else "raw")
    assert ("average" in info["imported"]["note"]) == average
    assert (model.schedule.T, model.image_shape) == (2, (2, 16, 16))  # from the options in the file
    assert isinstance(model.discriminator, ncsnpp.Discriminator)


def test_ddgan_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def refused(value: object, message: str, **options: int) -> None:
        path = saved(tmp_path / "netG.pth", value)
        with pytest.raises(InputError, match=message) as caught:
            import_checkpoint("ddgan", path, tmp_path / "out.safetensors", **options)
        assert str(path) in str(caught.value)
        assert not (tmp_path / "out.safetensors").exists()

    state = official_state()
    refused(state, "does not say image_size; expected it as an option", timesteps=4)
    refused(state, "does not say timesteps; expected it as an option", image_size=16)
    refused(state, "18x18 are not divisible by 4", image_size=18, timesteps=4)
    refused({"a": torch.zeros(2)}, "not the weights of a DDGAN generator: no 'all_modules.2.weight'", **SIZES)
    refused({}, "found no state dict", **SIZES)
    refused([1, 2], "found no state dict", **SIZES)
    less = {name: value for name, value in state.items() if not name.endswith("all_modules.4.NIN_0.W")}
    refused(less | {"module.more": torch.zeros(1)}, "unexpected .*more", **SIZES)
    less = {name: value for name, value in state.items() if not name.endswith("Conv_1.weight")}
    refused(less, r"missing all_modules.3.Conv_1.weight, .* and \d+ more", **SIZES)
    name = "module.all_modules.3.Conv_1.weight"
    refused(state | {name: torch.zeros(2, 3)}, r"Conv_1.weight: found shape \(2, 3\), expected \(8, 8, 3, 3\)", **SIZES)
    refused(content(True, not_use_tanh=True), "option not_use_tanh: found True, expected False")
    one = {name.replace("GroupNorm_1.style.", "GroupNorm_1."): value for name, value in state.items()}
    refused(one, "option resblock_type: found 'biggan_oneadagn', expected 'biggan', the only one built here", **SIZES)
    refused(state | {"all_modules.0.W": torch.zeros(4)}, "option embedding_type: found 'fourier', expected", **SIZES)
    less = {name: value for name, value in state.items() if "all_modules.3." not in name}
    refused(less, r"14 residual blocks and 2 layers of a pyramid, expected 3 \+ 2 \* num_res_blocks blocks", **SIZES)
    refused(content(True), "beta_min: found 0.1 in the file and 0.2 as an option", beta_min=0.2)
    refused(content(True), "image_size: found 16 in the file and 32 as an option", image_size=32)


# --- DCGAN ------------------------------------------------------------------------------------------------------------


class Tutorial(nn.Module):
    """The tutorial's generator or discriminator, with a width of 4: an nn.Sequential called main."""

    def __init__(self, *, generator: bool) -> None:
        super().__init__()
        widths = [32, 16, 8, 4]
        layers: list[nn.Module] = []
        if generator:
            layers += [nn.ConvTranspose2d(6, 32, 4, 1, 0, bias=False), nn.BatchNorm2d(32), nn.ReLU(True)]
            for a, b in pairwise(widths):
                layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(True)]
            layers += [nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.Tanh()]
        else:
            layers += [nn.Conv2d(3, 4, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
            for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True):
                layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2, inplace=True)]
            layers += [nn.Conv2d(32, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
        self.main = nn.Sequential(*layers)


@pytest.fixture
def tutorial() -> tuple[Tutorial, Tutorial]:
    torch.manual_seed(0)
    networks = Tutorial(generator=True), Tutorial(generator=False)
    networks[0].main(torch.randn(50, 6, 1, 1))  # changes the running statistics from their initial values
    return networks


def test_the_tutorial_s_dcgan_draws_the_same_images(tmp_path: Path, tutorial: tuple[Tutorial, Tutorial]) -> None:
    theirs, judge = tutorial
    path = saved(tmp_path / "g.pth", {f"module.{name}": value for name, value in theirs.state_dict().items()})
    other = saved(tmp_path / "d.pth", judge.state_dict())
    import_checkpoint("dcgan", path, tmp_path / "model.safetensors", discriminator=str(other))
    model, info = load_model(tmp_path / "model.safetensors")
    z = Noise(torch.arange(3)).normal(6)
    expected = theirs.eval().main(z[:, :, None, None])
    assert expected.shape == (3, 3, 64, 64)
    assert torch.equal(model.sample(Noise(torch.arange(3))), expected)
    logits = model.discriminator(expected)
    torch.testing.assert_close(logits.sigmoid(), judge.eval().main(expected).view(3))
    assert [file["name"] for file in info["imported"]["files"]] == ["g.pth", "d.pth"]


def test_a_dcgan_of_enlarged_images_is_brought_back_to_the_data_s_size(
    tmp_path: Path, tutorial: tuple[Tutorial, Tutorial]
) -> None:
    path = saved(tmp_path / "g.pth", tutorial[0].state_dict())
    models: list[Model] = []
    for options in ({}, {"image_size": 32}):
        import_checkpoint("dcgan", path, tmp_path / "model.safetensors", **options)
        models.append(load_model(tmp_path / "model.safetensors")[0])
    large, small = (model.sample(Noise(torch.arange(2))) for model in models)
    torch.testing.assert_close(small, nn.functional.avg_pool2d(large, 2))


def test_two_networks_in_one_file_are_chosen_by_a_key(tmp_path: Path, tutorial: tuple[Tutorial, Tutorial]) -> None:
    both = {"epoch": 3, "netG": tutorial[0].state_dict(), "netD": tutorial[1].state_dict()}
    path = saved(tmp_path / "both.pth", both)
    with pytest.raises(
        InputError, match=r"found 2 state dicts among its keys epoch \(int\), netG \(a state dict of 25"
    ):
        read_checkpoint("dcgan", path)
    imported = read_checkpoint("dcgan", path, key="netG")
    assert imported.note == "the generator as saved in netG"
    assert torch.equal(imported.tensors["generator.layers.0.weight"], tutorial[0].state_dict()["main.0.weight"])


def test_a_gan_without_a_discriminator_refuses_to_train(tmp_path: Path, tutorial: tuple[Tutorial, Tutorial]) -> None:
    path = saved(tmp_path / "g.pth", tutorial[0].state_dict())
    info = import_checkpoint("dcgan", path, tmp_path / "model.safetensors")
    model = build(info["model"], info["image_shape"])
    images = Batch(torch.zeros(2, 3, 64, 64), torch.zeros(2, dtype=torch.int64), Noise(torch.arange(2)))
    with pytest.raises(InputError, match="no discriminator and can only be sampled"):
        next(iter(model.losses(images, 0)))


def test_dcgan_files_that_do_not_fit_are_refused(tmp_path: Path, tutorial: tuple[Tutorial, Tutorial]) -> None:
    generator, discriminator = (saved(tmp_path / name, tutorial[i].state_dict()) for i, name in enumerate("gd"))
    out = tmp_path / "out.safetensors"
    with pytest.raises(InputError, match="not the weights of the generator of PyTorch's DCGAN tutorial"):
        import_checkpoint("dcgan", discriminator, out)
    with pytest.raises(InputError, match="not the weights of the tutorial's discriminator"):
        import_checkpoint("dcgan", generator, out, discriminator=str(generator))
    with pytest.raises(InputError, match="key 'image_size': found 64, expected a multiple"):
        import_checkpoint("dcgan", generator, out, image_size=30)
    assert not out.exists()


# --- diffusers --------------------------------------------------------------------------------------------------------

BARE = {"timesteps": 1000, "schedule": {"name": "linear", "beta_start": 1e-4, "beta_end": 0.02}, "prediction": "eps"}


def pipeline(folder: Path, name: str = "Ho et al.", **scheduler: object) -> Path:
    """Write a folder with DDPMPipeline.save_pretrained; returns its path."""
    diffusers.DDPMPipeline(unet2d(name), diffusers.DDPMScheduler(**scheduler)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", SMALL)
def test_a_pipeline_becomes_a_model_that_answers_as_it_does(tmp_path: Path, name: str) -> None:
    learned = {"variance_type": "learned_range"} if name == "learned variance" else {}
    folder = pipeline(tmp_path / "pipeline", name, **learned)
    written = import_checkpoint("diffusers", folder, tmp_path / "model.safetensors")
    model, info = load_model(tmp_path / "model.safetensors")
    theirs = unet2d(name)
    x = Noise(torch.arange(4)).normal(*model.image_shape)
    t = torch.tensor([0, 1, 500, 999])
    with torch.no_grad():
        torch.testing.assert_close(model.denoiser(x, t), theirs(x, t).sample, rtol=0, atol=1e-5)
    unet = folder / "unet"
    names = ["diffusion_pytorch_model.safetensors", "config.json", "scheduler_config.json"]
    assert [file["name"] for file in info["imported"]["files"]] == names
    assert info["imported"]["files"][0]["sha256"] == hashlib.sha256((unet / names[0]).read_bytes()).hexdigest()
    assert json.loads(json.dumps(written)) == info
    assert info["model"].get("learned_variance", False) == bool(learned)
    assert info["weights"] == "unknown"


def test_all_layouts_and_names_of_tensors_give_the_same_model(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "pipeline")
    expected = read_checkpoint("diffusers", folder)
    unet, scheduler = folder / "unet", folder / "scheduler" / "scheduler_config.json"
    weights_file = "diffusion_pytorch_model.safetensors"

    bare, flat, oldest = tmp_path / "bare", tmp_path / "flat", tmp_path / "oldest"
    for place in (bare, flat, oldest):
        place.mkdir()
        (place / "config.json").write_bytes((unet / "config.json").read_bytes())
    (bare / "some_name.safetensors").write_bytes((unet / weights_file).read_bytes())
    # google/ddpm-cifar10-32: all files in one folder, and the attention's names from before 2023.
    (flat / "scheduler_config.json").write_bytes(scheduler.read_bytes())
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state, renamed = unet2d("Ho et al.").state_dict(), {}
    for name, value in state.items():
        for a, b in old.items():
            name = name.replace(f".{a}.", f".{b}.")
        renamed[name] = value
    assert len(renamed.keys() - state.keys()) == 8 * 6  # six attention layers
    torch.save(renamed, flat / "diffusion_pytorch_model.bin")
    nin = {}
    for name, value in renamed.items():
        for i, layer in enumerate(old.values()):
            name = name.replace(f".{layer}.weight", f".NIN_{i}.W").replace(f".{layer}.bias", f".NIN_{i}.b")
        nin[name.replace(".group_norm.", ".GroupNorm_0.")] = value.T if name.endswith(".W") else value
    torch.save(nin, oldest / "diffusion_pytorch_model.bin")

    for path, options in [
        (unet, {}),
        (unet / weights_file, {}),
        (flat, {}),
        (flat / "diffusion_pytorch_model.bin", {}),
        (bare / "some_name.safetensors", BARE),
        (oldest, BARE),
    ]:
        found = read_checkpoint("diffusers", path, **options)
        assert found.model == expected.model
        assert found.image_shape == expected.image_shape == (3, 16, 16)
        assert found.tensors.keys() == expected.tensors.keys()
        assert all(torch.equal(value, expected.tensors[name]) for name, value in found.tensors.items())


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"beta_schedule": "linear", "beta_end": 0.01}, "linear"),
        ({"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}, "scaled_linear"),
        ({"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 50}, "cosine"),
        ({"beta_schedule": "sigmoid", "prediction_type": "v_prediction"}, "sigmoid"),
        ({"trained_betas": [0.1, 0.3, 0.2], "num_train_timesteps": 3, "prediction_type": "sample"}, "betas"),
    ],
)
def test_the_scheduler_says_the_process(tmp_path: Path, config: dict, expected: str) -> None:
    folder = pipeline(tmp_path, variance_type="fixed_large", clip_sample=False, **config)
    imported = read_checkpoint("diffusers", folder)
    model = build(imported.model, imported.image_shape)
    theirs = diffusers.DDPMScheduler(**config)
    assert imported.model["schedule"]["name"] == expected
    abar = theirs.alphas_cumprod.double()  # a running product in float32
    torch.testing.assert_close(model.schedule.alphas_cumprod[1:], abar, rtol=1e-4, atol=1e-6)
    predictions = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}
    assert model.prediction == predictions[theirs.config.prediction_type]
    assert imported.note == (
        "diffusion_pytorch_model.safetensors; its pipeline samples with variance_type fixed_large, clip_sample False"
    )
    assert (model.variance, model.clip, model.spacing) == ("large", False, "leading")


def test_what_the_scheduler_alone_does_is_noted(tmp_path: Path) -> None:
    folder = pipeline(tmp_path)
    config_file = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(config_file.read_text())
    notes = {
        "its pipeline samples with PNDMScheduler": {"_class_name": "PNDMScheduler"},
        "samples with steps_offset 1, set_alpha_to_one False": {"steps_offset": 1, "set_alpha_to_one": False},
        "samples with timestep_spacing trailing": {"timestep_spacing": "trailing"},
        "unknown keys of its scheduler, which diffusers ignores, too: tensor_format": {"tensor_format": "pt"},
    }
    for note, change in notes.items():
        config_file.write_text(json.dumps(config | change))
        assert read_checkpoint("diffusers", folder).note.endswith(note)


def test_averages_of_a_training_are_told_by_their_configuration(tmp_path: Path) -> None:
    unet2d("Ho et al.").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    more = {"decay": 0.9999, "optimization_step": 5000, "some_future_key": 1}
    average = diffusers.training_utils.EMAModel(
        unet2d("Ho et al.").parameters(), model_cls=diffusers.UNet2DModel, model_config=config
    )
    average.save_pretrained(tmp_path / "average")
    found = read_checkpoint("diffusers", tmp_path / "average", **BARE)
    assert (found.weights, found.note) == ("ema", "diffusion_pytorch_model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config | more))
    imported = read_checkpoint("diffusers", tmp_path, **BARE)
    assert imported.weights == "ema"
    assert imported.note.endswith("unknown keys of its configuration, which diffusers ignores, too: some_future_key")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_class_name": "UNet2DConditionModel"}, "key '_class_name': found 'UNet2DConditionModel', expected UNet2DMo"),
        (
            {"class_embed_type": "identity", "num_class_embeds": 3},
            "key 'class_embed_type': found 'identity', and no option label_layer: a layer of the module around this",
        ),
        ({"act_fn": "gelu"}, "key 'act_fn': found 'gelu', expected one of 'silu', 'swish'"),
        ({"center_input_sample": True}, "key 'center_input_sample': found True, expected one of False"),
        (
            {"time_embedding_type": "fourier"},
            "key 'time_embedding_type': found 'fourier', expected one of 'positional'",
        ),
        ({"time_embedding_dim": 96}, "key 'time_embedding_dim': found 96, expected 128 or null"),
        ({"resnet_time_scale_shift": "spatial"}, "found 'spatial', expected one of 'default', 'scale_shift'"),
        ({"mid_block_type": None}, "key 'mid_block_type': found None, expected one of 'UNetMidBlock2D'"),
        ({"mid_block_scale_factor": 2}, "key 'mid_block_scale_factor': found 2.0, expected 1"),
        ({"attn_norm_num_groups": 4}, "key 'attn_norm_num_groups': found 4, expected 16 or null"),
        ({"attention_head_dim": 24}, r"key 'attention_head_dim': found 24, expected a divisor of \[64\]"),
        ({"down_block_types": ["SkipDownBlock2D"] * 3}, "key 'down_block_types': found .* expected a list of one of"),
        ({"up_block_types": ["UpBlock2D"] * 2}, "key 'up_block_types': found .* expected 3, as many as"),
        ({"block_out_channels": [32, "wide", 64]}, "key 'block_out_channels': found .*, expected a list of an integer"),
        ({"block_out_channels": []}, "key 'down_block_types': found .*, expected 0"),
        ({"layers_per_block": 0}, "key 'layers_per_block': found 0, expected a positive number"),
        ({"layers_per_block": [2, 2, 2]}, r"key 'layers_per_block': found \[2, 2, 2\], expected an integer"),
        ({"out_channels": 4}, "key 'out_channels': found 4, expected 3 as in_channels, or twice as many"),
        ({"out_channels": 6}, "key 'out_channels': found 6, twice in_channels, with .* 'fixed_small'; expected"),
        ({"sample_size": [16, 0]}, r"key 'sample_size': found \[16, 0\], expected the side of a square, or height and"),
        ({"sample_size": [16, 16, 16]}, r"key 'sample_size': found \[16, 16, 16\], expected the side of a square, or"),
        ({"sample_size": [16, 18]}, "image side 18 is not divisible by 4"),
        ({"sample_size": 0}, "key 'sample_size': found 0, expected the side of a square"),
        ({"sample_size": 18}, "image side 18 is not divisible by 4"),
        ({"sample_size": None}, r"does not say image_size \(sample_size is null\); expected it as an option"),
        ({"norm_num_groups": 24}, "key 'norm_groups': found 24, which does not divide"),
    ],
)
def test_networks_that_ours_cannot_express_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    config_file = pipeline(tmp_path) / "unet" / "config.json"
    config_file.write_text(json.dumps(json.loads(config_file.read_text()) | change))
    with pytest.raises(InputError, match=message) as caught:
        import_checkpoint("diffusers", tmp_path, tmp_path / "out.safetensors")
    assert str(caught.value).startswith(str(config_file))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_class_name": "ScoreSdeVeScheduler"}, "key '_class_name': found 'ScoreSdeVeScheduler', expected DDIMSched"),
        ({"beta_schedule": "laplace"}, "key 'beta_schedule': found 'laplace', expected one of 'linear'"),
        ({"prediction_type": "flow_prediction"}, "key 'prediction_type': found 'flow_prediction'"),
        (
            {"variance_type": "fixed_large_log"},
            "key 'variance_type': found 'fixed_large_log', expected one of 'fixed_sm",
        ),
        (
            {"variance_type": "learned_range"},
            "found 'learned_range', expected a fixed one: the network has not learned",
        ),
        ({"clip_sample_range": -1.0}, "key 'clip_sample_range': found -1.0, expected a positive number"),
        ({"thresholding": True, "sample_max_value": 2.0}, "key 'sample_max_value': found 2.0, expected 1, with which"),
        ({"timestep_spacing": "even"}, "key 'timestep_spacing': found 'even', expected one of 'leading', 'linspace'"),
        ({"predict_epsilon": False}, "key 'predict_epsilon': found False, expected one of True or null"),
        ({"rescale_betas_zero_snr": True}, "key 'rescale_betas_zero_snr': found True, expected one of False"),
        ({"num_train_timesteps": -5}, "key 'num_train_timesteps': found -5, expected a positive number"),
        ({"trained_betas": [0.1]}, "key 'num_train_timesteps': found 1000, expected 1, as many as trained_betas"),
    ],
)
def test_processes_that_ours_cannot_express_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    config_file = pipeline(tmp_path) / "scheduler" / "scheduler_config.json"
    config_file.write_text(json.dumps(json.loads(config_file.read_text()) | change))
    with pytest.raises(InputError, match=message) as caught:
        read_checkpoint("diffusers", tmp_path)
    assert str(caught.value).startswith(str(config_file))


def test_folders_that_are_no_checkpoints_of_diffusers_are_refused(tmp_path: Path) -> None:
    def refused(message: str, path: Path, **options: object) -> None:
        with pytest.raises(InputError, match=message) as caught:
            read_diffusers(path, **options)
        assert str(path) in str(caught.value)

    refused("no such file or folder", tmp_path / "nothing")
    refused("found no weights, expected diffusion_pytorch_model.safetensors or", tmp_path)
    folder = pipeline(tmp_path / "pipeline")
    refused("timesteps: found 1000 in the file and 4000 as an option; expected one of them", folder, timesteps=4000)
    refused("image_size: found 16 in the file and 16 as an option; expected one of them", folder, image_size=16)
    unet = (folder / "unet").rename(tmp_path / "unet")
    refused(
        r"does not say timesteps, schedule, prediction \(found no scheduler_config.json\); expected them as options, "
        "such as timesteps: 1000, schedule: linear, prediction: eps$",
        unet,
    )
    refused("does not say prediction .*: eps$", unet, timesteps=1000, schedule="linear")
    weights_file = unet / "diffusion_pytorch_model.safetensors"
    weights_file.write_bytes(weights_file.read_bytes()[:1000])
    refused("not a readable safetensors file", unet, **BARE)
    save_file({"conv_in.weight": torch.zeros(1)}, weights_file)
    refused(r"not the weights of the UNet2DModel of config.json: missing time_embedding.linear_1.weight", unet, **BARE)
    (unet / "config.json").write_text("[1, 2]")
    refused("found list, expected a JSON object", unet)
    (unet / "config.json").write_text("{")
    refused("not valid JSON", unet)
    (unet / "config.json").unlink()
    refused("config.json: no such file", unet)


# --- Improved diffusion -----------------------------------------------------------------------------------------------

IMPROVED = {"image_size": 16, "timesteps": 40, "schedule": "cosine"}
IMPROVED_UNET = {"channels": 32, "channel_mult": [1, 2], "num_res_blocks": 1, "attention_resolutions": [8]} | {
    "scale_shift_norm": True
}


def improved_state(image_channels: int = 3, out_channels: int = 6, **options: object) -> dict[str, torch.Tensor]:
    """The authors' state dict of a network with some of our options."""
    unet = {**IMPROVED_UNET, **options}
    with torch.device("meta"):
        network = UNet(image_shape=(image_channels, 16, 16), out_channels=out_channels, **unet)
    return weights(improved_diffusion_shapes(network))


@pytest.mark.parametrize(
    "change",
    [
        {"channel_mult": [1, 2, 3], "num_res_blocks": 2, "attention_resolutions": [16, 4]},
        {"channel_mult": [1], "num_res_blocks": 3, "attention_resolutions": [], "scale_shift_norm": False},
        {"channels": 64, "channel_mult": [1, 1.5, 1], "attention_resolutions": [8, 4]},
    ],
)
def test_improved_diffusion_s_networks_are_inferred_from_names_and_shapes(tmp_path: Path, change: dict) -> None:
    path = saved(tmp_path / "ema_0.9999_500000.pt", improved_state(1, 1, **change))
    imported = read_checkpoint("improved-diffusion", path, **IMPROVED, num_heads=2)
    denoiser = imported.model["denoiser"]
    assert {key: denoiser[key] for key in IMPROVED_UNET} == IMPROVED_UNET | change
    assert (denoiser["num_heads"], imported.image_shape, imported.weights) == (2, (1, 16, 16), "ema")
    assert "learned_variance" not in imported.model
    assert imported.model["variance"] == "large"
    assert "variance" not in read_checkpoint("improved-diffusion", path, **IMPROVED, sigma_small=True).model


def test_improved_diffusion_s_options_say_the_process(tmp_path: Path) -> None:
    path = saved(tmp_path / "model500000.pt", improved_state())
    imported = read_checkpoint("improved-diffusion", path, **IMPROVED | {"schedule": "linear", "timesteps": 4000})
    assert imported.weights == "raw"
    process = {key: value for key, value in imported.model.items() if key not in ("class", "denoiser")}
    assert process == {
        "timesteps": 4000,
        "schedule": {"name": "linear", "beta_start": pytest.approx(2.5e-5), "beta_end": pytest.approx(0.005)},
        "prediction": "eps",
        "time_input": "rescaled",
        "learned_variance": True,
        "loss": "hybrid",
    }
    other = read_checkpoint("improved-diffusion", path, **IMPROVED, rescale_timesteps=False, prediction="x0").model
    assert (other["time_input"], other["prediction"], other["schedule"]) == ("index", "x0", {"name": "cosine"})


@pytest.mark.parametrize(
    ("option", "value"), [("num_heads", 0), ("num_heads_upsample", 0), ("timesteps", 0), ("image_size", -16)]
)
def test_numbers_that_no_model_of_improved_diffusion_has_are_refused(option: str, value: int) -> None:
    with pytest.raises(InputError, match=f"format improved-diffusion: key '{option}': found {value}, expected at lea"):
        read_checkpoint("improved-diffusion", "model000001.pt", **IMPROVED | {option: value})


def test_improved_diffusion_s_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def refused(state: dict, message: str, **options: object) -> None:
        path = saved(tmp_path / "model000001.pt", state)
        with pytest.raises(InputError, match=message) as caught:
            read_checkpoint("improved-diffusion", path, **IMPROVED | options)
        assert str(path) in str(caught.value)

    state = improved_state()
    refused(
        state | {"label_emb.weight": torch.zeros(10, 5)}, r"label_emb.weight: found shape \(10, 5\), expected \(10,"
    )
    guided = {f"output_blocks.1.2.in_layers.{i}.weight": torch.zeros(1) for i in (0, 2)}
    refused(state | guided, "found blocks that change the resolution, .* has them: format: guided-diffusion reads it")
    refused(improved_state(6, 3), "a network from 6 to 3 channels, expected .*super-resolution")
    refused(improved_state(6, 6), "a network from 6 to 6 channels, expected .*super-resolution")
    refused({"a": torch.zeros(1)}, "no 'input_blocks.0.0.weight' among 1 tensors; expected keys such as")
    refused({key: value for key, value in state.items() if not key.startswith("input_blocks.1.")}, "not the weights of")
    refused({key: value for key, value in state.items() if "middle_block" not in key}, "missing middle_block.0.in_lay")
    refused(state | {"out.2.weight": torch.zeros(6, 5, 3, 3)}, "out.2.weight: found shape")
    refused(state, "key 'num_heads': found 3, which does not divide 64", num_heads=3)
    refused(state, "option sigma_small: found true, but this network has learned its variance", sigma_small=True)
    refused(state, "image side 17 is not divisible by 2", image_size=17)
    refused(
        state,
        "linear: key 'beta_end': found 2.0, expected more than 0 and less than 1",
        schedule="linear",
        timesteps=10,
    )
    path = saved(tmp_path / "model.pt", state)
    for key in IMPROVED:
        options = {name: value for name, value in IMPROVED.items() if name != key}
        with pytest.raises(InputError, match=f"format improved-diffusion: key {key!r} is missing"):
            read_checkpoint("improved-diffusion", path, **options)


# --- Files and the command line ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.float64(3.2), r"a NumPy number \(numpy.*scalar\), which only code can make; .* save it as a plain number"),
        (np.zeros(2), r"a NumPy array \(numpy.*_reconstruct\), .* save it as a tensor, torch.from_numpy\(x\)"),
        (Path("x"), r"an object \(pathlib.*\), .* save the state dict only, torch.save\(model.state_dict\(\), FILE\)"),
        (nn.Linear(2, 2), r"an object \(torch.nn.modules.linear.Linear\), .* save the state dict only"),
    ],
)
def test_what_only_code_can_make_is_named_with_a_way_to_save_it(tmp_path: Path, value: object, message: str) -> None:
    path = saved(tmp_path / "netG.pth", {"a": torch.zeros(2), "fid": value})
    with pytest.raises(
        InputError, match=f"netG.pth: not a PyTorch file of tensors and plain values: found {message}"
    ) as e:
        import_checkpoint("ddgan", path, tmp_path / "out.safetensors", **SIZES)
    text = str(e.value)
    assert text.isprintable()
    assert not any(word in text for word in ("weights_only", "safe_globals", "trust"))


class Dangerous:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code in a checkpoint has run",)


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.safetensors"
    with pytest.raises(InputError, match=r"nothing.pth: no such file"):
        import_checkpoint("ddgan", tmp_path / "nothing.pth", out, **SIZES)
    (tmp_path / "text.pth").write_text("not a checkpoint")
    (tmp_path / "cut.pth").write_bytes(saved(tmp_path / "g", official_state()).read_bytes()[:5000])
    saved(tmp_path / "code.pth", {"module.a": Dangerous()})
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Dangerous()))
    for name in ("text.pth", "cut.pth", "code.pth", "old.pth"):
        with pytest.raises(InputError, match=f"{name}: not a PyTorch file of tensors and plain values"):
            import_checkpoint("ddgan", tmp_path / name, out, **SIZES)
        with pytest.raises(InputError, match=f"{name}: not a PyTorch file of tensors and plain values"):
            import_checkpoint("improved-diffusion", tmp_path / name, out, **IMPROVED)
    unet2d("Ho et al.").save_config(tmp_path)
    saved(tmp_path / "diffusion_pytorch_model.bin", {"conv_in.weight": Dangerous()})
    with pytest.raises(InputError, match=r"model.bin: not a PyTorch file of tensors and plain values"):
        import_checkpoint("diffusers", tmp_path, out, **BARE)
    assert "has run" not in capsys.readouterr().out
    with pytest.raises(
        InputError, match=r"format: found 'dgan' \(did you mean 'd.gan'\?\); expected one of: callable, dcgan, ddgan"
    ):
        import_checkpoint("dgan", tmp_path / "text.pth", out)
    with pytest.raises(InputError, match="format ddgan: unknown key: found 'discriminator'"):
        import_checkpoint("ddgan", tmp_path / "text.pth", out, discriminator="x")


def test_an_imported_checkpoint_is_sampled_by_the_ordinary_script(tmp_path: Path, script: Callable[..., str]) -> None:
    state = official_state(channels=3)
    path, model = saved(tmp_path / "netG_9.pth", state), tmp_path / "model.safetensors"
    arguments = ("--format", "ddgan", "--in", path, "--out", model)
    said = script("import_checkpoint", *arguments, code=2)
    assert said == f"error: {path}: does not say image_size; expected it as an option (32 for CIFAR-10)\n"
    said = script("import_checkpoint", *arguments, "--options", json.dumps(SIZES))
    assert "ddgan.DDGAN for images of shape (3, 16, 16), the generator as saved" in said
    script("sample", "--model", model, "--seeds", "0:4", "--batch-size", "2", "--out", tmp_path / "s.npz",
           "--timing", tmp_path / "t.json", "--device", "cpu")  # fmt: skip
    assert json.loads((tmp_path / "t.json").read_text())["nfe"] == 4
