"""`genbench sample`: its files, their records, and what it refuses."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from entries import IMAGE_SHAPE, MODELS, blobs
from PIL import Image

from genbench import load, sample, show
from genbench.commands import app
from genbench.data import load_images
from genbench.errors import InputError
from genbench.evaluation.sides import Reading, open_side
from genbench.files.artifacts import array_sha256, read_json
from genbench.records.timing import Timing
from genbench.sampling import generation, outputs
from genbench.sampling.draw import fitting_batch_size
from genbench.training.folder import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("ddpm")
    spec = {"model": MODELS["ddpm"], "training": {"steps": 4, "batch_size": 8, "precision": "fp32"}}
    train(spec, *blobs(64), data_sha256="d", seed=0, out=folder / "model.safetensors", device=torch.device("cpu"))
    return folder


@pytest.fixture
def draw(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable:
    """Run `genbench sample` on that run's model with two steps of DDIM, in an empty folder; returns its output."""
    monkeypatch.chdir(tmp_path)

    def drawn(*arguments: object) -> str:
        line = ["sample", run, "--device", "cpu", "--method", "ddim", "--steps", 2, *arguments]
        with pytest.raises(SystemExit) as ended:
            app.call(list(map(str, line)))
        assert not ended.value.code
        return capsys.readouterr().out

    return drawn


def test_one_picture_an_npz_or_a_folder_with_how_they_were_drawn(draw: Callable, run: Path, tmp_path: Path) -> None:
    said = draw("--out", "grid.png", "--seeds", "0:6")
    assert said == "grid.png: 6 images of the seeds 0:6, in batches of 6, NFE 2\n"
    images = sample(load(run), range(6), method="ddim", steps=2)
    with Image.open("grid.png") as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(show(images)))
        records = [json.loads(picture.info["genbench"])]
    draw("--out", "samples.npz", "--seeds", "0:6")
    found, info = load_images("samples.npz")
    assert np.array_equal(found, images)
    assert list(np.load("samples.npz")["seeds"]) == list(range(6))
    draw("--out", "folder", "--seeds", "0:6")
    with Image.open("folder/000004.png") as image:
        assert np.array_equal(np.asarray(image), images[4, ..., 0])
    records += [info, read_json("folder/samples.json")]
    for record in records:
        assert (record["batch_size"], record["seeds"], record["nfe"]) == (6, "0:6", 2)
        assert record["options"] == {"method": "ddim", "steps": 2}
        assert record["samples_sha256"] == info["samples_sha256"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "grid.png", "samples.npz"]


def test_what_genbench_drew_is_drawn_over_and_nothing_else(draw: Callable, tmp_path: Path) -> None:
    for out in ("folder", "grid.png", "samples.npz"):
        draw("--out", out, "--seeds", "0:3")
        draw("--out", out, "--seeds", "2:4")
    assert sorted(path.name for path in Path("folder").iterdir()) == ["000002.png", "000003.png", "samples.json"]
    Image.new("L", (2, 2)).save("mine.png")
    np.savez("mine.npz", arr_0=np.zeros(3))
    Path("mine").mkdir()
    Path("mine/000003.png").write_text("mine")
    Path("mine/notes.txt").write_text("mine")
    for out in ("mine.png", "mine.npz", "mine"):
        with pytest.raises(InputError, match=f"^{out}: it exists, and genbench did not draw it; .*--force$"):
            draw("--out", out, "--seeds", "3:4")
        draw("--out", out, "--seeds", "3:4", "--force")
    assert Path("mine/notes.txt").read_text() == "mine"
    with Image.open("mine/000003.png") as image:
        assert image.size == IMAGE_SHAPE[1:]


def test_a_stopped_drawing_goes_on_where_it_was(draw: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, sample_pixels = [], generation.sample_pixels

    def counted(model: object, seeds: torch.Tensor, *others: object) -> torch.Tensor:
        drawn.append(seeds.tolist())
        if len(drawn) == 2:
            raise KeyboardInterrupt
        return sample_pixels(model, seeds, *others)

    monkeypatch.setattr(generation, "sample_pixels", counted)
    with pytest.raises(KeyboardInterrupt):
        draw("--out", "grid.png", "--seeds", "0:6", "--batch-size", 3)
    assert not Path("grid.png").exists()
    draw("--out", "grid.png", "--seeds", "0:6", "--batch-size", 3)
    assert drawn == [[0, 1, 2], [3, 4, 5], [3, 4, 5], [0]]  # the last measures the time of one image


def write(out: Path, grey: int, seeds: range) -> None:
    """Write images of one grey level with their record, as a model draws them."""
    images = np.full((len(seeds), *IMAGE_SHAPE[1:], 1), grey, np.uint8)
    images[:, 0, 0, 0] = range(seeds.start, seeds.stop)
    about = {"seeds": f"{seeds.start}:{seeds.stop}", "samples_sha256": array_sha256(images)}
    outputs.write_images(out, images, Timing(**about, seconds_per_50k=None, images_per_second=None), seeds)


def opened(folder: Path) -> np.ndarray:
    """The images of a folder, as `genbench evaluate` reads them."""
    images = open_side(folder, "generated images", Reading()).images
    assert images is not None
    return images


@pytest.mark.parametrize("moves", range(11))
def test_a_kill_while_a_folder_is_drawn_over_never_leaves_two_draws_under_a_record(
    moves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(out := tmp_path / "folder", 60, range(3))
    (out / "notes.txt").write_text("mine")
    done = []

    def until_killed(move: Callable[..., None]) -> Callable[..., None]:
        def moved(*paths: Path, **options: bool) -> None:
            if Path(paths[-1]).parent == out:
                done.append(paths)
                if len(done) > moves:
                    raise KeyboardInterrupt
            move(*paths, **options)

        return moved

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(os, "replace", until_killed(os.replace))
        patched.setattr(Path, "unlink", until_killed(Path.unlink))
        patched.setattr(outputs.shutil, "rmtree", lambda *paths, **options: None)  # a killed process removes nothing
        write(out, 90, range(1, 5))
    assert len(done) == min(moves + 1, 10)
    greys = {int(np.asarray(Image.open(path))[1, 1]) for path in out.glob("*.png")}
    assert greys == ({60} if moves < 4 else {90} if moves > 5 else set())
    if moves in (0, 10):  # nothing has changed; all is done
        assert set(opened(out)[:, 1, 1, 0]) == greys == {60 if moves == 0 else 90}
    elif greys:
        with pytest.raises(InputError, match=r"folder: `genbench sample` was stopped while it .*: draw them again$"):
            opened(out)
    assert list(tmp_path.glob(".folder.tmp*"))
    outputs.check_free(out)
    write(out, 120, range(2))
    assert opened(out)[:, 0, 0, 0].tolist() == [0, 1]
    assert sorted(path.name for path in out.iterdir()) == ["000000.png", "000001.png", "notes.txt", "samples.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_is_evaluated_only_with_the_images_of_its_record(tmp_path: Path) -> None:
    write(out := tmp_path / "folder", 60, range(3))
    shutil.copy(out / "000000.png", out / "more.png")
    with pytest.raises(
        InputError, match=r"folder: found 4 images, expected 3, as its samples\.json states: draw them "
    ):
        opened(out)
    (out / "more.png").replace(out / "000001.png")
    with pytest.raises(InputError, match=r"folder: found images with SHA-256 \w+, expected \w+, as its samples\.json "):
        opened(out)
    (out / "samples.json").write_text("{}")  # not genbench's
    assert len(opened(out)) == 3


@pytest.mark.parametrize(
    ("seeds", "size"),
    [((0, 64), 64), ((0, 600), 300), ((10, 74), 74), ((1000, 1064), 71), ((7, 8), 1), ((0, 2000), 500)],
)
def test_a_batch_fits_the_seeds(seeds: tuple[int, int], size: int) -> None:
    assert fitting_batch_size(range(*seeds)) == size


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "dim"], r"key 'method': found 'dim' \(did you mean 'ddim'\?\); expected one of: ddim, ddpm, "),
        (["--option", "etaa=1"], r"unknown key: found 'etaa' \(did you mean 'eta'\?\); expected one of: clip, eta, "),
        (["--option", "eta"], "^--option: found 'eta', expected KEY=VALUE, such as eta=0.5$"),
        (["--option", "eta=[1"], r"^--option: eta: found '\[1', expected a value as in YAML$"),
        (["--steps", "0"], "key 'steps': found 0, expected"),
        (["--seeds", "4"], "^--seeds: expected START:STOP with 0 <= START < STOP, such as 0:50000, found '4'$"),
        (["--device", "gpu"], "Invalid value for '--device'"),
        (["--format", "ddpm"], "format: found 'ddpm'.*; expected one of: callable, dcgan"),
        (["--checkpoint-option", "timesteps=4"], "found the options timesteps, expected them only for other formats"),
        (["--out", "grid.jpg"], "^--out: found 'grid.jpg', expected NAME.png, NAME.npz or a folder"),
    ],
)
def test_bad_values_are_refused_in_one_line(draw: Callable, arguments: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        draw("--out", "grid.png", *arguments)
    assert "\n" not in str(error.value)
