"""Where a result came from: package versions, commit, machine. Reads metadata only, imports no package."""

import hashlib
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]


@cache
def code_sha256() -> str:
    """SHA-256 over the package's own Python sources: tells whether two results were made by the same code.

    Those of the report are left out, since they change no result.
    """
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        if "reporting" in path.relative_to(PACKAGE).parts:
            continue
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@cache
def git_commit() -> str | None:
    """The checkout's commit, with "+changes" when tracked files differ from it.

    Outside a checkout what the workflow tells its jobs, $GENBENCH_COMMIT, as they may have the files alone; or None.
    """
    try:
        command = [
            "git",
            "-C",
            str(PACKAGE.parent),
            "describe",
            "--always",
            "--abbrev=40",
            "--exclude=*",
            "--dirty=+changes",
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("GENBENCH_COMMIT") or None


def collect(*packages: str) -> dict[str, Any]:
    """Versions of the named packages (distribution names), of Python and of this code, and the time in UTC."""
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "genbench_commit": git_commit(),
        "code_sha256": code_sha256(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "command": " ".join(Path(argument).name if "/scripts/" in argument else argument for argument in sys.argv),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
