"""The metrics: analytic cases, equality with torch-fidelity, pytorch-fid and SciPy, and invariances."""

import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from genbench.errors import InputError
from genbench.metrics import (
    METRICS,
    EvaluationOptions,
    Features,
    MetricWarning,
    class_histogram,
    classifier_confidence,
    evaluate_draws,
    evaluate_features,
    fd,
    fd_infinity,
    feature_statistics,
    fid,
    frechet_distance,
    inception_score,
    kid,
    memorised,
    metric_info,
    metric_keys,
    minimum_samples,
    nearest,
    neighbours,
    precision_recall_density_coverage,
)
from genbench.metrics.fid import smallest_size
from genbench.metrics.precision_recall import MANIFOLDS


def covariance(random: np.random.Generator, size: int) -> np.ndarray:
    factor = random.normal(size=(size, size))
    return factor @ factor.T / size


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def real(random) -> np.ndarray:
    return random.normal(size=(600, 16)).astype(np.float32)


@pytest.fixture
def fake(random) -> np.ndarray:
    return (random.normal(size=(500, 16)) * 1.2 + 0.3).astype(np.float32)


# --- Frechet distance ---


def test_frechet_distance_of_commuting_gaussians_is_the_closed_form(random):
    rotation, _ = np.linalg.qr(random.normal(size=(20, 20)))
    mu1, mu2 = random.normal(size=(2, 20))
    s1, s2 = random.uniform(0.1, 3, size=(2, 20))  # standard deviations along common axes
    sigma1, sigma2 = (rotation * s1**2) @ rotation.T, (rotation * s2**2) @ rotation.T
    closed_form = np.sum((mu1 - mu2) ** 2) + np.sum((s1 - s2) ** 2)
    assert frechet_distance(mu1, sigma1, mu2, sigma2) == pytest.approx(closed_form, rel=1e-12)


def test_frechet_distance_of_singular_gaussians_is_exact():
    zero = np.zeros(3)
    flat, line = np.diag([4.0, 1.0, 0.0]), np.diag([0.0, 9.0, 0.0])
    assert frechet_distance(zero, flat, zero, line) == pytest.approx(4 + (1 - 3) ** 2)
    assert frechet_distance(zero, line, zero, flat) == pytest.approx(4 + (1 - 3) ** 2)


def test_fd_of_a_set_with_itself_is_zero_and_with_its_shift_the_squared_shift(real):
    assert fd(real, real) < 1e-6
    shift = np.linspace(-1, 2, 16)
    assert fd(real, real + shift) == pytest.approx(np.sum(shift**2), rel=1e-6)


def test_fd_of_identical_rank_deficient_sets_is_zero(random):
    features = random.normal(size=(300, 10)) @ random.normal(size=(10, 64))
    with pytest.warns(MetricWarning, match=r"features has rank 10 of 64"):
        assert fd(features, features) < 1e-6


def test_fd_ignores_the_order_of_samples_and_of_sets(real, fake, random):
    assert fd(random.permutation(real), random.permutation(fake)) == pytest.approx(fd(real, fake), rel=1e-10)
    assert fd(fake, real) == pytest.approx(fd(real, fake), rel=1e-10)


def test_frechet_distance_equals_that_by_scipy_and_by_pytorch_fid(random):
    mu1, mu2 = random.normal(size=(2, 100))
    sigma1, sigma2 = covariance(random, 100), covariance(random, 100)
    distance = frechet_distance(mu1, sigma1, mu2, sigma2)
    root = scipy.linalg.sqrtm(sigma1 @ sigma2).real
    assert distance == pytest.approx(
        np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * np.trace(root), rel=1e-6
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # sqrtm(disp=...)
        assert distance == pytest.approx(calculate_frechet_distance(mu1, sigma1, mu2, sigma2), rel=1e-6)


def test_feature_statistics_are_those_of_numpy_over_several_blocks(random):
    features = random.normal(size=(9000, 5)).astype(np.float32) + 100
    mu, sigma = feature_statistics(features)
    np.testing.assert_allclose(mu, features.astype(np.float64).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(sigma, np.cov(features.astype(np.float64), rowvar=False), rtol=1e-9, atol=1e-12)


def test_a_matrix_that_is_no_covariance_is_warned_of():
    with pytest.warns(MetricWarning, match="not a covariance"):
        frechet_distance(np.zeros(2), np.eye(2), np.zeros(2), np.diag([1.0, -0.5]))


def test_frechet_distance_refuses_shapes_that_do_not_fit():
    with pytest.raises(InputError, match=r"found shapes \(3,\), \(3, 3\), \(2,\), \(2, 2\)"):
        frechet_distance(np.zeros(3), np.eye(3), np.zeros(2), np.eye(2))
    with pytest.raises(InputError, match="NaN"):
        frechet_distance(np.zeros(2), np.eye(2), np.zeros(2), np.diag([1.0, np.nan]))


def test_fd_infinity_has_no_bias_where_fd_has(random):
    # Gaussians of 16 dimensions, shifted by 0.1 and 1.1 times as wide: FD = 16 (0.1^2 + 0.1^2) = 0.32.
    real = random.normal(size=(50_000, 16))
    fakes = [1.1 * random.normal(size=(800, 16)) + 0.1 for _ in range(10)]
    at_size = [fd(real, fake) for fake in fakes]
    extrapolated = [fd_infinity(real, fake) for fake in fakes]
    assert np.mean(at_size) > 0.32 + 5 * np.std(at_size) / np.sqrt(10)
    assert abs(np.mean(extrapolated) - 0.32) < 4 * np.std(extrapolated) / np.sqrt(10)
    assert abs(np.mean(extrapolated) - 0.32) < 0.3 * (np.mean(at_size) - 0.32)


def test_fd_infinity_is_a_line_through_fds_of_growing_subsets(real, random):
    fake = random.normal(size=(400, 16)) + 0.2
    order = np.random.default_rng(3).permutation(400)
    sizes = np.linspace(smallest_size(16), 400, 12).round().astype(int)
    slope = np.polyfit(1 / sizes, [fd(real, fake[order[:size]]) for size in sizes], 1)
    assert fd_infinity(real, fake, sizes=12, seed=3) == pytest.approx(slope[1], rel=1e-6)


def test_fd_infinity_needs_room_and_can_be_left_out(real, fake):
    with pytest.raises(InputError, match="found 100 samples, expected at least 128"):
        fd_infinity(real, fake[:100])
    assert "fd_infinity_classifier" not in evaluate_features(features(real), features(fake[:120]), SMALL)
    options = EvaluationOptions(kid_subset_size=100, fd_infinity_sizes=0)
    assert "fd_infinity_classifier" not in evaluate_features(features(real), features(fake), options)
    with pytest.raises(InputError, match=r"fd_infinity_sizes.: found 5, expected 0, or at least 10"):
        EvaluationOptions(fd_infinity_sizes=5)


# --- Kernel distance ---


def test_kid_of_a_case_by_hand():
    # D = 1, kernel (x y + 1)^3: within {0, 1} it is 1, within {2, 3} it is 7^3, across 1, 1, 3^3, 4^3.
    mean, std = kid(np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]]), subsets=3, subset_size=2)
    assert mean == pytest.approx(1 + 7**3 - 2 * (1 + 1 + 3**3 + 4**3) / 4)
    assert std == pytest.approx(0)


def test_kid_is_unbiased(random):
    mean, std = kid(random.normal(size=(2000, 8)), random.normal(size=(2000, 8)), subsets=100, subset_size=100)
    assert abs(mean) < 3 * std / np.sqrt(20)  # 20 disjoint subsets


@pytest.mark.parametrize("seed", [{"seed": 0}, {}])  # also its default
def test_kid_equals_that_of_torch_fidelity(real, fake, seed):
    options = {"kid_subsets": 20, "kid_subset_size": 100, "verbose": False}
    if seed:
        options["rng_seed"] = seed["seed"]
    theirs = kid_features_to_metric(torch.from_numpy(real).double(), torch.from_numpy(fake).double(), **options)
    mean, std = kid(real.astype(np.float64), fake.astype(np.float64), subsets=20, subset_size=100, **seed)
    in_float32 = kid(real, fake, subsets=20, subset_size=100, **seed)
    if not seed:
        assert EvaluationOptions().kid_seed == 2020
        assert kid(real, fake, subsets=20, subset_size=100, seed=2020) == in_float32
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-10)
    assert std == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-10)
    assert in_float32 == (pytest.approx(mean, rel=1e-7), pytest.approx(std, rel=1e-7))


# --- Nearest-neighbour manifolds ---


def test_manifold_metrics_of_points_on_a_line():
    real = np.arange(4.0)[:, None]  # with k = 1 every real ball has the radius 1
    fake = np.array([[0.5], [5.0], [5.5]])  # radii 4.5, 0.5, 0.5
    found = precision_recall_density_coverage(real, fake, precision_k=1, density_k=1)
    assert found == {
        "precision": pytest.approx(1 / 3),  # only 0.5 lies in a real ball
        "recall": 1.0,  # the wide ball around 0.5 holds them all
        "density": pytest.approx(2 / 3),  # 0.5 lies in the balls of 0 and 1
        "coverage": pytest.approx(2 / 4),  # the balls of 0 and 1 hold 0.5
    }


def test_dropping_modes_keeps_precision_and_loses_recall(random):
    modes = np.repeat(np.eye(4) * 100, 50, axis=0)
    real = modes + random.normal(size=(200, 4))
    fake = modes[:50] + random.normal(size=(50, 4)) * 0.5
    found = precision_recall_density_coverage(real, fake)
    assert found["precision"] > 0.9
    assert found["recall"] <= 0.25
    assert found["coverage"] <= 0.25


def test_manifold_metrics_of_a_set_with_itself_and_of_distant_sets(real):
    same = precision_recall_density_coverage(real, real)
    assert (same["precision"], same["recall"], same["coverage"]) == (1, 1, 1)
    # A point lies in its own ball and on average in five others; rounding decides whether the fifth is on the edge.
    assert same["density"] == pytest.approx(6 / 5, abs=0.01)
    assert set(precision_recall_density_coverage(real, real + 1000).values()) == {0.0}


def test_precision_and_recall_equal_those_of_torch_fidelity(real, fake):
    options = {"prc_neighborhood": 3, "prc_batch_size": 10000, "verbose": False}
    theirs = prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), **options)
    found = precision_recall_density_coverage(real, fake)
    assert found["precision"] == pytest.approx(theirs["precision"], abs=1e-6)
    assert found["recall"] == pytest.approx(theirs["recall"], abs=1e-6)


def test_density_and_coverage_equal_those_by_their_definition(real, fake):
    between = scipy.spatial.distance.cdist(real.astype(np.float64), fake.astype(np.float64))
    within = scipy.spatial.distance.cdist(real.astype(np.float64), real.astype(np.float64))
    radii = np.sort(within, axis=1)[:, 5]  # index 0 is the point itself
    found = precision_recall_density_coverage(real, fake)
    assert found["density"] == pytest.approx((between <= radii[:, None]).sum() / (5 * len(fake)))
    assert found["coverage"] == pytest.approx((between.min(axis=1) <= radii).mean())


def test_manifold_metrics_do_not_depend_on_the_blocks(real, fake, monkeypatch):
    whole = precision_recall_density_coverage(real, fake)
    monkeypatch.setattr(neighbours, "TILE", 7)
    assert precision_recall_density_coverage(real, fake) == whole


def test_nearest_training_samples_are_those_by_their_definition(real, fake, monkeypatch):
    between = scipy.spatial.distance.cdist(fake, real)
    monkeypatch.setattr(neighbours, "TILE", 7)
    distances, indices = nearest(real, fake)
    np.testing.assert_array_equal(indices, between.argmin(axis=1))
    np.testing.assert_allclose(distances, between.min(axis=1), rtol=1e-4)


def test_memorised_is_what_copies_of_the_training_set_are(random):
    train, test, honest = random.normal(size=(3, 1000, 8))
    copies = train[:300] + 1e-3 * random.normal(size=(300, 8))
    of_test = nearest(train, test)[0]
    assert memorised(nearest(train, honest)[0], of_test) == (
        pytest.approx(0.05, abs=0.02),
        pytest.approx(0.5, abs=0.05),
    )
    assert memorised(nearest(train, copies)[0], of_test) == (1, 1)
    mixed = np.concatenate([copies, honest[:300]])
    assert memorised(nearest(train, mixed)[0], of_test)[0] == pytest.approx(0.5 + 0.05 / 2, abs=0.02)
    assert memorised(nearest(train, honest + 10)[0], of_test) == (0, 0)


def test_memorised_comes_with_test_images_and_names_the_neighbours(real, fake, random):
    test = random.normal(size=(100, 16)).astype(np.float32)
    copies = features(np.concatenate([real[5:8], fake]))
    options = EvaluationOptions(kid_subset_size=100, neighbours=4)
    found = evaluate_features(features(real), copies, options, holdout=features(test))["memorised_classifier"]
    assert found["neighbours"]["index"][:3] == [5, 6, 7]
    assert len(found["neighbours"]["distance"]) == 4
    assert found["value"] == memorised(nearest(real, copies.features)[0], nearest(real, test)[0])[0]
    assert found["note"].startswith(
        f"against 100 test images; 3 of {len(copies.features)} are copies of a training image"
    )
    none = evaluate_features(features(real), features(fake), options, holdout=features(test))["memorised_classifier"]
    assert "copies" not in none["note"]
    too_few = evaluate_features(features(real), copies, options, holdout=features(test[:19]))
    assert "memorised_classifier" not in too_few
    same = Features(real, None, {"extractor": {"name": "classifier"}, "images_sha256": "ab"})
    with pytest.raises(InputError, match="found the training images themselves"):
        evaluate_features(same, copies, options, holdout=same)


# --- Metrics from a classifier's outputs ---


def test_inception_score_is_one_for_a_uniform_and_the_number_of_classes_for_a_sure_balanced_classifier():
    assert inception_score(np.zeros((1000, 10))) == (pytest.approx(1), pytest.approx(0))
    sure = np.tile(np.eye(10) * 1e4, (100, 1))
    assert inception_score(sure, splits=1) == (pytest.approx(10), pytest.approx(0))


def test_inception_score_of_sorted_samples_is_that_of_shuffled_ones():
    sure = np.repeat(np.eye(10) * 100, 100, axis=0)
    assert inception_score(sure)[0] > 9  # without shuffling, each split would have one class and the score 1


def test_inception_score_equals_that_of_torch_fidelity(random):
    logits = random.normal(size=(1003, 10)) * 3
    theirs = isc_features_to_metric(torch.from_numpy(logits), splits=10, shuffle=True, rng_seed=2020)
    mean, std = inception_score(logits)
    assert mean == pytest.approx(theirs["inception_score_mean"], rel=1e-10)
    assert std == pytest.approx(theirs["inception_score_std"], rel=1e-10)


def test_confidence_and_histogram_of_known_probabilities():
    probabilities = np.array([[0.9, 0.05, 0.05], [0.1, 0.7, 0.2], [0.85, 0.1, 0.05], [0.3, 0.4, 0.3]])
    assert classifier_confidence(np.log(probabilities) + 7) == (pytest.approx((0.7 + 0.85) / 2), 0.5)
    assert class_histogram(np.log(probabilities)).tolist() == [2, 2, 0]


# --- Collapsed models ---


def test_a_model_that_draws_one_image_has_metrics(real, random):
    fake = np.repeat(real[:1] + 1, 500, axis=0)
    trace = np.trace(np.cov(real.astype(np.float64), rowvar=False))
    distance = float(((real.mean(axis=0, dtype=np.float64) - fake[0]) ** 2).sum() + trace)
    with pytest.warns(MetricWarning, match="the covariance of the generated features has rank 0 of 16"):
        assert fd(real, fake) == pytest.approx(distance)
    assert fd_infinity(real, fake, sizes=5) == pytest.approx(distance)
    kernel = (real[:500].astype(np.float64) @ real[:500].T.astype(np.float64) / 16 + 1) ** 3
    within = (kernel.sum() - np.trace(kernel)) / (500 * 499) + (fake[0].astype(np.float64) @ fake[0] / 16 + 1) ** 3
    across = ((real[:500].astype(np.float64) @ fake[0] / 16 + 1) ** 3).mean()
    assert kid(real[:500], fake, subsets=1, subset_size=500)[0] == pytest.approx(within - 2 * across)
    assert precision_recall_density_coverage(real, fake)["recall"] < 0.01
    assert nearest(real, fake)[1].max() < 600

    logits = np.repeat(random.normal(size=(1, 10)), 500, axis=0).astype(np.float32)
    found = evaluate_features(
        Features(real, random.normal(size=(600, 10)).astype(np.float32), {"extractor": {"name": "classifier"}}),
        Features(fake, logits, {"extractor": {"name": "classifier"}}),
        EvaluationOptions(kid_subset_size=100, kid_subsets=2),
    )
    assert found["fd_classifier"]["value"] == pytest.approx(distance)
    assert "rank 0 of 16" in found["fd_classifier"]["note"]
    assert found["classifier_score"]["value"] == pytest.approx(1)


# --- Refusals ---


@pytest.mark.parametrize(
    "function",
    [
        feature_statistics,
        lambda x: fd(x, x),
        lambda x: kid(x, x),
        lambda x: precision_recall_density_coverage(x, x),
    ],
)
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: np.where(np.arange(len(x))[:, None] == 3, np.nan, x), "found NaN or infinity"),
        (lambda x: np.where(np.arange(len(x))[:, None] == 3, np.inf, x), "found NaN or infinity"),
        (lambda x: np.ones_like(x), "all 1200 samples are the same"),
        (lambda x: x[:1], "found 1 samples, expected at least"),
        (lambda x: x[0], "expected \\(N, D\\)"),
    ],
)
def test_features_that_mean_nothing_are_refused(function, spoil, message, random):
    spoilt = spoil(random.normal(size=(1200, 8)))
    with pytest.raises(InputError, match=message):
        function(spoilt)


def test_each_metric_refuses_too_few_samples(real):
    for call in (
        lambda: fd(real, real[:16]),  # 16 dimensions need 17 samples
        lambda: kid(real, real),  # a subset has 1,000
        lambda: precision_recall_density_coverage(real, real[:5]),
        lambda: inception_score(real[:99]),
    ):
        with pytest.raises(InputError, match=r"expected at least (17|1000|6|100)$"):
            call()
    assert fd(real, real[:17]) > 0


def test_sets_of_different_dimensions_are_refused(real):
    with pytest.raises(InputError, match="real features have 16 dimensions, generated ones 8"):
        fd(real, real[:, :8])


@pytest.mark.parametrize("option", [{"kid_subset_size": 1}, {"splits": 0}, {"nearest_k": 0}])
def test_options_that_mean_nothing_are_refused(option):
    with pytest.raises(InputError, match=f"key '{next(iter(option))}': found .*, expected at least"):
        EvaluationOptions(**option)


# --- All of them ---


def features(array: np.ndarray, logits: np.ndarray | None = None, extractor: str = "classifier") -> Features:
    return Features(array, logits, {"extractor": {"name": extractor}})


SMALL = EvaluationOptions(kid_subsets=10, kid_subset_size=100, splits=5)


def test_evaluate_features_gives_every_metric_with_its_numbers_of_images(real, fake):
    logits = np.eye(10, dtype=np.float32)[np.arange(600) % 9] * 20
    found = evaluate_features(features(real, logits), features(fake, logits[:500]), SMALL)
    assert set(found) == set(metric_keys("classifier", logits=True)) - {"memorised_classifier"}
    assert all((value["n_real"], value["n_fake"]) == (600, 500) for value in found.values())
    assert found["fd_classifier"]["value"] == fd(real, fake)
    assert "compare only with values from 500" in found["fd_classifier"]["note"]
    without = [metric for metric in METRICS.values() if metric.name not in MANIFOLDS]
    for metrics, exact in ((None, 1e-7), (without, 0)):  # with the manifold metrics, KID comes from their distances
        of_kid = evaluate_features(features(real), features(fake), SMALL, metrics=metrics)["kid_classifier"]
        assert (of_kid["value"], of_kid["std"]) == pytest.approx(kid(real, fake, 10, 100), rel=exact, abs=0)
    assert found["classes_found"]["value"] == 9
    assert found["classes_found"]["note"] == "of 10"


def test_another_number_of_images_than_the_papers_is_told(real, fake, monkeypatch):
    assert fid.PAPER_SAMPLES == 50_000
    for papers, note in ((501, "biased upward at so few images: "), (499, "more images than 499: ")):
        monkeypatch.setattr(fid, "PAPER_SAMPLES", papers)  # like 49,999 of 50,000, but faster
        found = evaluate_features(features(real), features(fake), SMALL)["fd_classifier"]
        assert found["note"] == f"{note}compare only with values from 500"
    monkeypatch.setattr(fid, "PAPER_SAMPLES", 500)
    assert evaluate_features(features(real), features(fake), SMALL)["fd_classifier"]["note"] is None


def test_nearest_k_is_used_for_all_four_manifold_metrics(real, fake):
    found = evaluate_features(features(real), features(fake), EvaluationOptions(kid_subset_size=100, nearest_k=7))
    expected = precision_recall_density_coverage(real, fake, 7, 7)
    assert {base: found[f"{base}_classifier"]["value"] for base in expected} == expected
    assert found["recall_classifier"]["note"] == "k = 7"


def test_without_logits_there_is_no_score_and_another_extractor_gives_other_keys(real, fake):
    found = evaluate_features(features(real, None, "other"), features(fake, None, "other"), SMALL)
    assert set(found) == set(metric_keys("other", logits=False)) - {"memorised_other"}
    assert "fd_other" in found


def test_a_rank_deficient_covariance_is_noted(real, fake):
    real[:, 3] = fake[:, 3] = 0
    note = evaluate_features(features(real), features(fake), SMALL)["fd_classifier"]["note"]
    assert "covariance of the real features has rank 15 of 16" in note
    assert "covariance of the generated features has rank 15 of 16" in note


def test_too_few_images_are_one_error_with_the_number_needed_or_leave_metrics_out(real, fake):
    with pytest.raises(InputError, match="found 600 real and 500 generated images, expected at least 1000 of both"):
        evaluate_features(features(real), features(fake))
    found = evaluate_features(features(real), features(fake), allow_too_few=True)
    left_out = set(metric_keys("classifier", logits=False)) - set(found)
    assert left_out == {"kid_classifier", "memorised_classifier"}


def test_features_of_different_extractors_are_refused(real, fake):
    with pytest.raises(InputError, match="'classifier', generated ones from 'other'"):
        evaluate_features(features(real), features(fake, None, "other"))


def test_minimum_samples_is_the_largest_that_any_metric_needs():
    keys = metric_keys("classifier", logits=True)
    assert minimum_samples(keys, 128) == 1000  # a subset of KID
    assert minimum_samples(keys, 128, EvaluationOptions(kid_subset_size=50)) == 129  # FD: dimensions + 1
    assert minimum_samples(keys, 8, EvaluationOptions(kid_subset_size=50, splits=20)) == 200
    assert minimum_samples(["coverage_classifier"], 128, EvaluationOptions(nearest_k=9)) == 10


def test_metric_info_resolves_every_key_and_no_other():
    for key in [*METRICS, *metric_keys("classifier", logits=True), "fd_dinov2"]:
        assert metric_info(key).source
    assert metric_info("fd_classifier") is METRICS["fd"]
    assert metric_info("classifier_score").label == "Classifier score"
    assert metric_info("fd_infinity_classifier") is METRICS["fd_infinity"]
    for key in ("fid_classifier", "fid_inception-clean-unofficial", "inception_score_dinov2", "classifier", ""):
        with pytest.raises(InputError, match="is unknown; expected one of fd, fid"):
            metric_info(key)


def test_draws_give_means_and_the_deviation_between_them() -> None:
    rng = np.random.default_rng(5)
    real = features(rng.normal(size=(400, 4)).astype(np.float32))
    fake = features(rng.normal(0.2, 1, size=(900, 4)).astype(np.float32))
    found = evaluate_draws(real, fake, 3, SMALL)
    parts = [evaluate_features(real, features(fake.features[i : i + 300]), SMALL) for i in (0, 300, 600)]
    for key, result in found.items():
        values = [part[key]["value"] for part in parts]
        assert result["values"] == values
        assert result["value"] == pytest.approx(sum(values) / 3)
        assert result["draw_std"] == pytest.approx(np.std(values, ddof=1))
        assert result["n_fake"] == 300
    assert found["fd_classifier"]["draw_std"] > 0
    assert evaluate_draws(real, fake, 1, SMALL) == evaluate_features(real, fake, SMALL)
    with pytest.raises(InputError, match="found 900 generated images, expected a multiple of the 7 draws"):
        evaluate_draws(real, fake, 7, SMALL)
