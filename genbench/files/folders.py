"""Files of a folder and of all below it."""

import errno
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

OFTEN = 200  # times that one folder is listed under other names: links that lead to each other give any number of them


def walk(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder that is no folder itself, less hidden folders. Raises OSError for what can't be read,
    such as a folder of the system, which has no end.

    Links are followed, since folders of links into a larger data set are common, but never back to a folder above.
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
    """The devices of what looks like folders, and is made up by the kernel: /proc leads through links to everything."""
    return frozenset(os.stat(folder).st_dev for folder in ("/proc", "/sys") if os.path.ismount(folder))


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder on the way to it, is one that nobody means: .name, __MACOSX."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
