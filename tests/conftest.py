"""Which tests a machine can run, and the surroundings of them all."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

os.environ["MPLBACKEND"] = "agg"  # plots open no window
os.environ["OMP_NUM_THREADS"] = "1"  # on arrays this small a second thread only waits, for minutes if cores are busy
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # rules call this very `python`


def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def has_slurm() -> bool:
    return (
        shutil.which("sinfo") is not None
        and subprocess.run(["timeout", "5", "sinfo"], capture_output=True).returncode == 0
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for marker, available in {"gpu": has_cuda, "slurm": has_slurm}.items():
        marked = [item for item in items if marker in item.keywords]
        if marked and not available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=f"this machine has no {marker}"))
