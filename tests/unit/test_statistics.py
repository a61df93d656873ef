"""Statistics of the reference are kept in a file, change no metric, and are not used for another reference."""

import logging
from pathlib import Path

import numpy as np
import pytest

from genbench.errors import InputError
from genbench.features import load_features, save_features
from genbench.features import statistics as kept_file
from genbench.features.evaluation import evaluate_files
from genbench.metrics import Features, fid, neighbours

OPTIONS = {"kid_subsets": 3, "kid_subset_size": 50, "splits": 2, "fd_infinity_sizes": 10}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Files of features of real, generated, test and other real images; "kept" has the statistics of the first."""
    random = np.random.default_rng(0)
    paths = {name: tmp_path / f"{name}.npz" for name in ("real", "fake", "test", "other", "kept")}
    for number, name in enumerate(("real", "fake", "test", "other")):
        found = random.normal(size=(100, 6)).astype(np.float32)
        info = {"extractor": {"name": "classifier", "sha256": "ce" * 32}, "images_sha256": f"{number:064x}"}
        save_features(paths[name], Features(found, random.normal(size=(100, 3)).astype(np.float32), info))
    evaluate_files([paths["real"]], [paths["test"]], options=OPTIONS, write_statistics=paths["kept"])
    return paths


def metrics(files: dict[str, Path], real: str = "real", kept: bool = True, test: bool = True, **options) -> dict:
    record = evaluate_files(
        [files[real]],
        [files["fake"]],
        [files["test"]] if test else None,
        options=OPTIONS | options,
        statistics=files["kept"] if kept else None,
    )
    return record.content()["metrics"]


@pytest.mark.parametrize("test", [True, False])
def test_numbers_are_the_same_with_and_without_the_file(files, test):
    found = metrics(files, test=test)
    assert ("memorised_classifier" in found) == test
    assert found == metrics(files, kept=False, test=test)


def test_with_the_file_nothing_is_computed_of_real_and_test_images_only(files, monkeypatch):
    sets = []
    tiles, statistics = neighbours.distance_tiles, fid._statistics
    monkeypatch.setattr(neighbours, "distance_tiles", lambda x, y, *a: sets.append("neighbours") or tiles(x, y, *a))
    monkeypatch.setattr(fid, "_statistics", lambda features: sets.append("statistics") or statistics(features))
    metrics(files)
    assert sets == ["statistics", "neighbours"]  # only of generated images
    sets.clear()
    metrics(files, kept=False)
    assert sets == ["statistics", "statistics", "neighbours", "neighbours"]


@pytest.mark.parametrize(("changed", "said"), [("real", "real"), ("nearest_k", "options"), ("code", "code")])
def test_what_is_kept_of_another_reference_is_computed_again(files, changed, said, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    asked = {"real": "other"} if changed == "real" else {"nearest_k": 2} if changed == "nearest_k" else {}
    if changed == "code":
        monkeypatch.setattr(kept_file, "code_sha256", lambda kind: "of a later version")
    assert metrics(files, **asked) == metrics(files, kept=False, **asked)
    assert f"kept.npz: other {said} than this evaluation's: computed again" in caplog.text


def test_training_images_are_no_test_images_of_later_rows(files):
    evaluate_files([files["real"]], [files["real"]], options=OPTIONS, write_statistics=files["kept"])
    assert metrics(files, test=False) == metrics(files, kept=False, test=False)


def test_of_a_subset_metrics_are_those_of_its_images_and_statistics_those_of_all(files, tmp_path):
    def of(fake: Path, subset: int | None, kept: Path) -> dict:
        record = evaluate_files(
            [files["real"]], [fake], options=OPTIONS, subset=subset, write_statistics=kept
        ).content()
        return record["metrics"] | {"num_fake": record["num_fake"]}

    test = load_features(files["test"])
    chosen = np.sort(np.random.default_rng(0).permutation(100)[:60])
    save_features(files["other"], Features(test.features[chosen], test.logits[chosen], test.info))
    found = of(files["test"], 60, tmp_path / "of_all.npz")
    assert found == of(files["other"], None, tmp_path / "of_these.npz")
    assert found["num_fake"] == 60
    assert (tmp_path / "of_all.npz").read_bytes() == files["kept"].read_bytes()
    assert of(files["test"], 1000, tmp_path / "more.npz")["num_fake"] == 100


def test_a_damaged_file_is_one_line_with_its_repair(files):
    data = bytearray(files["kept"].read_bytes())
    data[data.index(b"real_radii/0.npy") + 300] ^= 1
    files["kept"].write_bytes(data)
    with pytest.raises(
        InputError, match=rf"^{files['kept']}: .*damaged.*; (if genbench wrote it, )?delete it and run again"
    ):
        metrics(files)
    files["kept"].write_bytes(files["real"].read_bytes())
    with pytest.raises(
        InputError, match=rf"^{files['kept']}: not a file of statistics, expected one that evaluate\.py"
    ):
        metrics(files)
    files["kept"].unlink()
    with pytest.raises(InputError, match=rf"^{files['kept']}: no such file$"):
        metrics(files)
