"""Where a result came from: package versions, commit, machine. Reads metadata only, imports no package."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from genbench.machine.checkout import PACKAGE, is_checkout
from genbench.machine.code import code_sha256, package_sha256


@cache
def git_commit() -> str | None:
    """The checkout's commit, with "+changes" when tracked files differ from it.

    Outside a checkout, $GENBENCH_COMMIT, which the workflow sets since its jobs may have only the files; or None.
    """
    told = os.environ.get("GENBENCH_COMMIT") or None
    if not is_checkout(PACKAGE.parent):  # an installed package, perhaps inside a repository of the user
        return told
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
        return told


def collect(*packages: str, kind: str | None = None, model: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Versions of the named packages (distribution names), of Python and of this code, and the time in UTC.

    kind, model: of the recorded result, as in `code_sha256`; without them the code is that of the whole package.
    """
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "genbench_commit": git_commit(),
        "code_sha256": package_sha256() if kind is None else code_sha256(kind, model),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "command": " ".join(map(_without_folder, sys.argv)),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _without_folder(argument: str) -> str:
    """The argument; without its folder if it is a script or the command `genbench`, whose place does not matter."""
    return Path(argument).name if "/scripts/" in argument or argument.endswith("/bin/genbench") else argument
