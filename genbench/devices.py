"""Which device a job computes on. `claim_gpu` runs before torch is imported; `pick_device` after."""

import fcntl
import logging
import os
import re
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from genbench.errors import InputError

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
_held: list[IO[str]] = []  # a lock lasts as long as its open file, that is, as long as the process


def gpu_indices(device_folder: str = "/dev") -> list[int]:
    """Indices of the NVIDIA GPUs that this machine shows, without importing torch."""
    names = os.listdir(device_folder) if os.path.isdir(device_folder) else []
    return sorted(int(match[1]) for name in names if (match := re.fullmatch(r"nvidia(\d+)", name)))


def try_lock(indices: list[int], folder: str, jobs_per_gpu: int = 1) -> int | None:
    """Lock a free slot of one of the GPUs in `indices`; return its index, or None when all are taken.

    A slot is a file in `folder` under `flock`: the kernel frees it when the process ends, however it ends.
    """
    for slot in range(jobs_per_gpu):
        for index in indices:
            path = Path(folder) / f"genbench-gpu{index}-slot{slot}.lock"
            path.touch(exist_ok=True)
            file = open(path)  # noqa: SIM115 - held open on purpose
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _held.append(file)
            return index
    return None


def release_gpus() -> None:
    """Free what `try_lock` took, before the process ends."""
    while _held:
        _held.pop().close()


def claim_gpu(device: str = "auto") -> None:
    """Take one free GPU for this process by setting CUDA_VISIBLE_DEVICES; wait while all are taken.

    Snakemake counts GPUs but does not hand them out, so two jobs on one machine would both land on GPU 0.
    Nothing is done for `device="cpu"`, without a GPU, or where CUDA_VISIBLE_DEVICES is already set (by
    Slurm or by the user). GENBENCH_JOBS_PER_GPU lets that many jobs share a GPU.
    """
    indices = gpu_indices()
    if device == "cpu" or not indices or "CUDA_VISIBLE_DEVICES" in os.environ:
        return
    jobs_per_gpu = int(os.environ.get("GENBENCH_JOBS_PER_GPU", "1"))
    waiting = False
    while (index := try_lock(indices, tempfile.gettempdir(), jobs_per_gpu)) is None:
        if not waiting:
            log.info("all %d GPUs are taken by other genbench jobs; waiting for one", len(indices))
            waiting = True
        time.sleep(1)
    os.environ["CUDA_VISIBLE_DEVICES"] = str(index)


def pick_device(name: str = "auto", threads: int | None = None) -> "torch.device":
    """The torch device for `name` (auto | cuda | cpu), with `threads` CPU threads.

    Arithmetic is exact float32 (no TF32) and deterministic from here on, unless a training chooses another precision.
    Raises InputError when "cuda" is asked for and torch sees no GPU.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device: found 'cuda', but torch sees no CUDA GPU here; expected a GPU, or device 'auto' or 'cpu'"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if name == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when CUDA starts
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(name)


def device_label(device: "torch.device") -> str:
    """The device in words, for tables: the GPU's name, or the processor's."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        try:
            models = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        except OSError:
            models = []
        return f"CPU ({models[0] if models else 'unknown processor'}, {torch.get_num_threads()} threads)"
    return str(device)
