"""Which tests a machine can run, and a plotting library that opens no window."""

import os
import shutil
import subprocess

import pytest

os.environ["MPLBACKEND"] = "agg"


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
