"""Networks of NVlabs' EDM become models of ours, which draw what generate.py draws."""

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
from official_edm import DDPMPP, TINY, importable, official_network
from safetensors.torch import save_file
from test_edm_official import our_network
from torch import Tensor

from genbench.errors import InputError
from genbench.importing import import_checkpoint, read_checkpoint
from genbench.importing.nvlabs_edm import DEFAULTS, PRECONDITIONING, official_shapes
from genbench.models.edm import EDM
from genbench.processes.noise import Noise
from genbench.sampling.checkpoint import load_model

PAGE = Path(__file__).parents[2] / "docs/checkpoints.md"
EXPECTED = json.loads((Path(__file__).parents[1] / "support/data/edm.json").read_text(encoding="utf-8"))


def written(path: Path, arguments: dict[str, Any], kind: str = "EDMPrecond") -> Path:
    """A file as the lines of docs/checkpoints.md write it, but for the filters."""
    state = weights(official_shapes(our_network(arguments), arguments["img_resolution"]))
    about = {"class": kind, "arguments": arguments}
    save_file({f"model.{name}": value for name, value in state.items()}, path, {"edm": json.dumps(about)})
    return path


class Latents(Noise):
    """The latents of `official_edm.py`, whatever the seeds."""

    def normal(self, *shape: int) -> Tensor:
        return 2 * uniform("latents", (len(self.seeds), *shape))


def drawn(path: Path, folder: Path) -> Tensor:
    """What the imported model draws for its first two seeds, whose labels are 0 and 1."""
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


def test_every_argument_is_listed() -> None:
    section = PAGE.read_text(encoding="utf-8").split("### `edm`: the arguments of")[1].split("\n### ")[0]
    listed = set(re.findall(r"`(\w+)`", section))
    assert {*PRECONDITIONING, *DEFAULTS["SongUNet"], *DEFAULTS["DhariwalUNet"]} <= listed


@pytest.mark.slow
@pytest.mark.skipif(
    "GENBENCH_EDM_REPO" not in os.environ, reason="GENBENCH_EDM_REPO names no checkout of github.com/NVlabs/edm"
)
def test_the_documented_lines_write_what_is_imported(tmp_path: Path) -> None:
    repository = os.environ["GENBENCH_EDM_REPO"]
    arguments = DDPMPP | TINY["DDPM++"]
    network = official_network(repository, arguments)
    with importable(repository):
        (tmp_path / "network.pkl").write_bytes(pickle.dumps({"ema": network}))
    (code,) = [
        code
        for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        if "dnnlib" in code
    ]
    (tmp_path / "to_safetensors.py").write_text(code, encoding="utf-8")
    subprocess.run(
        [sys.executable, "to_safetensors.py", "network.pkl", "network.safetensors"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": repository},
        check=True,
    )
    found = drawn(tmp_path / "network.safetensors", tmp_path)
    torch.testing.assert_close(found[:, :, ::3, ::3], torch.tensor(EXPECTED["DDPM++, 18 steps"]), rtol=0, atol=1e-4)
