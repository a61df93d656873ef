"""JSON Schemas of suites and of config.yaml, with which an editor completes keys and says what they mean."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from genbench.schema import Keys
from genbench.suites.keys import Config, Suite


class _Untitled(GenerateJsonSchema):
    """Titles only where one is given: pydantic repeats every key as its title."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema with its definitions in place; what a key says of itself wins over what its model says."""
    if isinstance(part, list):
        return [_inlined(element, definitions) for element in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        found = definitions[part["$ref"].rpartition("/")[2]]
        part = {key: value for key, value in found.items() if key != "title"} | part
    return {key: _inlined(value, definitions) for key, value in part.items() if key not in ("$ref", "$defs")}


def of_model(model: type[Keys]) -> dict[str, Any]:
    """The JSON Schema of a model."""
    schema = model.model_json_schema(schema_generator=_Untitled)
    inlined: dict[str, Any] = _inlined(schema, schema.get("$defs", {}))
    return inlined


def exported() -> dict[str, str]:
    """The files of schemas/ by name."""
    found = {}
    for name, model in {"config": Config, "suite": Suite}.items():
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$comment": "Written by tools/document.py.",
            **of_model(model),
            "title": f"genbench {name}",
        }
        found[f"{name}.schema.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return found
