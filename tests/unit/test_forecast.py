"""The time a suite will take: FLOPs over speeds, preferably of the same network on the same device."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from genbench.errors import InputError
from genbench.suites.forecast import START, Job, by_model, duration, jobs, left, seconds_of
from genbench.suites.forecast_table import Forecast
from genbench.suites.load import load_suite
from genbench.suites.measured import measure
from genbench.suites.progress import RunProgress
from genbench.suites.speeds import SAMPLING, TRAINING, Device, Seen, Speed, Speeds, network_key, seen_speeds

VAE = {"class": "vae.VAE", "latent_size": 8, "channels": 8}
CORE = Device("CPU (Chip,", Speed(1e9, "typical"))
KNOWN: dict[str, Any] = {
    "image_shape": [1, 28, 28],
    "num_classes": 10,
    "images": {"train": 4000, "test": 1000},
    "parameters": {"vae": 1000},
    "training": {"vae": 10**6},
    "per_image": {"vae": 100},
    "costs": {"vae": {"training": 5e12, "samplers": {"default": 4e6}, "evaluation": {"default": 4e6}}},
}


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    entry = {"model": VAE, "training": {"steps": 100, "batch_size": 32}, "pictures": ["reconstructions"]}
    written = {"title": "Toy", "dataset": {"source": "demo"}, "num_samples": 1200, "models": {"vae": entry}}
    Path("toy.yaml").write_text(yaml.safe_dump(written))
    return load_suite(Path("toy.yaml"))


def test_a_job_takes_its_flops_over_the_speed(suite: dict[str, Any]) -> None:
    found = {job.rule: job for job in jobs(suite, KNOWN, Speeds(CORE, []), CORE.typical)}
    assert found["train"].seconds == START + 5000
    assert found["sample"].flops == 3 * 500 * 4e6  # 1,200 images are three batches of 500
    assert found["evaluate_and_show"].flops == 8 * 1200 * 5000 * 128
    assert {job.kind for job in found.values()} == {"training", "sampling", "evaluation"}


def test_what_is_there_is_not_forecast(suite: dict[str, Any]) -> None:
    every = list(jobs(suite, KNOWN, Speeds(CORE, []), CORE.typical))
    path = Path("results/toy/vae/seed0/model.safetensors")
    path.parent.mkdir(parents=True)
    path.touch()
    assert {job.rule for job in every} - {job.rule for job in left(every)} == {"train"}
    assert not by_model(left(every))["vae"]["training"]


def test_jobs_side_by_side_take_as_long_as_the_longest() -> None:
    work = [Job("a", "train", "a", 0, 100.0), Job("b", "train", "b", 0, 20.0), Job("c", "train", "c", 0, 30.0)]
    assert [seconds_of(work, cores) for cores in (1, 2)] == [150.0, 100.0]
    assert [duration(s) for s in (40, 720, 12600, 1.4e6)] == ["40 s", "12 min", "3.5 h", "16 days"]
    assert [duration(s) for s in (1.25, 99.6, 1234 * 86400)] == ["1.2 s", "100 s", "1,234 days"]


def test_the_speed_of_the_same_network_wins() -> None:
    key = network_key(VAE)
    others = [Seen("CPU (Chip, 1 thread)", TRAINING, "another", 3e9, "x"), Seen("GPU", TRAINING, key, 9e9, "x")]
    assert Speeds(CORE, others).of(VAE, TRAINING) == (3e9, "of other networks")
    own = [*others, Seen("CPU (Chip, 1 thread)", TRAINING, key, 2e9, "of earlier runs")]
    assert Speeds(CORE, own).of(VAE, TRAINING) == (2e9, "of earlier runs")
    assert Speeds(CORE, []).of(VAE, SAMPLING) == CORE.typical


def test_gpus_are_known_by_their_names() -> None:
    assert Device.gpu("NVIDIA H100 80GB HBM3").typical == Device.gpu("h100").typical
    assert Device.gpu("RTX 4090").is_of("NVIDIA GeForce RTX 4090")
    with pytest.raises(InputError, match="--gpu: found 'abacus'; expected one of: a10, "):
        Device.gpu("abacus")


def test_a_record_says_how_fast_its_device_is(tmp_path: Path) -> None:
    models = {"vae": {"spec": {"model": VAE}, "training_flops": 6e12, "samplers": {"x": {"flops_per_image": 1e6}}}}
    training = {"model": "vae", "seconds": 60.0, "device": "CPU (Chip, 1 thread)"}
    short = training | {"seconds": 1.0}  # mostly its start
    draw = {"model": "vae", "sampler": "x", "seconds_per_50k": 50.0, "num_samples": 5000, "device": "GPU"}
    path = tmp_path / "report/toy/record.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"models": models, "trainings": [training, short], "draws": [draw]}))
    found = [one for one in seen_speeds(tmp_path) if one.network == network_key(VAE)]
    assert [(one.kind, one.flops) for one in found] == [(TRAINING, 1e11), (SAMPLING, 1e9)]
    path.write_text("[]")
    assert not [one for one in seen_speeds(tmp_path) if one.network == network_key(VAE)]


def test_networks_are_measured() -> None:
    found = list(measure({"vae": {"model": VAE}}, (1, 28, 28), torch.device("cpu")))
    assert [one.kind for one in found] == [SAMPLING, TRAINING]
    assert all(one.flops > 1e6 and one.device.startswith("CPU") for one in found)


def test_days_on_a_processor_are_worth_a_line(suite: dict[str, Any]) -> None:
    quick = Forecast(suite, KNOWN, "cpu")
    assert quick.is_known
    assert quick.too_slow() is None
    assert next(quick.lines()).startswith("toy: about ")
    long = KNOWN | {"costs": {"vae": KNOWN["costs"]["vae"] | {"training": 1e17}}}
    assert "this suite is made for GPUs; for a smaller one, --config scale=0.01" in str(
        Forecast(suite, long, "cpu").too_slow()
    )
    assert Forecast(suite, long, "cpu", gpu="h100").too_slow() is None
    uncounted = KNOWN | {"costs": {}}
    assert list(Forecast(suite, uncounted, "cpu").lines()) == ["toy: genbench check states what it will cost"]


def test_the_estimate_of_a_run_learns() -> None:
    seconds = 0.0
    run = RunProgress({1: ("train", 100.0), 2: ("train", 100.0), 3: ("sample", 100.0)}, now=lambda: seconds)
    run.start(1)
    seconds = 50.0  # twice as fast as expected, so the others may be too
    assert run.finish(1) == "33% of the work done, about 1.7 min left"
    run.start(2)
    seconds = 55.0
    assert run.finish(9) is None  # not a job of this run
    run.start(3)
    assert run.finish(2) is None  # the last line is recent
    seconds = 80.0
    assert run.line() == "96% of the work done, about 2.5 s left"
    assert run.finish(3) is None  # no jobs are left
