"""Mappings that are not the arguments of one function, such as a suite or a record: each is a subclass of `Keys`.

The arguments of a function have its signature as their schema: see genbench/schema.py.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from genbench.errors import InputError, unknown_name

K = TypeVar("K", bound="Keys")


class Keys(BaseModel):
    """A mapping with a closed set of keys. Each key is a pydantic field; the text below it states its meaning.

    An optional key without a default is MISSING. Values are not converted: 10.0 is not an integer, and `true` is not a
    number.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True, validate_by_name=True
    )

    @model_validator(mode="before")
    @classmethod
    def _know_the_keys(cls, value: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        if isinstance(value, Mapping) and cls.model_config["extra"] == "forbid":
            for key in value:
                if key not in known:
                    raise ValueError(str(unknown_name("unknown key", key, known)))
        return value

    @classmethod
    def read(cls: type[K], value: Any, source: str) -> K:
        """Validate a value from a file. Raises InputError that begins with `source`."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise explain(error, value, source) from None

    @classmethod
    def complete(cls, value: Any, source: str) -> dict[str, Any]:
        """A value from a file, with the defaults of absent keys after the given keys, at every level.

        Raises InputError that begins with `source`.
        """
        completed: dict[str, Any] = _completed(value, cls.read(value, source))
        return completed


def _completed(value: Any, found: Any) -> Any:
    """`value` in its own order, followed by the defaults in its model `found`."""
    if isinstance(found, BaseModel):
        fields = {field.alias or name: getattr(found, name) for name, field in type(found).model_fields.items()}
        defaults = found.model_dump(by_alias=True)
        given = {key: _completed(part, fields.get(key)) for key, part in value.items()}
        return given | {key: part for key, part in defaults.items() if key not in given}
    if isinstance(found, Mapping):
        return {key: _completed(part, found[key]) for key, part in value.items()}
    return value


_EXPECTED = {  # pydantic's types of errors, in our words
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "none_required": "null",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "finite_number": "a finite number",
    "string_too_short": "some text",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} in it",
    "too_long": "at most {max_length} in it",
}


def explain(error: ValidationError, value: Any, source: str) -> InputError:
    """One of pydantic's errors in `value`, in one line: where, what was found, what was expected.

    The deepest error is reported, because pydantic tries every type of a union. Among the deepest, a value out of range
    comes before a wrong type.
    """
    found = [(_place(part["loc"], value), part) for part in error.errors()]
    deepest = max((place for place, _ in found), key=len)
    here = [part for place, part in found if place == deepest]
    part = min(here, key=lambda part: part["type"].endswith("_type"))
    where = ": ".join([source, *deepest])
    if part["type"] == "missing":
        return InputError(f"{where}: key {part['loc'][-1]!r} is missing")
    if part["type"] == "value_error":
        return InputError(f"{where}: {part['ctx']['error']}")
    if part["type"] == "literal_error":
        return unknown_name(where, part["input"], re.findall(r"'([^']*)'", part["ctx"]["expected"]))
    same = [other for other in here if other["type"].endswith("_type")] if part["type"].endswith("_type") else [part]
    expected = [_EXPECTED.get(other["type"], other["msg"]).format(**other.get("ctx", {})) for other in same]
    return InputError(f"{where}: found {part['input']!r}, expected {' or '.join(dict.fromkeys(expected))}")


def _place(location: Sequence[Any], value: Any) -> list[str]:
    """The keys that lead to an error in `value`: pydantic's location without its names of a union's types."""
    place: list[str] = []
    for step in location[: -2 if location[-1:] == ("[key]",) else None]:  # for a wrong key, its mapping
        if (isinstance(value, Mapping) and step in value) or (isinstance(value, list) and isinstance(step, int)):
            place.append(str(step))
            value = value[step]
    return place
