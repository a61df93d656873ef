"""Published statistics, a mean and a covariance from others, are checked before they are used."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from entries import SUITE, save_samples

from genbench.errors import InputError
from genbench.features import EXTRACTORS, save_features
from genbench.features.evaluation import evaluate_files
from genbench.features.published_statistics import published_for, read_published, write_published
from genbench.files.artifacts import sha256_file
from genbench.metrics import EvaluationOptions, Features, evaluate_against, evaluate_features, fd, frechet_distance
from genbench.reporting.columns import comparison_columns, stated
from genbench.suites.load import load_suite
from genbench.suites.preflight import check_suite

OPTIONS = {"kid_subset_size": 20, "fd_infinity_sizes": 0}
DIM = 128


def features(seed: int, count: int = 160) -> Features:
    random = np.random.default_rng(seed)
    found = random.normal(seed / 10, 1, size=(count, DIM)).astype(np.float32)
    info = {"extractor": {"name": "classifier", "sha256": "ce" * 32}, "images_sha256": f"{seed:064x}"}
    return Features(found, random.normal(size=(count, 10)).astype(np.float32), info)


def saved(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.fixture
def pair() -> dict[str, np.ndarray]:
    found = features(0).features.astype(np.float64)
    return {"mu": found.mean(axis=0), "sigma": np.cov(found, rowvar=False)}


def test_what_is_written_is_read_again_and_says_what_made_it(tmp_path: Path) -> None:
    write_published(tmp_path / "s.npz", features(0))
    found = published_for(tmp_path / "s.npz", "classifier")
    assert (found.made_by, found.num_images) == ({"name": "classifier", "sha256": "ce" * 32}, 160)
    assert found.sha256 == sha256_file(tmp_path / "s.npz")
    np.testing.assert_allclose(found.mu, features(0).features.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.sigma, np.cov(features(0).features, rowvar=False), atol=1e-6)
    with np.load(tmp_path / "s.npz") as arrays:
        assert arrays.files[:2] == ["mu", "sigma"]


def test_those_of_another_extractor_are_refused_where_the_file_says_so(tmp_path: Path, monkeypatch) -> None:
    write_published(tmp_path / "s.npz", features(0))
    monkeypatch.setitem(EXTRACTORS, "dinov2", dataclasses.replace(EXTRACTORS["dinov2"], dim=DIM))
    with pytest.raises(InputError, match=r"s\.npz: found statistics that classifier made, expected dinov2's"):
        published_for(tmp_path / "s.npz", "dinov2")


def test_in_single_precision_and_with_a_covariance_of_few_samples_they_are_statistics_all_the_same(tmp_path) -> None:
    few = features(0, count=30).features
    path = saved(tmp_path / "few.npz", mu=few.mean(axis=0), sigma=np.cov(few, rowvar=False).astype(np.float32))
    (found,) = read_published(path)
    assert np.linalg.matrix_rank(found.sigma, tol=1e-4) == 29
    np.testing.assert_array_equal(found.sigma, found.sigma.T)


def test_those_of_a_reference_batch_are_found_by_their_number_of_features(tmp_path: Path, pair) -> None:
    spatial = {"mu_s": np.zeros(2023), "sigma_s": np.eye(2023)}
    path = saved(tmp_path / "batch.npz", arr_0=np.zeros((2, 8, 8, 3), np.uint8), **pair, **spatial)
    assert published_for(path, "classifier").dim == DIM
    assert published_for(path, "inception-spatial").dim == 2023
    with pytest.raises(InputError, match="found statistics of 128 and 2023 dimensions, expected 2048, as features of"):
        published_for(path, "inception-legacy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": None}, "key 'sigma' is missing; expected both mu and sigma"),
        ({"mu": None, "sigma": None, "x": np.zeros(2)}, "found none of the keys mu and sigma"),
        ({"mu": np.zeros(DIM - 1)}, r"sigma: found shape \(128, 128\), expected \(127, 127\), as mu has 127"),
        ({"mu": np.zeros((2, DIM))}, r"mu: found shape \(2, 128\), expected \(D,\)"),
        ({"mu": np.full(DIM, np.nan)}, "mu: found NaN or infinity"),
        ({"sigma": np.full((DIM, DIM), np.inf)}, "sigma: found NaN or infinity"),
        ({"sigma": np.triu(np.ones((DIM, DIM)))}, "sigma: found elements that differ by 1 from their mirror image"),
        ({"sigma": -np.eye(DIM)}, "sigma: found negative eigenvalues, expected a covariance matrix"),
        ({"sigma": np.diag([*[1.0] * (DIM - 1), -1.0])}, "sigma: found negative eigenvalues"),
        ({"sigma": np.array([["a"] * DIM] * DIM)}, "sigma: found <U1, expected numbers"),
        ({"mu": np.array([{}] * DIM, dtype=object)}, "not an npz file, or damaged"),
    ],
)
def test_what_is_no_mean_and_covariance_is_refused_in_one_line(change, message, tmp_path: Path, pair) -> None:
    arrays = {key: value for key, value in (pair | change).items() if value is not None}
    path = saved(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        read_published(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_off_or_missing_is_refused(tmp_path: Path, pair) -> None:
    path = saved(tmp_path / "cut.npz", **pair)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cut\.npz: not an npz file, or damaged"):
        read_published(path)
    with pytest.raises(InputError, match="no such file"):
        read_published(tmp_path / "none.npz")


# --- In a suite: a separate column ------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, pair) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.npz" for name in ("real", "fake")}
    for seed, name in enumerate(paths):
        save_features(paths[name], features(seed))
    return paths | {"published": saved(tmp_path / "stats.npz", **pair)}


def test_the_distance_to_them_is_a_column_that_names_the_file_and_its_hash(files) -> None:
    record = evaluate_files(
        [files["real"]], [files["fake"]], options=OPTIONS, published={"classifier": files["published"]}
    )
    own, found = record.metrics["fd_classifier"], record.metrics["fd_classifier_published"]
    assert found.value == pytest.approx(fd(features(0).features, features(1).features), rel=1e-6)
    assert found.value == pytest.approx(own.value, rel=1e-6)  # they are of the same images
    assert (found.n_real, found.n_fake) == (None, 160)
    digest = sha256_file(files["published"])
    assert f"against the statistics in stats.npz (SHA-256 {digest[:12]}), made by classifier" in str(found.note)
    assert found.about is not None
    assert (found.about["label"], found.about["name"]) == ("FD to stats.npz", "fd_classifier_published")
    assert digest[:12] in found.about["definition"]
    own = {"fd_classifier_published": stated("fd_classifier_published", found.about)}
    columns = comparison_columns(list(record.metrics), "fd_classifier", 160, {}, own=own)
    assert [column.label for column in columns[:2]] == ["FD-classifier (160)", "FD to stats.npz (160)"]
    assert record.published == {"classifier": {"file": "stats.npz", "sha256": digest, "dim": DIM}}
    without = evaluate_files([files["real"]], [files["fake"]], options=OPTIONS)
    assert without.content()["metrics"] == {
        key: value for key, value in record.content()["metrics"].items() if key != "fd_classifier_published"
    }
    assert without.published is None


def test_of_too_few_images_it_is_left_out_with_a_line(files) -> None:
    save_features(files["fake"], features(1, count=100))
    record = evaluate_files(
        [files["real"]],
        [files["fake"]],
        options=OPTIONS,
        allow_too_few=True,
        published={"classifier": files["published"]},
    )
    assert "fd_classifier_published" not in record.metrics
    assert "the distance to stats.npz is left out: too few images" in record.warnings


def test_over_several_draws_it_is_a_mean_as_the_others(files) -> None:
    save_features(files["fake"], features(1, count=320))
    record = evaluate_files(
        [files["real"]], [files["fake"]], draws=2, options=OPTIONS, published={"classifier": files["published"]}
    )
    found = record.metrics["fd_classifier_published"]
    assert found.values is not None
    assert len(found.values) == 2
    assert found.value == pytest.approx(np.mean(found.values))
    path = saved(files["real"].with_name("d.npz"), mu=np.zeros(1024), sigma=np.eye(1024))
    with pytest.raises(InputError, match="--published: found 'dinov2', expected features of it among --real"):
        evaluate_files([files["real"]], [files["fake"]], options=OPTIONS, published={"dinov2": path})


def test_only_what_statistics_allow_is_computed_of_them(pair) -> None:
    fake, real = features(1), features(0)
    options = EvaluationOptions(kid_subset_size=20, fd_infinity_sizes=0, splits=2)
    found = evaluate_against((pair["mu"], pair["sigma"]), fake, options)
    assert set(found) == {"fd_classifier", "classifier_score"}
    both = evaluate_features(real, fake, options)
    assert found["classifier_score"]["value"] == both["classifier_score"]["value"]
    assert found["fd_classifier"]["value"] == pytest.approx(both["fd_classifier"]["value"], rel=1e-6)
    expected = frechet_distance(
        pair["mu"], pair["sigma"], fake.features.mean(axis=0, dtype=float), np.cov(fake.features, rowvar=False)
    )
    assert found["fd_classifier"]["value"] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(InputError, match="statistics have 128 dimensions, generated features 64"):
        evaluate_against((pair["mu"], pair["sigma"]), Features(fake.features[:, :64].copy(), None, fake.info), options)


# --- Preflight --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        ({"efficientnet": "stats.npz"}, None),
        (
            {"efficientnet": "none.npz"},
            r"statistics: efficientnet: key 'path': found 'none\.npz', and there is no such",
        ),
        (
            {"efficientnet": "wrong.npz"},
            r"statistics: efficientnet: .*wrong\.npz: found statistics of 128 dimensions, ex",
        ),
        (
            {"dinov2": "stats.npz"},
            "statistics: dinov2: found statistics of it, but evaluation: extractors has only eff",
        ),
        ({"efficientnet": 3}, "evaluation: statistics: efficientnet: found 3, expected a string"),
    ],
)
def test_a_suite_names_the_files_by_their_extractor(statistics, message, tmp_path: Path, pair) -> None:
    saved(tmp_path / "stats.npz", mu=np.zeros(1280), sigma=np.eye(1280))
    saved(tmp_path / "wrong.npz", **pair)
    evaluation = {"extractors": ["efficientnet"], "headline": "fd_efficientnet_published", "statistics": statistics}
    path, models = tmp_path / "toy.yaml", {"x": {"samples": "samples.npz"}}
    save_samples(tmp_path / "samples.npz", 1300)
    path.write_text(yaml.safe_dump({**SUITE, "num_samples": 1300, "evaluation": evaluation, "models": models}))
    if message:
        with pytest.raises(InputError, match=message):
            check_suite(load_suite(path), str(tmp_path), str(path))
    else:
        check_suite(load_suite(path), str(tmp_path), str(path))
        path.write_text(path.read_text().replace("num_samples: 1300", "num_samples: 1200"))
        with pytest.raises(InputError, match=r"num_samples: found 1200, .*fd_efficientnet_published \(1281\)"):
            check_suite(load_suite(path), str(tmp_path), str(path))
