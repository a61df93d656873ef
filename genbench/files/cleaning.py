"""Files that take space and can be made again: found by their place and content, removed on request.

Samples, weights, metrics, logs and pages stay, and so does every file that genbench did not write.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from genbench.errors import InputError
from genbench.files.artifacts import read_hashed_json
from genbench.files.npz import read_info, read_npz


class Removable(NamedTuple):
    """A file or folder that can be made again: what it is, its path, and its bytes."""

    what: str
    path: Path
    size: int


def removable(folder: Path = Path()) -> Iterator[Removable]:
    """What can be made again below results/ and resources/ of a folder, except what others may still be reading.

    Features of samples are listed only if their metrics exist: otherwise a run would make them again at once.
    """
    for path in sorted(folder.glob("results/*/*/seed*/*/*/features/*.npz")):
        if (path.parents[1] / "metrics.json").exists() and _is_of_features(path):
            yield Removable("features of samples", path, path.stat().st_size)
    for path in sorted(folder.glob("resources/*/features/*.npz")):
        if _is_of_features(path):
            yield Removable("features of real images", path, path.stat().st_size)
    compiled = folder / "results/.compiled"
    if compiled.is_dir() and (size := _size(compiled)):
        yield Removable("compiled networks", compiled, size)
    for path in sorted(folder.glob("resources/.preflight/*.json")):
        try:
            _, ours = read_hashed_json(path)
        except (InputError, OSError):
            continue
        if ours:
            yield Removable("what checks have found", path, path.stat().st_size)


def remove(found: Removable) -> None:
    """Remove it. Raises InputError if that is not allowed."""
    try:
        shutil.rmtree(found.path) if found.path.is_dir() else found.path.unlink()
    except OSError as error:
        raise InputError(f"{found.path}: {str(error.strerror).lower()}") from None


def _is_of_features(path: Path) -> bool:
    """Whether genbench wrote this file, according to its `info`; its arrays are not read."""
    try:
        info = read_info(path, read_npz(path, ("info",))["info"])
    except (InputError, OSError, KeyError):
        return False
    return not path.is_symlink() and {"extractor", "images_sha256", "sha256"} <= info.keys()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
