"""Samples and checkpoints from elsewhere: what serves goes into the table, what does not is named."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from entries import MODELS, blobs
from PIL import Image

from genbench.data.given import given_samples
from genbench.errors import InputError
from genbench.suites.load import load_suite
from genbench.suites.preflight import preflight

ROOT = Path(__file__).parents[2]
IMAGES = blobs(30)[0]  # uint8 (30, 16, 16, 1)
SHAPE = (1, 16, 16)


def test_an_npz_in_openai_s_form_gives_its_first_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", IMAGES)  # OpenAI's scripts name nothing: the key is arr_0
    images, info = given_samples(tmp_path / "s.npz", 20, SHAPE)
    assert np.array_equal(images, IMAGES[:20])
    assert (info["source"], info["lossy"]) == ("s.npz", False)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path, suffix: str) -> None:
    for i, image in enumerate(IMAGES):
        Image.fromarray(image[:, :, 0]).save(tmp_path / f"{i}.{suffix}", quality=95)
    images, info = given_samples(tmp_path, 12, SHAPE)
    distance = np.abs(images[:, None].astype(int) - IMAGES[None, :12].astype(int)).mean((2, 3, 4))
    assert distance.argmin(1).tolist() == list(range(12))
    assert np.array_equal(images, IMAGES[:12]) == (suffix == "png")
    assert info["lossy"] == (suffix == "jpg")  # JPEG changes FID: it is told


@pytest.mark.parametrize(
    ("arrays", "count", "message"),
    [
        ({"arr_0": IMAGES}, 31, r"s.npz: found 30 images, expected at least 31"),
        ({"arr_0": IMAGES / 255 - 0.5}, 9, r"s.npz: found float64 images .*expected uint8"),
        ({"arr_0": IMAGES.repeat(3, 3)}, 9, r"\(H, W, C\) = \(16, 16, 3\), expected uint8 \(16, 16, 1\)"),
        ({"arr_0": IMAGES.transpose(0, 3, 1, 2)}, 9, r"\(H, W, C\) = \(1, 16, 16\), expected"),
        ({"arr_0": IMAGES[0]}, 9, r"arr_0: found shape \(16, 16, 1\), expected \(N, H, W, C\)"),
        ({"x": IMAGES}, 9, r"found neither of the keys arr_0"),
        ({"arr_0": np.array([{}])}, 9, r"s.npz: not an npz file, or damaged"),
        (None, 9, r"s.npz: not an npz file, or damaged"),
    ],
)
def test_what_does_not_serve_is_named(tmp_path: Path, arrays: dict | None, count: int, message: str) -> None:
    if arrays is None:
        (tmp_path / "s.npz").write_bytes(b"PK\x03\x04 no archive")
    else:
        np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(InputError, match=message):
        given_samples(tmp_path / "s.npz", count, SHAPE)


def test_the_script_writes_what_sampling_writes(tmp_path: Path) -> None:
    from genbench.data.image_set import make_image_set, save_image_set

    real = make_image_set(*blobs(8), list("abcd"), dataset="b", split="test", source="t", source_sha256="s")
    save_image_set(tmp_path / "real.npz", real)
    np.savez(tmp_path / "s.npz", IMAGES)
    names = {"--out": "out.npz", "--timing": "timing.json", "--grid": "grid.png"}
    command = [sys.executable, str(ROOT / "scripts/import_samples.py"), "--in", "s.npz", "--limit", "25"]
    command += ["--like", "real.npz", *(part for pair in names.items() for part in pair)]
    subprocess.run(command, cwd=tmp_path, check=True)
    with np.load(tmp_path / "out.npz") as arrays:
        assert np.array_equal(arrays["arr_0"], IMAGES[:25])
    timing = json.loads((tmp_path / "timing.json").read_text())
    assert timing["given"]
    assert timing["seconds_per_50k"] is None
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (178, 52)


TRAINED = {"model": MODELS["vae"], "training": {"steps": 10, "batch_size": 8}}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"model": MODELS["vae"]},
            "models: x: found model of the keys that say what this is; expected model and train",
        ),
        ({}, "models: x: found none of the keys"),
        (TRAINED | {"samples": "s.npz"}, "models: x: found model, training, samples of the keys"),
        ({"samples": "nothing.npz"}, r"models: x: samples: .*'nothing.npz'"),
        ({"samples": "s.npz"}, r"models: x: samples: .*s.npz: found 30 images, expected at least 1,000"),
        ({"samples": "s.npz", "snapshots": [1]}, "models: x: snapshots: found .* nothing is trained here"),
        ({"samples": "s.npz", "samplers": {"a": {}}}, "models: x: samplers: .*already drawn"),
        ({"pretrained": {"format": "ddgan"}}, "models: x: pretrained: key 'path' is missing"),
        ({"pretrained": {"format": "ddgun", "path": "s.npz"}}, "models: x: pretrained: format: found 'ddgun'"),
        ({"pretrained": {"format": "ddgan", "path": "none.pth"}}, "models: x: pretrained: .*'none.pth'"),
        ({"pretrained": {"format": "ddgan", "path": "s.npz"}}, "models: x: pretrained: .*s.npz"),
    ],
)
def test_entries_of_other_kinds_are_checked_before_anything_runs(tmp_path: Path, entry: dict, message: str) -> None:
    np.savez(tmp_path / "s.npz", IMAGES)
    path = tmp_path / "toy.yaml"
    suite = {"title": "Toy", "dataset": {"source": "demo"}, "num_samples": 1000, "models": {"x": entry}}
    path.write_text(yaml.safe_dump(suite))
    with pytest.raises(InputError, match=message) as caught:
        preflight(load_suite(path), str(tmp_path), str(path))
    assert "\n" not in str(caught.value)


def test_given_samples_have_a_row_and_one_seed(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", np.zeros((1000, 28, 28, 1), np.uint8))
    path = tmp_path / "toy.yaml"
    models = {"x": {"samples": "s.npz"}, "vae": TRAINED}
    suite = {"title": "Toy", "dataset": {"source": "demo"}, "num_samples": 1000, "seeds": [3, 4], "models": models}
    path.write_text(yaml.safe_dump(suite))
    found = preflight(load_suite(path), str(tmp_path), str(path)).models
    assert (found["x"].seeds, found["vae"].seeds) == ([3], [3, 4])
    assert list(found["x"].samplers) == ["given"]
