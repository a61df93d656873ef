"""Processes that tests start, singly or as ranks of mpiexec. The fixture `none_left` (conftest.py) ends them."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ENV = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
running: list[subprocess.Popen[str]] = []


def mpiexec(ranks: int, *command: object, warm: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `python COMMAND`, with mpiexec if there are several ranks.

    warm: the fixture `warm_environment`, for processes that the test does not kill.
    """
    environment = ENV | (warm or {})
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), (warm or {}).get("PYTHONPATH"))))
    launch = [str(BIN / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    pipe = subprocess.PIPE
    command = (*launch, sys.executable, *map(str, command))
    running.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True))
    return running[-1]


def finish(process: subprocess.Popen[str], status: int = 0, seconds: float = 600) -> str:
    """Wait for a process, which must end with `status`; returns its output."""
    out, err = process.communicate(timeout=seconds)
    assert process.returncode == status, err
    return out + err


def end_all() -> None:
    """End processes that a failed test has left running; the ranks of mpiexec die with it."""
    while running:
        process = running.pop()
        process.kill()
        process.communicate()
