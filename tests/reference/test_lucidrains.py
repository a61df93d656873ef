"""Checkpoints of denoising-diffusion-pytorch, of every layout, compared with the library's outputs and samples."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from official_improved_diffusion import Draws
from official_lucidrains import CHAINS, OF, RELEASES, SIZE, T, inputs, official_weights

from genbench.errors import InputError
from genbench.importing import read_checkpoint
from genbench.importing.lucidrains import official_names
from genbench.models import build
from genbench.models.diffusion import Diffusion
from genbench.networks.lucidrains import UNet
from genbench.processes.schedule import SCHEDULES

EXPECTED = json.loads((Path(__file__).parents[1] / "support/data/lucidrains.json").read_text(encoding="utf-8"))
NESTED = {  # the differences of networks before 1.8 from later ones
    "full_attention": [False] * 3, "memory": 0, "norm_groups": 8, "downsample": "folded", "attention_norm": "layer",
}  # fmt: skip
OURS: dict[str, dict[str, Any]] = {
    "0.25.3": NESTED | {"downsample": "strided", "attention_norm": "layer-bias"},
    "0.26.1": NESTED | {"downsample": "strided", "attention_norm": "layer-bias"},
    "0.27.9": NESTED | {"downsample": "strided"},
    "0.30.0": NESTED | {"downsample": "strided", "out_channels": 2},
    "1.0.7": NESTED,
    "1.7.6": NESTED | {"attention_norm": "rms"},
    "1.8.8": {"full_attention": [False, True, True], "num_heads": 2, "memory": 0, "norm_groups": 8},
    "1.9.4": {"norm_groups": 8},
    "2.3.4": {"first_channels": 16, "num_heads": 2, "head_channels": 16},
}
PROCESS = {"image_size": SIZE, "timesteps": T, "schedule": "cosine", "prediction": "eps"}
State = dict[str, torch.Tensor]


def library_state(release: str) -> State:
    """The state dict of the library's Unet, with weights by formula."""
    with torch.device("meta"):
        unet = UNet(image_shape=(1, SIZE, SIZE), channels=8, channel_mult=[1, 2, 4], **OURS[release])
    names = official_names(unet, nested=release < "1.8")
    return official_weights({theirs: tuple(unet.state_dict()[ours].shape) for ours, theirs in names.items()})


def saved(path: Path, value: object) -> Path:
    torch.save(value, path)
    return path


def trainer_file(release: str, objective: str, schedule: str) -> dict[str, Any]:
    """The library's Trainer file: the process with its buffers, and its average in an EMA."""
    name = {"sigmoid": "sigmoid_abar"}.get(schedule, schedule)
    ends = {"beta_start": 0.1 / T, "beta_end": 20 / T} if schedule == "linear" else {}
    abar = SCHEDULES[name](T, **ends).alphas_cumprod
    snr = (abar / (1 - abar))[1:]
    loss_weight = {"pred_noise": torch.ones(T), "pred_x0": snr, "pred_v": snr / (snr + 1)}[objective]
    beside = {"betas": 1 - abar[1:] / abar[:-1], "alphas_cumprod": abar[1:], "loss_weight": loss_weight}
    buffers = {name: value.float() for name, value in beside.items()}
    average = {f"model.{name}": value for name, value in library_state(release).items()} | buffers
    raw = {name: value if name in buffers else 2 * value for name, value in average.items()}
    ema = {f"online_model.{name}": value for name, value in raw.items()}
    ema |= {f"ema_model.{name}": value for name, value in average.items()}
    ema |= {"initted": torch.tensor(True), "step": torch.tensor(7)}
    return {"step": 7, "model": raw, "opt": {"state": {}}, "ema": ema, "scaler": None, "version": release}


def model_of(path: Path, **options: object) -> Diffusion:
    imported = read_checkpoint("lucidrains", path, **options)
    model = build(imported.model, imported.image_shape)
    model.load_state_dict(imported.tensors)
    assert isinstance(model, Diffusion)
    return model.eval()


@pytest.mark.parametrize("release", RELEASES)
def test_it_answers_as_the_library_s_network_did(release: str, tmp_path: Path) -> None:
    state = library_state(release)
    if "attn_heads" in RELEASES[release] and release < "1.9":
        options = {**PROCESS, "num_heads": RELEASES[release]["attn_heads"]}
    else:
        options = dict(PROCESS)
    path = saved(tmp_path / "epoch_199.pth", {"model_state_dict": state, "epoch": 199})
    model = model_of(path, **options, **({"version": release} if release < "1.8" else {}))
    with torch.no_grad():
        found = model.denoiser(*inputs())[:, :, ::3, ::3]
    torch.testing.assert_close(found, torch.tensor(EXPECTED[release]), rtol=0, atol=3e-5)
    assert model.learned_variance == ("learned_variance" in RELEASES[release])


@pytest.mark.parametrize(("release", "chain"), [(release, chain) for release in OF for chain in OF[release]])
def test_it_draws_as_the_library_did(release: str, chain: str, tmp_path: Path) -> None:
    objective, schedule, steps, eta = CHAINS[chain]
    path = saved(tmp_path / "model-7.pt", trainer_file(release, objective, schedule))
    model = model_of(path, image_size=SIZE)  # everything else is in the file
    sampler = {} if steps == T else {"method": "ddim", "steps": steps, "eta": eta}
    with torch.no_grad():
        found = model.sample(Draws(4), **sampler)[:, :, ::3, ::3]
    torch.testing.assert_close(found, torch.tensor(EXPECTED[f"{release}, {chain}"]), rtol=0, atol=2e-4)


def test_a_trainer_s_file_gives_the_average_unless_told_otherwise(tmp_path: Path) -> None:
    content = trainer_file("1.0.7", "pred_x0", "linear")
    path = saved(tmp_path / "model-7.pt", content)
    average, raw = (read_checkpoint("lucidrains", path, image_size=SIZE, **key) for key in ({}, {"key": "model"}))
    assert average.note == "ema.ema_model.model of model-7.pt, trained by denoising-diffusion-pytorch, release 1.0.7"
    assert (average.weights, raw.weights) == ("ema", "raw")
    name = "denoiser.conv_in.weight"
    assert torch.equal(2 * average.tensors[name], raw.tensors[name])
    ends = {"beta_start": 0.1 / T, "beta_end": 20 / T}
    assert average.model["schedule"] == {"name": "linear", **ends}
    assert (average.model["timesteps"], average.model["prediction"]) == (T, "x0")
    del content["ema"]
    with pytest.raises(InputError, match=r"found no 'ema' beside 'model' .* the option key: model takes those"):
        model_of(saved(path, content), image_size=SIZE)


class RunsCode:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("this must not be run",)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"init_conv.weight": (8, 2, 7, 7)}, {}, "a first layer of 2 channels, of self_condition: true"),
        ({"init_conv.weight": (8, 4, 7, 7)}, {}, "a network from 4 to 1 channels, expected from 1 or 3"),
        ({"time_mlp.0.weights": (8,)}, {}, "found time_mlp.0.weights, of learned_sinusoidal_cond"),
        (
            {"ups.0.0.block1.proj.weight": (16, 48, 3, 3)},
            {},
            r"found shape \(16, 48, 3, 3\), expected \(32, 48, 3, 3\)",
        ),
        (
            {"downs.1.3.bias": None},
            {},
            "a U-Net of denoising-diffusion-pytorch with as many levels: missing downs.1.3.b",
        ),
        ({"init_conv.weight": None}, {}, "found neither init_conv.weight nor final_conv.weight"),
        ({"downs.0.3.weight": None}, {}, r"no 'downs.0.3.1.weight' among .*layouts before release 0.22 are not built"),
        ({}, {"version": None}, "does not say version, and before 1.8 the releases differ in what no tensor shows"),
        ({}, {"version": "1.7.2"}, "version: found 1.7.2, which is not built here"),
        ({}, {"version": "0.21.0"}, "version: found 0.21.0, expected at least 0.22"),
        ({}, {"version": "new"}, "version: found 'new', expected a release such as 0.27.4"),
        ({}, {"prediction": None}, "does not say prediction .*; expected it as an option"),
        ({}, {"schedule": None}, "does not say schedule .*its process is not in the file.*; expected it as an option"),
        ({}, {"image_size": 18}, "image side 18 is not divisible by 4"),
    ],
)
def test_what_can_t_be_read_is_one_clear_line(change: dict, options: dict, message: str, tmp_path: Path) -> None:
    state = library_state("0.27.9") | {name: torch.zeros(shape) for name, shape in change.items() if shape}
    path = saved(tmp_path / "model.pth", {name: state[name] for name in state if change.get(name, ()) is not None})
    given = PROCESS | {"version": "0.27.9"} | options
    with pytest.raises(InputError, match=message) as caught:
        model_of(path, **{key: value for key, value in given.items() if value is not None})
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "model-7.pt", {"step": 7, "model": {}, "ema": RunsCode()})
    with pytest.raises(InputError, match=r"model-7.pt: not a PyTorch file of tensors and plain values"):
        model_of(path, image_size=SIZE)
    assert capsys.readouterr().out == ""
