"""Accuracy on objects: known scores and intervals, our evaluator's file, the course's checkpoint, and the script."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from genbench.data import prepare, save_image_set
from genbench.data.objects import COLOURS, INDEX, LABEL_SETS, OBJECTS, multi_hot, read_labels
from genbench.errors import InputError
from genbench.features import object_training
from genbench.features.object_training import (
    load_object_classifier,
    object_scores,
    save_object_classifier,
    train_object_classifier,
)
from genbench.files.weights import save_tensors
from genbench.metrics import METRICS, count_objects, metric_info, object_accuracy, wilson_interval
from genbench.networks.object_classifier import ObjectClassifier

REAL = Path(__file__).resolve().parents[3] / "shared" / "datasets" / "iclevr"


def sets(*names):
    """Return label sets as zeros and ones, from names such as "red cube, blue sphere"."""
    return multi_hot([[INDEX[name] for name in row.split(", ")] for row in names])


def seen(*names):
    """Return scores that rank exactly these objects first."""
    return sets(*names).astype(np.float32) + np.linspace(0, 0.5, 24, dtype=np.float32)


def count(found, asked):
    return tuple(count_objects(seen(*found), sets(*asked), len(COLOURS)))


def test_one_of_two_objects_is_half():
    counts = count_objects(seen("red cube, blue sphere"), sets("red cube, green cylinder"), len(COLOURS))
    assert (counts.hits, counts.objects, counts.accuracy) == (1, 2, 0.5)


def test_images_with_more_objects_weigh_more():
    counts = count_objects(
        seen("red cube", "red cube, blue cube, gray sphere"), sets("red cube", "gray cube, cyan cube, brown sphere"), 8
    )
    assert counts.accuracy == 1 / 4  # not 1/2, the mean over images


@pytest.mark.parametrize(
    ("found", "asked", "expected"),  # hits, colour wrong, shape wrong, missing
    [
        ("red cube", "red cube", (1, 0, 0, 0)),
        ("blue cube", "red cube", (0, 1, 0, 0)),
        ("red sphere", "red cube", (0, 0, 1, 0)),
        ("blue sphere", "red cube", (0, 0, 0, 1)),
        # Colours exchanged: each object could count as a wrong colour or as a wrong shape.
        ("blue cube, red sphere", "red cube, blue sphere", (0, 2, 0, 0)),
        # A wrong cube is matched with only one of two cubes.
        ("green cube, yellow sphere", "red cube, blue cube", (0, 1, 0, 1)),
        # As many as possible are matched: the red sphere with the red cube, the green sphere with the blue one.
        ("red sphere, green sphere", "red cube, blue sphere", (0, 1, 1, 0)),
        ("gray cube, red cube, blue cube", "gray cube, red sphere, yellow cylinder", (1, 0, 1, 1)),
    ],
)
def test_errors_are_told_apart(found, asked, expected):
    assert count([found], [asked]) == expected


def test_equal_scores_count_as_the_first():
    assert count_objects(np.zeros((1, 24)), sets("gray cube, cyan cylinder"), 8).hits == 1


def test_scores_matter_by_order_alone():
    scores = np.random.default_rng(0).normal(size=(20, 24))
    labels = multi_hot([sorted({i, (5 * i + 1) % 24, 23 - i}) for i in range(20)])
    assert count_objects(scores, labels, 8) == count_objects(1 / (1 + np.exp(-scores)), labels, 8)


def test_batches_of_any_size_add_up():
    scores = np.random.default_rng(1).normal(size=(7, 24))
    labels = multi_hot([range(1 + i % 3) for i in range(7)])
    whole = np.array(count_objects(scores, labels, 8))
    parts = [np.array(count_objects(scores[a:b], labels[a:b], 8)) for a, b in ((0, 3), (3, 6), (6, 7))]
    assert (sum(parts) == whole).all()


@pytest.mark.parametrize("folder", [LABEL_SETS, REAL], ids=["ours", "the course's"])
@pytest.mark.parametrize(("name", "objects"), [("test", 72), ("new_test", 84)])
def test_the_denominators_are_the_courses(folder, name, objects):
    if not folder.is_dir():
        pytest.skip("the course's files are missing")
    labels = multi_hot(read_labels(folder / f"{name}.json").sets)
    assert count_objects(labels.astype(float), labels, 8) == (objects, 0, 0, 0)


def test_intervals_are_wilsons():
    assert wilson_interval(9, 10) == pytest.approx((0.59585, 0.98212), abs=1e-5)  # from statsmodels' proportion_confint
    assert wilson_interval(0, 20) == pytest.approx((0, 0.16113), abs=1e-5)
    assert wilson_interval(72, 72) == pytest.approx((0.94935, 1), abs=1e-5)
    with pytest.raises(InputError, match="found 3 hits of 2"):
        wilson_interval(3, 2)


def test_draws_are_pooled_and_compared():
    labels = sets("red cube", "blue sphere, gray cube")
    right, wrong = seen("red cube", "blue sphere, gray cube"), seen("red sphere", "blue sphere, gray cube")
    results = object_accuracy(np.concatenate([right, wrong, right]), labels, 8, draws=3)
    accuracy = results["object_accuracy"]
    assert accuracy["value"] == pytest.approx(8 / 9)
    assert accuracy["values"] == pytest.approx([1, 2 / 3, 1])
    assert accuracy["draw_std"] == pytest.approx(np.std([1, 2 / 3, 1], ddof=1))
    low, high = wilson_interval(8, 9)
    assert accuracy["interval"] == [low, high]
    assert accuracy["n_fake"] == 2
    assert accuracy["note"] == f"8 of 9 objects in 3 draws of 3, 95 % interval {low:.3f} to {high:.3f}"
    assert results["object_shape_wrong"]["value"] == pytest.approx(1 / 9)
    assert sum(result["value"] for result in results.values()) == pytest.approx(1)
    assert all(metric_info(key) is METRICS[key] for key in results)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros((2, 24)), np.ones((3, 24), int), r"found 2 images, expected 3: 3 label sets, 1 draws"),
        (np.zeros((2, 23)), np.ones((2, 24), int), r"found shapes \(2, 23\) and \(2, 24\)"),
        (np.full((1, 24), np.nan), np.ones((1, 24), int), "not finite"),
        (np.zeros((1, 24)), np.full((1, 24), 2), "labels: found 2 to 2, expected zeros and ones"),
        (np.zeros((1, 24)), np.zeros((1, 24), int), "no object in image 0"),
    ],
)
def test_what_does_not_fit_is_refused(scores, labels, message):
    with pytest.raises(InputError, match=message):
        object_accuracy(scores, labels, 8)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepare({"source": "shapes", "image_size": 16, "scenes": 12}, tmp_path_factory.mktemp("data"))


class Small(ObjectClassifier):
    """Replaces the ResNet, whose 11 million weights would make these tests slow."""

    def __init__(self, num_classes):
        nn.Module.__init__(self)
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU())
        self.fc = nn.Linear(16, num_classes)

    def features(self, images):
        return self.body(images).mean(dim=(2, 3))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(object_training, "ObjectClassifier", Small)


@pytest.fixture(scope="module")
def evaluator():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ObjectClassifier(24).eval()


INFO = {"accuracy": 0.5, "interval": [0.4, 0.6], "class_names": list(OBJECTS), "image_size": 16}


def test_the_evaluator_learns_what_it_sees(small):
    """The images are all red or all blue, and each label set has two objects."""
    labels = sets(*["red cube, red sphere", "blue cube, blue cylinder"] * 16)
    images = np.zeros((32, 16, 16, 3), dtype=np.uint8)
    images[0::2, ..., 0] = images[1::2, ..., 2] = 200
    network = train_object_classifier(images, labels, epochs=10, batch_size=8, learning_rate=1e-2)
    assert not network.training
    assert count_objects(object_scores(network, images), labels, 8).accuracy == 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_twice_gives_the_same_weights_and_another_seed_others(small, data, precision):
    one, same, other = (
        train_object_classifier(data["train"].images, data["train"].labels, epochs=1, seed=seed, precision=precision)
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.fc.weight, other.fc.weight)
    assert not torch.equal(one.fc.bias, Small(24).fc.bias)


def test_every_weight_of_the_resnet_is_trained(data):
    images, labels = data["train"].images[:8], data["train"].labels[:8]
    # Two steps: the residual branches begin at zero, so in the first step the layers before them get no gradient.
    network = train_object_classifier(images, labels, epochs=2, batch_size=8)
    assert network.fc.weight.shape == (24, 512)
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_the_evaluators_file_gives_it_back(data, evaluator, tmp_path):
    sha256 = save_object_classifier(tmp_path / "evaluator.safetensors", evaluator, INFO)
    network, info = load_object_classifier(tmp_path / "evaluator.safetensors")
    images = data["test"].images
    np.testing.assert_allclose(object_scores(network, images), object_scores(evaluator, images), rtol=1e-4, atol=1e-5)
    assert (info["sha256"], info["accuracy"], info["image_size"]) == (sha256, 0.5, 16)


def test_the_courses_checkpoint_ranks_as_its_own_network_does(evaluator, tmp_path):
    course = ObjectClassifier(24)
    course.load_state_dict(evaluator.state_dict())
    course.fc = nn.Sequential(course.fc, nn.Sigmoid())
    course.eval()
    torch.save({"model": course.state_dict()}, tmp_path / "checkpoint.pth")
    network, info = load_object_classifier(tmp_path / "checkpoint.pth")
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = course(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1)
    np.testing.assert_allclose(1 / (1 + np.exp(-object_scores(network, images))), expected, atol=1e-5)
    assert (info["image_size"], info["accuracy"], tuple(info["class_names"])) == (64, None, OBJECTS)


def test_files_of_something_else_are_refused(tmp_path):
    save_tensors(tmp_path / "other.safetensors", {"weight": torch.zeros(2)}, {"kind": "other"})
    with pytest.raises(InputError, match=r"other\.safetensors: no classifier of objects"):
        load_object_classifier(tmp_path / "other.safetensors")
    torch.save({"weights": {}}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a\.pth: found no weights at the key 'model'"):
        load_object_classifier(tmp_path / "a.pth")
    torch.save({"model": {"fc.0.weight": torch.zeros(24, 512)}}, tmp_path / "b.pth")
    with pytest.raises(InputError, match=r"b\.pth: not the weights of a ResNet-18"):
        load_object_classifier(tmp_path / "b.pth")
    (tmp_path / "c.pth").write_bytes(b"no")
    with pytest.raises(InputError, match=r"c\.pth: not a PyTorch file"):
        load_object_classifier(tmp_path / "c.pth")


def test_one_class_an_image_is_refused_by_the_evaluator(data):
    with pytest.raises(InputError, match=r"labels: found int64 \(33,\), expected zeros and ones \(33, K\)"):
        train_object_classifier(data["train"].images, np.arange(33))


def test_the_scripts_train_and_evaluate(small, script, tmp_path, data):
    for split, images in data.items():
        save_image_set(tmp_path / f"{split}.npz", images)
    given = ["--train", tmp_path / "train.npz", "--test", tmp_path / "test.npz", "--device", "cpu"]
    evaluator = tmp_path / "evaluator.safetensors"
    assert "on 3 held-out images after 1 epochs" in script(
        "train_object_classifier", *given, "--out", evaluator, "--epochs", 1
    )
    assert "expected at least 1.0" in script(
        "train_object_classifier", *given, "--out", tmp_path / "no", "--epochs", 1, "--min-accuracy", 1, code=2
    )
    assert "several labels" in script("train_classifier", *given, "--out", tmp_path / "no", code=2)

    samples, labels = tmp_path / "samples.npz", tmp_path / "labels.json"
    np.savez(samples, arr_0=data["train"].images[:6])
    labels.write_text('[["red cube"], ["red cube", "gray sphere"], ["brown cube", "cyan cylinder", "gray cube"]]')
    given = ["--evaluator", evaluator, "--samples", samples, "--device", "cpu", "--out", tmp_path / "accuracy.json"]
    printed = script("evaluate_objects", *given, "--labels", labels, "--draws", 2)
    result = json.loads((tmp_path / "accuracy.json").read_text())
    assert sum(metric["value"] for metric in result["metrics"].values()) == pytest.approx(1)
    assert result["metrics"]["object_accuracy"]["note"].partition(", ")[0].endswith("of 12 objects in 2 draws of 6")
    assert result["evaluator"]["accuracy"] == pytest.approx(float(printed.rpartition(": ")[2]), abs=1e-4)
    assert result["num_fake"] == 3
    refused = script("evaluate_objects", *given, "--labels", labels, code=2)
    assert "found 6 images, expected 3: one for each of the 3 label sets" in refused
    assert "found 6 images, expected 32" in script("evaluate_objects", *given, "--labels", "test", code=2)
    np.savez(samples, arr_0=np.zeros((3, 8, 8, 3), dtype=np.uint8))
    assert "expected (16, 16, 3)" in script("evaluate_objects", *given, "--labels", labels, code=2)
