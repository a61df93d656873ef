"""Ranks: N ranks train as one does and draw the same bits; they stop, fail and resume together."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ranks_worker
import torch
from entries import DDGAN, IMAGE_SHAPE, VAE, blobs
from launches import ROOT, finish, mpiexec

from genbench.data.image_set import make_image_set, save_image_set
from genbench.errors import InputError
from genbench.files import weights
from genbench.machine import devices
from genbench.machine.ranks import Ranks
from genbench.models import build
from genbench.training.batches import Slice
from genbench.training.recipe import TrainConfig

STEPS = 3
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("none_left")]  # the cores may be busy
GENTLE = {"algorithm": "sgd", "lr": 1e-4}  # see ranks_worker.py


# --- Training: N ranks as one -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def alone(folder: Path) -> Path:
    """Every family trained by one rank, in this process."""
    ranks_worker.train_all(folder / "1", STEPS, GENTLE)
    return folder / "1"


@pytest.fixture(scope="module")
def together(folder: Path, request: pytest.FixtureRequest, warm_environment: dict[str, str]) -> Path:
    """Every family trained by several ranks."""
    n = request.param
    command = [ROOT / "tests/support/ranks_worker.py", folder / str(n), STEPS, json.dumps(GENTLE)]
    finish(mpiexec(n, *command, warm=warm_environment))
    return folder / str(n)


def lines(folder: Path, key: str) -> np.ndarray:
    """The numbers under `key` in the lines of a history that have it."""
    found = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return np.array([value for line in found for _, value in sorted(line.get(key, {}).items())])


def movement(folder: Path) -> dict[str, torch.Tensor]:
    """The change of each weight during training."""
    last, _ = weights.load_tensors(folder / "model.safetensors")
    first, _ = weights.load_tensors(folder / "snapshots" / "0.safetensors")
    return {key: last[key].double() - first[key].double() for key in last}


@pytest.mark.slow
@pytest.mark.parametrize("together", [2, 4], indirect=True)
@pytest.mark.parametrize("name", ranks_worker.TRAININGS)
def test_n_ranks_train_as_one(name: str, together: Path, alone: Path) -> None:
    one, several = alone / name, together / name
    for key in ("losses", "metrics", "validation"):
        np.testing.assert_allclose(lines(several, key), lines(one, key), rtol=2e-5, err_msg=key)
    expected, found = movement(one), movement(several)
    buffers = {key for key in expected if re.search(r"running_|num_batches|time_sampler|densit", key)}
    largest = max(float(expected[key].abs().max()) for key in expected.keys() - buffers)
    assert (largest == 0) == (name == "fp16-overflow")
    tolerance = 1e-2 if name == "fp16" else 1e-4
    for key, moved in expected.items():
        scale = float(moved.abs().max()) + 1e-2 if key in buffers else largest
        assert float((found[key] - moved).abs().max()) <= tolerance * scale, key
    assert json.loads((several / "training.json").read_text())["ranks"] == int(together.name)


# --- Which rank has which images --------------------------------------------------------------------------------------


def member(rank: int, size: int) -> Ranks:
    team = Ranks()
    team.rank, team.size = rank, size
    return team


@pytest.mark.parametrize(("size", "group", "ranks"), [(16, 4, 2), (16, 4, 3), (20, 4, 2), (13, 1, 4), (6, 8, 1)])
def test_slices_cover_a_micro_batch_and_keep_groups_whole(size: int, group: int, ranks: int) -> None:
    parts = [Slice.of(member(rank, ranks), size, group, torch.device("cpu")) for rank in range(ranks)]
    assert sorted(torch.cat([part.positions for part in parts]).tolist()) == list(range(size))
    assert sum(part.share for part in parts) == pytest.approx(1)
    # Image i is in group i mod (number of groups), both in the whole batch and in a slice.
    groups = size // min(group, size)
    for part in parts:
        own = len(part.positions) // min(group, size)
        for j in range(own):
            assert len(set((part.positions[j::own] % groups).tolist())) == 1


def test_too_many_ranks_are_refused_before_any_work() -> None:
    config = TrainConfig(steps=1, batch_size=16, accumulate=2)
    config.check_ranks(build(VAE, IMAGE_SHAPE), 8)
    with pytest.raises(InputError, match=r"found 9 processes \(ranks\) for 8 images at once .*; expected at most 8"):
        config.check_ranks(build(VAE, IMAGE_SHAPE), 9)
    with pytest.raises(InputError, match="2 groups of 4 that DDGAN looks at together; expected at most 2"):
        config.check_ranks(build(DDGAN, IMAGE_SHAPE), 3)


# --- Stopping, failing, resuming --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(folder: Path) -> Path:
    images, labels = blobs(100)
    image_set = make_image_set(images, labels, "abcd", dataset="d", split="train", source="s", source_sha256="0")
    save_image_set(folder / "train.npz", image_set)
    return folder / "train.npz"


def training(data: Path, out: Path, steps: int, **recipe: object) -> list[object]:
    spec = {"model": VAE, "training": {"steps": steps, "batch_size": 16, "log_every": 10} | recipe}
    return [ROOT / "scripts/train.py", "--spec", json.dumps(spec), "--train", data, "--out", out, "--device", "cpu"]


def started(out: Path) -> None:
    """Wait until a training has written its first line."""
    deadline = time.monotonic() + 600
    history = out.parent / "training" / "history.jsonl"
    while not (history.exists() and history.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children(process: subprocess.Popen[str]) -> list[int]:
    """The ranks among the descendants of mpiexec."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        found.append((int(status.parent.name), int(fields[1]), b"train.py" in command and b"mpiexec" not in command))
    parents = {process.pid}
    for _ in range(3):  # mpiexec, its proxy, the rank
        parents |= {pid for pid, parent, _ in found if parent in parents}
    return sorted(pid for pid, _, rank in found if rank and pid in parents)


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["mpiexec", "one rank"])
def test_a_signal_stops_all_at_one_step_and_any_number_goes_on(
    whom: str, data: Path, tmp_path: Path, warm_environment: dict[str, str]
) -> None:
    steps = 250
    whole, cut = tmp_path / "whole" / "model.safetensors", tmp_path / "cut" / "model.safetensors"
    process = mpiexec(2, *training(data, cut, steps))
    started(cut)
    os.kill(process.pid if whom == "mpiexec" else children(process)[1], signal.SIGTERM)
    said = finish(process, 128 + signal.SIGTERM)
    assert said.count("stopped by a signal; saved step") == 1
    _, info = weights.load_tensors(cut.parent / "training" / "state.safetensors")
    assert 10 <= info["step"] < steps
    assert f"saved step {info['step']}," in said
    if whom == "mpiexec":  # the same number of ranks ends with the same bits
        said = finish(mpiexec(2, *training(data, cut, steps), warm=warm_environment))
        assert f"continuing from step {info['step']}" in said
        finish(mpiexec(2, *training(data, whole, steps), warm=warm_environment))
        a, b = (weights.load_tensors(path)[0] for path in (whole, cut))
        assert all(torch.equal(a[key], b[key]) for key in a)
    else:  # another number of ranks can also resume
        said = finish(mpiexec(1, *training(data, cut, steps), warm=warm_environment))
        assert f"continuing from step {info['step']}" in said
        assert json.loads((cut.parent / "training.json").read_text())["ranks"] == 1


@pytest.mark.slow
def test_a_killed_rank_ends_the_job(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    process = mpiexec(2, *training(data, out, 1_000_000))
    started(out)
    killed, *others = reversed(children(process))
    os.kill(killed, signal.SIGKILL)
    said = finish(process, 9)
    assert "KILLED BY SIGNAL" in said.upper() or "signal 9" in said
    assert "Traceback" not in said
    assert not any(Path(f"/proc/{pid}").exists() for pid in others)


FAILING = """
import sys
import genbench.machine.ranks as module
from genbench.machine.command_line import run
from genbench.errors import InputError
from genbench.machine.ranks import ranks

if sys.argv[1] != "one":  # those that fail together have time to find out, on cores that may be busy
    module.GRACE = 300

def main():
    team = ranks()
    if sys.argv[1] == "one" and team.rank == 1:
        raise RuntimeError("boom")
    if sys.argv[1] == "all":
        raise InputError("a wrong key")
    if sys.argv[1] == "each":
        raise InputError(f"wrong in {'one' if team.first else 'another'} way")
    team.share(None)  # the others are waiting for it
    team.share(None)

run(main)
"""


@pytest.mark.parametrize(
    ("who", "status", "once", "never"),
    [
        ("one", 1, ["rank 1 of 3: Traceback", "RuntimeError: boom"], "error:"),
        ("all", 2, ["error: a wrong key"], "rank"),
        ("each", 2, ["error: wrong in one way", "rank 1 of 3: error: wrong in another way"], "rank 2"),
    ],
)
def test_an_error_is_told_once_and_ends_all(who: str, status: int, once: list[str], never: str) -> None:
    said = finish(mpiexec(3, "-c", FAILING, who), status)
    assert all(said.count(text) == 1 for text in once), said
    assert never not in said.replace("(rank 1 in comm 0)", "").replace("error: wrong", ""), said


# A script whose ranks have time to learn that all of them failed, even if the cores are busy.
PATIENT = """
import runpy, sys
import genbench.machine.ranks as module

module.GRACE = 300
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_what_is_wrong_with_a_training_is_told_once(
    data: Path, tmp_path: Path, warm_environment: dict[str, str]
) -> None:
    too_small = training(data, tmp_path / "m.safetensors", 5, batch_size=1)
    said = finish(mpiexec(2, "-c", PATIENT, *too_small, warm=warm_environment), 2)
    assert said.strip() == (
        "error: training: found 2 processes (ranks) for 1 images at once (batch_size / accumulate); expected at most 1"
    )
    diverging = training(data, tmp_path / "m.safetensors", 50, optimizer={"algorithm": "sgd", "lr": 1.0e6})
    said = finish(mpiexec(2, "-c", PATIENT, *diverging, warm=warm_environment), 2)
    assert said.count("the loss is not finite at step") == 1


# --- Sampling ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_any_number_of_ranks_draws_the_same_bits(alone: Path, tmp_path: Path, warm_environment: dict[str, str]) -> None:
    model = alone / "ddpm" / "model.safetensors"

    def sample(ranks: int) -> tuple[np.ndarray, dict]:
        out = tmp_path / str(ranks) / "samples.npz"
        options = ["--seeds", "3:45", "--batch-size", "10", "--out", out, "--timing", out.with_name("timing.json")]
        command = [ROOT / "scripts/sample.py", "--model", model, *options, "--device", "cpu"]
        said = finish(mpiexec(ranks, *command, warm=warm_environment))
        assert "rror" not in said
        left = sorted(path.name for path in out.parent.iterdir())
        assert left == [".samples.lock", "samples.npz", "timing.json"]  # and no parts
        with np.load(out) as samples:
            return samples["arr_0"], json.loads(out.with_name("timing.json").read_text())

    one, timing = sample(1)
    assert timing["ranks"] == 1
    assert timing["timed_images"] == 40  # one of five batches warms up
    for ranks, timed in ((2, 30), (3, 30)):  # with three ranks, the rank with only one batch draws it again
        images, timing = sample(ranks)
        assert np.array_equal(images, one)
        assert timing["ranks"] == ranks
        assert timing["timed_images"] == timed
        assert timing["device"].startswith(f"{ranks} × CPU")


@pytest.mark.slow
def test_one_process_needs_no_mpi(alone: Path, tmp_path: Path) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['sample.py', '--model', {str(alone / 'vae' / 'model.safetensors')!r}, '--seeds', '0:4',\n"
        f"  '--batch-size', '4', '--out', {str(tmp_path / 'samples.npz')!r}, '--device', 'cpu']\n"
        f"runpy.run_path({str(ROOT / 'scripts/sample.py')!r}, run_name='__main__')\n"
        "assert 'mpi4py' not in sys.modules\n"
        "import torch\n"
        "assert not torch.distributed.is_initialized()\n"
        "import gc\n"
        "assert gc.isenabled()\n"
        "assert gc.get_freeze_count() > 100_000\n"  # torch's objects: see genbench/machine/job.py
    )
    finish(mpiexec(1, "-c", code))


# --- GPUs -------------------------------------------------------------------------------------------------------------

# Arguments: folder, ranks, seconds. A rank holds its GPU until that many ranks hold one, and for as many seconds.
CLAIM = """
import os, pathlib, sys, tempfile, time
from genbench.machine import devices
from genbench.machine.ranks import ranks
find = devices.gpu_indices
devices.gpu_indices = lambda: find(sys.argv[1])
tempfile.tempdir = sys.argv[1]
devices.claim_gpu()
os.write(1, f"{os.environ['CUDA_VISIBLE_DEVICES']} ".encode())  # in one piece, since all ranks share the pipe
folder = pathlib.Path(sys.argv[1])
(folder / f"claimed-{os.getpid()}").touch()
while len([*folder.glob("claimed-*")]) < int(sys.argv[2]):
    time.sleep(0.02)
time.sleep(float(sys.argv[3]))
ranks().share(None)
"""


@pytest.fixture
def four_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of device files, as in /dev, and of locks."""
    for index in range(4):
        (tmp_path / f"nvidia{index}").touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield tmp_path
    devices.release_gpus()


def test_ranks_get_a_gpu_each_and_jobs_don_t_meet(four_gpus: Path) -> None:
    jobs = [mpiexec(2, "-c", CLAIM, four_gpus, 4, 0) for _ in range(2)]
    claimed = [finish(job).split() for job in jobs]
    assert sorted(claimed[0] + claimed[1]) == ["0", "1", "2", "3"]


def test_jobs_that_want_several_gpus_take_turns(four_gpus: Path) -> None:
    """Three jobs want three of four GPUs: they would deadlock if they collected them at the same time."""
    jobs = [mpiexec(3, "-c", CLAIM, four_gpus, 3, 0.3) for _ in range(3)]
    for job in jobs:
        assert len(set(finish(job).split())) == 3


def test_ranks_deal_out_the_gpus_that_slurm_gives(four_gpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(four_gpus))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    assert devices._choose_gpus(2) == ["4", "5"]
    with pytest.raises(InputError, match=r"CUDA_VISIBLE_DEVICES=4,5,6: found 3 GPUs for 4 ranks"):
        devices._choose_gpus(4)


def test_cuda_numbers_the_gpus_of_a_container_from_0(four_gpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpu_indices", lambda: [1, 3])
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(four_gpus))
    assert devices._choose_gpus(2) == ["0", "1"]


def test_more_ranks_than_gpus_are_refused(four_gpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpu_indices", lambda: [0, 1])
    with pytest.raises(InputError, match="this machine: found 2 GPUs for 3 ranks, expected at least one for each"):
        devices._choose_gpus(3)


def test_several_ranks_may_share_gpus_with_other_jobs(four_gpus: Path) -> None:
    assert devices.lock_gpus(2, ["0", "1"], str(four_gpus), jobs_per_gpu=2) == ["0", "1"]
    assert devices.lock_gpus(2, ["0", "1"], str(four_gpus), jobs_per_gpu=2) == ["0", "1"]
    assert devices.try_lock(["0", "1"], str(four_gpus), jobs_per_gpu=2) is None
