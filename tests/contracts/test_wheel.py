"""A wheel holds all files of a checkout that a run needs, and an installed package finds them."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from genbench.machine import checkout
from genbench.machine.code import package_sha256

ROOT = Path(__file__).parents[2]
FOLDERS = ("envs", "genbench", "profiles", "reference", "report", "rules", "schemas", "scripts", "suites")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("genbench-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_every_file_of_the_workflow(installed: Path) -> None:
    listed = subprocess.run(["git", "ls-files", *FOLDERS, "Snakefile", "config.yaml"], cwd=ROOT, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    tracked = listed.stdout.decode().split()
    expected = {
        name if name.startswith("genbench/") else f"genbench/workflow/{name}"
        for name in tracked
        if (ROOT / name).exists()
    }
    found = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert expected - found == set()
    assert {name for name in found - expected if ".dist-info/" not in name and not (ROOT / name).exists()} == set()
    entry_points = next(installed.glob("*.dist-info/entry_points.txt")).read_text()
    assert "genbench = genbench.commands.app:main" in entry_points


def test_an_installed_package_finds_its_suites_and_is_the_same_code(installed: Path, tmp_path: Path) -> None:
    code = """
import genbench.suites.load
from genbench.machine.code import package_sha256
from genbench.machine.provenance import git_commit
from genbench.commands.render_index import parser
found = genbench.suites.load.find_suite("demo"), parser().get_default("template_dir")
print(*found, package_sha256(), git_commit(), sep="\\n")
"""
    environment = {name: value for name, value in os.environ.items() if name != "GENBENCH_COMMIT"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    workflow = installed / "genbench/workflow"
    expected = [workflow / "suites/demo.yaml", workflow / "report", package_sha256(), None]
    assert done.stdout.splitlines() == list(map(str, expected)), done.stderr


def test_in_another_checkout_its_own_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[list[str]] = []
    monkeypatch.setattr(checkout.os, "execv", lambda program, arguments: went.append(arguments))
    monkeypatch.setattr(sys, "argv", ["/usr/bin/genbench", "run", "demo"])
    for folder in (tmp_path, ROOT):  # not a checkout, and this package's own checkout
        monkeypatch.chdir(folder)
        checkout.enter_checkout()
    assert went == []
    (tmp_path / "genbench").mkdir()
    for name in ("Snakefile", "genbench/__init__.py", "genbench/__main__.py"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    checkout.enter_checkout()
    assert went == [[sys.executable, "-m", "genbench", "run", "demo"]]
