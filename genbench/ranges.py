"""Annotations for numeric parameters: a type and the range of its values.

genbench/schema.py checks them; docs/suites.md and the JSON Schemas show them. This module imports only the standard
library, because networks are also built where only torch is installed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class Range:
    """A range from `ge` or above `gt`, to `le` or below `lt`. In a pydantic model, pydantic checks it too."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Mapping[str, Any]]) -> dict[str, Any]:
        return {**handler(source), **{name: end for name, end in vars(self).items() if end is not None}}


# Numbers of channels, blocks, classes: with more, one layer of a network would not fit into any memory.
Count = Annotated[int, Range(ge=1, le=10**6)]
CountOrZero = Annotated[int, Range(ge=0, le=10**6)]
Steps = Annotated[int, Range(ge=1, le=10**9)]  # 12 days at 1,000 steps per second
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
StepCount = Annotated[int, Range(ge=1, le=1_000_000)]  # from data to noise: tables have a row for each
# Factors, such as learning rates and loss weights. float32 has seven digits: a sum keeps little of a term that is a
# million times smaller than the other.
Positive = Annotated[float, Range(gt=0, le=10**6)]
NotNegative = Annotated[float, Range(ge=0, le=10**6)]
Factor = Annotated[float, Range(ge=-(10**6), le=10**6)]
Epsilon = Annotated[float, Range(ge=0, le=1)]  # added to a denominator; a larger number would dominate it
PositiveEpsilon = Annotated[float, Range(gt=0, le=1)]
Figure = Annotated[float, Range(ge=-1e12, le=1e12)]  # of any quantity: a distance, or seconds
Share = Annotated[float, Range(ge=0, le=1)]
ShareBelowOne = Annotated[float, Range(ge=0, lt=1)]
SMALLEST_SIDE = 16  # of images that the classifier takes
LONGEST_AVERAGE = 0.28  # as a share of a training, EDM2's sigma_rel; a uniform average has 0.289
EMA_SNAPSHOTS = 16  # how often a training saves its averages, by default
AverageLength = Annotated[float, Range(gt=0, le=LONGEST_AVERAGE)]
InnerShare = Annotated[float, Range(gt=0, lt=1)]

ENDS = {"ge": "from", "gt": "above", "le": "to", "lt": "to below"}  # in documents
LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}  # in errors


def bounds(annotation: Any) -> dict[str, float]:
    """The range of an annotation, by the names of Python's operators: {"ge": 0, "lt": 1}."""
    found = [bound for note in annotation.__metadata__ for bound in getattr(note, "metadata", [note])]
    return {name: end for bound in found for name in LIMITS if (end := getattr(bound, name, None)) is not None}
