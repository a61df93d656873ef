"""Intervals from one set of features: values without each group of images, and the intervals' coverage."""

from typing import Any

import numpy as np
import pytest

from benchmarks.coverage import covered, gaussian
from genbench.metrics import EvaluationOptions, Features, evaluate_draws, evaluate_features, fd, kid
from genbench.metrics.intervals import GROUPS, deviation, groups_of, interval, mean_without, share_interval

OPTIONS = EvaluationOptions(kid_subset_size=200, kid_subsets=5, splits=4)


def features(count: int, shift: float, seed: int, **info: Any) -> Features:
    x = np.random.default_rng(seed).normal(shift, 1 + shift, (count, 8)).astype(np.float32)
    return Features(x, 3 * x[:, :5], {"extractor": {"name": "classifier"}, "images_sha256": str(seed), **info})


REAL, FAKE, TEST = features(900, 0, 0), features(500, 0.3, 1), features(300, 0, 2)


@pytest.fixture(scope="module")
def metrics() -> dict[str, dict[str, Any]]:
    return evaluate_features(REAL, FAKE, OPTIONS, holdout=TEST)


def left(group: int) -> np.ndarray:
    groups = groups_of(len(FAKE.features))
    assert groups is not None
    return FAKE.features[groups != group]


def test_groups_are_equal_and_have_as_many_of_each_class() -> None:
    labels = np.arange(600) % 3
    groups = groups_of(600, labels)
    assert groups is not None
    for label in range(3):
        assert (np.bincount(groups[labels == label], minlength=GROUPS) == 10).all()
    assert groups_of(2 * GROUPS - 1) is None


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    groups = groups_of(len(values))
    assert groups is not None
    without = mean_without(values, groups)
    assert without[3] == pytest.approx(values[groups != 3].mean())
    assert deviation(without) == pytest.approx(len(values) ** -0.5, rel=0.4)
    low, high = interval(0.5, without)
    assert (low + high) / 2 == pytest.approx(0.5)
    assert share_interval(0.0, np.zeros(GROUPS), 100)[0] == 0 < share_interval(0.0, np.zeros(GROUPS), 100)[1] < 0.06


def test_all_but_the_number_of_classes_have_an_interval_that_holds_the_value(metrics: dict[str, Any]) -> None:
    assert {key for key, found in metrics.items() if "interval" not in found} == {"classes_found"}
    for found in metrics.values():
        if "interval" in found:
            low, high = found["interval"]
            assert low < found["value"] < high
            assert len(found["without"]) == GROUPS


@pytest.mark.parametrize("group", [0, 7])
def test_distances_without_a_group_are_those_of_the_other_images(metrics: dict[str, Any], group: int) -> None:
    """They are equal to first order: the jackknife's bias is of order 1/N and the same for each group."""

    def moved(key: str) -> float:
        return float(metrics[key]["without"][group] - np.mean(metrics[key]["without"]))

    others = [fd(REAL.features, left(each)) for each in range(GROUPS)]
    assert moved("fd_classifier") == pytest.approx(others[group] - np.mean(others), rel=0.15, abs=2e-3)


def test_shares_without_a_group_are_those_of_the_other_images(metrics: dict[str, Any]) -> None:
    part = Features(left(4), None, dict(FAKE.info))
    found = evaluate_features(REAL, part, EvaluationOptions(kid_subset_size=100, kid_subsets=2), holdout=TEST)
    for key in ("precision_classifier", "density_classifier", "memorised_classifier"):
        assert metrics[key]["without"][4] == pytest.approx(found[key]["value"])


def test_kid_has_one_interval_whether_or_not_its_distances_are_shared(metrics: dict[str, Any]) -> None:
    from genbench.metrics import METRICS

    (alone,) = evaluate_features(REAL, FAKE, OPTIONS, metrics=[METRICS["kid"]]).values()
    assert alone["value"] == kid(REAL.features, FAKE.features, 5, 200)[0]
    assert alone["interval"] == pytest.approx(metrics["kid_classifier"]["interval"], rel=1e-3)


def test_several_draws_have_the_interval_of_their_mean() -> None:
    both = Features(np.vstack([FAKE.features, features(500, 0.3, 5).features]), None, dict(FAKE.info))
    one, two = (evaluate_draws(REAL, both, draws, OPTIONS)["fd_classifier"] for draws in (1, 2))
    low, high = two["interval"]
    assert low < two["value"] < high
    assert high - low == pytest.approx(one["interval"][1] - one["interval"][0], rel=0.3)
    assert deviation(np.array(two["without"])) == pytest.approx((high - low) / 2 / 2.093, rel=0.6)


def test_few_images_have_no_interval() -> None:
    few = Features(FAKE.features[:30], None, dict(FAKE.info))
    found = evaluate_features(REAL, few, OPTIONS, allow_too_few=True)
    assert found
    assert not any("interval" in metric or "without" in metric for metric in found.values())


def test_intervals_hold_the_mean_of_redraws() -> None:
    found = covered(gaussian(8, 0, True), gaussian(8, 0.3, True), 300, 400, 60)
    assert len(found) == 11
    for key, (share, width) in found.items():
        assert share >= 0.8, key
        assert 0.7 < width < 1.5, key
