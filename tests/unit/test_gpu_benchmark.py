"""benchmarks/gpu.py at a tiny size, on a CPU with few packages besides torch; a failure stops nothing else."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from benchmarks import gpu
from benchmarks.on_gpu import peers, pieces
from benchmarks.on_gpu.models import MODELS, PRECISIONS
from benchmarks.on_gpu.pieces import Piece, Setting
from benchmarks.on_gpu.table import markdown

ROOT = Path(__file__).parents[2]
TINY = """
import argparse, sys
from pathlib import Path

BLOCKED = {"PIL", "beartype", "einops", "huggingface_hub", "jaxtyping", "mpi4py", "pandas", "pydantic", "pytorch_fid"}
BLOCKED |= {"rich", "sklearn", "torchvision", "yaml"}  # FD uses SciPy

sys.modules.update(dict.fromkeys(BLOCKED))  # an import of these fails
from benchmarks import gpu

args = argparse.Namespace(
    device="cpu", threads=1, size="tiny", images=Path(sys.argv[1]), peers=None, model=["dcgan-64"]
)
at = gpu.setting(args)
gpu.write(Path(sys.argv[2]), gpu.circumstances(at))
for name in gpu.PHASES:
    gpu.run_phase(name, at, Path(sys.argv[2]), 600)  # a few seconds on idle cores
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The lines that all phases write."""
    folder = tmp_path_factory.mktemp("gpu")
    random, out = np.random.default_rng(0), folder / "gpu-tiny.jsonl"
    images = random.integers(0, 256, (40, 16, 16, 1), np.uint8)
    np.savez(folder / "images.npz", images=images, labels=np.arange(40) % 4)
    command = [sys.executable, "-c", TINY, str(folder / "images.npz"), str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return [json.loads(line) for line in out.read_text().splitlines()]


def of(lines: list[dict[str, Any]], phase: str, what: str = "") -> list[dict[str, Any]]:
    found = [line for line in lines if line["phase"] == phase and line.get("what", "").startswith(what)]
    assert found
    return found


def test_equality_is_measured(lines: list[dict[str, Any]]) -> None:
    (noise,) = of(lines, "equality", "noise")
    assert [noise[f"{kind}_equal"] for kind in ("bits", "uniform", "normal")] == [True] * 3  # the CPU against itself
    for line in of(lines, "equality", "training"):
        assert (line["resumed_equal"], line["again_equal"], line["largest_difference"]) == (True, True, 0)
    (split,), (apart,) = of(lines, "equality", "split"), of(lines, "equality", "samples")
    assert split["split_equal"]
    assert split["batch_size_grey_levels"] <= 1
    assert apart["grey_levels"] == 0
    assert apart["spread"] > 1  # the images vary


def test_speeds_are_measured(lines: list[dict[str, Any]]) -> None:
    training, sampling = of(lines, "training", "training"), of(lines, "sampling", "sampling")
    assert [line["precision"] for line in training[:2]] == ["bf16", "tf32"]
    for line in training[:2]:
        assert line["flops_per_iteration"] / line["batch_size"] > 1e6
        expected = line["images_per_second"] / line["batch_size"] * line["flops_per_iteration"]
        assert line["flops_per_second"] == pytest.approx(expected)
    for line in sampling:
        assert line["seconds_per_50k"] == pytest.approx(50_000 / line["images_per_second"])
    (distance,) = of(lines, "features", "FD")
    assert distance["fd"] > 0
    training, distance = of(lines, "real")
    assert not distance.get("reason")
    assert training["iterations"] > 0
    assert math.isfinite(distance["fd_classifier"])


def test_what_is_missing_is_a_line_with_its_reason(lines: list[dict[str, Any]]) -> None:
    reasons = [line["reason"] for line in of(lines, "features", "Inception")]
    assert all("import of pytorch_fid halted" in reason for reason in reasons)
    assert all("needs --peers" in line["reason"] for line in of(lines, "peers"))
    (graph,) = of(lines, "training", "training, CUDA graph")
    assert graph["reason"] == "CUDA graphs need a CUDA device"


def test_results_are_a_table(lines: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "gpu-tiny.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *lines]))  # the last measurement counts
    table = markdown(path)
    assert table.count("| training | dcgan-64 | bf16 |") == 1
    assert "| training stopped and resumed | dcgan-64 | tf32 | " in table
    assert "Not measured: Inception features: ModuleNotFoundError" in table


def test_a_peer_is_measured_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "peer").mkdir()
    now, tick, pause = [0.0], 2.0**-10, 0.25

    def looked_at() -> float:  # a clock on which only the peer takes time, and each reading one tick
        now[0] += tick
        return now[0]

    def slow() -> None:
        now[0] += pause

    monkeypatch.setattr(pieces, "time", SimpleNamespace(perf_counter=looked_at))
    peer = peers.Peer(slow, slow, batch_size=4, sample_batch_size=2, parameters=7)
    at = Setting(torch.device("cpu"), True, peers=tmp_path)
    for what, size in (("training", 4), ("sampling", 2)):
        found = peers._beside(at, "dcgan-64", "peer", lambda folder, at: peer, what)
        assert found["images_per_second"].pop("theirs") == size / (pause + tick)
        assert found["images_per_second"] == dict.fromkeys(PRECISIONS, size / tick)
        assert found["ratio"] == dict.fromkeys(PRECISIONS, (pause + tick) / tick)
        assert found["parameters"]["theirs"] == 7 < found["parameters"]["ours"]


def test_models_are_those_of_the_suite() -> None:
    suite = yaml.safe_load((ROOT / "suites/cifar10.yaml").read_text())["models"]
    for name, own in MODELS.items():
        assert own["model"] == suite[name]["model"]
        assert {"precision": "tf32", **own["training"]} == suite[name]["training"]


def test_a_failure_and_the_end_of_the_time_stop_only_what_they_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def time_up() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.001)

    def phase(at: Setting) -> Iterator[Piece]:
        yield Piece({"what": "one"}, lambda: {"value": 1 / 0})
        yield Piece({"what": "two"}, lambda: {"left": signal.getitimer(signal.ITIMER_REAL)[0]})
        yield Piece({"what": "three"}, lambda: {"value": (time_up(), time.sleep(600))})
        yield Piece({"what": "four"}, lambda: {"value": 4})

    monkeypatch.setattr(gpu, "import_module", lambda name: SimpleNamespace(training=phase))
    out = tmp_path / "lines.jsonl"
    gpu.run_phase("training", Setting(torch.device("cpu"), True), out, 1000)
    one, two, three, end = map(json.loads, out.read_text().splitlines())
    assert one["reason"] == "ZeroDivisionError: division by zero"
    assert 0 < two["left"] <= 1000
    assert three["reason"] == "the phase's time was up"
    assert end["reason"] == "stopped after 1000 s; what is missing was not measured"
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0  # the timer is off


def test_all_phases_take_less_than_ten_minutes() -> None:
    assert sum(gpu.PHASES.values()) + gpu.GRACE < 600
