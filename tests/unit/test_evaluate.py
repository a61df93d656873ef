"""Two sets of images in, a table out: the pipeline's numbers, whatever the format of the images."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from entries import blobs
from PIL import Image

from genbench.commands import app
from genbench.data import save_image_set, save_samples
from genbench.data.image_set import make_image_set
from genbench.errors import InputError
from genbench.evaluation import evaluate
from genbench.evaluation.comparison import check_needs
from genbench.features import EXTRACTORS, save_features
from genbench.features.class_training import save_classifier
from genbench.features.computation import extract_features
from genbench.features.evaluation import evaluate_files
from genbench.features.published_statistics import write_published
from genbench.files import downloads
from genbench.networks.classifier import Classifier

OPTIONS = {"kid_subset_size": 40, "fd_infinity_sizes": 0, "splits": 2}
COUNT = 150  # more than the classifier's 128 features


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An extractor: an untrained classifier of 16 x 16 grey images."""
    path = tmp_path_factory.mktemp("classifier") / "classifier.safetensors"
    torch.manual_seed(0)
    save_classifier(path, Classifier(channels=1, height=16, width=16, num_classes=4), {"test_accuracy": 0.5})
    return f"classifier:{path}"


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    """Grey images: real ones, and noisier ones as generated images."""
    real, _ = blobs(COUNT)
    fake, _ = blobs(COUNT + 10)
    noise = np.random.default_rng(1).integers(0, 60, size=fake.shape)
    return {"real": real, "fake": np.clip(fake.astype(int) + noise, 0, 255).astype(np.uint8)[10:]}


@pytest.fixture(scope="module")
def folders(images, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same images as folders of PNG files."""
    found = {}
    for name, pixels in images.items():
        found[name] = tmp_path_factory.mktemp(name)
        for number, image in enumerate(pixels):
            Image.fromarray(image[..., 0]).save(found[name] / f"{number}.png")
    return found


@pytest.fixture(scope="module")
def pipeline(images, classifier, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The metrics of the same images from the pipeline's scripts."""
    folder = tmp_path_factory.mktemp("pipeline")
    for name, pixels in images.items():
        save_samples(folder / f"{name}.npz", pixels, {})
        extract_features(folder / f"{name}.npz", classifier, folder / f"{name}-features.npz")
    record = evaluate_files([folder / "real-features.npz"], [folder / "fake-features.npz"], options=OPTIONS)
    return record.content()["metrics"]


def test_the_numbers_are_the_pipelines(folders, classifier, pipeline) -> None:
    found = evaluate(folders["fake"], folders["real"], features=[classifier], options=OPTIONS)
    assert found.record.content()["metrics"] == pipeline
    assert list(found.table.index)[:2] == ["fd_classifier", "classifier_score"]
    assert found.table.loc["fd_classifier", "value"] == found["fd_classifier"] == pipeline["fd_classifier"]["value"]
    assert found.table.loc["fd_classifier", "label"] == "FD-classifier (150)"
    assert "biased upward at so few images" in found.table.loc["fd_classifier", "note"]
    assert "no FID" in found.table.loc["fd_classifier", "note"]
    assert "fd_classifier" in found._repr_html_()


def test_whatever_the_images_come_as_the_numbers_are_the_same(images, folders, classifier, pipeline, tmp_path) -> None:
    fake = images["fake"]
    with zipfile.ZipFile(tmp_path / "fake.zip", "w") as archive:
        for path in folders["fake"].iterdir():
            archive.write(path, path.name)
    np.savez(tmp_path / "fake.npz", arr_0=fake)
    np.save(tmp_path / "nchw.npy", fake.transpose(0, 3, 1, 2))
    save_samples(tmp_path / "samples.npz", fake, {"model_sha256": "ab"})
    extract_features(tmp_path / "samples.npz", classifier, tmp_path / "features.npz")
    given = {name: tmp_path / name for name in ("fake.zip", "fake.npz", "nchw.npy", "samples.npz", "features.npz")}
    given |= {"array": fake, "grey array": fake[..., 0], "tensor": torch.from_numpy(fake).permute(0, 3, 1, 2)}
    for name, one in given.items():
        found = evaluate(one, images["real"], features=[classifier], options=OPTIONS, metrics=["fid", "precision"])
        assert set(found.record.metrics) == {"fd_classifier", "precision_classifier"}, name
        assert found["fd_classifier"] == pipeline["fd_classifier"]["value"], name
    turned = [pixels.transpose(0, 3, 1, 2) for pixels in (fake, images["real"])]
    stated = evaluate(*turned, layout="NCHW", features=[classifier], options=OPTIONS)
    assert stated["fd_classifier"] == pipeline["fd_classifier"]["value"]


def test_in_a_folder_a_page_appears_and_features_are_not_computed_again(
    folders, classifier, tmp_path, monkeypatch
) -> None:
    strange = tmp_path / "<b>samples"
    folders["fake"].rename(strange)
    try:
        out = tmp_path / "out"
        first = evaluate(strange, folders["real"], features=[classifier], options=OPTIONS, out=out)
        monkeypatch.setattr("genbench.features.computation.extract", lambda *_: pytest.fail("computed again"))
        second = evaluate(strange, folders["real"], features=[classifier], options=OPTIONS, out=out)
        assert second.record.metrics == first.record.metrics
        page = (out / "index.html").read_text(encoding="utf-8")
        assert "&lt;b&gt;samples" in page
        assert "<b>samples" not in page
        assert page.count("data:image/png") == 3  # fake images, real images, nearest real images
        assert json.loads((out / "metrics.json").read_text())["metrics"].keys() == first.record.metrics.keys()
        assert (out / "table.csv").read_text().startswith("metric,label,value")
        with Image.open(out / "neighbours.png") as picture:
            assert picture.size == (178, 6 * 18 - 2)
    finally:
        strange.rename(folders["fake"])


def test_of_a_data_set_by_its_name_test_images_show_whether_samples_are_memorised(
    images, classifier, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for split, pixels in (("train", images["real"]), ("test", images["fake"][:40])):
        y = np.zeros(len(pixels), np.int64)
        made = make_image_set(pixels, y, ["a"], dataset="mnist", split=split, source="t", source_sha256="s")
        save_image_set(tmp_path / f"resources/mnist/{split}.npz", made)
    found = evaluate(images["real"], "mnist", features=[classifier], options=OPTIONS)
    assert found["memorised_classifier"] == 1
    assert found["fd_classifier"] == pytest.approx(0, abs=1e-6)
    of_test = evaluate(images["fake"], "mnist", split="test", features=[classifier], metrics=["precision"])
    assert of_test.record.metrics["precision_classifier"].n_real == 40
    with pytest.raises(InputError, match="minst: no such file or folder, nor a data set, such as cifar10"):
        evaluate(images["fake"], "minst", features=[classifier])


# --- Published statistics ---------------------------------------------------------------------------------------------


def test_against_statistics_only_the_distance_is_computed_and_says_what_it_is_against(
    images, classifier, pipeline, tmp_path
) -> None:
    np.savez(tmp_path / "real.npz", arr_0=images["real"])
    made = extract_features(tmp_path / "real.npz", classifier, None)
    mu, sigma = made.features.mean(axis=0, dtype=float), np.cov(made.features, rowvar=False)
    np.savez(tmp_path / "stats.npz", mu=mu, sigma=sigma)
    found = evaluate(images["fake"], tmp_path / "stats.npz", features=[classifier], options=OPTIONS)
    scores = {"classifier_score", "fd_classifier"}
    assert set(found.record.metrics) == scores
    assert found["fd_classifier"] == pytest.approx(pipeline["fd_classifier"]["value"], rel=1e-5)
    assert "against the statistics in stats.npz (SHA-256" in found.table.loc["fd_classifier", "note"]
    assert "as stated to genbench: the file does not say" in found.table.loc["fd_classifier", "note"]
    with pytest.raises(InputError, match=r"stats\.npz: found statistics that do not say what made them; expected f"):
        evaluate(images["fake"], tmp_path / "stats.npz")
    with pytest.raises(InputError, match=r"statistics of 128 dimensions, which none of features efficientnet has"):
        evaluate(images["fake"], tmp_path / "stats.npz", features=["efficientnet"])
    write_published(tmp_path / "ours.npz", made)
    both = evaluate(tmp_path / "ours.npz", tmp_path / "stats.npz", features=[classifier])
    assert both["fd_classifier"] == pytest.approx(0, abs=1e-6)
    batch = tmp_path / "batch.npz"  # like OpenAI's: statistics of all images, and some of the images
    np.savez(batch, arr_0=images["real"][:140], mu=mu, sigma=sigma)
    adm = evaluate(images["fake"], batch, features=[classifier], options=OPTIONS)
    assert adm["fd_classifier"] == found["fd_classifier"]
    assert adm.record.metrics["kid_classifier"].n_real == 140
    np.savez(tmp_path / "kid.npz", feats=made.features)  # clean-fid's second file
    bare = evaluate(images["fake"], tmp_path / "kid.npz", features=[classifier], options=OPTIONS)
    assert bare["kid_classifier"] == pipeline["kid_classifier"]["value"]
    assert any("they do not say what made them" in warning for warning in bare.warnings)


def test_statistics_that_two_extractors_could_have_made_are_not_guessed_at(images, tmp_path) -> None:
    np.savez(tmp_path / "s.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    with pytest.raises(
        InputError, match=r"of 2048 features, as inception-clean and inception-legacy have; expected on"
    ):
        evaluate(images["fake"], tmp_path / "s.npz", features=["inception-clean", "inception-legacy"])


# --- What is missing or wrong -----------------------------------------------------------------------------------------


def test_without_its_weights_an_extractor_is_left_out_and_the_others_go_on(
    images, classifier, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(downloads, "download", _no_network)
    monkeypatch.setattr("genbench.features.published_weights.download", _no_network)
    options = {"options": OPTIONS, "weights_root": tmp_path}
    found = evaluate(images["fake"], images["real"], features=["inception-clean", classifier], **options)
    assert "fd_classifier" in found.record.metrics
    (line,) = found.missing
    assert line == f"inception-clean: {tmp_path / 'inception-2015-12-05.pt'}: not there, put it at its place"
    with pytest.raises(InputError, match=r"nothing could be computed: inception-clean: .*put it at its place"):
        evaluate(images["fake"], images["real"], features=["inception-clean"], **options)


def _no_network(urls, target, check, otherwise="") -> None:
    raise InputError(f"{target}: not there, put it at its place")


def test_too_few_images_for_a_metric_leave_it_out_with_a_line(images, classifier) -> None:
    found = evaluate(images["fake"][:50], images["real"], features=[classifier], options=OPTIONS)
    assert "fd_classifier" not in found.record.metrics
    assert "FD is left out: too few images (it needs feature dimension + 1)" in found.warnings
    with pytest.raises(InputError, match="nothing could be computed: FD is left out: too few images"):
        evaluate(images["fake"][:50], images["real"], features=[classifier], metrics=["fid"])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"metrics": ["kidd"]}, r"^metrics: found 'kidd' \(did you mean 'kid'\?\)"),
        ({"features": ["inception"]}, "^features: found 'inception'"),
        ({"features": ["dinov2", "dinov2:x"]}, "^features: found 'dinov2' twice"),
        ({"options": {"kid_subset": 3}}, "^options: unknown key: found 'kid_subset'"),
        ({"fake": np.zeros((4, 8, 8, 3))}, r"generated images: found float64 images of 0 to 0, expected uint8"),
        ({"fake": np.zeros((4, 8, 8, 5), np.uint8)}, "generated images: found 5 channels"),
        ({"fake": np.zeros((4, 8), np.float32)}, "generated images: found features that do not say what made them"),
        ({"fake": "none"}, "none: no such file or folder$"),
        ({"out": __file__}, r"^out: found a file at .*test_evaluate\.py, expected a folder"),
        ({"filter": "lanczos"}, "^filter: found 'lanczos', which does nothing without image_size"),
        ({"split": "test"}, "^split: found 'test', which does nothing: the real images are not a data set"),
        ({"options": {"fd_infinity_sizes": 5}}, "^options: "),
        ({"metrics": ["memorised"]}, r"^nothing can be computed: Memorised is left out: it needs held-out .*\(test\)"),
        ({"metrics": ["inception_score"]}, "left out: it needs features of inception-clean or inception-legacy"),
        ({"fake": np.zeros((8, 8, 3), np.uint8)}, r"one image \(H, W, C\), expected \(N, H, W, C\)"),
        ({"fake": np.full((9, 16, 16, 1), 7, np.uint8)}, "^generated images: "),
    ],
)
def test_bad_input_is_one_line(keys, message, images, classifier) -> None:
    given = {"fake": images["fake"], "real": images["real"]}
    given |= {"features": None if "fake" in keys else [classifier]} | keys
    with pytest.raises(InputError, match=message) as caught:
        evaluate(given.pop("fake"), given.pop("real"), **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": np.zeros(3)}, r"bad\.npz: found the keys x; expected images"),
        ({"arr_0": np.array([{}, {}], dtype=object)}, r"bad\.npz: not an npz file, or damaged"),
        (b"PK\x03\x04 and no more", r"bad\.npz: not an npz file, or damaged"),
    ],
)
def test_files_that_are_nothing_of_all_that_are_one_line(content, message, images, classifier, tmp_path) -> None:
    path = tmp_path / "bad.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(InputError, match=message) as caught:
        evaluate(path, images["real"], features=[classifier])
    assert "\n" not in str(caught.value)


def test_conversions_reach_both_sides_and_stand_beside_the_numbers(images, classifier, tmp_path, monkeypatch) -> None:
    large = np.repeat(np.repeat(images["fake"], 2, axis=1), 2, axis=2)
    for split in ("train", "test"):
        of_split = make_image_set(np.repeat(images["real"], 3, axis=3), np.zeros(COUNT, np.int64), ["a"],
                                  dataset="demo", split=split, source="s", source_sha256="0")  # fmt: skip
        (tmp_path / "resources/demo").mkdir(parents=True, exist_ok=True)
        save_image_set(tmp_path / f"resources/demo/{split}.npz", of_split)
    monkeypatch.chdir(tmp_path)
    asked = {"channels": 1, "image_size": 16, "filter": "box"}
    found = evaluate(large, "demo", features=[classifier], metrics=["precision"], **asked)
    plain = evaluate(images["fake"], images["real"], features=[classifier], metrics=["precision"])
    assert found.record.metrics["precision_classifier"].value == plain.record.metrics["precision_classifier"].value
    for side in ("real images (demo, train)", "generated images"):
        assert {f"{side}: converted to greyscale", f"{side}: resized to 16x16 (box)"} <= set(found.warnings)
    made = extract_features(tmp_path / "resources/demo/test.npz", "efficientnet", tmp_path / "made.npz")
    assert len(made.features) == COUNT
    found = evaluate(large, tmp_path / "made.npz", features=["efficientnet"], metrics=["precision"], **asked)
    assert "real images: not converted: they are features or statistics, not images" in found.warnings


def test_both_names_of_the_frechet_distance_suit_every_extractor() -> None:
    for extractor in ("inception-clean", "efficientnet"):
        assert check_needs(["fd"], [extractor], held_out=False) == check_needs(["fid"], [extractor], False) == []


def test_results_inside_a_folder_of_images_would_be_read_as_images(folders, classifier) -> None:
    with pytest.raises(InputError, match=r"^out: found .*, inside .*, all of whose images are read"):
        evaluate(folders["fake"], folders["real"], features=[classifier], out=folders["fake"] / "page")
    assert not (folders["fake"] / "page").exists()


def test_statistics_of_too_few_generated_images_give_no_distance(images, classifier, tmp_path) -> None:
    for name, pixels in (("few", images["fake"][:50]), ("all", images["fake"])):
        np.savez(tmp_path / f"{name}.npz", arr_0=pixels)
        extract_features(tmp_path / f"{name}.npz", classifier, None, statistics=tmp_path / f"{name}-mu.npz")
    real = images["real"]
    found = evaluate(tmp_path / "all-mu.npz", real, features=[classifier], metrics=["fid"]).record
    distance = found.metrics["fd_classifier"]
    assert (distance.n_real, distance.n_fake) == (COUNT, COUNT)
    assert "biased upward at so few images: compare only with values from 150; of the statistics in" in distance.note
    for fake, other in ((tmp_path / "few-mu.npz", real), (real, tmp_path / "few-mu.npz")):
        with pytest.raises(InputError, match=r"left out: too few images: 50 in few-mu\.npz"):
            evaluate(fake, other, features=[classifier], metrics=["fid"])
    with pytest.raises(InputError, match="left out: too few images"):
        evaluate(tmp_path / "all-mu.npz", real[:50], features=[classifier], metrics=["fid"])


@pytest.mark.parametrize("key", ["images", "samples"])
def test_features_come_from_arrays_of_other_programs(key, images, classifier, tmp_path) -> None:
    pixels = np.repeat(images["fake"], 3, axis=3)
    np.savez(tmp_path / "own.npz", arr_0=pixels, info=np.array("{}"))
    np.savez(tmp_path / "other.npz", **{key: np.moveaxis(pixels, 3, 1), "info": np.array("made in May")})
    own, other = (extract_features(tmp_path / f"{name}.npz", "efficientnet", None) for name in ("own", "other"))
    assert np.array_equal(own.features, other.features)


def test_features_of_other_weights_are_not_compared(images, classifier, tmp_path) -> None:
    np.savez(tmp_path / "fake.npz", arr_0=images["fake"])
    made = extract_features(tmp_path / "fake.npz", classifier, None)
    made.info["extractor"]["sha256"] = "ab" * 32
    save_features(tmp_path / "features.npz", made)
    with pytest.raises(InputError, match="features of different extractors"):
        evaluate(tmp_path / "features.npz", images["real"], features=[classifier])
    assert EXTRACTORS["classifier"].dim == made.features.shape[1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a", "Missing option '--real'"),
        ("a --real b", "^b: no such file or folder, nor a data set, such as cifar10"),
        ("a --real b --channels 2", "^--channels: found 2, expected 1 or 3"),
        ("a --real b --options {", "^--options: the argument is not valid JSON"),
        ("a --real b --split half", "Invalid value for '--split'"),
    ],
)
def test_a_bad_command_line_is_one_line(line: str, message: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        app.call(["evaluate", *line.split()])
    assert "\n" not in str(caught.value)
