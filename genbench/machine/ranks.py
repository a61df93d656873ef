"""The processes that share one job, its ranks: `mpiexec -n N python scripts/train.py ...` starts N of them.

Ranks find each other by MPI and use it to agree on what to do next: when to save, when to stop. They do not use it for
tensors (see distributed.py). Without mpiexec there is one rank, and mpi4py is never imported.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from genbench.errors import InputError

Value = TypeVar("Value")

GRACE = 2.0  # seconds in which ranks find out whether all of them failed


def _launched() -> int:
    """How many ranks the launcher says it has started: mpiexec of MPICH (any hydra) or of Open MPI, or srun."""
    counts = [os.environ.get(name, "") for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")]
    if "PMIX_RANK" in os.environ:
        counts.append(os.environ.get("SLURM_STEP_NUM_TASKS", ""))
    return max([1, *(int(count) for count in counts if count.isdecimal())])


def _wait(request: Any) -> None:
    """Sleep until an MPI request completes: MPI itself would keep a core busy that another rank computes on."""
    pause = 0.0
    while not request.Test():
        time.sleep(pause)
        pause = min(1e-3, 2 * pause + 1e-5)


class Ranks:
    """This process among the `size` of its job, and among the `local_size` of them on this machine.

    All ranks call `share`, `gather` and `highest` in the same order.
    """

    def __init__(self, world: Any = None, local: Any = None) -> None:
        self._world, self._local = world, local
        self._leaving = world.Dup() if world is not None else None  # not the one in which other ranks may be waiting
        self.rank: int = 0 if world is None else world.rank
        self.size: int = 1 if world is None else world.size
        self.local_rank: int = 0 if local is None else local.rank
        self.local_size: int = 1 if local is None else local.size

    @property
    def first(self) -> bool:
        """Whether this is the rank that reads locks, writes files and logs."""
        return self.rank == 0

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages that a record of several ranks names besides torch."""
        return ("mpi4py", "mpich") if self.size > 1 else ()

    def share(self, value: Value) -> Value:
        """Rank 0's value, on every rank."""
        if self._world is not None:
            _wait(self._world.Ibarrier())
            value = self._world.bcast(value)
        return value

    def share_locally(self, make: Callable[[], Value]) -> Value:
        """What `make` returns on the first rank of this machine, on every rank of this machine."""
        if self._local is None:
            return make()
        value = make() if self.local_rank == 0 else None
        _wait(self._local.Ibarrier())
        return self._local.bcast(value)

    def gather(self, value: Value) -> list[Value]:
        """Every rank's value in the order of the ranks, on every rank."""
        if self._world is None:
            return [value]
        _wait(self._world.Ibarrier())
        return self._world.allgather(value)

    def highest(self, *values: int) -> list[int]:
        """The element-wise maximum of all ranks' values, on every rank."""
        return [max(column) for column in zip(*self.gather(values), strict=True)]

    def send_to_first(self, value: Any) -> None:
        """Hand a value to rank 0, which waits for it in `receive`."""
        _wait(self._world.isend(value, dest=0))

    def receive(self, rank: int) -> Any:
        """On rank 0: the next value that `rank` sends."""
        while not self._world.iprobe(source=rank):
            time.sleep(1e-3)
        return self._world.recv(source=rank)

    def leave(self, message: str, status: int) -> NoReturn:
        """End the job with `message` on standard error, printed once.

        If all ranks fail, for example over a bad key, they leave together. If the others go on, MPI ends them: they
        would wait for this one for ever.
        """
        if self._leaving is None:
            _complain(message)
            sys.exit(status)
        together, deadline = self._leaving.Ibarrier(), time.monotonic() + GRACE
        while not together.Test():
            if time.monotonic() > deadline:
                _complain(f"rank {self.rank} of {self.size}: {message}")
                self._world.Abort(status)
            time.sleep(0.01)
        messages = self._leaving.allgather(message)
        if self.first:
            for rank, text in enumerate(messages):
                if text not in messages[:rank]:
                    _complain(text if rank == 0 else f"rank {rank} of {self.size}: {text}")
        sys.exit(status)


def _complain(message: str) -> None:
    print(message.rstrip(), file=sys.stderr, flush=True)


ALONE = Ranks()
_team: Ranks | None = None


def ranks() -> Ranks:
    """The ranks of this job; MPI starts at the first call. Raises InputError if the launcher and MPI disagree."""
    global _team
    if _team is None:
        launched = _launched()
        if launched == 1:
            _team = ALONE
            return _team
        try:
            from mpi4py import MPI
        except ImportError:
            raise InputError(f"found {launched} ranks, which need the package mpi4py; expected it, or one") from None
        world = MPI.COMM_WORLD
        if world.size != launched:
            library = MPI.Get_library_version().split("\n")[0].strip("\0 ")
            raise InputError(
                f"mpiexec: found one that started {launched} ranks, of which mpi4py sees {world.size}: it is built "
                f"for {library}; expected that one's mpiexec, such as {sys.prefix}/bin/mpiexec"
            )
        _team = Ranks(world, world.Split_type(MPI.COMM_TYPE_SHARED))
    return _team


def leave(message: str, status: int) -> NoReturn:
    """End the job, or this process if no ranks have met yet, with `message` on standard error."""
    (_team or ALONE).leave(message, status)


def meet() -> None:
    """Sleep until every rank of the job is here: waiting in MPI's own shutdown would keep cores busy."""
    if _team is not None:
        _team.share(None)
