"""The programs and the notebook of examples/, and the Python code of README.md and docs/api.md, run unchanged.

The tests only shorten trainings and samplers to a few steps.
"""

import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import nbclient
import nbformat
import numpy as np
import pytest
from checkouts import ROOT
from entries import blobs
from PIL import Image

from genbench import api

EXAMPLES = ROOT / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))


def python_of(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder in which to run a program; trainings and samplers take three steps."""

    def shortened(function: Callable[..., Any], always: bool) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            return function(*arguments, **options | ({"steps": 3} if always or "steps" in options else {}))

        return called

    monkeypatch.setattr(api, "train", shortened(api.train, always=True))
    monkeypatch.setattr(api, "sample", shortened(api.sample, always=False))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def program(few_steps: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a program of examples/; returns what it prints."""

    def ran(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return ran


def size_of(picture: str) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def save_images(folder: Path, seed: int, count: int = 12) -> Path:
    folder.mkdir()
    for number, image in enumerate(blobs(count, seed, 32)[0]):
        Image.fromarray(image[..., 0]).convert("RGB").save(folder / f"{number}.png")
    return folder


def test_programs_and_the_first_one_of_the_readme_are_short() -> None:
    assert [path.stem for path in PROGRAMS] == [
        "fid_of_two_folders", "own_data", "own_model", "published_checkpoint", "quickstart",
    ]  # fmt: skip
    for path in PROGRAMS:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 40, path.name
    assert len(python_of("README.md")[0].splitlines()) <= 12


def test_quickstart(program: Callable[..., str]) -> None:
    assert program("quickstart.py").endswith("digits.png: 64 images\n")
    assert size_of("digits.png") == (238, 238)
    assert (Path("quickstart") / "model.safetensors").exists()


def test_own_model(program: Callable[..., str]) -> None:
    program("own_model.py")
    assert size_of("imle.png") == (238, 238)


def test_own_data(program: Callable[..., str], few_steps: Path) -> None:
    assert "64 images" in program("own_data.py", save_images(few_steps / "mine", 0, 40), 5)
    assert size_of("own_data.png") == (270, 270)


def test_published_checkpoint(program: Callable[..., str], few_steps: Path) -> None:
    unet = diffusers.UNet2DModel(
        sample_size=8, block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler(num_train_timesteps=60)).save_pretrained("theirs")
    said = program("published_checkpoint.py", "theirs")
    assert said == f"published.png: 16 images of Diffusion, {unet.num_parameters():,} parameters\n"
    assert size_of("published.png") == (38, 38)
    unet.save_pretrained("network")  # without the noise schedule
    program("published_checkpoint.py", "network", "diffusers", "timesteps=60", "schedule=linear", "prediction=eps")


def test_fid_of_two_folders(program: Callable[..., str], few_steps: Path) -> None:
    fake, real = save_images(few_steps / "fake", 1), save_images(few_steps / "real", 2)
    said = program("fid_of_two_folders.py", fake, real, "efficientnet")
    assert re.search(r"^precision_efficientnet  Precision .* 12 +12$", said, re.MULTILINE), said
    assert "FD is left out: too few images" in said


def test_the_python_of_the_readme(few_steps: Path) -> None:
    exec(python_of("README.md")[0], {})
    assert size_of("digits.png") == (238, 238)


def test_the_python_of_the_page_about_it(few_steps: Path) -> None:
    (few_steps / "imle.py").write_text(next(code for code in python_of("README.md") if "class IMLE" in code))
    api.train(api.load_suite("demo"), "ddpm", folder="results/demo/ddpm/seed0")
    np.save("images.npy", blobs(200)[0])
    save_images(few_steps / "birds.zip", 0, 200)  # a folder, despite its name
    codes = python_of("docs/api.md")
    assert len(codes) == 4
    for code in codes:
        exec(code, {})
    assert Path("birds/vae/model.safetensors").exists()


def test_the_notebook_draws_from_a_finished_run_in_a_real_kernel(few_steps: Path) -> None:
    for name in ("vae", "ddpm"):
        suite = api.load_suite("demo")
        api.train(suite, name, folder=few_steps / f"results/demo/{name}/seed0")
    notebook = nbformat.read(EXAMPLES / "load_and_play.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)  # as committed
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(few_steps)}}).execute()
    first, chosen, all_of_them, _ = (cell.outputs for cell in cells)
    assert "demo/ddpm/seed0: Diffusion, " in first[0].text
    assert "demo/vae/seed0: VAE, " in first[0].text
    assert any("image/png" in output.get("data", {}) for output in chosen)
    assert any("64/64" in str(output) for output in chosen)  # the progress bar
    assert sum("image/png" in output.get("data", {}) for output in all_of_them) == 2
