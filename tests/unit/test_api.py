"""genbench from Python: the same weights and images as the workflow's, and one clear line for bad values."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import jaxtyping
import numpy as np
import pytest
import yaml
from entries import COLD, DDPM_OF_TWO_RANKS, SUITE, VAE, blobs

import genbench
from genbench import build, load, load_suite, sample, show, train
from genbench.data import load_images
from genbench.errors import InputError
from genbench.files.artifacts import read_json
from genbench.files.weights import load_tensors
from genbench.models import Model
from genbench.training.trainer import Trainer

DDPM = DDPM_OF_TWO_RANKS["model"]
DIFFUSEVAE = {"class": "diffusevae.DiffuseVAE", "formulation": 1, **{k: v for k, v in DDPM.items() if k != "class"}}
TRAINING = {"steps": 8, "batch_size": 8, "precision": "fp32"}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A suite of small models of digits."""
    models: dict[str, Any] = {
        "ddpm": {"model": DDPM, "training": TRAINING | {"ema_decay": 0.9}},
        "vae": {"model": VAE, "training": TRAINING | {"validate_every": 4}},
        "two": {"model": DIFFUSEVAE, "training": TRAINING, "first_stage": "vae"},
        "cold": {"model": COLD, "training": TRAINING},
        "classes": {"model": DDPM | {"num_classes": 10}, "training": TRAINING},
        "elsewhere": {"pretrained": {"format": "diffusers", "path": "x"}},
    }
    path = tmp_path_factory.mktemp("suites") / "small.yaml"
    path.write_text(yaml.safe_dump({**SUITE, "models": models}))
    return load_suite(path)


@pytest.fixture(scope="module")
def ddpm(suite: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Model:
    return train(suite, "ddpm", folder=tmp_path_factory.mktemp("ddpm"))


# --- Equal to the workflow --------------------------------------------------------------------------------------------


@pytest.fixture
def workflow(script: Callable[..., str], tmp_path: Path, suite: dict[str, Any]) -> Callable[..., Path]:
    """Train an entry with the workflow's scripts, in its own folder; returns the file of the model."""
    script("prepare_data", "--dataset", json.dumps(suite["dataset"]), "--out", tmp_path / "data")

    def trained(name: str, *others: object) -> Path:
        out = tmp_path / "workflow" / name / "model.safetensors"
        spec = json.dumps({key: suite["models"][name][key] for key in ("model", "training")})
        data, test = tmp_path / "data/train.npz", tmp_path / "data/test.npz"
        script("train", "--spec", spec, "--data", data, "--held-out", test, "--out", out, "--device", "cpu", *others)
        return out

    return trained


def weights(path: Path) -> str:
    return str(load_tensors(path)[1]["sha256"])


def test_weights_and_images_are_bitwise_those_of_the_workflow(
    suite: dict[str, Any], ddpm: Model, workflow: Callable[..., Path], script: Callable[..., str], tmp_path: Path
) -> None:
    file = workflow("ddpm")
    theirs, ours = load(file).state_dict(), ddpm.state_dict()
    assert theirs.keys() == ours.keys()
    assert all(theirs[name].equal(ours[name]) for name in theirs)
    script(
        *("sample", "--model", file, "--sampler", '{"method": "ddim", "steps": 4}', "--seeds", "0:40"),
        *("--batch-size", 25, "--out", tmp_path / "samples.npz", "--device", "cpu"),
    )
    expected, _ = load_images(tmp_path / "samples.npz")
    found = sample(ddpm, seeds=range(40), method="ddim", steps=4, batch_size=25)
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)
    assert np.array_equal(sample(ddpm, seeds=[31, 2], method="ddim", steps=4, batch_size=25), expected[[31, 2]])
    for seeds in ([7, 7, 3], range(12)):  # other batch sizes
        other = sample(ddpm, seeds=seeds, method="ddim", steps=4)
        assert np.abs(other.astype(int) - expected[list(seeds)]).max() <= 1


def test_both_stages_are_bitwise_those_of_the_workflow(
    suite: dict[str, Any], workflow: Callable[..., Path], tmp_path: Path
) -> None:
    train(suite, "two", seed=3, folder=tmp_path / "two")
    first = workflow("vae", "--seed", 3)
    assert weights(tmp_path / "two/first_stage/model.safetensors") == weights(first)
    second = workflow("two", "--seed", 3, "--first-stage", first)
    assert weights(tmp_path / "two/model.safetensors") == weights(second)


def test_an_interrupted_training_goes_on_and_a_finished_one_is_only_loaded(
    suite: dict[str, Any], ddpm: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance, taken = Trainer.advance, []

    def counted(trainer: Trainer) -> Any:
        taken.append(trainer.step)
        if len(taken) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return advance(trainer)

    monkeypatch.setattr(Trainer, "advance", counted)
    with pytest.raises(KeyboardInterrupt):
        train(suite, "ddpm", folder=tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    again = train(suite, "ddpm", folder=tmp_path)
    assert taken == [*range(5), *range(5, 8)]
    assert read_json(tmp_path / "training.json")["resumed"] == 1
    assert all(value.equal(again.state_dict()[name]) for name, value in ddpm.state_dict().items())
    train(suite, "ddpm", folder=tmp_path)
    assert len(taken) == 8


# --- The user's own images and entries --------------------------------------------------------------------------------


def test_own_images_and_an_own_entry(suite: dict[str, Any]) -> None:
    images, labels = blobs(32)
    entry = {"model": DDPM | {"num_classes": 4, "denoiser": DDPM["denoiser"] | {"attention_resolutions": [8]}}}
    model = train(suite, entry, images=images, labels=labels, steps=2, batch_size=8)
    assert sample(model, range(3), steps=2).shape == (3, 16, 16, 1)
    assert train(suite, "vae", images=images, steps=1).image_shape == (1, 16, 16)  # without held-out images


def test_an_untrained_model_is_where_its_training_begins(suite: dict[str, Any], tmp_path: Path) -> None:
    begun = build(suite, "ddpm", seed=5).state_dict()
    train(suite, suite["models"]["ddpm"] | {"snapshots": [0]}, seed=5, folder=tmp_path)
    snapshot, _ = load_tensors(tmp_path / "snapshots/0.safetensors")
    assert all(value.equal(snapshot[name]) for name, value in begun.items())


def test_what_a_model_is_given_by_seed(suite: dict[str, Any]) -> None:
    model = train(suite, "classes", steps=4, optimizer={"lr": 0.02})
    same = sample(model, range(10), steps=2)  # by default, seed i has class i
    assert np.array_equal(sample(model, range(10), steps=2, condition=np.arange(10)), same)
    assert not np.array_equal(sample(model, range(10), steps=2, condition=np.array([1])), same)
    cold, images = train(suite, "cold", steps=1), blobs(3, size=28)[0]
    restored = sample(cold, range(6), mode="reconstruct", condition=images)
    assert np.abs(restored[:3].astype(int) - restored[3:]).max() <= 1
    assert np.abs(restored[0].astype(int) - restored[1]).max() > 30
    turned = sample(cold, range(3), mode="reconstruct", condition=images[::-1])
    assert np.abs(turned.astype(int) - restored[2::-1]).max() <= 1


# --- Files ------------------------------------------------------------------------------------------------------------


def test_models_are_loaded_from_whatever_holds_them(suite: dict[str, Any], tmp_path: Path) -> None:
    trained = train(suite, "vae", folder=tmp_path / "run")
    for path in (tmp_path / "run", tmp_path / "run/model.safetensors"):
        assert np.array_equal(sample(load(path), range(4)), sample(trained, range(4)))
    unet = diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler(num_train_timesteps=10)).save_pretrained(tmp_path / "theirs")
    for model in (load(tmp_path / "theirs"), load(tmp_path / "theirs", format="diffusers")):
        assert sample(model, range(2), method="ddim", steps=2).shape == (2, 8, 8, 1)


def test_images_are_shown_as_one_picture() -> None:
    images = np.arange(5 * 4 * 6 * 3, dtype=np.uint8).reshape(5, 4, 6, 3)
    picture = show(images)
    assert picture.size == (3 * 6 + 2 * 2, 2 * 4 + 2)
    assert np.array_equal(np.asarray(picture)[6:10, 8:14], images[4])
    assert show(images, columns=5).size == (5 * 6 + 4 * 2, 4)
    assert show(images[0]).size == (6, 4)
    assert picture._repr_png_().startswith(b"\x89PNG")  # what Jupyter displays


# --- The package ------------------------------------------------------------------------------------------------------


def test_the_package_has_its_public_names_and_is_imported_without_torch() -> None:
    assert [name for name in genbench.__all__ if getattr(genbench, name).__name__ != name] == []
    assert set(genbench.__all__) <= set(dir(genbench))
    assert all(f"\n{name} " in str(genbench.__doc__) for name in genbench.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = genbench.trian
    code = "import sys, genbench; print([name for name in ('torch', 'numpy', 'genbench.api') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
    assert (Path(genbench.__file__).parent / "py.typed").exists()


# --- Bad values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: load_suite("dmeo"), r"suite: found 'dmeo' \(did you mean 'demo'\?\); expected one of: .*, mnist"),
        (lambda s: build({}, "vae"), "suite: found dict, expected what load_suite returns$"),
        (lambda s: train(s, "dppm"), r"model: found 'dppm' \(did you mean 'ddpm'\?\); expected one of: "),
        (lambda s: train(s, "elsewhere"), "model: found 'elsewhere', whose entry has no `model`"),
        (lambda s: build(s, {"model": {"class": "vae.VEA"}}), r"model: class in genbench.models.vae: found 'VEA'"),
        (lambda s: build(s, {"class": "vae.VAE"}), "model: unknown key: found 'class'; expected one of: "),
        (lambda s: train(s, "vae", stepz=3), r"training: unknown key: found 'stepz' \(did you mean 'steps'\?\)"),
        (lambda s: train(s, "vae", steps="3"), "training: key 'steps': found '3', expected an integer"),
        (lambda s: train(s, {"model": VAE}), "training: key 'batch_size' is missing; expected keys: steps"),
        (lambda s: train(s, "vae", seed=-1), "seed: found -1, expected a whole number from 0 to"),
        (lambda s: train(s, "vae", device="gpu"), "device: found 'gpu'.*; expected one of: auto, cpu, cuda, mps"),
        (lambda s: train(s, "vae", labels=np.zeros(3)), "labels: found some without images"),
        (lambda s: train(s, "vae", images=np.zeros((9, 8, 8))), r"images: found float64 \(9, 8, 8\), expected uint8"),
        (lambda s: train(s, "vae", images=blobs(4)[0]), "batch_size': found 8, expected at most 4"),
        (lambda s: load("nowhere.safetensors"), "nowhere.safetensors: no such file$"),
        (
            lambda s: load(genbench.__file__),
            "__init__.py: not a file of genbench's; expected its format, one of: callable, dcga",
        ),
        (lambda s: load(Path(genbench.__file__).parent), "found neither model.safetensors of a run nor config.json"),
        (lambda s: load(genbench.__file__, format="ddpm"), "format: found 'ddpm'"),
        (lambda s: sample("ddpm"), "model: found str, expected what train, load or build returns"),
        (lambda s: sample(build(s, "ddpm"), 5), r"seeds: found 5, expected whole numbers of at least 0, such as range"),
        (lambda s: sample(build(s, "ddpm"), [0.5]), r"seeds: found \[0.5\]"),
        (lambda s: sample(build(s, "ddpm"), batch_size=0), "batch_size: found 0, expected a whole number of at least"),
        (lambda s: sample(build(s, "ddpm"), method="dim"), r"found 'dim' \(did you mean 'ddim'\?\); expected one of: "),
        (lambda s: sample(build(s, "ddpm"), eta=1, methd="ddim"), "unknown key: found .*expected one of: clip, gui"),
        (
            lambda s: sample(build(s, "vae"), method="ddim"),
            r"unknown key: found 'method' \(did you mean 'mode'\?\); expected one of: mode, prior",
        ),
        (lambda s: sample(build(s, "cold"), mode="reconstruct"), "condition: found none, expected images"),
        (lambda s: sample(build(s, "ddpm"), condition=np.arange(3)), r"condition: found labels int64 \(3,\)"),
        (lambda s: sample(build(s, "classes"), condition=np.arange(11)), "expected int64 .* from 0 to 9"),
        (lambda s: sample(build(s, "ddpm"), condition=[["red cub"]]), "condition: entry 0: object: found 'red cub'"),
        (lambda s: show(np.zeros((3, 8, 8))), r"images: found float64 \(1, 3, 8, 8\), expected uint8"),
        (lambda s: show(blobs(3)[0], columns=0), "columns: found 0, expected"),
    ],
)
def test_bad_values_are_named_in_one_line(
    suite: dict[str, Any], call: Callable[..., Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # users' calls have no such checks
    with pytest.raises(InputError, match=said) as error:
        call(suite)
    assert "\n" not in str(error.value)


def test_a_training_in_a_thread_is_refused(suite: dict[str, Any]) -> None:
    """A thread cannot catch signals, so an interruption would lose the training."""
    found: list[str] = []

    def trained() -> None:
        with pytest.raises(InputError) as error:
            train(suite, "vae")
        found.append(str(error.value))

    thread = threading.Thread(target=trained)
    thread.start()
    thread.join()
    assert found == ["train: found a call from a thread, expected one from the program's main thread"]
