"""Imported networks of NVlabs' EDM draw what generate.py draws."""

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from official_ddgan import uniform, weights
from official_edm import TINY, official_network
from official_improved_diffusion import importable
from safetensors.torch import save_file
from test_edm_official import our_network
from torch import Tensor

from genbench.errors import InputError
from genbench.files.weights import save_tensors
from genbench.importing import import_checkpoint, read_checkpoint
from genbench.importing.export import export_checkpoint
from genbench.importing.nvlabs_edm import DEFAULTS, PRECONDITIONING, official_shapes
from genbench.models import build
from genbench.models.edm import EDM
from genbench.processes.noise import Noise
from genbench.sampling.checkpoint import load_model

PAGE = Path(__file__).parents[2] / "docs/checkpoints.md"
EXPECTED = json.loads((Path(__file__).parents[1] / "support/data/edm.json").read_text(encoding="utf-8"))


def written(path: Path, arguments: dict[str, Any], kind: str = "EDMPrecond") -> Path:
    """Write a file like those that the commands of docs/checkpoints.md write, but without the filters."""
    state = weights(official_shapes(our_network(arguments), arguments["img_resolution"]))
    about = {"class": kind, "arguments": arguments}
    save_file({f"model.{name}": value for name, value in state.items()}, path, {"edm": json.dumps(about)})
    return path


class Latents(Noise):
    """The latents of `official_edm.py`, the same for all seeds."""

    def normal(self, *shape: int) -> Tensor:
        return 2 * uniform("latents", (len(self.seeds), *shape))


def drawn(path: Path, folder: Path) -> Tensor:
    """Return the imported model's images for its first two seeds, whose labels are 0 and 1."""
    import_checkpoint("edm", path, folder / "model.safetensors")
    model, _ = load_model(folder / "model.safetensors")
    assert isinstance(model, EDM)
    with torch.no_grad():
        return model.sample(Latents(torch.arange(2)))


@pytest.mark.parametrize("name", ["DDPM++"])
def test_it_draws_what_generate_drew(name: str, tmp_path: Path) -> None:
    found = drawn(written(tmp_path / "network.safetensors", TINY[name]), tmp_path)
    torch.testing.assert_close(found[:, :, ::3, ::3], torch.tensor(EXPECTED[f"{name}, 18 steps"]), rtol=0, atol=1e-4)


def test_what_is_not_built_here_is_refused(tmp_path: Path) -> None:
    path, arguments = tmp_path / "network.safetensors", TINY["DDPM++"]
    with pytest.raises(InputError, match="found VPPrecond, the preconditioning of a baseline, expected EDMPrecond"):
        read_checkpoint("edm", written(path, arguments, "VPPrecond"))
    with pytest.raises(InputError, match=r"argument sigma_max: found 80\.0, expected inf"):
        read_checkpoint("edm", written(path, arguments | {"sigma_max": 80.0}))
    with pytest.raises(InputError, match="argument depth: not one of EDMPrecond that is known here"):
        read_checkpoint("edm", written(path, arguments | {"depth": 3}))
    save_file({"model.x": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="found no 'edm' in its metadata, which says what the network is; expected a"):
        read_checkpoint("edm", path)
    save_file({"model.x": torch.zeros(1)}, path, {"edm": json.dumps({"class": "EDMPrecond", "arguments": arguments})})
    with pytest.raises(InputError, match=r"missing map_layer0\.weight, .* unexpected x"):
        read_checkpoint("edm", path)
    published = tmp_path / "edm-cifar10-32x32-uncond-vp.pkl"
    published.write_bytes(pickle.dumps({"ema": None}))
    with pytest.raises(InputError, match="NVlabs' own files are pickles, which run code when they are read"):
        read_checkpoint("edm", published)


SONG = {
    "class": "songunet.SongUNet", "embedding": "fourier", "encoder": "residual", "decoder": "skip", "channels": 16,
    "resample_filter": [1, 3, 3, 1], "channel_mult": [1, 2], "num_res_blocks": 1, "dropout": 0.0,
}  # fmt: skip


def saved(folder: Path, **options: Any) -> tuple[Path, EDM]:
    """Save a model.safetensors; returns its path and the model."""
    entry = {"class": "edm.EDM", "sigma_data": 0.25, "denoiser": SONG | options, "num_classes": 3, "augment": 0.1}
    torch.manual_seed(0)
    model = build(entry, (1, 8, 8)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save_tensors(folder / "ours.safetensors", model.state_dict(), {"model": entry, "image_shape": [1, 8, 8]})
    assert isinstance(model, EDM)
    return folder / "ours.safetensors", model


def test_what_is_exported_comes_back_as_it_was(tmp_path: Path) -> None:
    path, model = saved(tmp_path)
    export_checkpoint("edm", path, tmp_path / "theirs.safetensors")
    imported = read_checkpoint("edm", tmp_path / "theirs.safetensors")
    back = build(imported.model, imported.image_shape).eval()
    back.load_state_dict(imported.tensors)
    seeds = Noise(torch.arange(3))
    assert torch.equal(back.sample(seeds, steps=2), model.sample(Noise(torch.arange(3)), steps=2))


def test_networks_that_edm_cannot_express_are_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path, patch_size=2)
    with pytest.raises(InputError, match="key 'patch_size': found 2, which NVlabs' EDMPrecond cannot express"):
        export_checkpoint("edm", path, tmp_path / "theirs.safetensors")
    assert not (tmp_path / "theirs.safetensors").exists()


def test_every_argument_is_listed() -> None:
    section = PAGE.read_text(encoding="utf-8").split("### `edm`: the arguments of")[1].split("\n### ")[0]
    listed = set(re.findall(r"`(\w+)`", section))
    assert {*PRECONDITIONING, *DEFAULTS["SongUNet"], *DEFAULTS["DhariwalUNet"]} <= listed


needs_their_code = pytest.mark.skipif(
    "GENBENCH_EDM_REPO" not in os.environ, reason="GENBENCH_EDM_REPO names no checkout of github.com/NVlabs/edm"
)


def run_documented(containing: str, *arguments: str, folder: Path) -> None:
    """Run the code block of docs/checkpoints.md that contains a text, with NVlabs' checkout importable, in `folder`."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [code for code in blocks if containing in code]
    (folder / "lines.py").write_text(code, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.environ["GENBENCH_EDM_REPO"]}
    subprocess.run([sys.executable, "lines.py", *arguments], cwd=folder, env=environment, check=True)


@pytest.mark.slow
@needs_their_code
def test_the_documented_lines_write_what_is_imported(tmp_path: Path) -> None:
    repository = os.environ["GENBENCH_EDM_REPO"]
    network = official_network(repository, TINY["DDPM++"])
    with importable(repository):
        (tmp_path / "network.pkl").write_bytes(pickle.dumps({"ema": network}))
    run_documented("dnnlib", "network.pkl", "network.safetensors", folder=tmp_path)
    found = drawn(tmp_path / "network.safetensors", tmp_path)
    torch.testing.assert_close(found[:, :, ::3, ::3], torch.tensor(EXPECTED["DDPM++, 18 steps"]), rtol=0, atol=1e-4)


@pytest.mark.slow
@needs_their_code
def test_the_documented_lines_give_them_a_model_of_ours(tmp_path: Path) -> None:
    path, model = saved(tmp_path)
    export_checkpoint("edm", path, tmp_path / "ours-for-them.safetensors")
    run_documented("EDMPrecond(", "ours-for-them.safetensors", "network.pkl", folder=tmp_path)
    with importable(os.environ["GENBENCH_EDM_REPO"]):
        network = pickle.loads((tmp_path / "network.pkl").read_bytes())["ema"].eval()
    x, sigma, labels = 3 * uniform("x", (3, 1, 8, 8)), torch.tensor([0.1, 1.0, 10.0]), torch.eye(3)
    with torch.no_grad():
        torch.testing.assert_close(model.denoise(x, sigma, labels), network(x, sigma, labels), rtol=0, atol=1e-5)
