"""One process at a time."""

import atexit
import errno
import logging
import os
import platform
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


_runs: list[IO[Any]] = []  # the files of `begin_run`, open and locked until this process ends


def begin_run(folder: Path, forget: bool = False) -> bool:
    """Note that this process begins a run, and remove the lock that a killed run left; returns whether there was one.

    folder: Snakemake's, .snakemake. Its lock says that a run began and did not end, not whether that run is alive. So
    each run has a file in folder/runs, which the system unlocks when the process ends, however it ends; a run that ends
    by itself also deletes it. Snakemake's lock is removed only if there are files of earlier runs, and all of them are
    of this machine and of processes that have ended. Without locks in the file system, nothing is removed.
    forget: delete the files of other runs, since the user says that none is alive (`snakemake --unlock`).
    """
    runs = folder.absolute() / "runs"
    own = runs / f"{platform.node()}-{os.getpid()}"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        reused = own.exists()  # left by a process that had the same number
        if not _held(own):
            return False
        atexit.register(own.unlink, missing_ok=True)
        killed = [path for path in runs.iterdir() if path != own]
        if not (forget or all(map(_has_ended, killed))):
            return False
        left = list((folder / "locks").glob("*")) if (killed or reused) and not forget else []
        for path in [*left, *killed]:
            path.unlink(missing_ok=True)
        return bool(left)
    except OSError:
        return False


def _held(run: Path) -> bool:
    """Whether this process now has the file of its run, locked. Until it is locked, another run may delete it."""
    for _ in range(9):
        file = open(run, "a")  # noqa: SIM115 - open until the process ends
        try:
            held = lock_descriptor(file.fileno(), blocking=False)
        except OSError:
            file.close()
            run.unlink(missing_ok=True)
            raise
        _runs.append(file)
        if not held:
            return False
        if run.exists() and os.path.samestat(os.fstat(file.fileno()), run.stat()):
            return True
    return False


def _has_ended(run: Path) -> bool:
    """Whether the run of a file in .snakemake/runs was on this machine, and its process has ended."""
    if not run.name.startswith(f"{platform.node()}-"):
        return False
    with open(run, "r+") as file:
        return lock_descriptor(file.fileno(), blocking=False)
