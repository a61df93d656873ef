"""One process at a time."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import lock_descriptor

log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path`; wait while another process (an orphan of a killed run) does `what`.

    The system releases the lock of a process that dies. The file stays: it has the number of the last process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+") as file:
        if not lock_descriptor(file.fileno(), blocking=False):
            file.seek(0)
            log.info("process %s is %s; waiting for it to finish", file.read().strip() or "?", what)
            lock_descriptor(file.fileno())
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
