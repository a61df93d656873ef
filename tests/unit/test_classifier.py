"""The classifier: its shapes, that it learns, that training is reproducible, and that its file restores it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genbench.data import make_image_set, save_image_set
from genbench.errors import InputError
from genbench.features import evaluators, packaged_classifiers
from genbench.features.class_training import (
    accuracy,
    load_classifier,
    save_classifier,
    train_classifier,
)
from genbench.features.evaluators import make_classifier
from genbench.features.supervised import shifted
from genbench.files.weights import save_tensors
from genbench.images import to_images
from genbench.networks.classifier import FEATURES, Classifier


def patterns(count: int, seed: int = 0, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Noisy 16 x 16 images of three classes: horizontal stripes, vertical stripes, and a checkerboard."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:16, :16] // 2 % 2
    means = np.stack([rows, columns, rows ^ columns]) * 100 + 50
    y = np.arange(count) % 3
    images = means[y][..., None] + random.normal(size=(count, 16, 16, channels)) * 40
    return images.clip(0, 255).round().astype(np.uint8), y


@pytest.fixture(scope="module")
def trained() -> Classifier:
    return train_classifier(*patterns(300), 3, epochs=3, batch_size=32)


@pytest.mark.parametrize(
    ("channels", "height", "width", "num_classes"), [(1, 28, 28, 10), (3, 16, 20, 2), (3, 65, 64, 7)]
)
def test_images_of_any_shape_give_features_and_logits(channels, height, width, num_classes):
    classifier = Classifier(channels=channels, height=height, width=width, num_classes=num_classes).eval()
    images = torch.rand(2, channels, height, width) * 2 - 1
    features = classifier.features(images)
    assert features.shape == (2, FEATURES)
    assert classifier(images).shape == (2, num_classes)
    torch.testing.assert_close(classifier(images), classifier.head(features))


def test_images_too_small_and_a_single_class_are_refused():
    with pytest.raises(InputError, match="found images of 15 x 28 pixels in 10 classes"):
        Classifier(channels=1, height=15, width=28, num_classes=10)
    with pytest.raises(InputError, match="in 1 classes"):
        Classifier(channels=1, height=28, width=28, num_classes=1)


def test_it_learns_what_can_be_learnt(trained):
    assert accuracy(trained, *patterns(90, seed=1)) > 0.97
    assert not trained.training


def test_training_twice_gives_the_same_weights_and_another_seed_others():
    runs = [train_classifier(*patterns(60), 3, epochs=1, seed=seed).state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert not torch.equal(runs[0]["head.weight"], runs[2]["head.weight"])


def test_training_leaves_the_global_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_classifier(*patterns(32), 3, epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_the_file_gives_the_classifier_back_exactly(trained, tmp_path):
    path = tmp_path / "classifier.safetensors"
    sha256 = save_classifier(path, trained, {"test_accuracy": 0.5})
    classifier, info = load_classifier(path)
    images = to_images(torch.from_numpy(patterns(6)[0]))
    with torch.inference_mode():
        assert torch.equal(classifier(images), trained(images))
    assert (info["test_accuracy"], info["sha256"]) == (0.5, sha256)
    assert info["classifier"] == {"channels": 1, "height": 16, "width": 16, "num_classes": 3}


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    for info, missing in (({"kind": "other"}, "classifier"), ({"classifier": {}}, "test_accuracy")):
        save_tensors(path, {"weight": torch.zeros(2)}, info)
        with pytest.raises(InputError, match=rf"other\.safetensors: no {missing} in the file"):
            load_classifier(path)


def test_shifted_moves_down_and_right_and_repeats_the_edge():
    image = torch.arange(9, dtype=torch.uint8).reshape(1, 3, 3, 1)
    moved = shifted(image.repeat(2, 1, 1, 1), torch.tensor([[1, 0], [0, -2]]))
    assert moved[0, :, :, 0].tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]
    assert moved[1, :, :, 0].tolist() == [[2, 2, 2], [5, 5, 5], [8, 8, 8]]


@pytest.mark.parametrize(
    ("images", "y", "message"),
    [
        (patterns(6)[0], np.array([0, 1, 2, 3, 0, 1]), "labels: found 0 to 3, expected 0 to 2"),
        (patterns(6)[0], np.arange(5), r"labels: found int64 \(5,\), expected integers \(6,\)"),
        (patterns(6)[0], np.eye(6, dtype=np.int64), r"labels: found int64 \(6, 6\)"),
        (patterns(6)[0][..., 0], patterns(6)[1], r"images: found uint8 \(6, 16, 16\)"),
    ],
)
def test_data_that_do_not_fit_are_refused(images, y, message):
    with pytest.raises(InputError, match=message):
        train_classifier(images, y, 3)


@pytest.mark.gpu
def test_the_gpu_gives_the_same_features():
    classifier = Classifier(channels=3, height=32, width=32, num_classes=10).eval()
    images = torch.rand(8, 3, 32, 32) * 2 - 1
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        expected = classifier.features(images)
        found = classifier.cuda().features(images.cuda()).cpu()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_one_that_comes_with_genbench_is_taken_for_its_images_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shipped").mkdir()
    monkeypatch.setattr(packaged_classifiers, "FOLDER", tmp_path / "shipped")
    for name, seed in (("train", 0), ("test", 1), ("other", 2)):
        images, labels = patterns(90, seed)
        made = make_image_set(images, labels, "abc", dataset="d", split=name, source="-", source_sha256="-")
        save_image_set(tmp_path / f"{name}.npz", made)
    train, test, other = (tmp_path / f"{name}.npz" for name in ("train", "test", "other"))
    shipped, out = tmp_path / "shipped/d.safetensors", tmp_path / "out.safetensors"
    make_classifier(train, test, shipped, epochs=1)

    def takes(train: Path, test: Path, **options: Any) -> bool:
        make_classifier(train, test, out, **options)
        return out.read_bytes() == shipped.read_bytes()

    assert takes(train, test, epochs=1)
    others = [((other, test), {}), ((train, other), {}), ((train, test), {"epochs": 2}), ((train, test), {"seed": 1})]
    assert not any(takes(*images, **{"epochs": 1, **options}) for images, options in others)
    monkeypatch.setattr(evaluators, "train_classifier", lambda *images, **options: 1 / 0)
    assert takes(train, test, epochs=1)
    with pytest.raises(ZeroDivisionError):
        make_classifier(train, test, out, epochs=1, own=True)
    with pytest.raises(InputError, match=r"the classifier reaches a test accuracy of .*, expected at least 1\.1"):
        make_classifier(train, test, out, epochs=1, min_accuracy=1.1)
    (shipped.with_name("another.safetensors")).write_bytes(shipped.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"another\.safetensors: not a readable safetensors file"):
        make_classifier(train, test, out, epochs=1)
