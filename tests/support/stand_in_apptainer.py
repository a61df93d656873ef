"""A stand-in for apptainer: it records its arguments, and runs the command after the image without a container."""

from pathlib import Path

APPTAINER = """#!/bin/sh
[ "$1" = --version ] && echo apptainer version 1.3.0 && exit
echo "$@" >> apptainer.txt
while [ "$1" != '{image}' ]; do shift; done
shift
exec "$@"
"""


def make_command(folder: Path, image: str) -> None:
    """Write the command `apptainer` for one image; it records its calls in apptainer.txt in its working folder."""
    folder.mkdir()
    (folder / "apptainer").write_text(APPTAINER.format(image=image))
    (folder / "apptainer").chmod(0o755)
