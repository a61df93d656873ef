"""The base class of all records, and how their files are read."""

import os
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError, model_validator

from genbench.errors import InputError, unknown_name
from genbench.files.artifacts import read_hashed_json
from genbench.mappings import Keys, explain

OTHER_VERSION = "written by genbench, perhaps in another version"
R = TypeVar("R", bound="Record")


class Record(Keys):
    """A JSON object of known keys. An unknown key, or a value of another type, raises pydantic's ValidationError.

    A key with a default may be absent: in files of an earlier version, or if it does not apply.
    """

    model_config = ConfigDict(extra="ignore", serialize_by_alias=True)  # the validator below names the unknown key

    @model_validator(mode="before")
    @classmethod
    def _know_the_keys(cls, value: Any, info: Any) -> Any:
        known = {name for key, field in cls.model_fields.items() for name in (key, field.alias or key)}
        if isinstance(value, Mapping) and info.context != OTHER_VERSION and (unknown := value.keys() - known):
            raise unknown_name("unknown key", min(unknown), cls.keys())
        return value

    @classmethod
    def keys(cls) -> list[str]:
        """The names of the keys in the file."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    def content(self) -> dict[str, Any]:
        """The keys that were given, for `write_json`."""
        return self.model_dump(exclude_unset=True)


def only(where: str, description: str) -> Any:
    """A key that only some records have; `where` says which, in docs/results.md."""
    return Field(default=None, description=description, json_schema_extra={"only": where})


def read_record(path: str | os.PathLike[str], kind: type[R]) -> R:
    """Read the record at `path`. Raises InputError, with the file and the key that is missing or wrong.

    An unknown key is ignored in a file that genbench wrote, perhaps in another version. In a file made by others, which
    has no hash, it is an error.
    """
    value, hashed = read_hashed_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(value).__name__}")
    try:
        return kind.model_validate(value, context=OTHER_VERSION if hashed else None)
    except ValidationError as error:
        raise explain(error, value, str(path)) from None
