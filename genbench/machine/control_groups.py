"""Linux's control groups, by which containers, Kubernetes and Slurm limit a process."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def control_groups() -> Iterator[Path]:
    """The folders of this process's control group and its parents; files are missing in those without limits."""
    _, _, group = read(Path("/proc/self/cgroup")).rpartition("0::/")
    folder = ROOT / group.strip()
    yield from (folder, *folder.parents)


def read(path: Path) -> str:
    """The text of a file of the kernel; "" on another system, or in a kernel without it."""
    try:
        return path.read_text()
    except OSError:
        return ""
