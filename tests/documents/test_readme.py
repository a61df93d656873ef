"""What the README shows works as it stands."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from entries import IMAGE_SHAPE, blobs

from genbench import own_code
from genbench.data.description import Description
from genbench.processes.noise import Noise
from genbench.sampling.checkpoint import load_model
from genbench.suites.entries import check_entry
from genbench.training.folder import train

DATA = Description("blobs", "Blobs", *IMAGE_SHAPE[1:], IMAGE_SHAPE[0], 4, 32, 8)
README = (Path(__file__).parents[2] / "README.md").read_text()


def block(language: str, containing: str) -> str:
    """The code block of the README that contains a text."""
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if containing in code]
    return str(found)


@pytest.fixture
def flow(tmp_path: Path) -> dict:
    """The README's own family in a file of its own, and its entry, narrowed."""
    (tmp_path / "flow.py").write_text(block("python", "class Flow"))
    entry = own_code.complete(yaml.safe_load(block("yaml", "flow.py:Flow"))["flow"], tmp_path)
    entry["model"]["velocity"] |= {"channels": 8, "norm_groups": 4}
    entry["training"] |= {"steps": 6, "batch_size": 8}
    return entry | {"label": "Flow", "description": "", "snapshots": [], "pictures": [], "sample_batch_size": 8}


def test_the_family_of_the_readme_passes_preflight_trains_and_samples(flow: dict, tmp_path: Path) -> None:
    found = check_entry(flow, DATA)
    assert {name: cost["nfe"] for name, cost in found["samplers"].items()} == {"euler-50": 50, "euler-10": 10}
    out = tmp_path / "model.safetensors"
    train(flow, *blobs(32), data_sha256="d", seed=0, out=out, device=torch.device("cpu"))
    model, _ = load_model(out)
    images = model.sample(Noise(torch.arange(3)), steps=4)
    assert images.shape == (3, *IMAGE_SHAPE)
    torch.testing.assert_close(model.sample(Noise(torch.arange(1, 3)), steps=4), images[1:], rtol=0, atol=1e-4)


def test_a_perfect_velocity_flows_straight_to_the_data(flow: dict) -> None:
    from genbench.models import build

    model = build(flow["model"], IMAGE_SHAPE)
    x0 = torch.zeros(2, *IMAGE_SHAPE) + 0.3
    start = Noise(torch.arange(2)).normal(*IMAGE_SHAPE)
    model.velocity.register_forward_hook(lambda module, inputs, output: start - x0)
    torch.testing.assert_close(model.sample(Noise(torch.arange(2)), steps=7), x0, rtol=0, atol=1e-5)


def test_every_file_that_the_readme_names_exists() -> None:
    root = Path(__file__).parents[2]
    names = set(re.findall(r"`((?:genbench|suites|scripts|envs|tools)/[\w/.-]*)`", README))
    assert len(names) >= 6
    assert [name for name in names if not (root / name).exists()] == []
