"""Models with classes: how the labels of samples reach the metrics, and the metrics themselves."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from entries import IMAGE_SHAPE, MODELS, SUITE

from genbench.data import load_labels, save_samples
from genbench.features.files import load_features, save_features
from genbench.metrics import Features, evaluate_features, fd
from genbench.metrics.classes import class_accuracy, class_distances
from genbench.metrics.evaluation import evaluate_draws
from genbench.models import build
from genbench.suites.evaluation import metrics_by_class
from genbench.suites.load import load_suite
from genbench.suites.preflight import check_suite
from genbench.suites.runs import neighbour_metric

INFO = {"extractor": {"name": "classifier", "sha256": "ab"}, "images_sha256": "cd"}


def features(seed: int, count: int, shift: float, **info: object) -> Features:
    """Features of three classes around 0, 1 and 2; the logits are wrong for every fifth image."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    said = np.where(np.arange(count) % 5 == 0, (labels + 1) % 3, labels)
    found = random.normal(size=(count, 2)) + labels[:, None] + shift
    logits = np.eye(3)[said] + 0.01 * random.normal(size=(count, 3))
    return Features(found.astype(np.float32), logits.astype(np.float32), {**INFO, **info}, labels=labels)


def test_samples_know_the_class_that_they_were_asked_for(tmp_path: Path) -> None:
    seeds = torch.arange(5, 12)
    conditional = build(MODELS["ddpm"] | {"num_classes": 4}, IMAGE_SHAPE)
    labels = conditional.labels(seeds)
    assert labels is not None
    assert labels.tolist() == [1, 2, 3, 0, 1, 2, 3]
    assert build(MODELS["ddpm"] | {"num_classes": 4, "multi_label": True}, IMAGE_SHAPE).labels(seeds) is None
    assert build(MODELS["ddpm"], IMAGE_SHAPE).labels(seeds) is None
    images = np.zeros((7, 4, 4, 1), np.uint8)
    save_samples(tmp_path / "samples.npz", images, {}, range(5, 12), labels.numpy())
    assert np.array_equal(load_labels(tmp_path / "samples.npz"), labels.numpy())
    save_samples(tmp_path / "without.npz", images, {}, range(5, 12))
    assert load_labels(tmp_path / "without.npz") is None


def test_features_keep_the_classes(tmp_path: Path) -> None:
    written = features(0, 30, 0.0, drawn_by_class=True)
    save_features(tmp_path / "features.npz", written)
    read = load_features(tmp_path / "features.npz")
    assert read.labels is not None
    assert np.array_equal(read.labels, written.labels)
    assert json.dumps(read.info) == json.dumps(written.info)


def test_the_share_of_right_classes_and_the_distance_of_each() -> None:
    real, fake = features(1, 600, 0.0), features(2, 300, 0.5, drawn_by_class=True)
    assert class_accuracy(fake.logits, fake.labels) == pytest.approx(0.8)
    found = evaluate_features(real, fake, allow_too_few=True)
    assert found["class_accuracy"]["value"] == pytest.approx(0.8)
    assert found["class_accuracy"]["interval"][0] < 0.8 < found["class_accuracy"]["interval"][1]
    assert "the real images have 0.8" in found["class_accuracy"]["note"]
    each = class_distances(real.features, real.labels, fake.features, fake.labels)
    assert each[2] == pytest.approx(fd(real.features[real.labels == 2], fake.features[fake.labels == 2]))
    assert found["class_fd_classifier"]["value"] == pytest.approx(np.mean(list(each.values())))
    assert found["class_fd_classifier"]["per_class"] == {str(y): value for y, value in each.items()}
    assert found["class_fd_classifier"]["value"] == pytest.approx(0.5, abs=0.2)  # a shift of (0.5, 0.5)
    swapped = Features(fake.features, fake.logits, fake.info, labels=(fake.labels + 1) % 3)
    assert evaluate_features(real, swapped, allow_too_few=True)["class_fd_classifier"]["value"] > 1.5


def test_only_samples_of_a_model_with_classes_are_judged_by_them() -> None:
    real, test = features(1, 60, 0.0), features(2, 60, 0.0)
    assert not {"class_accuracy", "class_fd_classifier"} & evaluate_features(real, test, allow_too_few=True).keys()
    few = features(2, 8, 0.0, drawn_by_class=True)  # a class has two images, too few for two features
    found = evaluate_features(real, few, allow_too_few=True)
    assert "class_accuracy" in found
    assert "class_fd_classifier" not in found
    twice = evaluate_draws(real, features(2, 60, 0.0, drawn_by_class=True), 2, allow_too_few=True)
    assert len(twice["class_accuracy"]["values"]) == 2


@pytest.mark.parametrize("headline", ["class_accuracy", "class_fd_classifier"])
def test_they_head_the_table_of_a_suite_with_a_model_that_has_classes(tmp_path: Path, headline: str) -> None:
    denoiser = MODELS["ddpm"]["denoiser"] | {"attention_resolutions": [7]}
    training = {"steps": 10, "batch_size": 8}
    by_class = MODELS["ddpm"] | {"num_classes": 10, "denoiser": denoiser}
    models = {
        "ddpm": {"model": by_class, "training": training, "samplers": {"ddim": {"method": "ddim", "steps": 2}}},
        "vae": {"model": MODELS["vae"], "training": training},  # its row has no value for the headline
    }
    path = tmp_path / "toy.yaml"
    path.write_text(
        yaml.safe_dump(SUITE | {"evaluation": SUITE["evaluation"] | {"headline": headline}, "models": models})
    )
    suite = load_suite(path)
    check_suite(suite, str(tmp_path), "toy.yaml")
    assert neighbour_metric(suite) == "fd_classifier"
    assert metrics_by_class(["classifier", "efficientnet"]) == [
        "class_accuracy",
        "class_fd_classifier",
        "class_fd_efficientnet",
    ]
