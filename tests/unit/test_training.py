"""The trainer: exact resumption, accumulation and data order; schedules, averages and refused recipes."""

import json
import logging
import signal
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from entries import IMAGE_SHAPE, MODELS, VAE, blobs
from launches import finish, mpiexec
from processors import pretend

from genbench.data.image_set import make_image_set, save_image_set
from genbench.errors import InputError
from genbench.files import weights
from genbench.files.artifacts import read_json, sha256_json, write_json
from genbench.images import to_images
from genbench.machine import code, time_limit
from genbench.models import build
from genbench.processes.noise import Noise
from genbench.training.batches import Batches, epoch_order
from genbench.training.folder import train
from genbench.training.history import History
from genbench.training.recipe import OptimizerConfig, TrainConfig
from genbench.training.run import Task
from genbench.training.trainer import Trainer

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]


def run(folder: Path, model: dict, training: dict, **options: object) -> dict[str, torch.Tensor]:
    images, labels = blobs(100)
    out = folder / "model.safetensors"
    spec = {"model": model, "training": training}
    train(spec, images, labels, data_sha256="d", seed=1, out=out, device=CPU, **options)  # type: ignore[arg-type]
    return weights.load_tensors(out)[0]


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# --- The order of the data --------------------------------------------------------------------------------------------


def batch_indices(seed: int, step: int, batch_size: int, num_images: int) -> np.ndarray:
    """The definition: image j of a step is at step * batch_size + j in the epochs' orders, joined without gaps."""
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // num_images
    orders = {epoch: epoch_order(seed, int(epoch), num_images) for epoch in np.unique(epochs)}
    return np.array([orders[epoch][position % num_images] for epoch, position in zip(epochs, positions, strict=True)])


def test_every_epoch_shows_every_image_once_whatever_the_batch_size() -> None:
    seen = np.concatenate([batch_indices(5, step, 32, 100) for step in range(25)])  # 800 images: eight epochs
    for epoch in range(8):
        assert sorted(seen[epoch * 100 : (epoch + 1) * 100]) == list(range(100))
    assert not np.array_equal(seen[:100], seen[100:200])
    other = np.concatenate([batch_indices(5, step, 10, 100) for step in range(20)])
    assert np.array_equal(other, seen[:200])


def test_the_device_s_batches_follow_that_order_across_epochs() -> None:
    images, labels = blobs(10)
    images[:, 0, 0, 0] = np.arange(10)
    config = TrainConfig(steps=9, batch_size=4, accumulate=2)
    batches = Batches(images, labels, 7, config, CPU)
    for step in (0, 2, 8, 1):  # step 2 crosses an epoch; step 1 goes back
        parts = batches.micro_batches(step)
        found = torch.cat([part.x0[:, 0, 0, 0] for part in parts])
        expected = batch_indices(7, step, 4, 10)
        assert ((found + 1) * 127.5).round().int().tolist() == expected.tolist()
        assert torch.cat([part.y for part in parts]).tolist() == labels[expected].tolist()
    big = Batches(images, labels, 7, TrainConfig(steps=1, batch_size=25), CPU)  # a batch larger than the data set
    assert len(big.micro_batches(0)[0].x0) == 25


def test_flips_mirror_about_half_of_the_images() -> None:
    images, labels = blobs(400)
    plain = Batches(images, labels, 0, TrainConfig(steps=1, batch_size=400), CPU).micro_batches(0)[0].x0
    flipped = Batches(images, labels, 0, TrainConfig(steps=1, batch_size=400, flip=True), CPU).micro_batches(0)[0].x0
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(flipped, plain, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(flipped, plain, strict=True)]
    assert all(a or b for a, b in zip(mirrored, same, strict=True))
    assert 150 < sum(mirrored) < 250


# --- Updates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vae", "ddpm", "wgan-gp"])
def test_accumulation_equals_the_whole_batch(name: str) -> None:
    # Without dropout and batch normalisation, which depend on the micro-batches, as in other trainers.
    entry = json.loads(json.dumps(MODELS[name]))
    if name == "ddpm":
        entry["denoiser"]["dropout"] = 0.0
    images, labels = blobs(64)
    results = []
    for accumulate in (1, 4):
        torch.manual_seed(0)
        recipe = {"steps": 4, "batch_size": 16, "precision": "fp32", "clip_norm": 1.0}
        optimizer = {"lr": 1e-3, "algorithm": "sgd"}
        config = TrainConfig.from_entry(recipe | {"accumulate": accumulate, "optimizer": optimizer})
        model = build(entry, IMAGE_SHAPE)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.0
                module.forward = lambda x: x  # type: ignore[method-assign]
        trainer = Trainer(model, config, Batches(images, labels, 0, config, CPU), 0, CPU)
        losses = [trainer.advance()[0] for _ in range(4)]
        results.append((dict(model.named_parameters()), losses))
    (whole, whole_losses), (parts, parts_losses) = results
    for key, value in whole.items():
        torch.testing.assert_close(parts[key], value, rtol=1e-4, atol=1e-5)
    for a, b in zip(whole_losses, parts_losses, strict=True):
        assert a.keys() == b.keys()
        assert {key: pytest.approx(value.item(), rel=1e-4, abs=1e-5) for key, value in a.items()} == b


def test_the_average_follows_its_definition() -> None:
    images, labels = blobs(64)
    config = TrainConfig(steps=3, batch_size=8, ema_decay=0.9)
    torch.manual_seed(0)
    trainer = Trainer(build(VAE, IMAGE_SHAPE), config, Batches(images, labels, 0, config, CPU), 0, CPU)
    expected = {key: value.detach().clone() for key, value in trainer.model.named_parameters()}
    for _ in range(3):
        trainer.advance()
        for key, value in trainer.model.named_parameters():
            expected[key] = 0.9 * expected[key] + 0.1 * value.detach()
    assert trainer.ema is not None
    for key, value in trainer.ema.named_parameters():
        torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-7)


def test_learning_rates_warm_up_and_decay() -> None:
    config = OptimizerConfig(lr=1.0, warmup_steps=10, decay="linear", decay_steps=110, final_lr=0.2)
    assert config.lr_at(0, 999) == pytest.approx(0.1)
    assert config.lr_at(9, 999) == pytest.approx(1.0)
    assert config.lr_at(60, 999) == pytest.approx(0.6)
    assert config.lr_at(500, 999) == pytest.approx(0.2)
    cosine = OptimizerConfig(lr=1.0, decay="cosine")
    assert [cosine.lr_at(step, 100) for step in (0, 50, 100)] == pytest.approx([1.0, 0.5, 0.0])
    assert OptimizerConfig(lr=0.3).lr_at(77, 100) == 0.3


def test_optimizers_are_checked_once_and_are_no_field_of_the_recipe() -> None:
    entry = {"steps": 1, "batch_size": 1, "optimizer": {"lr": 1}, "optimizers": {"discriminator": {"betas": [0, 0.9]}}}
    config = TrainConfig.from_entry(entry)
    discriminator = config.optimizer_for("discriminator")
    assert discriminator == OptimizerConfig(lr=1.0, betas=(0.0, 0.9))
    assert config.optimizer_for("discriminator") is discriminator
    assert config.optimizer_for("generator") is config.optimizer_for("another")
    assert asdict(config) == asdict(TrainConfig(**entry))  # the training's fingerprint is computed from it
    with pytest.raises(InputError, match=r"^optimizers: discriminator: key 'lr': found 'x'"):
        TrainConfig.from_entry(entry | {"optimizers": {"discriminator": {"lr": "x"}}})


def test_optimizers_differ_by_submodule_and_gradients_are_clipped() -> None:
    images, labels = blobs(64)
    options = {"lr": 0.1, "algorithm": "sgd", "betas": [0.0, 0.0]}
    config = TrainConfig(steps=1, batch_size=8, clip_norm=0.5, optimizer=options, optimizers={"generator": {"lr": 0.0}})
    torch.manual_seed(0)
    trainer = Trainer(build(MODELS["gan"], IMAGE_SHAPE), config, Batches(images, labels, 0, config, CPU), 0, CPU)
    before = {key: value.detach().clone() for key, value in trainer.model.named_parameters()}
    trainer.advance()
    moved = {"generator": 0.0, "discriminator": 0.0}
    for key, value in trainer.model.named_parameters():
        moved[key.split(".")[0]] += (value - before[key]).square().sum().item()
    assert moved["generator"] == 0
    assert 0 < moved["discriminator"] ** 0.5 <= 0.1 * 0.5 * 1.001


def test_rectified_adam_begins_like_momentum_and_goes_on_bitwise() -> None:
    """Its first five steps are not divided by the root of the second moment, whose variance is still too large."""
    images, labels = blobs(64)
    options = {"algorithm": "radam", "lr": 1e-4, "betas": [0.0, 0.9]}
    config = TrainConfig(steps=9, batch_size=8, optimizer=options)

    def trainer() -> Trainer:
        torch.manual_seed(0)
        return Trainer(build(VAE, IMAGE_SHAPE), config, Batches(images, labels, 0, config, CPU), 0, CPU)

    whole, first, rest = trainer(), trainer(), trainer()
    assert whole.model.training_steps == 9
    before = {parameter: parameter.detach().clone() for parameter in whole.model.parameters()}
    whole.advance()
    for parameter, state in whole.optimizers["autoencoder"].state.items():
        torch.testing.assert_close(parameter.detach(), before[parameter] - 1e-4 * state["exp_avg"])
    for _ in range(3):
        first.advance()
    rest.restore(*first.state())
    for part, steps in ((whole, 8), (rest, 6)):
        for _ in range(steps):
            part.advance()
    assert equal(whole.model.state_dict(), rest.model.state_dict())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_trains(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, bf16=True, fp16=True)
    weights = run(tmp_path, MODELS["wgan-gp"], {"steps": 3, "batch_size": 8, "precision": precision})
    assert all(value.isfinite().all() for value in weights.values())
    assert {value.dtype for value in weights.values()} <= {torch.float32, torch.int64}


# --- Interruption -----------------------------------------------------------------------------------------------------

STEPS = {"steps": 40, "batch_size": 8, "log_every": 5, "ema_decay": 0.9, "precision": "fp32"}


class Unplugged(BaseException):
    """An exception that no handler expects: the closest that one process gets to a lost process."""


@pytest.mark.parametrize(
    ("name", "precision"), [*((name, "fp32") for name in MODELS), ("wgan-gp", "bf16"), ("ddpm", "bf16")]
)
def test_a_resumed_training_is_bitwise_the_uninterrupted_one(
    name: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = STEPS | {"steps": 24, "log_every": 3, "precision": precision}  # nearly two epochs
    whole = run(tmp_path / "whole", MODELS[name], recipe, snapshots=[9])
    assert (tmp_path / "whole/snapshots/steps.txt").read_text() == "9\n"
    advance, calls = Trainer.advance, []

    def unplug(self: Trainer) -> object:
        calls.append(self.step)
        if len(calls) in (8, 18):
            raise Unplugged
        return advance(self)

    monkeypatch.setattr(Trainer, "advance", unplug)
    for _ in range(2):
        with pytest.raises(Unplugged):
            run(tmp_path / "cut", MODELS[name], recipe, snapshots=[9], save_seconds=0.0)
        assert not (tmp_path / "cut/model.safetensors").exists()
    cut = run(tmp_path / "cut", MODELS[name], recipe, snapshots=[9], save_seconds=0.0)
    assert 0 < calls[8] <= 7  # it continued from a save, not from the start
    assert equal(whole, cut)
    snapshots = [weights.load_tensors(tmp_path / part / "snapshots/9.safetensors")[0] for part in ("whole", "cut")]
    assert equal(*snapshots)
    lines = [
        [json.loads(line) for line in (tmp_path / part / "history.jsonl").read_text().splitlines()]
        for part in ("whole", "cut")
    ]
    assert [line["step"] for line in lines[1]] == list(range(3, 25, 3))
    assert [(line["losses"], line["metrics"]) for line in lines[0]] == [
        (line["losses"], line["metrics"]) for line in lines[1]
    ]
    assert json.loads((tmp_path / "cut/training.json").read_text())["resumed"] == 2


def test_a_training_leaves_before_its_job_ends_and_goes_on_bitwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = STEPS | {"steps": 6, "log_every": 3}
    whole = run(tmp_path / "whole", MODELS["gan"], recipe)
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time())))
    with caplog.at_level(logging.INFO), pytest.raises(SystemExit) as left:
        run(tmp_path / "cut", MODELS["gan"], recipe)
    assert left.value.code == 128 + signal.SIGTERM
    assert "the job's time is nearly over; saved step 1, run again to continue" in caplog.text
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 3600))
    assert equal(run(tmp_path / "cut", MODELS["gan"], recipe), whole)
    assert read_json(tmp_path / "cut/training.json")["resumed"] == 1


def test_the_end_of_a_job_is_what_slurm_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_END_TIME", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    assert (time_limit.end_of_job(), time_limit.stop_time()) == (None, None)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert time_limit.end_of_job() is None  # no squeue
    squeue = tmp_path / "squeue"
    squeue.write_text('#!/bin/sh\n[ "$*" = "--noheader --jobs 7 --format %e" ] && echo 2030-01-02T03:04:05\n')
    squeue.chmod(0o755)
    assert time_limit.end_of_job() == datetime(2030, 1, 2, 3, 4, 5).timestamp()
    for seconds, margin in ((3600, 120), (600, 60)):
        monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time() + seconds)))
        assert time_limit.stop_time() == pytest.approx(time.monotonic() + seconds - margin, abs=3)
    squeue.write_text("#!/bin/sh\necho NONE\n")
    monkeypatch.delenv("SLURM_JOB_END_TIME")
    assert time_limit.end_of_job() is None


def test_held_out_images_are_looked_at_on_time_and_change_nothing(tmp_path: Path) -> None:
    held_out = make_image_set(
        *blobs(30, seed=1), ["a", "b", "c", "d"], dataset="blobs", split="test", source="t", source_sha256="s"
    )
    plain = run(tmp_path / "plain", VAE, STEPS)
    watched = run(tmp_path / "watched", VAE, STEPS | {"validate_every": 15}, held_out=held_out)
    assert equal(plain, watched)
    lines = [json.loads(line) for line in (tmp_path / "watched/history.jsonl").read_text().splitlines()]
    found = {line["step"]: line["validation"] for line in lines if "validation" in line}
    assert list(found) == [15, 30]
    assert found[30]["reconstruction"] < found[15]["reconstruction"]
    # By hand: the averaged weights, noise by the index of each held-out image, and means over all images.
    model = build(VAE, IMAGE_SHAPE).eval()
    run(tmp_path / "short", VAE, STEPS, snapshots=[30])
    model.load_state_dict(weights.load_tensors(tmp_path / "short/snapshots/30.safetensors")[0])
    x0 = to_images(torch.from_numpy(held_out.images))
    mu, logvar = model.encode(x0)
    z = mu + torch.exp(0.5 * logvar) * Noise(torch.arange(30), key=1).normal(4)
    error = (model.decode(z) - x0).square().sum((1, 2, 3)).mean().item()
    assert found[30]["reconstruction"] == pytest.approx(error, rel=1e-4)


def test_validation_is_refused_where_nothing_can_be_watched(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'validate_every': found 5, but GAN has nothing"):
        run(
            tmp_path,
            MODELS["gan"],
            STEPS | {"validate_every": 5},
            held_out=make_image_set(
                *blobs(8), ["a", "b", "c", "d"], dataset="blobs", split="test", source="t", source_sha256="s"
            ),
        )
    with pytest.raises(InputError, match="'validate_every': found 5, but no held-out images"):
        run(tmp_path, VAE, STEPS | {"validate_every": 5})


# Runs scripts/train.py, and sends itself a signal before a step.
SIGNALLED = """
import os, runpy, sys
from genbench.training.trainer import Trainer

step, how, advance = int(sys.argv[1]), int(sys.argv[2]), Trainer.advance

def signalled(trainer):
    if trainer.step == step:
        os.kill(os.getpid(), how)
    return advance(trainer)

Trainer.advance = signalled
sys.argv = sys.argv[3:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.usefixtures("none_left")
def test_a_killed_process_continues_to_the_same_weights(tmp_path: Path, warm_environment: dict[str, str]) -> None:
    images, labels = blobs(100)
    data = tmp_path / "train.npz"
    save_image_set(
        data, make_image_set(images, labels, "abcd", dataset="d", split="train", source="s", source_sha256="0")
    )
    spec = {"model": MODELS["ddpm"], "training": {"steps": 30, "batch_size": 8, "ema_decay": 0.9, "log_every": 1}}
    whole = tmp_path / "whole/model.safetensors"
    train(spec, images, labels, data_sha256="d", seed=0, out=whole, device=CPU)
    out = tmp_path / "cut/model.safetensors"
    training = [ROOT / "scripts/train.py", "--spec", json.dumps(spec), "--train", data, "--out", out]
    training += ["--save-seconds", "0", "--threads", "1", "--device", "cpu"]
    lines = 0
    for step, how, status in ((10, signal.SIGKILL, -9), (20, signal.SIGTERM, 128 + 15)):
        finish(mpiexec(1, "-c", SIGNALLED, step, int(how), *training, warm=warm_environment), status)
        assert (out.parent / "training/state.safetensors").exists()
        assert not out.exists()
        before, lines = lines, (out.parent / "training/history.jsonl").read_text().count("\n")
        assert lines > before  # it continued where it was
    log = finish(mpiexec(1, *training, warm=warm_environment))
    assert "continuing from step" in log
    assert read_json(out.with_name("training.json"))["resumed"] == 2
    assert equal(weights.load_tensors(out)[0], weights.load_tensors(whole)[0])


def test_a_finished_training_whose_outputs_were_deleted_is_published_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Snakemake deletes the outputs of a job that it did not see finish.
    weights = run(tmp_path, VAE, STEPS)
    for name in ("model.safetensors", "history.jsonl", "training.json"):
        (tmp_path / name).unlink()
    monkeypatch.setattr(Trainer, "advance", lambda self: pytest.fail("trained again"))
    assert equal(run(tmp_path, VAE, STEPS), weights)


def test_a_finished_training_is_published_as_that_of_the_entry_which_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def entry_sha256() -> str:
        return str(read_json(tmp_path / "training.json")["entry_sha256"])

    weights = run(tmp_path, VAE, STEPS)
    assert entry_sha256() == sha256_json({"model": VAE, "training": STEPS})
    same = VAE | {"deterministic": False}  # the default
    monkeypatch.setattr(Trainer, "advance", lambda self: pytest.fail("trained again"))
    assert equal(run(tmp_path, same, STEPS), weights)
    assert entry_sha256() == sha256_json({"model": same, "training": STEPS})


def test_a_finished_training_that_was_damaged_is_not_published(tmp_path: Path) -> None:
    # The published file is a hard link to the one in the training's folder, so a flipped bit is in both.
    before = {key: value.clone() for key, value in run(tmp_path, VAE, STEPS).items()}  # a copy: the file is mapped
    model = tmp_path / "model.safetensors"
    content = bytearray(model.read_bytes())
    content[-50] ^= 8
    with open(model, "r+b") as file:
        file.write(content)
    with pytest.raises(InputError, match=r"model\.safetensors: damaged"):
        weights.load_tensors(model)
    model.unlink()  # as the error says
    assert equal(run(tmp_path, VAE, STEPS), before)


def test_a_new_training_leaves_the_published_results_whole_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, VAE, STEPS)
    names = ("model.safetensors", "history.jsonl", "training.json")
    before = {name: (tmp_path / name).read_bytes() for name in names}

    def unplug(self: Trainer) -> object:
        raise Unplugged

    monkeypatch.setattr(Trainer, "advance", unplug)
    with pytest.raises(Unplugged):
        run(tmp_path, VAE | {"kl_weight": 2.0}, STEPS)
    assert {name: (tmp_path / name).read_bytes() for name in names} == before


def test_another_configuration_starts_anew(tmp_path: Path) -> None:
    first = run(tmp_path, VAE, STEPS)
    again = run(tmp_path, VAE | {"kl_weight": 2.0}, STEPS)
    assert not equal(first, again)
    assert equal(run(tmp_path / "other", VAE | {"kl_weight": 2.0}, STEPS), again)
    assert json.loads((tmp_path / "training.json").read_text())["resumed"] == 0


def test_an_edit_and_its_undoing_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "whole", VAE, STEPS)
    other = VAE | {"kl_weight": 2.0}
    advance, begun = Trainer.advance, []

    def unplug(self: Trainer) -> object:
        begun.append(self.step)
        if self.step == 17:
            raise Unplugged
        return advance(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", unplug)
        for entry in (VAE, other, VAE, other):
            begun.clear()
            with pytest.raises(Unplugged):
                run(tmp_path / "cut", entry, STEPS, save_seconds=0.0)
    assert begun == [17]  # the second time, it continues where it was
    assert equal(run(tmp_path / "cut", VAE, STEPS), whole)
    run(tmp_path / "cut", other, STEPS)

    def fail(self: Trainer) -> object:
        raise AssertionError("trained again")

    monkeypatch.setattr(Trainer, "advance", fail)
    assert equal(run(tmp_path / "cut", VAE, STEPS), whole)  # it had finished: nothing to train
    kept = {path.name for path in (tmp_path / "cut/training").iterdir()}
    assert kept == {
        "lock",
        "fingerprint",
        "done.json",
        "history.jsonl",
        "model.safetensors",
        "training.json",
        "previous",
    }


def refuse_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Trainer) -> object:
        raise AssertionError("trained again")

    monkeypatch.setattr(Trainer, "advance", fail)


def test_keys_at_their_defaults_are_no_other_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path, VAE, STEPS)
    refuse_to_train(monkeypatch)
    spelt_out = VAE | {"deterministic": False}, STEPS | {"clip_norm": None, "optimizers": {}}
    assert equal(run(tmp_path, *spelt_out), whole)
    with pytest.raises(AssertionError, match="trained again"):
        run(tmp_path, VAE, STEPS | {"precision": "bf16"})


BEFORE_0_2 = "972dffc11b17323448d960522eadc442fb8681e43841bdc2fdb7385191d2bf0a"
IN_FP32 = "85f4fa911a869785d4566076f247bfaa443e55e5cab33fd5e4c3c00766496af6"  # since 0.2, whose default was fp32
IN_BF16 = "a14f4b1a02651bf2ed90fac9ed1887104a7335026eccad72996f72e247670007"


def task(model: dict, training: dict) -> Task:
    images, labels = blobs(4)
    config = TrainConfig.from_entry(training)
    return Task({"model": model, "training": training}, config, images, labels, "d", 1, [4], None, None, CPU)


def test_the_fingerprint_of_the_version_before_is_known() -> None:
    training = {"steps": 16, "batch_size": 10, "ema_decay": 0.9, "optimizer": {"lr": 1e-3}}
    stated, auto = task(VAE, training | {"precision": "fp32"}), task(VAE, training)
    assert stated.earlier_fingerprint() == BEFORE_0_2
    assert stated.fingerprint() == auto.in_precision("fp32").fingerprint() == IN_FP32
    assert auto.in_precision("bf16").fingerprint() == IN_BF16
    assert stated.in_precision("bf16").config.precision == "fp32"  # only auto is decided


def test_a_training_begun_by_the_version_before_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "whole", VAE, STEPS)
    advance, begun = Trainer.advance, []

    def unplug(self: Trainer) -> object:
        if self.step == 7:
            raise Unplugged
        return advance(self)

    def watch(self: Trainer) -> object:
        begun.append(self.step)
        return advance(self)

    with monkeypatch.context() as patch:
        patch.setattr(Task, "fingerprint", Task.earlier_fingerprint)
        patch.setattr(Trainer, "advance", unplug)
        with pytest.raises(Unplugged):
            run(tmp_path / "cut", VAE, STEPS, save_seconds=0.0)
    monkeypatch.setattr(Trainer, "advance", watch)
    assert equal(run(tmp_path / "cut", VAE, STEPS), whole)
    assert begun[0] == 7


def test_results_of_the_version_before_count_while_their_code_has_only_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    whole = run(tmp_path, VAE, STEPS)
    done = tmp_path / "training/done.json"
    fingerprint, before = read_json(tmp_path / "training/done.json")["fingerprint"], "ab" * 32
    write_json(done, {"fingerprint": fingerprint, "code": before})
    known = {before: {"training": frozenset(digest[:8] for digest in code.definitions("training", VAE))}}
    monkeypatch.setattr(code, "_earlier", lambda: known)
    with monkeypatch.context() as patch:
        refuse_to_train(patch)
        assert equal(run(tmp_path, VAE, STEPS), whole)
        write_json(done, {"fingerprint": fingerprint, "code": "cd" * 32})
        with pytest.raises(AssertionError, match="trained again"):
            run(tmp_path, VAE, STEPS)
    assert "training again: of the same entry, data and device, but by other code" in caplog.text
    assert "another training of this model" not in caplog.text


def test_an_edited_entry_is_named_as_the_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run(tmp_path, VAE, STEPS)
    run(tmp_path, VAE | {"latent_size": 5}, STEPS)
    assert "another training of this model is kept in" in caplog.text
    assert "by other code" not in caplog.text


@pytest.mark.parametrize("damage", ["truncate", "flip"])
def test_a_damaged_save_is_named(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advance = Trainer.advance

    def unplug(self: Trainer) -> object:
        if self.step == 7:
            raise Unplugged
        return advance(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", unplug)
        with pytest.raises(Unplugged):
            run(tmp_path, VAE, STEPS, save_seconds=0.0)
    state = tmp_path / "training/state.safetensors"
    content = bytearray(state.read_bytes())
    if damage == "truncate":
        del content[-100:]
    else:
        content[-100] ^= 1
    state.write_bytes(content)
    with pytest.raises(InputError, match=r"state.safetensors: .*rm /"):
        run(tmp_path, VAE, STEPS)


def test_a_history_line_cut_short_by_a_crash_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    whole = '{"step": 5, "losses": {"a": 1.0}}'
    path.write_text(whole + "\n" + '{"step": 10, "losses": {"a": 1.0}}' + "\n" + '{"step": 15, "losses": {"a": 1.0}')
    History(path, 7)
    assert path.read_text() == whole + "\n"


# --- Refusals ---------------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_with_its_step(tmp_path: Path) -> None:
    training = {"steps": 50, "batch_size": 8, "log_every": 20, "optimizer": {"lr": 1e4, "algorithm": "sgd"}}
    with pytest.raises(InputError, match=r"not finite at step \d+: training stopped; last good save"):
        run(tmp_path, VAE, training)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"batch_size": 8}, "key 'steps' is missing"),
        ({"steps": 5, "batch_size": 8, "epochs": 3}, "unknown key: found 'epochs'"),
        ({"steps": 0, "batch_size": 8}, "key 'steps': found 0, expected at least 1"),
        ({"steps": 5, "batch_size": 8, "accumulate": 3}, "expected a divisor of batch_size 8"),
        ({"steps": 5, "batch_size": 8, "ema_decay": 1.0}, "key 'ema_decay': found 1.0"),
        ({"steps": 5, "batch_size": 8, "precision": "half"}, "key 'precision': found 'half', expected one of 'auto'"),
        ({"steps": 5, "batch_size": 8, "optimizer": {"lr": "1e-3"}}, r"write 2.0e-4"),
        ({"steps": 5, "batch_size": 8, "optimizers": {"encoder": {}}}, "found 'encoder', expected one of: autoencoder"),
        ({"steps": 5, "batch_size": 8, "optimizers": {"autoencoder": {"rate": 1}}}, "unknown key: found 'rate'"),
    ],
)
def test_wrong_training_entries_are_named(training: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        run(tmp_path, VAE, training)


def test_compile_is_refused_for_penalties_that_differentiate_twice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="differentiates twice"):
        run(tmp_path, MODELS["wgan-gp"], {"steps": 5, "batch_size": 8, "compile": True})


def test_the_time_of_compiling_stands_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile(network: torch.nn.Module) -> None:  # like torch, at the first call
        handle = network.register_forward_pre_hook(lambda *_: (handle.remove(), time.sleep(0.2))[0])

    monkeypatch.setattr(torch.nn.Module, "compile", compile)
    for compiled in (True, False):
        run(tmp_path / str(compiled), MODELS["ddpm"], {"steps": 5, "batch_size": 8, "compile": compiled})
    records = [json.loads((tmp_path / f"{compiled}/training.json").read_text()) for compiled in (True, False)]
    assert 0.2 <= records[0]["compile_seconds"] < records[0]["seconds"]
    assert "compile_seconds" not in records[1]


def test_snapshots_beyond_the_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected steps from 0 to 39"):
        run(tmp_path, VAE, STEPS, snapshots=[40])
