"""Each job gets one GPU, by a lock that disappears when its process dies."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from genbench.errors import InputError
from genbench.machine import devices

HOLD = """
import sys
from genbench.machine.devices import try_lock
print(try_lock(["0", "1"], sys.argv[1]), flush=True)
sys.stdin.read()  # until the test has ended
"""


def holder(folder: Path) -> tuple[subprocess.Popen[str], str]:
    root = str(Path(__file__).parents[2])
    pipe, environment = subprocess.PIPE, os.environ | {"PYTHONPATH": root}
    command = [sys.executable, "-c", HOLD, folder]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_two_jobs_get_two_gpus_and_a_third_none_until_one_dies(tmp_path: Path) -> None:
    (first, a), (second, b) = holder(tmp_path), holder(tmp_path)
    try:
        assert {a, b} == {"0", "1"}
        assert devices.try_lock(["0", "1"], str(tmp_path)) is None
        first.kill()
        first.wait()
        assert devices.try_lock(["0", "1"], str(tmp_path)) == a
    finally:
        first.kill()
        second.kill()
        for process in (first, second):
            process.communicate()
        devices.release_gpus()


def test_other_users_can_lock_the_same_gpus_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert devices.try_lock(["0"], str(tmp_path)) == "0"
    finally:
        os.umask(before)
        devices.release_gpus()
    (made,) = tmp_path.iterdir()
    assert made.stat().st_mode & 0o444 == 0o444


def test_a_lock_that_only_its_owner_may_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(devices, "open", refuse, raising=False)
    with pytest.raises(InputError, match=r"genbench-gpu0-slot0\.lock: found a lock .* chmod a\+r .*CUDA_VIS"):
        devices.try_lock(["0"], str(tmp_path))


def test_on_a_mac_the_processor_computes_what_torch_lacks() -> None:
    code = "import os, sys; sys.platform = 'darwin'; import genbench; print(os.environ['PYTORCH_ENABLE_MPS_FALLBACK'])"
    environment = {key: value for key, value in os.environ.items() if key != "PYTORCH_ENABLE_MPS_FALLBACK"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "1\n"


def test_several_jobs_may_share_a_gpu_if_told_to(tmp_path: Path) -> None:
    found = [devices.try_lock(["0", "1"], str(tmp_path), jobs_per_gpu=2) for _ in range(5)]
    assert found == ["0", "1", "0", "1", None]  # free GPUs first, then shared ones
    devices.release_gpus()


def test_gpus_are_found_by_their_device_files(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert devices.gpu_indices(str(tmp_path)) == [0, 2, 10]
    assert devices.gpu_indices(str(tmp_path / "none")) == []


def test_in_windows_nvidia_smi_knows_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dxg").touch()
    program = tmp_path / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n[ $1 = --query-gpu=index ] && printf '0\\n1\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    devices._gpus_of_windows.cache_clear()
    assert devices.gpu_indices(str(tmp_path)) == [0, 1]
    program.unlink()
    devices._gpus_of_windows.cache_clear()
    assert devices.gpu_indices(str(tmp_path)) == []
    devices._gpus_of_windows.cache_clear()


@pytest.mark.parametrize(
    ("device", "visible", "gpus", "expected"),
    [
        ("auto", None, [0, 1], "0"),
        ("auto", None, [3], "0"),  # in a container that is given the fourth GPU
        ("cpu", None, [3], None),
        ("auto", "7", [3], "7"),
        ("auto", None, [], None),
        ("auto", "2,3", [0, 1, 2, 3], "2"),
        ("auto", "", [0, 1], ""),
        ("auto", "-1", [0, 1], "-1"),  # as many hide all GPUs
        ("auto", "GPU-8932f937-d72c,GPU-ab", [0, 1], "GPU-8932f937-d72c"),
    ],
)
def test_claiming_sets_what_cuda_reads(
    device: str,
    visible: str | None,
    gpus: list[int],
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "gpu_indices", lambda: gpus)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    devices.claim_gpu(device)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == expected
    devices.release_gpus()


def test_jobs_share_out_the_gpus_that_a_user_or_a_scheduler_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "gpu_indices", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    for name in devices.SCHEDULED:
        monkeypatch.delenv(name, raising=False)

    def claimed(given: str) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CUDA_VISIBLE_DEVICES", given)
            devices.claim_gpu()
            return os.environ["CUDA_VISIBLE_DEVICES"]

    assert [claimed("2,3"), claimed("2,3")] == ["2", "3"]  # genbench run starts as many jobs as it finds GPUs
    for job in ("71", "72"):  # whose GPUs have the same numbers, and are others
        monkeypatch.setenv("SLURM_JOB_ID", job)
        assert [claimed("0,1"), claimed("0,1")] == ["0", "1"]
    devices.release_gpus()


def test_gpus_that_are_hidden_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpu_indices", lambda: [0, 1])
    counts = []
    for given in ("0,1", "1", "", "-1", "1,-1,0", "1,1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        counts.append((devices.count_gpus(), devices.kind_of_device()))
    assert counts == [(2, "cuda"), (1, "cuda"), (0, "cpu"), (0, "cpu"), (1, "cuda"), (1, "cuda")]


def test_cuda_without_a_gpu_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device: found 'cuda', but torch sees no CUDA GPU"):
        devices.pick_device("cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.pick_device("auto").type == "cpu"


def test_auto_takes_an_apple_gpu_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda mode, warn_only: None)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    assert devices.pick_device("auto").type == devices.pick_device("mps").type == "mps"
    monkeypatch.setattr(devices, "ranks", lambda: SimpleNamespace(size=2, local_size=2))
    assert devices.pick_device("auto", threads=2).type == "cpu"  # an Apple GPU serves only one process
    with pytest.raises(InputError, match=r"device: found 'mps' with 2 ranks; expected one process"):
        devices.pick_device("mps", threads=2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device: found 'mps' with no Apple GPU that torch sees here"):
        devices.pick_device("mps")


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("model name\t: AMD EPYC\nflags\t\t: fpu avx avx2 fma\n", "AMD EPYC, AVX2"),
        ("model name\t: AMD EPYC\nflags\t\t: avx2 avx512f avx512_bf16\n", "AMD EPYC, AVX-512 BF16"),
        ("model name\t: Xeon\nflags\t\t: avx512f avx2 amx_bf16 avx512_bf16\n", "Xeon, AMX"),
        ("model name\t: Old\nflags\t\t: sse2\n", "Old"),
        ("Features\t: fp asimd\n", f"{platform.processor() or platform.machine()}, NEON"),
        ("", platform.processor() or platform.machine()),
    ],
)
def test_processors_that_round_otherwise_have_other_names(cpuinfo: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert devices.processor_name(str(tmp_path / "cpuinfo")) == expected


def test_the_label_of_a_processor_counts_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(devices, "processor_name", lambda: "AMD EPYC, AVX2")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert devices.device_label(torch.device("cpu")) == "CPU (AMD EPYC, AVX2, 1 thread)"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert devices.device_label(torch.device("cpu"), count=2) == "2 × CPU (AMD EPYC, AVX2, 2 threads)"
