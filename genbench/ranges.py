"""Kinds of numbers: a type and the range of its values, which stand beside a parameter as its annotation.

genbench/schema.py checks them, docs/suites.md and the JSON Schemas show them. They import nothing: networks are
built where torch is all there is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class Range:
    """From which number (`ge`; above it: `gt`) to which (`le`; below it: `lt`). pydantic checks it in a model, too."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Mapping[str, Any]]) -> dict[str, Any]:
        return {**handler(source), **{name: end for name, end in vars(self).items() if end is not None}}


# Of channels, blocks, classes: with more, one layer of a network is larger than any memory.
Count = Annotated[int, Range(ge=1, le=10**6)]
CountOrZero = Annotated[int, Range(ge=0, le=10**6)]
Steps = Annotated[int, Range(ge=1, le=10**9)]  # weeks, at a thousand a second
Flops = Annotated[float, Range(gt=0, le=1e27)]  # above the largest trainings of today
StepsOrZero = Annotated[int, Range(ge=0, le=10**9)]
NumImages = Annotated[int, Range(ge=1, le=10**8)]
BatchSize = Annotated[int, Range(ge=1, le=10**6)]  # images drawn at once
Repeats = Annotated[int, Range(ge=1, le=1000)]
RepeatsOrZero = Annotated[int, Range(ge=0, le=1000)]
Passes = Annotated[int, Range(ge=1, le=100_000)]  # over all images
Processes = Annotated[int, Range(ge=1, le=4096)]
Side = Annotated[int, Range(ge=1, le=16384)]  # of a square of pixels: the largest photographs that are read
Seed = Annotated[int, Range(ge=0, le=2**32 - 1)]
StepCount = Annotated[int, Range(ge=1, le=1_000_000)]  # from data to noise: a table has as many rows
# Of factors, such as rates and weights of a loss: float32 has seven digits, so that of two terms, one a million times
# as large as the other, it keeps little but the one.
Positive = Annotated[float, Range(gt=0, le=10**6)]
NotNegative = Annotated[float, Range(ge=0, le=10**6)]
Factor = Annotated[float, Range(ge=-(10**6), le=10**6)]
Epsilon = Annotated[float, Range(ge=0, le=1)]  # added to a denominator, in whose place a larger number would stand
PositiveEpsilon = Annotated[float, Range(gt=0, le=1)]
Figure = Annotated[float, Range(ge=-1e12, le=1e12)]  # of any quantity: a distance, or seconds
Share = Annotated[float, Range(ge=0, le=1)]
ShareBelowOne = Annotated[float, Range(ge=0, lt=1)]
LONGEST_AVERAGE = 0.28  # of a training, as EDM2's sigma_rel: one in which all weights count alike has 0.289
EMA_SNAPSHOTS = 16  # of the averages of a training, by default
AverageLength = Annotated[float, Range(gt=0, le=LONGEST_AVERAGE)]
InnerShare = Annotated[float, Range(gt=0, lt=1)]

ENDS = {"ge": "from", "gt": "above", "le": "to", "lt": "to below"}  # of a range, as documents have it
LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}  # as errors have it


def bounds(annotation: Any) -> dict[str, float]:
    """The range of such a kind, by the names of Python's operators: {"ge": 0, "lt": 1}."""
    found = [bound for note in annotation.__metadata__ for bound in getattr(note, "metadata", [note])]
    return {name: end for bound in found for name in LIMITS if (end := getattr(bound, name, None)) is not None}
