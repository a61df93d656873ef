"""Kinds of numbers: a type and the range of its values, which stand beside a parameter as its annotation.

genbench/schema.py checks them, docs/suites.md and the JSON Schemas show them.
"""

from typing import Annotated, Any

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
StepCount = Annotated[int, Field(ge=1, le=1_000_000)]  # from data to noise: a table has as many rows
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
InnerShare = Annotated[float, Field(gt=0, lt=1)]

ENDS = {"ge": "from", "gt": "above", "le": "to", "lt": "to below"}  # of a range, as documents have it
LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}  # as errors have it


def bounds(annotation: Any) -> dict[str, float]:
    """The range of such a kind, by the names of Python's operators: {"ge": 0, "lt": 1}."""
    found = [bound for note in annotation.__metadata__ for bound in getattr(note, "metadata", [note])]
    return {name: getattr(bound, name) for bound in found for name in LIMITS if hasattr(bound, name)}
