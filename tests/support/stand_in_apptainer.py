"""A stand-in for apptainer: it notes what it is asked for, and runs what follows the image outside of any container."""

from pathlib import Path

APPTAINER = """#!/bin/sh
[ "$1" = --version ] && echo apptainer version 1.3.0 && exit
echo "$@" >> apptainer.txt
while [ "$1" != '{image}' ]; do shift; done
shift
exec "$@"
"""


def make_command(folder: Path, image: str) -> None:
    """Write the command `apptainer`, for one image, which notes its calls in apptainer.txt where it is called."""
    folder.mkdir()
    (folder / "apptainer").write_text(APPTAINER.format(image=image))
    (folder / "apptainer").chmod(0o755)
