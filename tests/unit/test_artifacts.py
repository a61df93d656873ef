"""Files that appear whole or not at all: their permissions and their temporary names."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from genbench.data import save_samples
from genbench.files.artifacts import atomic_path, write_json
from genbench.files.weights import save_tensors


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    previous = os.umask(request.param)
    yield request.param
    os.umask(previous)


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002], indirect=True, ids=oct)
def test_every_file_has_the_mode_that_the_umask_gives(tmp_path: Path, umask: int) -> None:
    save_tensors(tmp_path / "model.safetensors", {"a": torch.zeros(2)}, {})
    save_tensors(tmp_path / "model.safetensors", {"a": torch.ones(2)}, {})  # also when it replaces another file
    write_json(tmp_path / "info.json", {})
    save_samples(tmp_path / "samples.npz", np.zeros((1, 2, 2, 1), np.uint8), {})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["model.safetensors", "info.json", "samples.npz"], 0o666 & ~umask)


def test_a_writer_finds_no_file_in_its_way(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.txt") as temporary:
        assert not temporary.exists()
        temporary.write_text("a")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
