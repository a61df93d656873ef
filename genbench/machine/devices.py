"""Which device a job computes on. `claim_gpu` runs before torch is imported; `pick_device` after."""

import logging
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from genbench.errors import InputError
from genbench.machine.ranks import ranks

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

# Their names in Linux and in tables, the widest first. Libraries choose their kernels by them.
VECTOR_INSTRUCTIONS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512 BF16",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
    "sve": "SVE",
    "asimd": "NEON",
}
SCHEDULED = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")  # set within a job of a cluster's scheduler
_held: list[IO[str]] = []  # a lock lasts as long as its open file, that is, as long as the process


def gpu_indices(device_folder: str = "/dev") -> list[int]:
    """Numbers of the NVIDIA GPUs that this machine or container shows, without importing torch.

    They are those of the device files. A container that is given only the second GPU shows nvidia1, which CUDA numbers
    0. Linux in Windows (WSL 2) has one file, dxg, for all GPUs; there nvidia-smi states their numbers.
    """
    names = os.listdir(device_folder) if os.path.isdir(device_folder) else []
    found = sorted(int(match[1]) for name in names if (match := re.fullmatch(r"nvidia(\d+)", name)))
    return found or (_gpus_of_windows() if "dxg" in names else [])


@cache
def _gpus_of_windows() -> list[int]:
    return [int(line) for line in _ask_driver("index") if line.strip().isdigit()]


def apple_gpu() -> bool:
    """Whether this is a Mac with Apple's processor, and therefore its GPU, without importing torch."""
    return (sys.platform, platform.machine()) == ("darwin", "arm64")


def count_gpus() -> int:
    """How many GPUs jobs on this machine may use: those in CUDA_VISIBLE_DEVICES if it is set, or all."""
    given = _given_gpus()
    return len(gpu_indices()) if given is None else len(given)


def _given_gpus() -> list[str] | None:
    """The names in CUDA_VISIBLE_DEVICES, each once, until one hides the rest, such as -1; None if it is not set."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return None
    names = dict.fromkeys(name.strip() for name in given.split(","))
    return list(takewhile(lambda name: name and not name.startswith("-"), names))


def kind_of_device(device: str = "auto") -> str:
    """cuda, mps or cpu: what a single job will find for `device`, without importing torch."""
    if device != "auto":
        return device
    return "cuda" if count_gpus() else "mps" if apple_gpu() else "cpu"


def gpu_memory() -> int | None:
    """Bytes of memory of the smallest NVIDIA GPU that jobs may use; None without a GPU or without nvidia-smi."""
    smallest = _least_of_gpus("memory.total")
    return None if smallest is None else int(smallest) * 2**20


def gpu_generation() -> float | None:
    """The compute capability of the oldest NVIDIA GPU that jobs may use, such as 8.0; None as for `gpu_memory`."""
    return _least_of_gpus("compute_cap")


def gpu_name() -> str | None:
    """The name of the first NVIDIA GPU, such as NVIDIA H100 80GB HBM3; None as for `gpu_memory`."""
    return next(iter(_of_gpus("name")), None)


def _least_of_gpus(field: str) -> float | None:
    """The smallest number that nvidia-smi states under `field` for this machine's GPUs; None if it states none."""
    lines = [line.strip() for line in _of_gpus(field)]
    return min((float(line) for line in lines if re.fullmatch(r"\d+(\.\d+)?", line)), default=0.0) or None


def _of_gpus(field: str) -> list[str]:
    """What nvidia-smi states under `field`, one line per GPU; none without a GPU or without nvidia-smi."""
    return _ask_driver(field) if count_gpus() else []


def _ask_driver(field: str) -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []


def _open_lock(path: Path) -> IO[str]:
    """Open a lock file for reading, which is enough to lock it: it may belong to another user, whatever their umask."""
    with suppress(FileExistsError):
        made = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL)
        os.fchmod(made, 0o644)
        os.close(made)
    try:
        return open(path)
    except PermissionError:
        raise InputError(
            f"{path}: found a lock of this machine's GPUs that only its owner may read, expected all users: "
            f"chmod a+r {path}, or choose a GPU with CUDA_VISIBLE_DEVICES"
        ) from None


def try_lock(names: Sequence[str], folder: str, jobs_per_gpu: int = 1) -> str | None:
    """Lock a free slot of one of the GPUs in `names`; return its name, or None when all are taken.

    A slot is a locked file in `folder`: the kernel frees it when the process ends, however it ends.
    """
    from filelock import lock_descriptor  # imported only by jobs that claim a GPU

    for slot in range(jobs_per_gpu):
        for name in names:
            file = _open_lock(Path(folder) / f"genbench-gpu{re.sub(r'[^A-Za-z0-9]', '-', name)}-slot{slot}.lock")
            if lock_descriptor(file.fileno(), blocking=False):
                _held.append(file)
                return name
            file.close()
    return None


def lock_gpus(count: int, names: Sequence[str], folder: str, jobs_per_gpu: int = 1, queue: str = "queue") -> list[str]:
    """Lock a slot of `count` different GPUs; wait while too many are taken. Returns them in the order of `names`.

    Only one job of a `queue` at a time collects GPUs, and the others wait. Two jobs that need several GPUs therefore
    cannot each hold what the other lacks, and jobs that need one GPU cannot overtake a job that needs several for ever.
    """
    from filelock import lock_descriptor

    waiting = False

    def wait(reason: str) -> None:
        nonlocal waiting
        if not waiting:
            log.info("%s; waiting", reason)
            waiting = True
        time.sleep(1)

    with _open_lock(Path(folder) / f"genbench-gpu-{queue}.lock") as turn:
        while not lock_descriptor(turn.fileno(), blocking=False):
            wait("another genbench job is waiting for GPUs")
        found: list[str] = []
        while len(found) < count:
            name = try_lock([name for name in names if name not in found], folder, jobs_per_gpu)
            if name is not None:
                found.append(name)
            else:
                wait(f"all but {len(found)} of {len(names)} GPUs are taken by other genbench jobs, {count} wanted")
    return sorted(found, key=list(names).index)


def release_gpus() -> None:
    """Free what `try_lock` took, before the process ends."""
    while _held:
        _held.pop().close()


def _choose_gpus(count: int) -> list[str]:
    """GPUs for `count` ranks on this machine, locked here: of those in CUDA_VISIBLE_DEVICES if it is set, or of all.

    A scheduler may number the GPUs of each of its jobs from 0, so locks there have the number of its job.
    """
    given = _given_gpus()
    if given is not None and len(given) == 1:
        return given * count  # a launcher may have given each rank its own GPU, which each rank then sees as the first
    scheduled = next((os.environ[name] for name in SCHEDULED if name in os.environ), None)
    within = "" if given is None or scheduled is None else f"{re.sub(r'[^A-Za-z0-9]', '-', scheduled)}-"
    locks = [f"{within}{name}" for name in (gpu_indices() if given is None else given)]
    if count > len(locks):
        where = "this machine" if given is None else f"CUDA_VISIBLE_DEVICES={','.join(given)}"
        raise InputError(f"{where}: found {len(locks)} GPUs for {count} ranks, expected at least one for each")
    jobs_per_gpu = int(os.environ.get("GENBENCH_JOBS_PER_GPU", "1"))
    taken = lock_gpus(count, locks, tempfile.gettempdir(), jobs_per_gpu, f"{within}queue")
    places = [locks.index(lock) for lock in taken]
    return [str(place) if given is None else given[place] for place in places]  # CUDA numbers what is shown from 0


def claim_gpu(device: str = "auto") -> None:
    """Take one free GPU for this process by setting CUDA_VISIBLE_DEVICES; wait while all are taken. Ranks get one each.

    Snakemake counts GPUs but does not assign them, so two jobs on one machine would both use GPU 0. A Mac has only one
    GPU, which is not claimed.
    Does nothing for `device="cpu"`, without a GPU, or, for a single process, if CUDA_VISIBLE_DEVICES (set by Slurm or
    the user) names one. If it names several, jobs share out these. GENBENCH_JOBS_PER_GPU lets that many jobs share one.
    """
    team = ranks()
    given = _given_gpus()
    if device == "cpu" or not gpu_indices() or given == [] or (team.local_size == 1 and given and len(given) == 1):
        return
    chosen = team.share_locally(lambda: _choose_gpus(team.local_size))  # the first rank holds all locks
    os.environ["CUDA_VISIBLE_DEVICES"] = chosen[team.local_rank]


def pick_device(name: str = "auto", threads: int | None = None) -> "torch.device":
    """The torch device for `name` (auto | cuda | mps | cpu). The ranks share `threads` CPU threads.

    Arithmetic is exact float32 (no TF32) and deterministic from here on, unless a training chooses another precision.
    auto is an NVIDIA GPU, else an Apple GPU for a single process, else the processor. Raises InputError if "cuda" or
    "mps" is asked for and torch sees no such GPU, or if several ranks ask for "mps", since a Mac has only one GPU.
    """
    import torch

    team = ranks()
    if threads is not None or team.size > 1:
        share = torch.get_num_threads() // team.local_size if threads is None else threads // team.size
        torch.set_num_threads(max(1, share))
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device: found 'cuda', but torch sees no CUDA GPU here; expected a GPU, or device 'auto' or 'cpu'"
        )
    apple = torch.backends.mps.is_available()
    if name == "mps" and (not apple or team.size > 1):
        found = f"{team.size} ranks" if apple else "no Apple GPU that torch sees here"
        raise InputError(f"device: found 'mps' with {found}; expected one process and a GPU, or device 'auto' or 'cpu'")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if apple and team.size == 1 else "cpu"
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    if name != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when CUDA starts
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(name)


def has_room(device: "torch.device", size: int) -> bool:
    """Whether `size` bytes are at most half of a GPU's free memory; always true for other devices."""
    import torch

    return device.type != "cuda" or 2 * size <= torch.cuda.mem_get_info(device)[0]


def synchronise(device: "torch.device") -> None:
    """Wait until the device has finished its work. Call it before reading a clock."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory(device: "torch.device") -> int:
    """The most bytes that this process has held so far: on an NVIDIA GPU, of its memory; otherwise, of main memory."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def processor_name(cpuinfo: str = "/proc/cpuinfo") -> str:
    """The processor's name and its widest vector instructions, which affect rounding; without importing torch.

    Different processors can have the same name: a virtual machine may call all of them AMD EPYC.
    """
    try:
        lines = Path(cpuinfo).read_text().splitlines()
    except OSError:
        lines = []
    found = {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}
    flags = found.get("flags", found.get("Features", "")).split()
    widest = next((name for flag, name in VECTOR_INSTRUCTIONS.items() if flag in flags), None)
    name = found.get("model name") or platform.processor() or platform.machine() or "unknown processor"
    return name if widest is None else f"{name}, {widest}"


def device_label(device: "torch.device", count: int = 1) -> str:
    """The name of the GPU or processor, for tables; with several ranks, preceded by their `count`."""
    import torch

    if count > 1:
        return f"{count} × {device_label(device)}"
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"CPU ({processor_name()}, {threads} thread{'s' if threads > 1 else ''})"
    if device.type == "mps":
        name: Callable[[], str] = getattr(torch.backends.mps, "get_name", lambda: "Apple GPU")  # new in torch
        return f"{name()} (GPU)"
    return str(device)
