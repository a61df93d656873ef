"""The whole demo, from a finished installation to the report, beside an earlier version's."""

from benchmarks.comparison import Work

WORKS: tuple[Work, ...] = ()
