"""Command lines: one name for each thing, old names still work, and the functions behind them."""

import argparse
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from entries import IMAGE_SHAPE, MODELS, blobs
from PIL import Image

from genbench.data import ImageSet, load_images, save_image_set, save_samples
from genbench.data.image_set import make_image_set
from genbench.errors import InputError
from genbench.features import save_features
from genbench.features.evaluation import evaluate_files
from genbench.features.evaluators import make_classifier
from genbench.files.artifacts import array_sha256, read_json
from genbench.files.weights import save_tensors
from genbench.metrics import Features
from genbench.models import build
from genbench.sampling.comparison import compare_samples
from genbench.sampling.draw import draw_samples
from genbench.sampling.likelihood_record import evaluate_likelihood
from genbench.sampling.picture import draw_picture
from genbench.sampling.sheets import draw_grid, draw_neighbours
from genbench.training.folder import train_model

ROOT = Path(__file__).parents[2]
NAMES = sorted(
    path.stem for path in (ROOT / "genbench/commands").glob("[a-z]*.py") if "def parser()" in path.read_text("utf-8")
)
# Every flag with its meaning, which is the same in every command.
FLAGS = {
    "--allow-too-few": "leave out a metric that needs more images",
    "--any-weights": "accept other weights than the published ones",
    "--batch-size": "images at a time",
    "--channels": "to convert images to",
    "--check": "only check suites",
    "--condition": "what a sampler starts from",
    "--data-root": "where downloads are kept",
    "--dataset": "an entry of a data set",
    "--device": "what a job computes on",
    "--draws": "how many sets of samples, with other seeds, of one model",
    "--elsewhere": "what is on other machines",
    "--epochs": "how long a classifier is trained",
    "--evaluation": "metrics.json",
    "--evaluator": "a classifier of objects",
    "--extractor": "a network of features",
    "--fake": "features of generated images",
    "--filter": "of resizing images",
    "--first-stage": "the trained first stage of a model of two",
    "--format": "another project's kind of checkpoint",
    "--fresh": "begin a training again",
    "--grid": "a picture of the first samples",
    "--hand-in": "a hand-in of a class, whose faults are a record",
    "--headline": "a metric",
    "--hub": "a checkpoint on the model hub",
    "--image-size": "to resize images to",
    "--images": "a prepared split, or samples, to be looked at",
    "--in": "what is imported",
    "--key": "which array of an npz",
    "--labels": "label sets",
    "--layout": "order of an array's dimensions",
    "--like": "a data set with the expected shape of images",
    "--limit": "the first N images",
    "--metrics": "metrics of the user's own",
    "--min-accuracy": "the least accuracy of a classifier",
    "--model": "a checkpoint of a model",
    "--neighbours": "a picture of samples above their nearest training images",
    "--options": "options as JSON, of metrics or of a format",
    "--out": "what is written",
    "--own": "train, whatever comes with genbench",
    "--overrides": "keys of config.yaml, as JSON",
    "--picture": "what a model shows of itself",
    "--precision": "of arithmetic in a training",
    "--preflight": "preflight.json",
    "--published": "published statistics of real images, by extractor",
    "--range": "an array's values for black and white",
    "--real": "features of real images",
    "--record": "where weights come from",
    "--reference": "the samples to compare with",
    "--refused": "why a hand-in is not taken",
    "--report": "the folder of the pages",
    "--results": "the folder of results",
    "--sampler": "options of a sampler",
    "--samplers": "options of several samplers, by name",
    "--samples": "samples.npz",
    "--save-seconds": "how often a training is saved",
    "--seed": "of a training",
    "--seeds": "of samples",
    "--snapshots": "steps at which a model is kept",
    "--spec": "a model's entry with its training",
    "--statistics": "what metrics compute of real images only",
    "--steps": "of the model's T",
    "--suite": "files of suites",
    "--template-dir": "templates of the pages",
    "--subset": "how many images at random, of more",
    "--test": "test images, held out from training, or their features",
    "--threads": "CPU threads",
    "--timing": "how long samples took",
    "--track": "where a training and its metrics are also logged",
    "--train": "training images",
    "--weights-root": "where published weights are",
    "--without": "metrics of genbench to leave out",
    "--write-statistics": "where to write it",
}
OLD = {
    "train": {"--data": "--train", "--held-out": "--test"},
    "train_classifier": {"--data-train": "--train", "--data-test": "--test"},
    "train_object_classifier": {"--data-train": "--train", "--data-test": "--test"},
    "draw_neighbours": {"--metrics": "--evaluation"},
    "evaluate": {"--holdout": "--test"},
    "import_samples": {"--count": "--limit"},
    "extract_features": {"--weights-dir": "--weights-root", "--statistics": "--write-statistics"},
    "render_report": {"--out-dir": "--report"},
}


def flags(name: str) -> list[argparse.Action]:
    parser = importlib.import_module(f"genbench.commands.{name}").parser()
    return [action for action in parser._actions if action.option_strings and action.dest != "help"]


def test_one_thing_has_one_name_in_all_commands() -> None:
    found = {action.option_strings[0] for name in NAMES for action in flags(name)}
    assert found == set(FLAGS)
    assert len(set(FLAGS.values())) == len(FLAGS)
    aliases = {
        name: {old: action.option_strings[0] for action in flags(name) for old in action.option_strings[1:]}
        for name in NAMES
    }
    assert {name: names for name, names in aliases.items() if names} == OLD
    for name in NAMES:
        for action in flags(name):
            assert action.help or action.required or action.default is not None, (name, action.option_strings)


def test_the_same_flag_takes_the_same_choices_and_numbers_everywhere() -> None:
    for flag in ("--device", "--threads", "--draws", "--batch-size", "--seed", "--epochs", "--data-root", "--limit"):
        kinds = {
            (str(action.type), str(action.choices))
            for name in NAMES
            for action in flags(name)
            if action.option_strings[0] == flag
        }
        assert len(kinds) == 1, (flag, kinds)


def test_every_script_calls_the_command_of_its_name_and_does_nothing_else() -> None:
    assert sorted(path.stem for path in (ROOT / "scripts").glob("*.py")) == NAMES
    for name in NAMES:
        script = (ROOT / f"scripts/{name}.py").read_text(encoding="utf-8")
        command = importlib.import_module(f"genbench.commands.{name}")
        first = (command.__doc__ or "").splitlines()[0]
        assert script == (
            f'"""{first}"""\n\nfrom genbench.commands.{name} import main\n'
            "from genbench.machine.command_line import run\n\n"
            'if __name__ == "__main__":\n    run(main)\n'
        )


# --- From Python ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two prepared splits and the weights of an untrained diffusion model."""
    folder = tmp_path_factory.mktemp("files")
    for split, count in (("train", 40), ("test", 24)):
        save_image_set(folder / f"{split}.npz", image_set(split, count))
    entry = MODELS["ddpm"]
    save_tensors(
        folder / "model.safetensors",
        build(entry, IMAGE_SHAPE).state_dict(),
        {"model": entry, "image_shape": IMAGE_SHAPE},
    )
    return folder


def image_set(split: str, count: int) -> ImageSet:
    return make_image_set(*blobs(count), list("abcd"), dataset="b", split=split, source="t", source_sha256="s")


def test_samples_are_drawn_and_compared_from_python(files: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    record = draw_samples(
        files / "model.safetensors",
        first,
        {"steps": 2},
        seeds=range(4, 16),
        batch_size=6,
        timing=tmp_path / "t.json",
        sheet=tmp_path / "g.png",
    )
    assert record is not None
    assert (record.nfe, record.seeds, record.precision) == (2, "4:16", "fp32")
    assert read_json(tmp_path / "t.json") == json.loads(json.dumps(record.content()))
    images, info = load_images(first)
    assert images.shape == (12, 16, 16, 1)
    assert info["samples_sha256"] == record.samples_sha256 == array_sha256(images)
    with Image.open(tmp_path / "g.png") as sheet:
        assert sheet.size == (178, 34)
    draw_samples(files / "model.safetensors", second, {"steps": 2}, seeds=range(4, 16), batch_size=6)
    paired = compare_samples(second, first)
    assert (paired.identical_images, paired.num_images) == (12, 12)
    assert paired.psnr == pytest.approx(10 * np.log10(255**2 * 256))  # as if one value differed by one
    draw_samples(files / "model.safetensors", second, {"steps": 2}, seeds=range(12), batch_size=6)
    with pytest.raises(InputError, match=r"b\.npz: seeds: found '0:12', expected '4:16'"):
        compare_samples(second, first)


def test_metrics_of_files_from_python(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, count in (("real", 60), ("fake", 40), ("test", 50)):
        info = {"extractor": {"name": "one", "sha256": "ab"}, "images_sha256": name}
        save_features(tmp_path / name, Features(random.normal(size=(count, 4)).astype(np.float32), None, info))
    real, fake, test = ([tmp_path / name] for name in ("real", "fake", "test"))
    options = {"kid_subset_size": 20, "fd_infinity_sizes": 0}
    record = evaluate_files(real, fake, test, draws=2, options=options)
    assert (record.num_real, record.num_fake, record.options) == (60, 20, options)
    assert len(record.metrics["fd_one"].values) == 2
    assert "memorised_one" in record.metrics
    assert "memorised_one" not in evaluate_files(real, fake, options=options).metrics
    with pytest.raises(InputError, match="--test: found 2 files, expected one for each of the 1 of --real"):
        evaluate_files(real, fake, [*test, *test])
    with pytest.raises(InputError, match="--real and --fake: found 1 and 2 files, expected pairs"):
        evaluate_files(real, [*fake, *test])
    with pytest.raises(InputError, match="--draws: found 0, expected at least 1"):
        evaluate_files(real, fake, draws=0)


def test_a_model_is_trained_and_looked_at_from_python(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    watched = {"model": MODELS["vae"], "training": {"steps": 2, "batch_size": 8, "validate_every": 1}}
    with pytest.raises(InputError, match="but no held-out images"):
        train_model(watched, files / "train.npz", tmp_path / "vae/model.safetensors")
    train_model(watched, files / "train.npz", tmp_path / "vae/model.safetensors", test=files / "test.npz")
    spec = {"model": MODELS["ddpm"], "training": {"steps": 2, "batch_size": 8}}
    train_model(spec, files / "train.npz", out, snapshots=[1])
    assert out.exists()
    assert (tmp_path / "snapshots/1.safetensors").exists()
    record = evaluate_likelihood(out, files / "test.npz", limit=6, steps=3)
    assert (record.images, record.steps, record.split) == (6, 3, "test")
    test = image_set("test", 24)
    assert record.images_sha256 == array_sha256(test.images[:6])
    labels, names = np.sort(test.labels), list(test.class_names)
    by_class = make_image_set(test.images, labels, names, dataset="b", split="test", source="t", source_sha256="s")
    save_image_set(tmp_path / "by_class.npz", by_class)
    mixed = by_class.representative_order()[:6]
    assert len(set(by_class.labels[mixed])) > 1 == len(set(by_class.labels[:6]))
    record = evaluate_likelihood(out, tmp_path / "by_class.npz", limit=6, steps=3)
    assert record.images_sha256 == array_sha256(by_class.images[mixed])
    draw_picture(out, "denoising", files / "test.npz", tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size[0] == 178
    with pytest.raises(InputError, match=r"picture: found 'denoised' \(did you mean 'denoising'\?\)"):
        draw_picture(out, "denoised", files / "test.npz", tmp_path / "p.png")


def test_neighbours_are_drawn_below_their_samples(files: Path, tmp_path: Path) -> None:
    train, _ = load_images(files / "train.npz")
    save_samples(tmp_path / "samples.npz", 255 - train[:20], {})
    nearest = list(range(20, 40))
    neighbours = {"index": nearest, "distance": [1.0] * 20}
    metrics = {"fd_a": {"value": 1.0}, "memorised_a": {"value": 0.0, "neighbours": neighbours}}
    (tmp_path / "metrics.json").write_text(json.dumps({"metrics": metrics}))
    paths = tmp_path / "metrics.json", tmp_path / "samples.npz", files / "train.npz", tmp_path / "n.png"
    draw_neighbours(*paths, headline="fd_a")
    with Image.open(tmp_path / "n.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (4 * 18 - 2, 178, 3)
    assert np.array_equal(pixels[:16, :16, 0], 255 - train[0, ..., 0])
    assert np.array_equal(pixels[18:34, :16, 0], train[20, ..., 0])
    (tmp_path / "metrics.json").write_text(json.dumps({"metrics": {"fd_a": {"value": 1.0}}}))
    with pytest.raises(InputError, match="expected an evaluation with --test"):
        draw_neighbours(*paths, headline="fd_a")
    warning = "Memorised is left out: too few images (it needs 20 test images)"  # the warning of evaluate_files
    (tmp_path / "metrics.json").write_text(json.dumps({"metrics": {"fd_a": {"value": 1.0}}, "warnings": [warning]}))
    draw_neighbours(*paths, headline="fd_a")
    with Image.open(tmp_path / "n.png") as picture:
        assert len(set(np.asarray(picture).flat)) == 1
    draw_grid(files / "test.npz", tmp_path / "g.png")
    with Image.open(tmp_path / "g.png") as picture:
        assert picture.size == (178, 52)


def test_a_classifier_of_other_images_is_refused(files: Path, tmp_path: Path) -> None:
    others = make_image_set(*blobs(8), list("abce"), dataset="b", split="test", source="t", source_sha256="s")
    save_image_set(tmp_path / "others.npz", others)
    with pytest.raises(InputError, match="expected the same classes and size of images"):
        make_classifier(files / "train.npz", tmp_path / "others.npz", tmp_path / "c.safetensors")
    with pytest.raises(InputError, match=r"^epochs: found 0, expected at least 1"):
        make_classifier(files / "train.npz", files / "test.npz", tmp_path / "c.safetensors", epochs=0)
