"""How many threads work at once."""

import os
from math import ceil

from genbench.machine.control_groups import control_groups, read


def cores() -> int:
    """How many cores this process may use at once: those of the machine, assigned to it, and paid for by its container.

    A container with a share of a machine, such as `docker run --cpus 2`, may run on all its cores, in turn.
    """
    least = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # not on macOS
    for folder in control_groups():
        quota, _, period = read(folder / "cpu.max").strip().partition(" ")  # microseconds of computing in a period
        if quota.isdigit() and period.isdigit():
            least = min(least, max(1, ceil(int(quota) / int(period))))
    return least
