"""Suites on a user's own images: preflight's errors for data sets without labels or without held-out images."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from entries import MODELS
from PIL import Image

from genbench.errors import InputError
from genbench.suites.load import load_suite
from genbench.suites.preflight import check_suite


def written(folder: Path, evaluation: dict | None = None, data: dict | None = None, **model: Any) -> Path:
    """Write a suite with 2,400 unlabelled images and 3,000 samples, enough for every metric; returns its path."""
    content = io.BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(content, "PNG")
    with zipfile.ZipFile(folder / "real.zip", "w") as archive:
        for i in range(2400):
            archive.writestr(f"{i}.png", content.getvalue())
    np.savez(folder / "s.npz", np.random.default_rng(0).integers(0, 256, (3000, 16, 16, 1), np.uint8))
    suite = {"title": "Toy", "dataset": {"source": "folder", "path": "real.zip", **(data or {})}, "num_samples": 3000}
    suite |= {"models": {"x": model or {"samples": "s.npz"}}} | ({"evaluation": evaluation} if evaluation else {})
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(suite))
    return path


def test_images_without_labels_have_extractors_that_the_error_names(tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(InputError, match=r"found 'classifier' \(the default\).*the data set has 1: write") as caught:
        check_suite(load_suite(path), str(tmp_path), str(path))
    advice = re.search(r"write evaluation: (\{[^}]*\})", str(caught.value))
    assert advice is not None
    path = written(tmp_path, yaml.safe_load(advice[1]))
    check_suite(load_suite(path), str(tmp_path), str(path))


@pytest.mark.parametrize(("extractors", "headline"), [(["dinov2"], "fd_dinov2"), (["inception-clean"], "fid_clean")])
def test_the_headline_is_by_default_one_that_there_is(tmp_path: Path, extractors: list, headline: str) -> None:
    path = written(tmp_path, {"extractors": extractors})
    assert load_suite(path)["evaluation"]["headline"] == headline
    check_suite(load_suite(path), str(tmp_path), str(path))
    assert load_suite(written(tmp_path))["evaluation"]["headline"] == "fd_classifier"


INCEPTION = {"extractors": ["inception-clean"], "headline": "fid_clean"}
TRAINING = {"steps": 10, "batch_size": 8}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"model": MODELS["vae"], "training": {**TRAINING, "validate_every": 5}}, "training: validate_every"),
        ({"model": MODELS["ddpm"], "training": TRAINING, "likelihood": {"images": 4}}, "likelihood"),
        ({"model": MODELS["cold"], "training": TRAINING, "samplers": {"r": {"mode": "reconstruct"}}}, "samplers: r"),
    ],
)
def test_what_needs_held_out_images_is_refused_where_there_are_none(tmp_path: Path, model: dict, message: str) -> None:
    path = written(tmp_path, INCEPTION, {"test_fraction": 0}, **model)
    with pytest.raises(InputError, match=f"models: x: {message}: needs held-out images, and the data set has none"):
        check_suite(load_suite(path), str(tmp_path), str(path))


@pytest.mark.parametrize("model", [{}, {"model": MODELS["vae"], "training": TRAINING}])
def test_all_images_may_be_the_reference(tmp_path: Path, model: dict) -> None:
    path = written(tmp_path, INCEPTION, {"test_fraction": 0}, **model)
    data, _ = check_suite(load_suite(path), str(tmp_path), str(path))
    assert (data.num_train, data.num_test) == (2400, 0)
