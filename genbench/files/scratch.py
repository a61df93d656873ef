"""Copies of large files on a node's own disk: what does not fit into memory is read again and again, and a shared file
system is slow at that."""

import hashlib
import logging
import os
import shutil
from pathlib import Path

from genbench.files.artifacts import atomic_path

log = logging.getLogger(__name__)

VARIABLE = "GENBENCH_SCRATCH"  # a folder, in which $TMPDIR and the like stand for what they are on the node


def on_scratch(path: str | os.PathLike[str]) -> Path:
    """The copy of a file on scratch, made where there is none of it as it is now; the file itself without scratch, or
    where that has no room or cannot be written. Copies stay until the node's system removes them."""
    folder = os.path.expandvars(os.environ.get(VARIABLE, ""))
    if not folder or "$" in folder:  # none here, or a variable that this node does not have
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
