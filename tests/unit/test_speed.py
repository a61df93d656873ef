"""Sampling times: several batches of each sampler, from the same weights."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from entries import IMAGE_SHAPE, MODELS

from genbench.commands.measure_speed import main
from genbench.errors import InputError
from genbench.files.weights import save_tensors
from genbench.models import build
from genbench.records.record import read_record
from genbench.records.speed import Speed
from genbench.sampling import speed as timing
from genbench.sampling.checkpoint import load_model
from genbench.sampling.quantisation import SCHEMES, Autocast, UnavailableError
from genbench.sampling.speed import OtherWork, measure_speed

DDIM = {"method": "ddim", "steps": 4}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    entry = MODELS["ddpm"]
    save_tensors(path, build(entry, IMAGE_SHAPE).state_dict(), {"model": entry, "image_shape": IMAGE_SHAPE})
    return path


def test_every_sampler_is_timed_with_the_same_weights(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    monkeypatch.setitem(SCHEMES, "bf16", lambda network, *_: Autocast(network, torch.bfloat16))
    samplers = {"bits": DDIM | {"quantisation": "bf16"}, "four": DDIM, "two": {"method": "ddim", "steps": 2}}
    out = tmp_path / "speed.json"
    options = ["--batch-size=40", "--device=cpu", "--threads=1", f"--out={out}"]
    main([f"--model={model_file}", f"--samplers={json.dumps(samplers)}", *options])
    speed = read_record(out, Speed)
    assert {name: found.nfe for name, found in speed.samplers.items()} == {"bits": 4, "four": 4, "two": 2}
    for found in speed.samplers.values():
        assert found.batch_size == 32
        times = sorted(50_000 * seconds / 32 for seconds in found.batch_seconds)
        assert len(times) == 3
        assert found.seconds_per_50k == pytest.approx(float(np.median(times)), rel=1e-2)
        assert found.seconds_per_50k_range == pytest.approx([times[0], times[-1]], rel=1e-2)
        assert found.images_per_second == pytest.approx(50_000 / found.seconds_per_50k)
    assert speed.model_sha256 == load_model(model_file)[1]["sha256"]
    assert (speed.ranks, speed.threads) == (1, 1)


def test_small_batches_grow_and_are_repeated(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SECONDS", math.inf)
    found = measure_speed(model_file, {"two": DDIM | {"steps": 2}}, batch_size=40).samplers["two"]
    assert (found.batch_size, len(found.batch_seconds)) == (40, 20)


def test_a_scheme_that_is_not_available_leaves_the_others_timed(
    model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UnavailableError("not here")

    monkeypatch.setitem(SCHEMES, "bf16", refuse)
    found = measure_speed(model_file, {"bf16": DDIM | {"quantisation": "bf16"}, "fp32": DDIM}, batch_size=2).samplers
    assert found["bf16"].content() == {"unavailable": "not here"}
    assert found["fp32"].seconds_per_50k > 0
    with pytest.raises(InputError, match=r"--samplers: a: found 3, expected options of the model's sampler"):
        main([f"--model={model_file}", '--samplers={"a": 3}', "--out=speed.json"])


def test_the_work_of_other_processes_is_not_that_of_this_one() -> None:
    work = OtherWork()
    work._began = (work._began[0] - 200, work._began[1] - 300)
    assert work.cores() == pytest.approx(1.5, abs=0.05)
