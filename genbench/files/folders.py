"""The files in a folder and its subfolders."""

import errno
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

OFTEN = 200  # times that one folder may be listed: links that lead to each other give it any number of names


def walk(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder except folders and the contents of hidden folders.

    Links are followed, since folders of links into a larger data set are common, but never back to a folder above.
    Raises OSError for what cannot be read, and for folders of the system such as /proc, which have no end.
    """
    return _walk(folder, (), Counter())


def _walk(folder: str | Path, above: tuple[str, ...], times: Counter[str]) -> Iterator[os.DirEntry[str]]:
    here = os.path.realpath(folder)
    if here in above:
        return
    times[here] += 1
    if times[here] > OFTEN:
        raise OSError(errno.ELOOP, f"found {here} more than {OFTEN:,} times, by links that lead to each other", folder)
    if os.stat(here).st_dev in _of_the_system():
        raise OSError(errno.ENOTSUP, "found a folder of the system, expected one of files", str(folder))
    with os.scandir(folder) as children:
        for child in children:
            if not child.is_dir():
                yield child
            elif not is_hidden(child.name):
                yield from _walk(child.path, (*above, here), times)


@cache
def _of_the_system() -> frozenset[int]:
    """The devices of folders that the kernel makes up: links in /proc lead to everything."""
    return frozenset(os.stat(folder).st_dev for folder in ("/proc", "/sys") if os.path.ismount(folder))


def is_hidden(name: str) -> bool:
    """Whether a file or one of its folders is hidden: .name or __MACOSX."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
