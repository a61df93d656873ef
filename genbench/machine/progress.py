"""How far a long loop is: a bar in a terminal or notebook; in a log, where bars are a mess, a line now and then."""

import logging
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")
FIRST, LONGEST = 10.0, 600.0  # seconds until the first line, and at most between two


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel, which shows what is written to standard error below the cell."""
    return "ipykernel" in sys.modules and type(sys.stderr).__module__.startswith("ipykernel")


class Progress:
    """A bar where standard error is a terminal or a notebook's, else lines in the log, at first every ten seconds,
    later every tenth of the time that has passed.

    total: how many `unit`s there are, None if unknown; initial: how many were done before, which say nothing of the
    speed. name begins what is shown. Under a workflow standard error is a pipe into the job's log: jobs that run side
    by side share a terminal, and their bars would overwrite each other.
    """

    def __init__(self, total: int | None, unit: str, *, name: str = "", initial: int = 0) -> None:
        self.total, self.unit, self.name, self.done, self.initial = total, unit, name, initial, initial
        self.text = ""
        self.started = self.last = time.monotonic()
        self.bar: Any = None
        if sys.stderr.isatty() or in_notebook():
            with warnings.catch_warnings(action="ignore"):  # of a notebook without widgets, where the bar is text
                from tqdm.autonotebook import tqdm  # which a log does not need

            scaled = unit == "bytes"
            self.bar = tqdm(
                total=total,
                initial=initial,
                desc=name or None,
                unit="B" if scaled else f" {unit}",
                unit_scale=scaled,
                dynamic_ncols=True,
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()

    def note(self, text: str) -> None:
        """What stands behind the count from now on, such as losses."""
        self.text = text
        if self.bar is not None:
            self.bar.set_postfix_str(text)

    def update(self, count: int = 1) -> None:
        """So many more are done."""
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
            return
        now = time.monotonic()
        if now - self.last >= min(LONGEST, max(FIRST, (now - self.started) / 10)):
            self.last = now
            log.info("%s", self.line(now - self.started))

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, each counted when the next is asked for."""
        with self:
            for item in items:
                yield item
                self.update()

    def line(self, seconds: float) -> str:
        """The line of the log, so many seconds after the start: how far, how fast, how long still."""
        parts = [f"{self.name}: " if self.name else "", f"{self.done:,}"]
        if self.total:
            parts.append(f" of {self.total:,} {self.unit} ({self.done / self.total:.0%})")
        else:
            parts.append(f" {self.unit}")
        line = "".join(parts) + (f", {self.text}" if self.text else "")
        new = self.done - self.initial
        if self.total and new > 0 and self.done < self.total:
            line += f", {clock((self.total - self.done) * seconds / new)} left"
        return line
