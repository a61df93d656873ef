"""The check of a suite before every run, as the workflow starts it, beside an earlier version's."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.comparison import Comparison, Setting, Work
from benchmarks.table import ROOT

SUITE = "suites/cifar10.yaml"


def check(checkout: Path, folder: Path, forget: bool = False) -> Callable[[], float]:
    """One check by a checkout's script in `folder`, which keeps what was found; returns the GB of memory it took."""

    def run() -> float:
        folder.mkdir(exist_ok=True)
        if forget:
            shutil.rmtree(folder / "resources", ignore_errors=True)
        command = [sys.executable, str(checkout / "scripts/preflight.py"), "--suite", str(checkout / SUITE)]
        with open(folder / "log", "w") as log:
            job = subprocess.Popen(
                [*command, "--results", "results"],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(checkout)},
                stdout=log,
                stderr=log,
            )
            _, status, usage = os.wait4(job.pid, 0)
        job.returncode = os.waitstatus_to_exitcode(status)
        if job.returncode:
            raise RuntimeError((folder / "log").read_text())
        return usage.ru_maxrss / 1e6

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
