"""Files of a folder and of all below it."""

import os
from collections.abc import Iterator
from pathlib import Path


def walk(folder: str | Path, above: tuple[str, ...] = ()) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder that is no folder itself, less hidden folders. Raises OSError for what can't be read.

    Links are followed, since folders of links into a larger data set are common, but never back to a folder above.
    """
    here = os.path.realpath(folder)
    if here in above:
        return
    with os.scandir(folder) as children:
        for child in children:
            if not child.is_dir():
                yield child
            elif not is_hidden(child.name):
                yield from walk(child.path, (*above, here))


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder on the way to it, is one that nobody means: .name, __MACOSX."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
