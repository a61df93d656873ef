"""The progress of a run, measured in work instead of jobs; finished jobs improve its estimate of the time left."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping

from genbench.suites.forecast import duration

PAUSE = 10.0  # seconds between two lines, at least


class RunProgress:
    """Follows the jobs of a run.

    expected: a job's rule and expected seconds, by its number. now: the clock, in seconds.
    """

    def __init__(self, expected: Mapping[int, tuple[str, float]], now: Callable[[], float] = time.monotonic) -> None:
        self.expected, self.now = dict(expected), now
        self.began = self.said = now()
        self.begun: dict[int, float] = {}
        self.finished: set[int] = set()
        self.taken: dict[str, float] = defaultdict(float)  # seconds of finished jobs, by rule
        self.foreseen: dict[str, float] = defaultdict(float)  # their expected seconds, by rule

    def start(self, job: int) -> None:
        """Note the start of a job."""
        self.begun[job] = self.now()

    def finish(self, job: int) -> str | None:
        """Note the end of a job; returns a line, or None if the last line is recent or no jobs are left."""
        if job not in self.expected or job in self.finished:
            return None
        self.finished.add(job)
        rule, seconds = self.expected[job]
        if job in self.begun:
            self.taken[rule] += self.now() - self.begun[job]
            self.foreseen[rule] += seconds
        if len(self.finished) == len(self.expected) or self.now() - self.said < PAUSE:
            return None
        self.said = self.now()
        return self.line()

    def line(self) -> str:
        """A line with the share of finished work, and about how long the rest takes."""
        done = sum(self.taken.values())
        remaining = sum(self._remaining(job) for job in self.expected if job not in self.finished)
        side_by_side = max(1.0, done / max(self.now() - self.began, 1e-9))
        share = done / (done + remaining) if done + remaining else 1.0
        return f"{share:.0%} of the work done, about {duration(remaining / side_by_side)} left"

    def _remaining(self, job: int) -> float:
        """Seconds left of a job: as expected, times the ratio of actual to expected time for its rule, or all jobs."""
        rule, seconds = self.expected[job]
        if self.foreseen[rule]:
            seconds *= self.taken[rule] / self.foreseen[rule]
        elif whole := sum(self.foreseen.values()):
            seconds *= sum(self.taken.values()) / whole
        ran = self.now() - self.begun[job] if job in self.begun else 0.0
        return max(seconds - ran, 0.0)
