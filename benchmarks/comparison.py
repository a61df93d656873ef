"""Comparisons with peers: the same work by both, timed in turn in one process."""

import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal


class NotAtHandError(Exception):
    """Something that a comparison needs is missing; the message says what, and how to provide it."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where the peers are.

    peers: Folder of the peers' checkouts, by the names of their repositories. before: Checkout of an earlier genbench,
    with which some work is compared. folder: For files that a comparison writes.
    """

    peers: Path | None
    before: Path | None
    folder: Path

    def peer(self, name: str) -> Path:
        """The checkout of a peer. Raises NotAtHandError."""
        if self.peers is None or not (self.peers / name).is_dir():
            raise NotAtHandError(f"needs --peers FOLDER with a checkout {name}")
        return self.peers / name

    def version(self, name: str) -> dict[str, str]:
        """A peer's version: of the package of this name, or the checkout's commit; {} if neither is known."""
        if self.peers is not None and (self.peers / name / ".git").exists():
            command = ["git", "-C", str(self.peers / name), "rev-parse", "--short=7", "HEAD"]
            return {name: subprocess.run(command, capture_output=True, text=True).stdout.strip()}
        with suppress(metadata.PackageNotFoundError):
            return {name: metadata.version(name)}
        return {}

    def earlier(self) -> Path:
        """The checkout of an earlier genbench. Raises NotAtHandError."""
        if self.before is None:
            raise NotAtHandError("needs --before CHECKOUT of an earlier version")
        return self.before


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The same work twice, as functions of no arguments; each call is one round.

    theirs: The peer's. ours: By precision, or whatever distinguishes the rows: several share the peer's rounds.
    rounds: How often each is timed, after one call that warms up if `warm_up`. clock: "cpu" is CPU time, including
    child processes, which other work on the machine hardly disturbs; "wall" is wall time.
    remark: The remark of a row, from what the last calls of theirs and ours returned.
    """

    theirs: Callable[[], Any]
    ours: Mapping[str, Callable[[], Any]]
    rounds: int = 5
    warm_up: bool = True
    clock: Literal["cpu", "wall"] = "cpu"
    batch_size: int | None = None
    remark: Callable[[Any, Any], str] = lambda theirs, ours: ""


@dataclass(frozen=True)
class Work:
    """A row of the table, or several: `make` prepares both sides, and raises NotAtHandError if one is missing.

    before: The ratio that genbench had at commit 8ba2e59. versions: Packages or checkouts whose versions are stated.
    on_request: Only measured if it is named.
    """

    name: str
    title: str
    peer: str
    make: Callable[[Setting], Comparison]
    before: str = ""
    versions: tuple[str, ...] = ()
    on_request: bool = False


def cpu_seconds() -> float:
    """The CPU time of all threads of this process, and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure(comparison: Comparison, rounds: int | None = None) -> Iterable[dict[str, Any]]:
    """Time both sides in turn; yields the results for each of ours.

    ours, theirs: median seconds. ratio: theirs / ours. low, high: the smallest and largest ratio of a round.
    """
    clock = cpu_seconds if comparison.clock == "cpu" else time.perf_counter
    sides: list[tuple[str | None, Callable[[], Any]]] = [(None, comparison.theirs), *comparison.ours.items()]
    seconds: dict[str | None, list[float]] = {side: [] for side, _ in sides}
    returned: dict[str | None, Any] = {}
    rounds = rounds or comparison.rounds
    for number in range(-1 if comparison.warm_up else 0, rounds):
        for side, function in sides:
            start = clock()
            returned[side] = function()
            if number >= 0:
                seconds[side].append(clock() - start)
    theirs = seconds[None]
    for side in comparison.ours:
        ratios = [slow / fast for slow, fast in zip(theirs, seconds[side], strict=True)]
        yield {
            "precision": side,
            "batch_size": comparison.batch_size,
            "ours": statistics.median(seconds[side]),
            "theirs": statistics.median(theirs),
            "ratio": statistics.median(theirs) / statistics.median(seconds[side]),
            "low": min(ratios),
            "high": max(ratios),
            "rounds": rounds,
            "clock": comparison.clock,
            "remark": comparison.remark(returned[None], returned[side]),
        }
