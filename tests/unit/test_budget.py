"""A training's budget in FLOPs: its count, which is made only once, and the same training as with steps."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from entries import MODELS, blobs

from genbench.errors import InputError
from genbench.files.artifacts import read_json
from genbench.files.weights import load_tensors
from genbench.models import Model, build
from genbench.suites.entries import check_iterations
from genbench.training import budget, flops, folder, run
from genbench.training.budget import Paid, model_on_meta, paid
from genbench.training.recipe import TrainConfig

IMAGES, LABELS = blobs(16)
SHAPE = (1, *IMAGES.shape[1:3])
DIFFUSEVAE = {**MODELS["ddpm"], "class": "diffusevae.DiffuseVAE", "formulation": 1}
OPTIONS: dict[str, Any] = {"data_sha256": "d", "seed": 0, "device": torch.device("cpu")}


def train(out: Path, model: str, **training: Any) -> dict[str, Any]:
    spec = {"model": MODELS[model], "training": {"batch_size": 8, "precision": "fp32", **training}}
    folder.train(
        spec, IMAGES, LABELS, data_sha256="d", seed=0, out=out / "model.safetensors", device=torch.device("cpu")
    )
    found: dict[str, Any] = read_json(out / "training.json")
    return found


@pytest.mark.parametrize(("name", "period"), [("gan", 1), ("wgan-gp", 2), ("ddgan", 3)])
def test_the_flops_of_a_step_are_the_mean_of_a_whole_period(name: str, period: int, monkeypatch: Any) -> None:
    config = TrainConfig.from_entry({"steps": 10, "batch_size": 8})
    found = flops.training_cost(model_on_meta(MODELS[name], SHAPE), config)
    every = property(lambda self: {step: Fraction(1, period) for step in range(period)})
    model = model_on_meta(MODELS[name], SHAPE)
    monkeypatch.setattr(type(model), "typical_steps", every)
    assert flops.training_cost(model, config)["flops"] == found["flops"]
    monkeypatch.setattr(type(model), "typical_steps", property(lambda self: {0: Fraction(1)}))
    assert (flops.training_cost(model, config)["flops"] == found["flops"]) == (period == 1)


def test_a_family_that_states_nothing_is_counted_until_all_of_it_has_moved(monkeypatch: Any) -> None:
    config = TrainConfig.from_entry({"steps": 10, "batch_size": 8})
    model = model_on_meta(MODELS["wgan-gp"], SHAPE)
    stated = flops.training_cost(model, config)
    monkeypatch.setattr(type(model), "typical_steps", Model.typical_steps)
    assert flops.training_cost(model, config)["flops"] == stated["flops"]


def test_accumulated_micro_batches_cost_what_they_hold() -> None:
    whole, parts = (
        paid(MODELS["vae"], {"steps": 1, "batch_size": 8, **more}, SHAPE) for more in ({}, {"accumulate": 2})
    )
    assert whole == parts


def test_a_budget_is_the_training_of_its_steps(tmp_path: Path) -> None:
    of_step = paid(MODELS["vae"], {"steps": 1, "batch_size": 8}, SHAPE).flops_per_step
    in_flops = train(tmp_path / "flops", "vae", flops=3.9 * of_step)
    in_steps = train(tmp_path / "steps", "vae", steps=3)
    assert (in_flops["steps"], in_flops["flops"]) == (3, 3 * of_step)
    assert in_flops["model_sha256"] == in_steps["model_sha256"]
    assert "flops" not in in_steps


def test_a_training_that_goes_on_is_not_counted_again(tmp_path: Path, monkeypatch: Any) -> None:
    of_step = paid(MODELS["vae"], {"steps": 1, "batch_size": 8}, SHAPE).flops_per_step
    whole = train(tmp_path / "whole", "vae", flops=4 * of_step)

    def stop(self: run.TrainingRun) -> None:
        advance(self)
        if self.trainer.step == 2:
            self.save_state()
            raise KeyboardInterrupt

    advance = run.TrainingRun._advance
    with monkeypatch.context() as stopping:
        stopping.setattr(run.TrainingRun, "_advance", stop)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "stopped", "vae", flops=4 * of_step)
    monkeypatch.setattr(budget, "training_cost", lambda *_: {"flops": of_step // 2})  # a version with another count
    gone_on = train(tmp_path / "stopped", "vae", flops=4 * of_step)
    assert (gone_on["steps"], gone_on["model_sha256"]) == (4, whole["model_sha256"])
    assert gone_on["resumed"] == 1


def test_a_first_stage_is_paid_first(tmp_path: Path) -> None:
    first = train(tmp_path / "vae", "vae", steps=2)
    entry = DIFFUSEVAE | {"vae": MODELS["vae"]}
    training = {"batch_size": 8, "precision": "fp32"}
    of_first = paid(MODELS["vae"], {"steps": 2, "batch_size": 8}, SHAPE).flops
    of_step = paid(entry, {"steps": 1, **training}, SHAPE).flops_per_step

    def second(of: float, name: str) -> dict[str, Any]:
        out, stage = tmp_path / name / "model.safetensors", tmp_path / "vae/model.safetensors"
        spec = {"model": entry, "training": {**training, "flops": of}}
        folder.train(spec, IMAGES, LABELS, out=out, first_stage=stage, **OPTIONS)
        found: dict[str, Any] = read_json(out.with_name("training.json"))
        return found

    assert load_tensors(tmp_path / "vae/model.safetensors")[1]["step"] == first["steps"] == 2
    found = second(of_first + 1.5 * of_step, "enough")
    assert (found["steps"], found["flops"]) == (1, of_first + of_step)
    with pytest.raises(InputError, match=r"training: key 'flops': found .*, expected at least .* first stage's"):
        second(of_first + 0.5 * of_step, "too-little")


@pytest.mark.parametrize(("budget_in_steps", "steps"), [(1, 1), (1.999, 1), (2, 2), (1000.5, 1000)])
def test_steps_are_those_that_are_paid_whole(budget_in_steps: float, steps: int) -> None:
    assert Paid.by(budget_in_steps * 64, 64) == Paid(steps, 64)
    assert Paid.by(budget_in_steps * 64, 64).flops <= budget_in_steps * 64


def test_a_trial_shorter_than_its_warm_up_is_said_to_be_one(caplog: pytest.LogCaptureFixture) -> None:
    training = {"steps": 10, "batch_size": 8, "log_every": 11, "optimizers": {"autoencoder": {"warmup_steps": 12}}}
    model = build(MODELS["vae"], (1, 28, 28))
    entry = {"label": "Mine", "model": {**MODELS["vae"], "kl_anneal_steps": 13}, "training": training}
    check_iterations(model, entry, 10)
    assert caplog.messages == [
        "Mine: model: kl_anneal_steps: found 13, and the training has no more than 10 steps",
        "Mine: training: log_every: found 11, and the training has no more than 10 steps",
        "Mine: training: optimizers: autoencoder: warmup_steps: found 12, and the training has no more than 10 steps",
    ]
    caplog.clear()
    check_iterations(model, entry, 13)
    assert caplog.messages == []
