"""The README's examples work unchanged."""

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
    """Return the code block of the README that contains a text."""
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if containing in code]
    return str(found)


@pytest.fixture
def imle(tmp_path: Path) -> dict:
    """The README's example family, written to a file, and its entry with fewer channels."""
    (tmp_path / "imle.py").write_text(block("python", "class IMLE"))
    entry = own_code.complete(yaml.safe_load(block("yaml", "imle.py:IMLE"))["imle"], tmp_path)
    entry["model"]["generator"] |= {"channels": 8}
    entry["training"] |= {"steps": 6, "batch_size": 8}
    texts = {"label": "IMLE", "description": ""}
    return entry | texts | {"snapshots": [], "pictures": [], "samplers": {"default": {}}, "sample_batch_size": 8}


def test_the_family_of_the_readme_passes_preflight_trains_and_samples(imle: dict, tmp_path: Path) -> None:
    found = check_entry(imle, DATA)
    assert {name: cost["nfe"] for name, cost in found["samplers"].items()} == {"default": 1}
    out = tmp_path / "model.safetensors"
    train(imle, *blobs(32), data_sha256="d", seed=0, out=out, device=torch.device("cpu"))
    model, _ = load_model(out)
    images = model.sample(Noise(torch.arange(3)))
    assert images.shape == (3, *IMAGE_SHAPE)
    torch.testing.assert_close(model.sample(Noise(torch.arange(1, 3))), images[1:], rtol=0, atol=1e-4)


def test_the_loss_of_the_readmes_family_is_the_distance_to_the_nearest_candidate(imle: dict) -> None:
    from genbench.models import Batch, build

    model = build(imle["model"], IMAGE_SHAPE).eval()
    images = torch.from_numpy(blobs(3)[0]).permute(0, 3, 1, 2) / 127.5 - 1
    ((name, loss),) = model.losses(Batch(images, torch.zeros(3, dtype=torch.int64), Noise(torch.arange(3))), 0)
    distances = [
        min((model.generator(z[None])[0] - image).square().sum() for z in candidates)
        for image, candidates in zip(images, Noise(torch.arange(3)).normal(20, 16), strict=True)
    ]
    assert name == "generator"
    torch.testing.assert_close(loss, torch.stack(distances).mean())


def test_every_file_that_the_readme_names_exists() -> None:
    root = Path(__file__).parents[2]
    names = set(re.findall(r"`((?:genbench|suites|scripts|envs|tools)/[\w/.-]*)`", README))
    assert len(names) >= 6
    assert [name for name in names if not (root / name).exists()] == []
