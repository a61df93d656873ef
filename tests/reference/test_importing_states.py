"""State dicts as wrappers, trainings and hubs save them: all give the same weights, or an error that lists the file's
content."""

import json
from pathlib import Path

import diffusers
import pytest
import torch
from official_ddgan import weights
from official_unet2d import unet2d
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from genbench.errors import InputError
from genbench.importing import read_checkpoint
from genbench.importing.improved_diffusion import official_shapes
from genbench.importing.states import read_content, state_of
from genbench.networks.unet import UNet

PROCESS = {"image_size": 8, "timesteps": 40, "schedule": "cosine"}
Given = dict[str, object]


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """The state dict that improved diffusion saves for a small network."""
    with torch.device("meta"):
        unet = UNet(image_shape=(1, 8, 8), channels=32, channel_mult=[1], num_res_blocks=1, attention_resolutions=[])
    return weights(official_shapes(unet))


def imported(path: Path, **options: object) -> dict[str, torch.Tensor]:
    return dict(read_checkpoint("improved-diffusion", path, **PROCESS, **options).tensors)


def saved(path: Path, value: object) -> Path:
    torch.save(value, path)
    return path


def prefixed(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module.", "_fsdp_wrapped_module."],
)
@pytest.mark.parametrize("averaged", [False, True])
def test_names_of_wrappers_are_taken_away(state: dict, tmp_path: Path, prefix: str, averaged: bool) -> None:
    expected = imported(saved(tmp_path / "plain.pt", state))
    wrapped = prefixed(state, prefix) | ({"n_averaged": torch.tensor(3)} if averaged else {})
    found = imported(saved(tmp_path / "wrapped.pt", wrapped))
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_they_are_those_that_torch_writes() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    compiled = torch.compile(network)
    for wrapped in (compiled, AveragedModel(network), AveragedModel(compiled), nn.DataParallel(AveragedModel(network))):
        found, _ = state_of(wrapped.state_dict(), "file")
        assert found.keys() == network.state_dict().keys()
    part = nn.Sequential(torch.compile(nn.Conv2d(1, 2, 3)))
    assert state_of(part.state_dict(), "file")[0].keys() == {"0.weight", "0.bias"}


@pytest.mark.parametrize("key", ["state_dict", "netG", "model"])
def test_the_one_state_dict_of_a_file_is_taken_and_named(state: dict, tmp_path: Path, key: str) -> None:
    path = saved(tmp_path / "last.pt", {"epoch": 3, key: state, "optimizer": {"state": {}, "param_groups": []}})
    read = read_checkpoint("improved-diffusion", path, **PROCESS)
    assert read.note == f"{key} of last.pt, trained by improved diffusion"
    assert torch.equal(read.tensors["denoiser.conv_in.weight"], state["input_blocks.0.0.weight"])


def test_of_several_the_option_key_chooses(state: dict, tmp_path: Path) -> None:
    double = {name: 2 * value for name, value in state.items()}
    training = {"step": 7, "model": state, "ema": double, "opt": {"state": {}}, "scale": torch.tensor(1.0)}
    path = saved(tmp_path / "model-7.pt", training)
    with pytest.raises(
        InputError, match=r"model-7.pt: found 2 state dicts among its keys step \(int\), model \(a state"
    ):
        imported(path)
    with pytest.raises(
        InputError, match=r"opt \(dict\), scale \(a tensor\); expected the option key, such as key: mod"
    ):
        imported(path)
    read = read_checkpoint("improved-diffusion", path, **PROCESS, key="ema")
    assert read.weights == "ema"
    assert torch.equal(read.tensors["denoiser.conv_in.weight"], 2 * state["input_blocks.0.0.weight"])
    lightning = {"state_dict": prefixed(state, "unet.") | prefixed(double, "average."), "epoch": 1}
    found = imported(saved(tmp_path / "lightning.ckpt", lightning), key="state_dict.unet")
    assert torch.equal(found["denoiser.conv_in.weight"], state["input_blocks.0.0.weight"])
    with pytest.raises(InputError, match=r"option key: found 'em', but no 'em' among the keys step \(int\), model"):
        imported(path, key="em")
    with pytest.raises(InputError, match=r"found no state dict, .* found the keys step \(int\), opt \(dict\)"):
        imported(saved(tmp_path / "opt.pt", {"step": 7, "opt": {"state": {}}}))
    with pytest.raises(InputError, match=r"found two tensors 'a', one of them as 'module.a'"):
        state_of({"a": torch.zeros(1), "module.a": torch.zeros(1)}, "file")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "shards"])
def test_accelerate_s_folder_is_read(state: dict, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "checkpoint-500"
    folder.mkdir()
    torch.save({"state": {}}, folder / "optimizer.bin")
    with pytest.raises(
        InputError, match=r"found a folder with optimizer.bin, expected a file of weights; give its path"
    ):
        imported(folder)
    if name == "shards":
        shards = [dict(list(state.items())[:5]), dict(list(state.items())[5:])]
        names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
        for shard, file in zip(shards, names, strict=True):
            save_file(shard, folder / file)
        places = {tensor: file for shard, file in zip(shards, names, strict=True) for tensor in shard}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    elif name.endswith(".bin"):
        torch.save(state, folder / name)
    else:
        save_file(state, folder / name)
    found = imported(folder)
    assert torch.equal(found["denoiser.conv_in.weight"], state["input_blocks.0.0.weight"])
    if name == "model.safetensors":
        assert imported(folder / name).keys() == found.keys()


def pipeline(folder: Path, **options: object) -> Path:
    diffusers.DDPMPipeline(unet2d("Ho et al."), diffusers.DDPMScheduler()).save_pretrained(folder, **options)
    return folder


def test_shards_and_variants_of_diffusers_are_read(tmp_path: Path) -> None:
    expected = read_checkpoint("diffusers", pipeline(tmp_path / "whole"))
    unet2d("Ho et al.").save_pretrained(tmp_path / "shards" / "unet", max_shard_size="300KB")
    diffusers.DDPMScheduler().save_pretrained(tmp_path / "shards" / "scheduler")
    index = tmp_path / "shards" / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    shards = len(list(index.parent.glob("*-of-*.safetensors")))
    assert shards > 1
    found = read_checkpoint("diffusers", tmp_path / "shards")
    assert len(found.files) == shards + 3
    assert all(torch.equal(value, found.tensors[name]) for name, value in expected.tensors.items())
    half = read_checkpoint("diffusers", pipeline(tmp_path / "half", variant="fp16"))
    assert half.note.startswith("diffusion_pytorch_model.fp16.safetensors")
    assert all(torch.equal(value, half.tensors[name]) for name, value in expected.tensors.items())
    unet = tmp_path / "half" / "unet"
    (unet / "diffusion_pytorch_model.non_ema.safetensors").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"unet: found .*fp16.safetensors, .*non_ema.safetensors, expected one of them"
    ):
        read_checkpoint("diffusers", tmp_path / "half")
    places = json.loads(index.read_text())
    places["weight_map"]["conv_in.weight"] = "../elsewhere.safetensors"
    index.write_text(json.dumps(places))
    with pytest.raises(
        InputError, match=r"found the shard '../elsewhere.safetensors', expected the name of a file besid"
    ):
        read_content(index)
    index.write_text("{}")
    with pytest.raises(InputError, match="found no 'weight_map', expected an index of shards"):
        read_content(index)
