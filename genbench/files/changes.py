"""Whether a user's files have changed since they were read, without reading them again."""

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from genbench.files.folders import walk


@cache
def state(path: Path) -> tuple[str, float]:
    """A text that changes with the names, sizes and times of the files at `path`; and the time of the newest.

    path: a file, or a folder with everything below it that is not hidden. Times are seconds since 1970, rounded down in
    the text. Raises OSError for files that cannot be looked at.
    """
    root = path if path.is_dir() else path.parent
    found = sorted((os.path.relpath(name, root), stat.st_size, stat.st_mtime) for name, stat in _files(path))
    lines = "".join(f"{name}\0{size}\0{int(time)}\n" for name, size, time in found)
    digest = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    text = f"files: {len(found)}, of {sum(size for _, size, _ in found)} bytes, {digest}"
    return text, max((time for *_, time in found), default=0.0)


def exact_state(path: Path) -> tuple[str, float]:
    """As `state`, never cached; the text changes at any write, even one within a second that keeps size and time."""
    root = path if path.is_dir() else path.parent
    found = sorted(
        (os.path.relpath(name, root), stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)
        for name, stat in _files(path)
    )
    digest = hashlib.sha256(repr((str(path.resolve()), found)).encode("utf-8", "surrogateescape")).hexdigest()
    return digest, max((max(times) for *_, times in ((name, part[-2:]) for name, *part in found)), default=0) / 1e9


def _files(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    if not path.is_dir():
        yield str(path), path.stat()
        return
    for entry in walk(path):
        if not entry.name.startswith(".") and entry.is_file():
            yield entry.path, entry.stat()
