"""The commands of README.md, CONTRIBUTING.md and docs/, and separate checkouts in which tests run them."""

import compileall
import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import warm_python
import yaml

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"(uv|uvx|bash|git|docker|apptainer|srun) .|tests/pipeline/slurm/run\.sh")


def commands() -> dict[str, str]:
    """Return the first document of every command, in bash blocks and within sentences; without comments."""
    found: dict[str, str] = {}
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"^ *```(?:ba)?sh\n(.*?)```", text, re.DOTALL | re.MULTILINE)
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        lines += [code for code in re.findall(r"`([^`\n]+)`", prose) if COMMAND.match(code)]
        for line in lines:
            if plain(line):
                found.setdefault(plain(line), path.name)
    return found


def plain(line: str) -> str:
    """Return a command without its comment and with uniform quotes, for comparisons."""
    return shlex.join(shlex.split(line, comments=True))


COMMANDS = commands()


def documented(line: str) -> str:
    """Return a command; fails if no document has it."""
    assert plain(line) in COMMANDS, f"no document has the command {line!r}"
    return line


def check_out(folder: Path, **suites: Mapping[str, Any]) -> Path:
    """Copy all files that git tracks, or would track, to `folder`, with some suites of suites/ replaced.

    The package is copied with its bytecode, so the first process of a checkout does not compile it again.
    """
    compileall.compile_dir(ROOT / "genbench", quiet=2)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():  # a deletion may not be committed yet
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
            compiled = Path(importlib.util.cache_from_source(name))
            if (ROOT / compiled).exists():
                (folder / compiled.parent).mkdir(exist_ok=True)
                shutil.copy2(ROOT / compiled, folder / compiled)
    for name, suite in suites.items():
        (folder / f"suites/{name}.yaml").write_text(yaml.safe_dump(suite))
        (folder / f"reference/{name}.json").unlink(missing_ok=True)  # it belongs to the suite that was replaced
    return folder


def set_device(folder: Path, device: str) -> None:
    """Set the device on which the jobs of a checkout compute."""
    path = folder / "config.yaml"
    path.write_text(path.read_text().replace("device: auto", f"device: {device}"))


def commit(folder: Path) -> str:
    """Make a checkout a repository with one commit, whose hash this returns."""
    for line in ("init --quiet", "add .", "-c user.name=A -c user.email=a@b commit --quiet --message=First"):
        subprocess.run(["git", *line.split()], cwd=folder, check=True)
    return execute("git rev-parse HEAD", folder).strip()


def project_environment() -> Path:
    """Return the environment that has Snakemake; under `uv run --with`, this Python's is another."""
    spec = importlib.util.find_spec("snakemake")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parents[4]


def environment(folder: Path) -> dict[str, str]:
    """Return variables with which `uv run` in a checkout uses these tests' environment and the checkout's package."""
    project = project_environment()
    packages = [str(folder), *([str(warm_python.SITE)] if "WARM_PYTHON" in os.environ else [])]
    path = f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}"  # rules call its `python`
    return os.environ | {
        "UV_PROJECT_ENVIRONMENT": str(project), "UV_NO_SYNC": "1", "PATH": path,
        "PYTHONPATH": os.pathsep.join(packages),
    }  # fmt: skip


def run(line: str, folder: Path, status: int = 0, **variables: str) -> str:
    """Run a documented command in a checkout and check its exit status; returns its output."""
    return execute(documented(line), folder, status, **variables)


def execute(line: str, folder: Path, status: int = 0, **variables: str) -> str:
    """Run any command in a checkout and check its exit status; returns its output."""
    job = subprocess.Popen(
        ["bash", "-c", line],
        cwd=folder,
        env=environment(folder) | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = job.communicate()
    finally:  # also after the test's timeout
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    assert job.returncode == status, said[-8000:]
    return said
