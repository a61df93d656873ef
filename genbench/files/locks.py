"""One process at a time."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import lock_descriptor

log = logging.getLogger(__name__)

WITHOUT_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # of a Lustre or NFS that was mounted so


def lock(file: IO[Any], *, blocking: bool = True) -> bool:
    """Lock an open file until it is closed; False if another process has it locked and the call is not `blocking`.

    A file system without locks gives none, with a warning: there, nothing but Snakemake keeps two runs apart.
    """
    try:
        return lock_descriptor(file.fileno(), blocking=blocking)
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        log.warning("%s: no lock, since its file system has none (%s): start only one run there", file.name, error)
        return True


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path`; wait while another process (an orphan of a killed run) does `what`.

    The system releases the lock of a process that dies. The file stays: it has the number of the last process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+") as file:
        if not lock(file, blocking=False):
            file.seek(0)
            log.info("process %s is %s; waiting for it to finish", file.read().strip() or "?", what)
            lock(file)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
