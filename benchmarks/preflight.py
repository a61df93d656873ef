"""The check of a suite before every run, as the workflow starts it, compared with an earlier version."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.comparison import Comparison, Setting, Work
from benchmarks.table import ROOT

SUITE = "suites/cifar10.yaml"
# Runs a script, then prints its own peak in kB: the system's figure for a child begins with the memory of its parent.
PEAK = """
import re, runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
"""


def check(checkout: Path, folder: Path, forget: bool = False) -> Callable[[], float]:
    """One check by a checkout's script in `folder`, which keeps the results; returns the GB of memory it took."""

    def run() -> float:
        folder.mkdir(exist_ok=True)
        if forget:
            shutil.rmtree(folder / "resources", ignore_errors=True)
        script, suite = checkout / "scripts/preflight.py", checkout / SUITE
        job = subprocess.run(
            [sys.executable, "-c", PEAK, str(script), "--suite", str(suite), "--results", "results"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
        )
        if job.returncode:
            raise RuntimeError(job.stderr)
        return int(job.stdout.splitlines()[-1]) / 1e6

    return run


def preflight(setting: Setting) -> Comparison:
    return Comparison(
        theirs=check(setting.earlier(), setting.folder / "preflight-before"),
        ours={
            "nothing changed": check(ROOT, setting.folder / "preflight"),
            "nothing known": check(ROOT, setting.folder / "preflight-new", forget=True),
        },
        rounds=3,
        remark=lambda theirs, ours: f"{theirs:.2g} GB before, {ours:.2g} GB now",
    )


WORKS = (Work("preflight", "preflight of cifar10, before every run", "an earlier build's", preflight, before="1"),)
