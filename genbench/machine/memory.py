"""How much memory this process may still take under its lowest limit. Without psutil, which jobs may not have."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from genbench.errors import InputError
from genbench.machine.control_groups import control_groups, read


def available_memory() -> int:
    """Bytes free for this process: the least of the machine's, its cgroup's (a container, Slurm) and `ulimit -v`."""
    return max(0, min(_limits()))


def check_memory(needed: int, what: str, remedy: str) -> None:
    """Raise InputError if `needed` bytes are more than are free. what: the start of the message, ending in a verb."""
    if needed > (free := available_memory()):
        raise InputError(f"{what} {in_words(needed)} of memory, more than the {in_words(free)} that are free; {remedy}")


def in_words(size: int) -> str:
    """Bytes as 307 kB or 78.6 GB."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.4g} TB"


def physical_memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _limits() -> Iterator[int]:
    yield _fields(Path("/proc/meminfo")).get("MemAvailable:", 0) * 1024 or physical_memory()
    yield from _of_cgroups()
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield limit - _fields(Path("/proc/self/status")).get("VmSize:", 0) * 1024


def _of_cgroups() -> Iterator[int]:
    """Bytes that are free in this process's control group and its parents; the inactive file cache counts as free."""
    for folder in control_groups():
        limit, used = read(folder / "memory.max").strip(), read(folder / "memory.current").strip()
        if limit.isdigit() and used.isdigit():
            yield int(limit) - int(used) + _fields(folder / "memory.stat").get("inactive_file", 0)


def _fields(path: Path) -> dict[str, int]:
    """The numbers in a file of the kernel, by the word before each."""
    lines = (line.split() for line in read(path).splitlines())
    return {parts[0]: int(parts[1]) for parts in lines if len(parts) > 1 and parts[1].isdigit()}
