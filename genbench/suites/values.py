"""Kinds of values in suites and in config.yaml: names, paths, lists without repeats, moments, bounds."""

import re
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from genbench.mappings import Keys
from genbench.own_code import parse

T = TypeVar("T")


def matching(pattern: str, words: str) -> AfterValidator:
    """A check that a text matches `pattern`, which `words` describe in errors."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"found {text!r}, expected {words}")
        return text

    return AfterValidator(check)


def _check_own(text: str) -> str:
    if parse(text) is None:
        raise ValueError(f"found {text!r}, expected FILE.py:NAME, such as ./my_metric.py:SPREAD")
    return text


def _unique(values: list[Any]) -> list[Any]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"found {value!r} twice, expected it once")
    return values


def moment(value: Any) -> datetime:
    """A date and time from YAML, in this machine's time zone unless it states one; a date means the end of that day."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        if not isinstance(value, date):
            raise ValueError(f"found {value!r}, expected a date and time such as 2026-12-01 23:59")
        value = datetime.combine(value, time.max)
    return value.astimezone()


def _check_moment(value: Any) -> Any:
    try:
        moment(value)
    except ValueError:
        raise ValueError(f"found {value!r}, expected a date and time such as 2026-12-01 23:59") from None
    return value


def rising(values: list[float]) -> list[float]:
    if values[0] >= values[1]:
        raise ValueError(f"found {values}, expected the lower value first, such as [0, 1]")
    return values


# A title describes a pattern in words; the part before its colon is the name of the kind.

_NAME, _NAME_WORDS = r"[A-Za-z0-9][A-Za-z0-9_+.-]*", "letters and digits, and _ + . - after the first"
_PATH = r"[^\x00-\x1f\x7f<>{}]+"
_PATH_WORDS = "without < > { } and control characters, to which Snakemake gives a meaning"
Name = Annotated[  # of files and folders
    str,
    Field(max_length=80, title=f"a name: {_NAME_WORDS}", json_schema_extra={"pattern": f"^{_NAME}$"}),
    matching(_NAME, _NAME_WORDS),
]
FilePath = Annotated[
    str,
    Field(title=f"a path: {_PATH_WORDS}", json_schema_extra={"pattern": f"^{_PATH}$"}),
    matching(_PATH, f"a path {_PATH_WORDS}"),
]
OwnObject = Annotated[str, Field(title="a name in your file: FILE.py:NAME"), AfterValidator(_check_own)]
Text = Annotated[str, Field(min_length=1), matching(r"(?s).*\S.*", "text that can be seen")]
Label = Annotated[Text, Field(max_length=200), matching(r"[^\x00-\x1f\x7f]*", "one line without control characters")]
Moment = Annotated[  # YAML reads it as a date, as a date and time, or as text
    Any, WithJsonSchema({"type": "string", "title": "a date and time"}), AfterValidator(_check_moment)
]
_BOUND = r"(<|<=|>|>=) ?-?\d+(\.\d+)?"
Bound = Annotated[str, Field(title="a bound: such as < 60"), matching(_BOUND, "a bound such as '< 60' or '>= 0.5'")]
Unique = Annotated[list[T], Field(json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)]
SomeUnique = Annotated[list[T], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)]
Tracker = Literal["tensorboard", "wandb"]
Options = dict[str, Any]  # of a function, checked against its signature
OTHERS = ConfigDict(extra="allow")  # further keys are such options too


def all_defaults(model: type[Keys]) -> Any:
    """A field whose default is `model` with all its defaults."""
    return Field(default_factory=model, json_schema_extra={"default": {}})
