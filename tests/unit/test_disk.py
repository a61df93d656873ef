"""Disk space: features that are deleted, what can be removed, and folders on another disk."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from genbench.errors import InputError
from genbench.features.files import save_features
from genbench.files.cleaning import removable, remove
from genbench.files.roots import link
from genbench.machine.checkout import ROOT
from genbench.metrics import Features
from genbench.suites.load import load_suite
from genbench.suites.runs import keeps_features


def test_features_stay_where_they_are_small() -> None:
    demo, cifar = (load_suite(ROOT / f"suites/{name}.yaml") for name in ("demo", "cifar10"))
    assert keeps_features(demo, None)
    assert not keeps_features(demo, False)
    assert not keeps_features(cifar, None)  # 185 GB
    assert keeps_features(cifar, True)


def features(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    info = {"extractor": {"name": "classifier", "sha256": "x"}, "images_sha256": "y"}
    save_features(path, Features(np.ones((3, 4), np.float32), None, info, "", None))
    return path


def test_only_what_genbench_made_and_can_make_again_is_removed(tmp_path: Path) -> None:
    draw = tmp_path / "results/toy/vae/seed0/final/default"
    made = features(draw / "features/classifier.npz")
    own = draw / "features/mine.npz"
    np.savez(own, features=np.ones(3))
    (draw / "features/notes.npz").write_text("no npz")
    waiting = features(tmp_path / "results/toy/vae/seed1/final/default/features/classifier.npz")  # no metrics yet
    (draw / "metrics.json").write_text("{}")
    (draw / "samples.npz").write_bytes(b"samples")
    real = features(tmp_path / "resources/demo/features/train-classifier.npz")
    (tmp_path / "resources/.preflight").mkdir()
    (tmp_path / "resources/.preflight/theirs.json").write_text("{}")
    found = list(removable(tmp_path))
    assert [one.path for one in found] == [made, real]
    assert all(one.size == one.path.stat().st_size for one in found)
    for one in found:
        remove(one)
    assert not made.exists()
    assert all(path.exists() for path in (own, waiting, draw / "samples.npz", draw / "metrics.json"))


def test_results_link_to_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    link("results", None)
    assert not Path("results").exists()
    for _ in range(2):  # the second run finds the link
        link("results", str(tmp_path / "scratch/results"))
    Path("results/x").write_text("x")
    assert (tmp_path / "scratch/results/x").read_text() == "x"
    shutil.rmtree(tmp_path / "scratch")  # scratch disks are cleared
    link("results", str(tmp_path / "scratch/results"))
    assert Path("results").is_dir()
    Path("resources").mkdir()
    with pytest.raises(
        InputError, match=r"config: resources_root: found \./resources here already, expected none, or a"
    ):
        link("resources", str(tmp_path / "scratch/resources"))
