"""The logs of tracked trainings, read by TensorBoard's reader; tracking does not change the weights."""

import io
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from entries import AUTOENCODER, COLD, DDPM, GAN, IMAGE_SHAPE, blobs
from PIL import Image

from genbench import tracking
from genbench.commands import train as command
from genbench.data.image_set import make_image_set, save_image_set
from genbench.errors import InputError
from genbench.files import weights
from genbench.files.artifacts import write_json
from genbench.models import build
from genbench.records.metrics import Metric, Metrics
from genbench.suites.config import Config
from genbench.tracking.evaluations import track_evaluation
from genbench.tracking.run import TrackedRun, preview
from genbench.tracking.trackers import Wandb
from genbench.training.folder import train
from genbench.training.run import TrainingRun
from genbench.training.trainer import Trainer

RECIPE = {"steps": 20, "batch_size": 4, "log_every": 5, "ema_decay": 0.9, "precision": "fp32"}
QUICK = DDPM | {"timesteps": 4}
MODELS = {"gan": GAN, "autoencoder": AUTOENCODER, "ddpm": QUICK}
BOARD = partial(TrackedRun, trackers=["tensorboard"])


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log five grids of eight samples: one at every fourth of twenty steps."""
    monkeypatch.setattr("genbench.tracking.run.GRIDS", 5)
    monkeypatch.setattr("genbench.tracking.run.IMAGES", 8)


class Unplugged(BaseException):
    """An exception that no handler expects."""


def run(folder: Path, model: dict, how: Callable = BOARD, **options: object) -> dict[str, torch.Tensor]:
    images, labels = blobs(100)
    out, spec = folder / "model.safetensors", {"model": model, "training": RECIPE}
    train(spec, images, labels, data_sha256="d", seed=1, out=out, device=torch.device("cpu"), run=how, **options)
    return weights.load_tensors(out)[0]


def events(folder: Path) -> tuple[dict[str, list[tuple[int, float]]], dict[int, np.ndarray]]:
    """Read with TensorBoard's reader: (step, value) of every number by name, and the grids by step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    reader.Reload()
    scalars = {name: [(e.step, e.value) for e in reader.Scalars(name)] for name in reader.Tags()["scalars"]}
    grids = [e for name in reader.Tags()["images"] for e in reader.Images(name)]
    assert len({e.step for e in grids}) == len(grids)
    return scalars, {e.step: np.array(Image.open(io.BytesIO(e.encoded_image_string))) for e in grids}


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", MODELS)
def test_tracking_moves_no_bit_and_logs_what_the_history_says(name: str, tmp_path: Path) -> None:
    plain = run(tmp_path / "plain", MODELS[name], TrainingRun, snapshots=[7])
    tracked = run(tmp_path / "tracked", MODELS[name], snapshots=[7])
    assert plain.keys() == tracked.keys()
    assert all(torch.equal(plain[key], tracked[key]) for key in plain)
    scalars, grids = events(tmp_path / "tracked/tensorboard")
    history = lines(tmp_path / "tracked")
    for kind in ("losses", "metrics", "lr"):
        for key in history[0][kind]:
            expected = [(line["step"], pytest.approx(line[kind][key], rel=1e-6)) for line in history]
            assert scalars[f"{kind}/{key}"] == expected
    assert sorted(grids) == [4, 7, 8, 12, 16, 20]
    for step, pixels in grids.items():
        assert pixels.shape == (16, 8 * 18 - 2, 3)
        assert np.array_equal(pixels, np.array(Image.open(tmp_path / f"tracked/training/grid-{step}.png")))
    assert not np.array_equal(grids[4], grids[20])


def test_a_stopped_training_goes_on_with_one_curve_whether_it_was_tracked_before_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole", QUICK, TrainingRun)
    advance, calls = Trainer.advance, []

    def unplug(self: Trainer) -> object:
        calls.append(self.step)
        if len(calls) in (8, 16):
            raise Unplugged
        return advance(self)

    monkeypatch.setattr(Trainer, "advance", unplug)
    for how, save_seconds in ((TrainingRun, 0.0), (BOARD, 0.0)):
        with pytest.raises(Unplugged):
            run(tmp_path / "cut", QUICK, how, save_seconds=save_seconds)
    cut = run(tmp_path / "cut", QUICK)
    assert calls[8] == 7  # it continued, although it is tracked only now
    assert all(torch.equal(whole[key], cut[key]) for key in whole)
    scalars, grids = events(tmp_path / "cut/tensorboard")
    assert [step for step, _ in scalars["losses/denoiser"]] == [5, 10, 15, 20]
    assert scalars["losses/denoiser"] == [
        (line["step"], pytest.approx(line["losses"]["denoiser"], rel=1e-6)) for line in lines(tmp_path / "whole")
    ]
    assert sorted(grids) == [8, 12, 16, 20]  # since tracking began
    assert len(list((tmp_path / "cut/tensorboard").glob("events*"))) == 1


def test_steps_behind_the_last_save_are_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advance, calls = Trainer.advance, []

    def unplug(self: Trainer) -> object:
        calls.append(self.step)
        if len(calls) == 13:
            raise Unplugged
        return advance(self)

    monkeypatch.setattr(Trainer, "advance", unplug)
    with pytest.raises(Unplugged):
        run(tmp_path, GAN, save_seconds=1e6)  # 12 steps are logged but not saved, so it begins again
    assert sorted(events(tmp_path / "tensorboard")[1]) == [4, 8, 12]
    run(tmp_path, GAN)
    scalars, grids = events(tmp_path / "tensorboard")
    assert [step for step, _ in scalars["losses/generator"]] == [5, 10, 15, 20]
    assert sorted(grids) == [4, 8, 12, 16, 20]


def test_switching_it_on_trains_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, GAN, TrainingRun)
    named = (tmp_path / "training/fingerprint").read_text()
    monkeypatch.setattr(Trainer, "advance", lambda self: pytest.fail("it trained again"))
    run(tmp_path, GAN)
    assert (tmp_path / "training/fingerprint").read_text() == named
    assert not (tmp_path / "tensorboard").exists()


def test_a_grid_that_cannot_be_drawn_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(TrackedRun, "_draw", lambda self: (_ for _ in ()).throw(RuntimeError("out of\nmemory")))
    run(tmp_path, GAN)
    assert "no grid of samples at step 20: out of memory" in caplog.text


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (DDPM | {"timesteps": 60}, {"method": "ddim", "steps": 50}),
        (DDPM, {}),
        (GAN, {}),
        (COLD | {"degradation": {"name": "rows", "timesteps": 16}}, {}),
    ],
)
def test_a_grid_takes_at_most_fifty_steps_where_the_family_can(model: dict, expected: dict) -> None:
    assert preview(build(model, IMAGE_SHAPE)) == expected


# --- The command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def train_by_command(tmp_path: Path) -> Callable[..., None]:
    images, labels = blobs(40)
    save_image_set(
        tmp_path / "train.npz",
        make_image_set(images, labels, "abcd", dataset="d", split="train", source="s", source_sha256="0"),
    )
    spec = {"model": GAN, "training": {**RECIPE, "steps": 5}}

    def train(*arguments: str) -> None:
        command.main(
            [
                *("--spec", json.dumps(spec), "--train", str(tmp_path / "train.npz")),
                *("--out", str(tmp_path / "run/model.safetensors"), "--device", "cpu", *arguments),
            ]
        )

    return train


def test_no_tracker_is_imported_by_default(
    train_by_command: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "tensorboard",
        "wandb",
        "torch.utils.tensorboard",
        "genbench.tracking.run",
        "genbench.tracking.trackers",
    ):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it fails
    monkeypatch.delenv(tracking.VARIABLE, raising=False)
    train_by_command()
    assert (tmp_path / "run/model.safetensors").exists()
    assert not (tmp_path / "run/tensorboard").exists()


def test_the_workflow_names_trackers_by_a_variable(
    train_by_command: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tracking.VARIABLE, "tensorboard")
    train_by_command()
    assert [step for step, _ in events(tmp_path / "run/tensorboard")[0]["losses/generator"]] == [5]


def test_what_is_not_installed_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"track: found 'tensorboard', which is not installed; .* 'tensorboard>=2\.19'; in"
    ):
        tracking.check_trackers(["tensorboard"])
    with pytest.raises(InputError, match="did you mean 'tensorboard'"):
        tracking.check_trackers(["tensorbord"])


@pytest.mark.parametrize("given", [None, "null", "wandb", ["tensorboard", "wandb"]])
def test_config_takes_one_or_several(given: object) -> None:
    assert Config.from_snakemake({"track": given})["track"] == (None if given == "null" else given)


def test_config_refuses_other_names() -> None:
    with pytest.raises(InputError, match="config: track: found 'mlflow'"):
        Config.from_snakemake({"track": "mlflow"})


# --- Evaluations ------------------------------------------------------------------------------------------------------


def evaluated(draw: Path, value: float) -> Path:
    metric = Metric(value=value, std=None, n_real=10, n_fake=10, note=None)
    write_json(draw / "metrics.json", Metrics(metrics={"fd_classifier": metric}, options={}).content())
    Image.fromarray(np.full((4, 4, 3), 7, np.uint8)).save(draw / "grid.png")
    return draw


def test_evaluations_are_logged_at_the_step_of_their_checkpoint_in_any_order(tmp_path: Path) -> None:
    run(tmp_path, GAN, TrainingRun)
    folders = [tmp_path / part / "default" for part in ("final", "step-5", "step-10")]
    for folder in folders:
        folder.mkdir(parents=True)
    for folder, value in zip(folders, (1.5, 3.5, 2.5), strict=True):
        track_evaluation(["tensorboard"], evaluated(folder, value))
    track_evaluation(["tensorboard"], evaluated(folders[1], 4.0))  # again: the value is replaced
    scalars, grids = events(tmp_path / "tensorboard/default")
    assert scalars["evaluation/fd_classifier"] == [(5, 4.0), (10, 2.5), (20, 1.5)]
    assert sorted(grids) == [5, 10, 20]
    elsewhere = evaluated_elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    track_evaluation(["tensorboard"], evaluated(evaluated_elsewhere, 1.0))  # not part of a training
    assert not (tmp_path.parent / "tensorboard").exists()


# --- wandb ------------------------------------------------------------------------------------------------------------


class Server:
    """A stand-in for the library that records the arguments of `init` and every call of `log`."""

    def __init__(self, step: int = 0) -> None:
        self.step, self.runs, self.logged = step, [], []

    def init(self, **options: object) -> SimpleNamespace:
        self.runs.append(options)

        def log(values: dict, step: int) -> None:
            self.logged += [(step, name) for name in values]

        return SimpleNamespace(step=self.step, log=log, finish=lambda: None)

    @staticmethod
    def Image(pixels: np.ndarray) -> np.ndarray:
        return pixels


def test_wandb_gets_every_line_once_in_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    monkeypatch.setitem(sys.modules, "wandb", server)  # type: ignore[arg-type]
    whole = run(tmp_path / "plain", GAN, TrainingRun)
    tracked = run(tmp_path / "demo/gan/seed1", GAN, partial(TrackedRun, trackers=["wandb"]))
    assert all(torch.equal(whole[key], tracked[key]) for key in whole)
    assert server.runs[0]["name"] == "demo/gan/seed1"
    assert server.runs[0]["project"] == "genbench"
    assert server.runs[0]["config"] == {"model": GAN, "training": RECIPE, "seed": 1}  # type: ignore[comparison-overlap]
    assert [step for step, name in server.logged if name == "losses/generator"] == [5, 10, 15, 20]
    assert [step for step, name in server.logged if name == "samples"] == [4, 8, 12, 16, 20]


def test_a_run_of_wandb_s_that_goes_on_keeps_its_identity_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    monkeypatch.setitem(sys.modules, "wandb", server)  # type: ignore[arg-type]
    for step in (0, 11):
        server.step = step
        log = Wandb(tmp_path, "demo/gan/seed0", {}, "demo/gan/seed0", tmp_path / "id")
        for each in (5, 10, 15):
            log.line(each, {"loss": 1.0}, 0.0)
    assert server.runs[0]["id"] == server.runs[1]["id"]
    assert server.logged == [(5, "loss"), (10, "loss"), (15, "loss"), (15, "loss")]
