"""Copies of large files on a node's own disk: data that do not fit into memory are read again and again, which is slow
on a shared file system."""

import hashlib
import logging
import os
import shutil
from pathlib import Path

from genbench.files.artifacts import atomic_path

log = logging.getLogger(__name__)

VARIABLE = "GENBENCH_SCRATCH"  # a folder; $TMPDIR and other variables in it have their values on the node


def on_scratch(path: str | os.PathLike[str]) -> Path:
    """The copy of a file on scratch, made if there is none of its current state; the file itself if there is no
    scratch, or if it has no space or cannot be written. Copies stay until the node's system removes them."""
    folder = os.path.expandvars(os.environ.get(VARIABLE, ""))
    if not folder or "$" in folder:  # not set, or it uses a variable that this node does not have
        return Path(path)
    own = os.stat(path)
    key = hashlib.sha256(repr((os.path.abspath(path), own.st_size, own.st_mtime_ns)).encode()).hexdigest()
    copy = Path(folder, f"genbench-{os.getuid()}", f"{key}{Path(path).suffix}")
    try:
        if not (copy.exists() and copy.stat().st_size == own.st_size):
            copy.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(copy.parent).free < 1.1 * own.st_size:
                log.info("%s: no room on %s for a copy", path, folder)
                return Path(path)
            with atomic_path(copy) as temporary:
                shutil.copyfile(path, temporary)
            log.info("%s: copied to %s", path, copy)
    except OSError as error:
        log.info("%s: no copy on scratch: %s", path, error)
        return Path(path)
    return copy
