"""Inception's variants equal pytorch-fid, clean-fid and torch-fidelity on the same images and weights."""

import dataclasses
import shutil
from pathlib import Path
from unittest.mock import patch

import cleanfid
import numpy as np
import pytest
import torch
from cleanfid import fid as clean_fid
from cleanfid.features import get_reference_statistics
from cleanfid.inception_torchscript import InceptionV3W
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid import inception as pytorch_fid
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from benchmarks.random_inception import random_state, save_clean, save_legacy
from genbench.errors import InputError
from genbench.features import EXTRACTORS, extract, load_extractor
from genbench.features.computation import extract_features
from genbench.features.inception import CLEAN_WEIGHTS, LEGACY_WEIGHTS
from genbench.features.published_statistics import published_for
from genbench.files import downloads
from genbench.files.artifacts import sha256_file
from genbench.metrics import EvaluationOptions, Features, evaluate_features, fd, metric_keys

# torch.jit is deprecated, but clean-fid's weights are a torch.jit archive.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
NAMES = ("inception-clean", "inception-legacy", "inception-tensorflow")
PORTED = NAMES[:2]  # each comes from another Python package


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inception")
    legacy = dict.fromkeys(
        ("inception-legacy", "inception-tensorflow", "inception-spatial"), folder / LEGACY_WEIGHTS.name
    )
    paths = {"inception-clean": folder / CLEAN_WEIGHTS.name, **legacy}
    state = random_state()
    save_legacy(paths["inception-legacy"], state)
    save_clean(paths["inception-clean"], state)
    return paths


@pytest.fixture(scope="module")
def extractors(weights):
    return {name: load_extractor(f"{name}:{path}", any_weights=True) for name, path in weights.items()}


def pictures(count: int, size: int = 32, seed: int = 0) -> np.ndarray:
    """Smooth random colours that differ between images, like photographs."""
    random = np.random.default_rng(seed)
    coarse = np.clip(random.normal(120 + 20 * seed, 60, size=(count, 4, 4, 3)), 0, 255).astype(np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)) for image in coarse]
    )


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> list[tuple[np.ndarray, Path]]:
    """Two sets of images, each as an array and as a folder of PNG files."""
    found = []
    for seed in range(2):
        folder = tmp_path_factory.mktemp("images")
        images = pictures(8, seed=seed)
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{i:03d}.png")
        found.append((images, folder))
    return found


def of_pytorch_fid(folder: Path, path: Path) -> np.ndarray:
    state = torch.load(path, weights_only=True)
    with patch.object(pytorch_fid, "load_state_dict_from_url", lambda url, progress: state):
        model = pytorch_fid.InceptionV3([3])
    return fid_score.get_activations(sorted(folder.glob("*.png")), model, batch_size=8, num_workers=0)


def of_clean_fid(folder: Path, path: Path) -> np.ndarray:
    model = InceptionV3W(str(path.parent), download=False)
    return clean_fid.get_folder_features(
        str(folder), model=model, num_workers=0, batch_size=8, device=torch.device("cpu"), mode="clean", verbose=False
    )


PEERS = {
    "inception-clean": (of_clean_fid, clean_fid.frechet_distance),
    "inception-legacy": (of_pytorch_fid, fid_score.calculate_frechet_distance),
}


@pytest.mark.filterwarnings("ignore:.*disp:DeprecationWarning", "ignore:.*mode:DeprecationWarning")
@pytest.mark.parametrize("name", PORTED)
def test_features_and_fid_are_the_packages_own(name, extractors, weights, sets):
    ours = [extract(images, extractors[name])[0] for images, _ in sets]
    features, distance = PEERS[name]
    theirs = [features(folder, weights[name]) for _, folder in sets]
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    few = [(x[:, :5].mean(axis=0), np.cov(x[:, :5], rowvar=False)) for x in theirs]  # 8 images: too few for 2,048
    assert fd(*(x[:, :5] for x in ours)) == pytest.approx(distance(*few[0], *few[1]), rel=1e-3)


def test_features_and_logits_are_those_of_torch_fidelity(extractors, weights):
    images = pictures(3, size=299)  # nothing to resize
    path = str(weights["inception-legacy"])  # the file that torch-fidelity downloads, too
    reference = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=path)
    expected = [x.numpy() for x in reference(torch.from_numpy(images).permute(0, 3, 1, 2))]
    found = extract(images, extractors["inception-clean"])
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())
    # The other port scales pixels to (x - 127.5) / 127.5 instead of (x - 128) / 128. Otherwise it is the same network.
    np.testing.assert_allclose(
        extract(images, extractors["inception-legacy"])[1], expected[1], atol=0.05 * np.abs(expected[1]).max()
    )


def test_statistics_are_pytorch_fids_own_and_clean_fid_reads_them_too(weights, sets, tmp_path, monkeypatch):
    (_, folder), path = sets[0], weights["inception-legacy"]
    ours, theirs = tmp_path / "ours.npz", tmp_path / "theirs.npz"
    extract_features(folder, f"inception-legacy:{path}", None, any_weights=True, statistics=ours)
    state = torch.load(path, weights_only=True)
    with patch.object(pytorch_fid, "load_state_dict_from_url", lambda url, progress: state):
        fid_score.save_fid_stats([str(folder), str(theirs)], 8, "cpu", 2048, num_workers=0)
    of_theirs = published_for(theirs, "inception-legacy")
    assert (of_theirs.made_by, of_theirs.num_images) == (None, None)
    read = fid_score.compute_statistics_of_path(str(ours), None, 8, 2048, "cpu")
    for found, expected in zip(read, of_theirs.pair, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    # clean-fid looks up custom statistics by name, next to its code.
    (tmp_path / "stats").mkdir()
    shutil.copy(ours, tmp_path / "stats/pictures_clean_custom_na.npz")
    monkeypatch.setattr(cleanfid, "__file__", str(tmp_path / "__init__.py"))
    read = get_reference_statistics("pictures", "na", mode="clean", split="custom")
    for found, expected in zip(read, published_for(ours, "inception-legacy").pair, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [32, 300])
def test_after_tensorflows_resize_features_and_those_for_sfid_are_torch_fidelitys(size, extractors, weights):
    """torch-fidelity's port has TensorFlow's resize and scale. OpenAI's evaluator computes sFID from the first 7
    channels of mixed_6/conv, which is the first branch of Mixed_6d, in TensorFlow's order (N, H, W, C)."""
    images = pictures(2, size=size)
    path = str(weights["inception-legacy"])
    reference = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=path)
    maps = []
    reference.Mixed_6d.branch1x1.register_forward_hook(lambda module, inputs, output: maps.append(output))
    expected = [x.numpy() for x in reference(torch.from_numpy(images).permute(0, 3, 1, 2))]
    for ours, theirs in zip(extract(images, extractors["inception-tensorflow"]), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())
    spatial, logits = extract(images, extractors["inception-spatial"])
    in_order = maps[0].numpy().transpose(0, 2, 3, 1)[..., :7].reshape(2, -1)
    np.testing.assert_allclose(spatial, in_order, atol=1e-5 * np.abs(in_order).max())
    assert spatial.shape == (2, EXTRACTORS["inception-spatial"].dim) == (2, 2023)
    assert logits is None


@pytest.mark.parametrize("name", NAMES)
def test_batch_size_order_and_gray_channels_change_nothing(name, extractors):
    images = pictures(5)
    features, logits = extract(images, extractors[name])
    assert features.shape == (5, EXTRACTORS[name].dim)
    assert logits is not None
    assert logits.shape == (5, 1008)
    scale = np.abs(features).max()
    turned, _ = extract(images[::-1].copy(), extractors[name], batch_size=2)
    np.testing.assert_allclose(turned[::-1], features, atol=1e-6 * scale)
    gray = images[:2, :, :, :1]
    np.testing.assert_array_equal(
        extract(gray, extractors[name])[0], extract(gray.repeat(3, axis=3), extractors[name])[0]
    )


# --- A number is called FID only if FID's Inception made it ---


@pytest.mark.parametrize("name", NAMES)
def test_other_weights_are_refused_or_renamed(name, weights, extractors):
    with pytest.raises(InputError, match=r"found SHA-256 \w{64}, expected \w{64} of the published .*any_weights"):
        load_extractor(f"{name}:{weights[name]}")
    assert extractors[name].name == f"{name}-unofficial"
    keys = metric_keys(extractors[name].name, logits=True)
    assert f"fd_{name}-unofficial" in keys
    assert not [key for key in keys if key.startswith(("fid", "inception_score"))]


@pytest.mark.parametrize("name", NAMES)
def test_published_weights_give_fid(name, weights, monkeypatch):
    kind = EXTRACTORS[name]
    published = dataclasses.replace(kind.weights, sha256=sha256_file(weights[name]))
    monkeypatch.setitem(EXTRACTORS, name, dataclasses.replace(kind, weights=published))
    assert load_extractor(name, weights_root=weights[name].parent).name == name  # found in the folder by its name
    monkeypatch.setenv("GENBENCH_WEIGHTS", str(weights[name].parent))
    assert load_extractor(name).name == name
    custom = name.removeprefix("inception-")
    assert {f"fid_{custom}", f"fid_infinity_{custom}", f"kid_{custom}", f"inception_score_{custom}"} <= set(
        kind.metrics
    )


def test_fid_is_the_distance_and_the_score_that_of_its_logits():
    random = np.random.default_rng(0)
    info = {"extractor": {"name": "inception-clean"}}
    real, fake = (
        Features(random.normal(size=(150, 4)).astype(np.float32), np.zeros((150, 1008), np.float32), info)
        for _ in range(2)
    )
    found = evaluate_features(real, fake, EvaluationOptions(kid_subset_size=50))
    assert found["fid_clean"]["value"] == fd(real.features, fake.features)
    assert found["inception_score_clean"]["value"] == pytest.approx(1)
    assert "biased upward at so few images: compare only with values from 150" in found["fid_clean"]["note"]


@pytest.mark.parametrize("name", NAMES)
def test_without_weights_and_network_one_error_says_what_to_do(name, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "PAUSES", ())
    kind = EXTRACTORS[name]
    nowhere = dataclasses.replace(kind.weights, urls=["http://127.0.0.1:9/weights"])
    monkeypatch.setitem(EXTRACTORS, name, dataclasses.replace(kind, weights=nowhere))
    with pytest.raises(InputError) as caught:
        load_extractor(name, weights_root=tmp_path)
    for part in (kind.weights.name, "http://127.0.0.1:9/weights", str(tmp_path), "fd_classifier and fd_efficientnet"):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_no_such_weights_are_refused(name, tmp_path):
    path = tmp_path / "weights"
    with pytest.raises(InputError, match="no such file"):
        load_extractor(f"{name}:{path}", any_weights=True)
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="weights: not a"):
        load_extractor(f"{name}:{path}", any_weights=True)
    torch.save({"fc.weight": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="weights: not"):
        load_extractor(f"{name}:{path}", any_weights=True)
