"""Skips tests that this machine cannot run, and sets the environment of all tests."""

import gc
import importlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import warm_python
from launches import end_all

gc.set_threshold(100_000, 50, 100)  # to look for garbage more often took a tenth of the time of some files
os.environ["MPLBACKEND"] = "agg"  # no windows for plots
os.environ["OMP_NUM_THREADS"] = "1"  # arrays are so small that a second thread only waits, for minutes on busy cores
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # rules call this `python`


def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def has_slurm() -> bool:
    return (
        shutil.which("sinfo") is not None
        and subprocess.run(["timeout", "5", "sinfo"], capture_output=True).returncode == 0
        and importlib.util.find_spec("snakemake_executor_plugin_slurm") is not None
    )


def has_rattler() -> bool:
    return importlib.util.find_spec("rattler") is not None


def has_moto() -> bool:
    return importlib.util.find_spec("moto") is not None


def has_docker() -> bool:
    found = shutil.which("docker") is not None
    return found and subprocess.run(["timeout", "20", "docker", "info"], capture_output=True).returncode == 0


def has_browser() -> bool:
    return all(Path(f"/usr/bin/{name}").exists() for name in ("chromium", "chromedriver"))


AVAILABLE = {
    "browser": has_browser,
    "gpu": has_cuda,
    "slurm": has_slurm,
    "conda": has_rattler,
    "cloud": has_moto,
    "containers": has_docker,
    "faults": lambda: True,
}
# `pytest -m slurm`: plain `pytest` should not submit jobs to a cluster.
ON_REQUEST = {"slurm", "conda", "cloud", "containers", "faults"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for marker, available in AVAILABLE.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if not marked:
            continue
        if marker in ON_REQUEST and marker not in config.option.markexpr:
            reason = f"on request: -m {marker}"
        elif not available():
            reason = f"this machine has no {marker}, see CONTRIBUTING.md"
        else:
            continue
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)  # slow files first: one that starts last would run on alone


@pytest.fixture(scope="session")
def warm_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables with which processes run in a fork of a warm Python, see warm_python.py."""
    server, environment = warm_python.start(tmp_path_factory.mktemp("warm"))
    yield environment
    server.kill()
    server.wait()


@pytest.fixture
def warm(warm_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts this test's workflows and their jobs in a warm Python, which saves each some seconds of imports."""
    for name, value in warm_environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def warm_module(warm_environment: dict[str, str]) -> Iterator[None]:
    """Like `warm`, for all tests and fixtures of a module."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in warm_environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def none_left() -> Iterator[None]:
    """Ends processes that a failed test has left running."""
    yield
    end_all()


@pytest.fixture
def script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Callable[..., str]:
    """Run a script in this process, which already has torch, and check its exit status; returns its output."""
    from genbench.machine.command_line import run

    caplog.set_level(logging.INFO)

    def ran(name: str, *arguments: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", [f"scripts/{name}.py", *map(str, arguments)])
        try:
            run(importlib.import_module(f"scripts.{name}").main)
            status: object = 0
        except SystemExit as stop:
            status = stop.code
        said = "".join(capsys.readouterr()) + caplog.text
        caplog.clear()
        assert status == code, said
        return said

    return ran
