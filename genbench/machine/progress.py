"""The progress of a long loop: a bar in a terminal or notebook, and occasional lines in a log."""

import logging
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")
FIRST, LONGEST = 10.0, 600.0  # seconds until the first line, and at most between two lines


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel, which shows what is written to standard error below the cell."""
    return "ipykernel" in sys.modules and type(sys.stderr).__module__.startswith("ipykernel")


class Progress:
    """A bar if standard error is a terminal or a notebook, else lines in the log: every ten seconds at first, later
    after a tenth of the time that has passed.

    total: how many `unit`s there are, None if unknown; initial: how many were done before, which do not count towards
    the speed. name begins what is shown. In a workflow standard error is a pipe into the job's log, since the bars of
    parallel jobs would overwrite each other in their shared terminal.
    """

    def __init__(self, total: int | None, unit: str, *, name: str = "", initial: int = 0) -> None:
        self.total, self.unit, self.name, self.done, self.initial = total, unit, name, initial, initial
        self.text = ""
        self.started = self.last = time.monotonic()
        self.bar: Any = None
        if sys.stderr.isatty() or in_notebook():
            with warnings.catch_warnings(action="ignore"):  # a notebook without widgets warns that the bar is text
                from tqdm.autonotebook import tqdm  # not needed for a log

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
        """Set the text after the count, such as losses."""
        self.text = text
        if self.bar is not None:
            self.bar.set_postfix_str(text)

    def update(self, count: int = 1) -> None:
        """Count so many more as done."""
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
        """The log line `seconds` after the start: the count, the text of `note` and the time left."""
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
