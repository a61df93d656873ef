"""Whether this machine, or a cluster, can run a suite: each check says what it found, and what to do about it.

Snakemake is not imported: a profile is read as a YAML file. On a cluster one small job looks at a node.
"""

import os
import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from genbench.errors import InputError
from genbench.machine.checkout import ROOT
from genbench.machine.memory import in_words

LITTLE = 20 * 2**30  # bytes: the features of a small suite may take that much
PATIENCE = 120  # seconds to wait for a node
BETWEEN = "-----"  # a line between the answers of a node
LONGEST = 1440  # minutes that the rule `train` asks for


@dataclass(frozen=True)
class Check:
    """One check. mend: what to do; "" where all is well."""

    name: str
    found: str
    mend: str = ""


def examine(profile: str | None = None) -> Iterator[Check]:
    """All checks of this machine and, given its profile, of a cluster. Raises InputError for an unknown profile."""
    options = read_profile(profile) if profile else {}
    cluster = options.get("executor") == "slurm"
    yield driver(cluster)
    yield from disk()
    yield mpiexec(shutil.which("mpiexec"), "on this machine")
    if cluster:
        yield from slurm(options)


def read_profile(name: str) -> dict[str, Any]:
    """The options of a profile: a path, as Snakemake takes it, or a name in profiles/, here or beside the rules."""
    for folder in (Path(name), Path("profiles", name), ROOT / "profiles" / name):
        path = folder / "config.yaml" if folder.is_dir() else folder
        if path.is_file():
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise InputError(f"{path}: found no keys, expected options of Snakemake")
            return found
    known = ", ".join(sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml")))
    raise InputError(f"--profile: found {name!r}, expected a folder with config.yaml or one of profiles/: {known}")


def ask(*command: str, seconds: float = 30) -> str | None:
    """What a program answers; None if it is missing, fails or takes too long."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


# --- This machine -----------------------------------------------------------------------------------------------------


def driver(cluster: bool) -> Check:
    """PyTorch, and whether the GPUs' driver suits its CUDA."""
    import torch

    version, needed = torch.__version__, torch.version.cuda
    if torch.cuda.is_available():
        return Check("driver", f"{torch.cuda.device_count()} GPUs, PyTorch {version}")
    there = ask("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    if there and needed:
        older = 'uv run --no-project tools/pin.py "torch==2.8.*" && uv sync'
        return Check(
            "driver",
            f"NVIDIA {there.splitlines()[0]}, with which PyTorch {version} for CUDA {needed} sees no GPU",
            f"install a driver for CUDA {needed}, or a PyTorch for an older one: {older}",
        )
    if there:
        return Check("driver", f"a GPU, but PyTorch {version} is for CPUs", "uv sync installs the one for GPUs")
    return Check("driver", "no GPU on this machine" + ("; a node is asked below" if cluster else ": device=cpu"))


def disk() -> Iterator[Check]:
    """The free space for results and resources, and quotas that are exceeded."""
    for name in ("results", "resources"):
        folder = Path(name)
        while not folder.exists():
            folder = folder.absolute().parent
        free = shutil.disk_usage(folder).free
        short = f"write {name}_root in config.yaml: a folder on a larger disk" if free < LITTLE else ""
        yield Check("disk", f"{in_words(free)} free for {name}", short)
    if over := ask("quota", "-q"):  # prints something only if a limit is reached
        yield Check(
            "quota", " ".join(over.split()), "delete files, or ask for a larger quota; genbench clean lists some"
        )


def mpiexec(path: str | None, where: str) -> Check:
    """Whether there is an mpiexec to start the processes of an entry with several GPUs or ranks."""
    if path:
        return Check("mpiexec", f"{path} {where}")
    return Check(
        "mpiexec",
        f"none {where}",
        "entries with `gpus` or `ranks` above 1 need it: uv sync, or load an MPI module before Snakemake starts",
    )


# --- Slurm ------------------------------------------------------------------------------------------------------------


def slurm(options: Mapping[str, Any]) -> Iterator[Check]:
    """The partitions, and what one node sees."""
    lines = ask("sinfo", "--noheader", "--format", "%R %l %G")
    if not lines:
        yield Check("partitions", "sinfo answers nothing", "run this on a login node of the cluster")
        return
    yield partitions(lines, options)
    yield from node(options)


def partitions(lines: str, options: Mapping[str, Any]) -> Check:
    """Whether a partition that jobs may use allows the time that a training asks for. lines: name, limit, GPUs."""
    rows = dict.fromkeys(tuple(line.split()[:2]) for line in lines.splitlines())
    limits = {name: minutes(limit) for name, limit in rows}
    chosen = (options.get("default-resources") or {}).get("slurm_partition")
    if chosen is not None and chosen not in limits:
        return Check(
            "partitions", f"no {chosen}, but {', '.join(limits)}", "slurm_partition in the profile: write one of them"
        )
    open_to = {chosen: limits[chosen]} if chosen else limits
    asked = (options.get("set-resources") or {}).get("train", {}).get("runtime", LONGEST)
    found = ", ".join(f"{name} ({'no limit' if m is None else f'{m:,} min'})" for name, m in open_to.items())
    longest = max((float("inf") if m is None else m for m in open_to.values()), default=0)
    if isinstance(asked, int) and longest < asked:
        advice = f"a training asks for {asked:,} minutes: take profiles/slurm-short, with {longest:,.0f} for its 240"
        return Check("partitions", found, advice)
    return Check("partitions", found)


def minutes(limit: str) -> int | None:
    """A time limit of Slurm, days-hours:minutes:seconds or a part of it, in minutes; None for no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if not match:
        return None
    days, hours, mins = (int(part or 0) for part in match.groups()[:3])
    return 1440 * days + 60 * hours + mins


def node(options: Mapping[str, Any]) -> Iterator[Check]:
    """What a job on a node sees: the folder of this machine, a GPU, and mpiexec."""
    marker = Path(f".genbench-doctor-{uuid.uuid4().hex[:8]}")
    marker.write_text("seen\n", encoding="utf-8")
    here = shlex.quote(str(Path.cwd()))
    looks = f"cat {here}/{marker.name} && touch {here}/{marker.name}.node; echo; "
    looks += f"echo {BETWEEN}; nvidia-smi -L; echo {BETWEEN}; command -v mpiexec; true"
    defaults = options.get("default-resources") or {}
    command = ["srun", "--ntasks=1", "--time=2", "--mem=500", f"--immediate={PATIENCE}", "--chdir=/"]
    command += [f"--partition={defaults['slurm_partition']}"] if "slurm_partition" in defaults else []
    command += [f"--account={defaults['slurm_account']}"] if "slurm_account" in defaults else []
    gres = "gres" in str(options.get("set-resources"))
    command += ["--gres=gpu:1" if gres else "--gpus=1"]
    try:
        job = subprocess.run(
            [*command, "sh", "-c", looks], capture_output=True, text=True, timeout=PATIENCE + 60, check=False
        )
        said, error = job.stdout, job.stderr.strip().splitlines()
        wrote = Path(f"{marker}.node").exists()
    except (OSError, subprocess.SubprocessError) as failed:
        said, error, wrote = "", [str(failed)], False
    finally:
        marker.unlink()
        Path(f"{marker}.node").unlink(missing_ok=True)
    if BETWEEN not in said:
        why = error[-1] if error else "it said nothing"
        yield Check(
            "node", f"srun got none: {why}", f"try by hand, and what the site adds to it: {shlex.join(command)} true"
        )
        return
    first, gpus, mpi = said.split(BETWEEN)
    seen = first.startswith("seen") and wrote
    yield Check(
        "shared file system",
        f"{os.getcwd()} is {'' if seen else 'not '}what a node sees and writes",
        "" if seen else "put the checkout into a folder that all nodes share, such as your home or project folder",
    )
    cards = [line.strip() for line in gpus.splitlines() if line.startswith("GPU")]
    yield Check(
        "GPU of a node",
        cards[0] if cards else "nvidia-smi shows none",
        "" if cards else "ask for a partition with GPUs in the profile, or take device=cpu",
    )
    yield mpiexec(mpi.strip() or None, "on a node")
