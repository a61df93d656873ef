"""The advice in messages works, and never costs the user a file that genbench did not make."""

import os
import re
import shlex
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from packaging.version import Version

from genbench.data.as_found import as_images
from genbench.data.given import given_samples
from genbench.data.image_set import load_image_set
from genbench.data.objects import read_labels
from genbench.data.samples import load_images
from genbench.errors import InputError
from genbench.features import load_features
from genbench.files.artifacts import read_json, write_json
from genbench.files.npz import read_npz
from genbench.files.weights import load_tensors, load_torch_file
from genbench.machine.extras import PACKAGES, install

ROOT = Path(__file__).parents[2]
READERS: dict[str, Callable[[Path], Any]] = {
    "samples.npz": load_images,
    "train.npz": load_image_set,
    "features.npz": load_features,
    "arrays.npz": lambda path: read_npz(path, ["features"], ours=True),
    "model.safetensors": load_tensors,
    "record.json": read_json,
}


def refusal(read: Callable[[Path], Any], path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"{path}: ")
    return said


@pytest.mark.parametrize("name", READERS)
def test_nobody_is_told_to_remove_a_folder_or_a_device(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    assert not re.search(r"\brm\b|delete", refusal(READERS[name], tmp_path / name))
    (device := tmp_path / f"device-{name}").symlink_to(os.devnull)
    assert not re.search(r"\brm\b|delete", refusal(READERS[name], device))
    (file := tmp_path / f"broken-{name}").write_bytes(b"PK broken")
    assert f"if genbench wrote it, delete it and run again: rm {file}" in refusal(READERS[name], file)


def test_nor_a_file_that_is_the_user_s_in_any_case(tmp_path: Path) -> None:
    (path := tmp_path / "labels.json").write_text("[")
    assert not re.search(r"\brm\b|delete", refusal(read_labels, path))


def test_a_changed_record_is_one_that_genbench_wrote(tmp_path: Path) -> None:
    write_json(path := tmp_path / "a record.json", {"fid": 3})
    path.write_text(path.read_text().replace("3", "2", 1))
    assert refusal(read_json, path).endswith(f"; delete it and run again: rm '{path}'")


def test_a_plan_is_deleted_with_the_page_without_which_a_run_has_nothing_to_do(tmp_path: Path) -> None:
    (path := tmp_path / "demo/preflight.json").parent.mkdir()
    path.write_text("{")
    assert refusal(read_json, path).endswith(f", delete it and run again: rm {path}")
    (page := tmp_path / "report/demo.html").parent.mkdir()
    page.touch()
    assert refusal(read_json, path).endswith(f", delete it and the suite's page, and run again: rm {path} {page}")


def test_arrays_in_the_place_of_a_checkpoint_are_named_and_the_way_on_works(tmp_path: Path) -> None:
    weights = {"conv.weight": np.ones((2, 3), np.float32), "conv.bias": np.zeros(2, np.float32)}
    np.savez(given := tmp_path / "a.npz", **weights)
    said = refusal(load_torch_file, given)
    assert "found arrays of NumPy (an npz of conv.weight, conv.bias), expected a PyTorch file; of weights, " in said
    new = tmp_path / "a.pt"
    remedy = said.rpartition("; of weights, write ")[2].replace("FILE", repr(str(given))).replace("NEW", repr(str(new)))
    exec(remedy, {"torch": torch, "numpy": np})  # exactly as the message shows it
    found = load_torch_file(new)
    assert {name: tuple(value.shape) for name, value in found.items()} == {"conv.weight": (2, 3), "conv.bias": (2,)}
    np.save(array := tmp_path / "a.npy", weights["conv.bias"])
    assert "found an array of NumPy (.npy), expected a PyTorch file" in refusal(load_torch_file, array)


@pytest.mark.parametrize("extra", PACKAGES)
def test_the_packages_of_an_extra_are_those_of_the_project(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    command, _, in_checkout = install(extra).partition("; in a checkout, ")
    assert shlex.split(command)[:2] == ["pip", "install"]
    assert shlex.split(command)[2:] == project["project"]["optional-dependencies"][extra]
    assert in_checkout == f"uv sync --extra {extra}"
    for package in shlex.split(command)[2:]:
        name, _, smallest = package.partition(">=")
        assert Version(version(name)) >= Version(smallest)  # the tests run with what the command installs


@pytest.mark.parametrize(
    "values",
    [
        np.array([0, 65535], np.uint16),
        np.array([0, 1], np.float32),
        np.array([-1, 1], np.float32),
        np.array([-0.5, 0.5], np.float32),
        np.array([-1e-6, 1.02], np.float32),  # a smooth resize goes a little beyond black and white
        np.array([-1.04, 1.01], np.float32),
        np.array([0, 65535], np.int32),
    ],
)
def test_the_advised_conversion_keeps_black_and_white(values: np.ndarray, tmp_path: Path) -> None:
    images = np.broadcast_to(values[:, None, None, None], (2, 4, 4, 3)).copy()
    np.save(path := tmp_path / "a.npy", images)
    said = refusal(lambda given: given_samples(given, 2, (3, 4, 4)), path)
    found = eval(said.rpartition("write ")[2].removesuffix(" instead"), {"images": images})
    assert found.dtype == np.uint8
    assert found[0, 0, 0, 0] <= 2
    assert found[1, 0, 0, 0] >= 253


@pytest.mark.parametrize("values", [[0, 4095], [-3, 3], [0, 1000.5]])
def test_a_range_that_belongs_to_no_known_one_gets_no_conversion(values: list[float]) -> None:
    images = np.broadcast_to(np.array(values)[:, None, None, None], (2, 4, 4, 3))
    with pytest.raises(InputError, match=r"expected uint8 of 0 to 255$"):
        as_images(images)
