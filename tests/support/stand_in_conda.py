"""A stand-in for conda, with a local channel of empty packages: `--sdm conda` without a network.

Solving and linking are real, by py-rattler; names and versions are those of envs/*.yaml. It does not show that
conda-forge has these versions, or that they work together. Pip's part of an environment file is left out.
"""

import argparse
import asyncio
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import yaml


def dependencies(file: Path) -> list[str]:
    """The packages that an environment file asks conda for; its only channel must be conda-forge."""
    environment = yaml.safe_load(file.read_text(encoding="utf-8"))
    if environment["channels"] != ["conda-forge", "nodefaults"]:
        raise SystemExit(f"{file}: channels are {environment['channels']}")
    return [entry for entry in environment["dependencies"] if isinstance(entry, str)]


def add_package(channel: Path, name: str, version: str, programs: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Write a package of a channel, with these programs in bin/; return its line in the channel's index."""
    index = {
        "name": name,
        "version": version,
        "build": "standin_0",
        "build_number": 0,
        "depends": ["python"] if name != "python" else [],
        "noarch": "generic",
        "subdir": "noarch",
        "timestamp": 1_700_000_000_000,
    }
    contents = {f"bin/{program}": text.encode() for program, text in programs.items()}
    paths = [
        {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_in_bytes": len(data),
        }
        for path, data in contents.items()
    ]
    contents |= {
        "info/index.json": json.dumps(index).encode(),
        "info/files": "\n".join(entry["_path"] for entry in paths).encode(),
        "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}).encode(),
    }
    file = channel / "noarch" / f"{name}-{version}-standin_0.tar.bz2"
    with tarfile.open(file, "w:bz2") as archive:
        for path, data in contents.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o755
            archive.addfile(member, io.BytesIO(data))
    data = file.read_bytes()
    hashes = {"sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}
    return file.name, index | hashes | {"size": len(data)}


def make_channel(channel: Path, files: list[Path]) -> None:
    """Make a channel with all packages of environment files. Its python runs this Python and records its calls."""
    note = 'echo "$@" >> "$CONDA_PREFIX/calls.txt"'
    python = {"python": f'#!/bin/sh\n{note}\nexec "{sys.executable}" "$@"\n'}
    (channel / "noarch").mkdir(parents=True)
    packages = {}
    for name, version in {tuple(entry.split("=")) for file in files for entry in dependencies(file)}:
        key, line = add_package(channel, name, version, python if name == "python" else {})
        packages[key] = line
    repodata = {"info": {"subdir": "noarch"}, "packages": packages, "packages.conda": {}, "repodata_version": 1}
    (channel / "noarch/repodata.json").write_text(json.dumps(repodata))


def make_command(folder: Path, channel: Path) -> None:
    """Write a conda that knows only this channel, under the name conda-forge."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/conda").write_text(
        f'#!/bin/sh\nexport STAND_IN_CHANNEL={channel.as_uri()} STAND_IN_PREFIX="{folder}"\n'
        f'exec "{sys.executable}" "{__file__}" "$@"\n'
    )
    (folder / "bin/conda").chmod(0o755)
    (folder / "bin/activate").write_text('export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n')


async def create(file: Path, prefix: Path) -> None:
    """`conda env create`: solve and link."""
    import rattler

    specs = [entry.replace("=", "==", 1) for entry in dependencies(file)]
    records = await rattler.solve([os.environ["STAND_IN_CHANNEL"]], specs, platforms=["noarch"])
    await rattler.install(records, prefix, cache_dir=prefix.parent / "packages", show_progress=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", action="version", version="conda 25.1.0")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info").add_argument("--json", action="store_true")
    configuration = commands.add_parser("config")
    configuration.add_argument("--get", choices=["channel_priority"])
    configuration.add_argument("--json", action="store_true")
    environment = commands.add_parser("env")
    environment.add_argument("action", choices=["create"])
    environment.add_argument("--file", type=Path, required=True)
    environment.add_argument("--prefix", type=Path, required=True)
    environment.add_argument("--quiet", action="store_true")
    environment.add_argument("--no-default-packages", action="store_true")
    clean = commands.add_parser("clean")
    clean.add_argument("-y", action="store_true")
    clean.add_argument("--tarballs", action="store_true")
    args = parser.parse_args()
    if args.command == "info":
        print(json.dumps({"conda_prefix": os.environ["STAND_IN_PREFIX"], "platform": "linux-64"}))
    elif args.command == "config":
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif args.command == "env":
        asyncio.run(create(args.file, args.prefix))


if __name__ == "__main__":
    main()
