"""Published checkpoints: what is inferred from them, what they draw, and what is refused."""

import argparse
import hashlib
import json
import pickle
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from official_ddgan import TINY, inputs, weights
from torch import nn

from genbench.checkpoint import load_model
from genbench.errors import InputError
from genbench.importing import import_checkpoint
from genbench.importing.ddgan import official_shapes
from genbench.models import Batch, Model, build
from genbench.networks import ncsnpp
from genbench.noise import Noise

ROOT = Path(__file__).parent.parent
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
    """The authors' state dict of a generator, from several GPUs."""
    options = {key: value for key, value in generator.items() if key != "class"}
    sizes = {"channels": TINY["num_channels"], "size": TINY["image_size"], "latent_size": TINY["nz"]} | sizes
    image_shape = (sizes["channels"], sizes["size"], sizes["size"])
    network = ncsnpp.Generator(image_shape=image_shape, latent_size=sizes["latent_size"], **options)
    return {f"module.{name}": value for name, value in weights(official_shapes(network)).items()}


def content(average: bool, **options: object) -> dict[str, object]:
    """What the authors' training saves for resuming, with `average` the average of the weights: here, their doubles."""
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
    expected = json.loads((ROOT / "tests" / "data" / "ddgan.json").read_text(encoding="utf-8"))["x0_hat"]
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
    refused(content(True), "image_size: found 16 in the file and 32 as an option", image_size=32)


# --- DCGAN ------------------------------------------------------------------------------------------------------------


class Tutorial(nn.Module):
    """The tutorial's generator and discriminator, at a width of 4: sequences called main."""

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
    networks[0].main(torch.randn(50, 6, 1, 1))  # running statistics that are not the initial ones
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


# --- Files and the command line ---------------------------------------------------------------------------------------


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
        with pytest.raises(InputError, match=f"{name}: not a PyTorch file of tensors and plain values alone"):
            import_checkpoint("ddgan", tmp_path / name, out, **SIZES)
    assert "has run" not in capsys.readouterr().out
    with pytest.raises(
        InputError, match=r"format: found 'dgan' \(did you mean 'd.gan'\?\); expected one of: dcgan, ddgan"
    ):
        import_checkpoint("dgan", tmp_path / "text.pth", out)
    with pytest.raises(InputError, match="format ddgan: unknown key: found 'discriminator'"):
        import_checkpoint("ddgan", tmp_path / "text.pth", out, discriminator="x")


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_an_imported_checkpoint_is_sampled_by_the_ordinary_script(tmp_path: Path) -> None:
    state = official_state(channels=3)
    path, model = saved(tmp_path / "netG_9.pth", state), tmp_path / "model.safetensors"
    arguments = ("--format", "ddgan", "--in", path, "--out", model)
    failed = run("import_checkpoint.py", *arguments)
    assert failed.returncode == 2
    assert failed.stderr == f"error: {path}: does not say image_size; expected it as an option (32 for CIFAR-10)\n"
    done = run("import_checkpoint.py", *arguments, "--options", json.dumps(SIZES))
    assert done.returncode == 0, done.stderr
    assert "ddgan.DDGAN for images of shape (3, 16, 16), the generator as saved" in done.stdout
    done = run("sample.py", "--model", model, "--seeds", "0:4", "--batch-size", "2", "--out", tmp_path / "s.npz",
               "--timing", tmp_path / "t.json", "--device", "cpu")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "t.json").read_text())["nfe"] == 4
