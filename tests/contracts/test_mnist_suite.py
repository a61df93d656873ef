"""Facts that suites/mnist.yaml states: epochs, sets of hyper-parameters, and what their schedules leave of an image."""

import math
from pathlib import Path
from typing import Any

import pytest
from entries import IMAGE_SHAPE, MODELS

from genbench.models import build
from genbench.suites.described import noise_schedule
from genbench.suites.load import load_suite
from genbench.suites.preflight import preflight
from genbench.training.recipe import TrainConfig

PATH = Path(__file__).parents[2] / "suites/mnist.yaml"
CNN = {"default": (16, 32, 32, 16), "light": (16, 64, 16), "more_capacity": (64, 128, 256, 128, 64)}
CNN |= dict.fromkeys(("testing", "testing2"), CNN["default"])
COLD = {"cold_7": (7, CNN["default"]), "cold_28": (28, CNN["default"]), "cold_more_capacity": (7, CNN["more_capacity"])}


@pytest.fixture(scope="module")
def suite() -> dict[str, Any]:
    return load_suite(PATH)


@pytest.fixture(scope="module")
def checked(suite: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    few = {name: entry | {"samplers": {"a": {}}} for name, entry in suite["models"].items()}
    return preflight(suite | {"models": few}, str(tmp_path_factory.mktemp("data")), str(PATH)).models


@pytest.mark.parametrize("name", CNN)
def test_the_project_s_sets_train_for_100_epochs_with_snapshots_every_20(name: str, suite: dict[str, Any]) -> None:
    entry = suite["models"][name]
    config = TrainConfig.from_entry(entry["training"])
    epoch = 60_000 / config.batch_size
    assert config.steps == 100 * epoch
    assert [step / epoch for step in entry["snapshots"]] == [0, 20, 40, 60, 80]
    optimizer = config.optimizer_for("denoiser")
    assert (optimizer.algorithm, optimizer.lr) == ("adam", 6e-4 if name.startswith("testing") else 2e-4)
    denoiser = entry["model"]["denoiser"]
    assert tuple(denoiser["hidden_channels"]) == CNN[name]
    assert denoiser["activation"] == ("selu" if name.startswith("testing") else "gelu")
    sampler, few = entry["samplers"].values()
    assert sampler == {"method": "ddpm", "variance": "large", "clip": False}
    assert (few["method"], few["steps"]) == ("ddim", 50)


@pytest.mark.parametrize("name", COLD)
def test_the_project_s_cold_sets_train_as_its_others_do(name: str, suite: dict[str, Any]) -> None:
    entry, default = suite["models"][name], suite["models"]["default"]
    timesteps, widths = COLD[name]
    model = entry["model"]
    assert model["degradation"] == {"name": "rows", "timesteps": timesteps, "order": "random", "seed": 0}
    assert (tuple(model["restorer"]["hidden_channels"]), model["loss"]) == (widths, "l2")
    assert (entry["training"], entry["snapshots"]) == (default["training"], default["snapshots"])
    assert entry["samplers"] == {
        "generate": {"mode": "generate"},
        "reconstruct": {"mode": "reconstruct"},
        "reconstruct-naive": {"mode": "reconstruct", "method": "naive"},
    }


def test_the_set_that_is_our_own_says_so(suite: dict[str, Any]) -> None:
    assert "genbench's own" in suite["models"]["testing2"]["description"]
    assert not [name for name in CNN if name != "testing2" and "own" in suite["models"][name]["description"]]


def test_sizes_are_those_of_the_descriptions(checked: dict[str, Any]) -> None:
    sizes = {name: checked[name].parameters["denoiser"] for name in CNN}
    small = dict.fromkeys(("default", "light", "testing", "testing2"), 291_217)
    assert sizes == small | {"more_capacity": 5_067_457}
    cold = {name: checked[name].parameters["restorer"] for name in COLD}
    assert cold == dict.fromkeys(("cold_7", "cold_28"), 291_217) | {"cold_more_capacity": 5_067_457}


def test_preflight_tells_the_schedules_and_what_they_leave_of_an_image(checked: dict[str, Any]) -> None:
    told = {name: entry.noise_schedule for name, entry in checked.items() if not name.startswith("cold_")}
    assert {name: schedule.T for name, schedule in told.items()} == {
        **dict.fromkeys(("default", "light", "more_capacity", "unet"), 1000),
        **dict.fromkeys(("testing", "testing2"), 100),
    }
    for schedule in told.values():
        assert schedule.default == "linear"
        assert schedule.t == [part * schedule.T // 100 for part in range(101)]
        assert schedule.alphas_cumprod[0] == 1
        assert sorted(schedule.alphas_cumprod, reverse=True) == schedule.alphas_cumprod
    left = {name: math.sqrt(schedule.alphas_cumprod[-1]) for name, schedule in told.items()}
    assert left["testing"] == pytest.approx(0.6, abs=0.005)  # as its description says
    assert max(left[name] for name in told if name != "testing") < 0.01
    # The textbook's product of 1 - beta.
    betas = [1e-4 + (0.02 - 1e-4) * i / 999 for i in range(500)]
    assert told["default"].alphas_cumprod[50] == pytest.approx(math.prod(1 - beta for beta in betas), rel=1e-9)


def test_a_model_without_a_schedule_has_none_in_preflight() -> None:
    assert noise_schedule(build(MODELS["vae"], IMAGE_SHAPE)) == {}
    few = noise_schedule(build(MODELS["ddgan"], IMAGE_SHAPE))["noise_schedule"]
    assert (few["T"], few["t"], few["default"]) == (4, [0, 1, 2, 3, 4], "vp")
