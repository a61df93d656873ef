"""JSON Schemas of suites and of config.yaml, with which an editor completes and explains keys.

The keys of an entry depend on its `class`, `source`, `format` or `name`: these are branches of the schema, read from
signatures. The check itself is in Python (genbench/suites), also for a user's own file instead of a name.
"""

import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from genbench import models, networks
from genbench.data.datasets import SOURCES
from genbench.features import EXTRACTORS
from genbench.importing import FORMATS
from genbench.mappings import Keys
from genbench.metrics import METRICS, EvaluationOptions
from genbench.models import Model
from genbench.processes.ada import AUGMENTATIONS
from genbench.processes.adversarial import PENALTIES
from genbench.processes.degradations import DEGRADATIONS
from genbench.processes.schedule import SCHEDULES
from genbench.processes.time_samplers import TIME_SAMPLERS
from genbench.ranges import LONGEST_AVERAGE
from genbench.records.reference import Reference
from genbench.schema import annotations
from genbench.suites.config import Config
from genbench.suites.keys import Suite
from genbench.suites.language import LanguageSuite
from genbench.training.recipe import OptimizerConfig, TrainConfig
from tools.signatures import FILLED, classes, default_of, meanings, parameters

Schema = dict[str, Any]
# Keys of constructors whose value is one of a small set's names, or a mapping with `name` and its options.
CHOICES: dict[str, Mapping[str, Callable[..., Any]]] = {
    "schedule": SCHEDULES,
    "time_sampler": TIME_SAMPLERS,
    "penalty": PENALTIES,
    "augment": AUGMENTATIONS,
    "degradation": DEGRADATIONS,
}
OWN_CODE = {"type": "string", "pattern": r"\.py:"}


class _Untitled(GenerateJsonSchema):
    """Writes only titles that are given: pydantic repeats every key as its title."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema with its definitions inlined; a key's own description takes precedence over that of its model."""
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


# --- Signatures -------------------------------------------------------------------------------------------------------


def of_annotation(annotation: Any) -> Schema:
    """The JSON Schema of a parameter's type."""
    return TypeAdapter(annotation).json_schema(schema_generator=_Untitled)


def of_parameter(name: str, annotation: Any, networks_too: bool) -> Schema:
    """The JSON Schema of one key: from its type, or, for a mapping, from what it describes."""
    parts = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    if name in CHOICES and str in parts:
        one_of = {"anyOf": [{"enum": list(CHOICES[name])}, OWN_CODE, {"$ref": f"#/$defs/{name}"}]}
        return {"anyOf": [*one_of["anyOf"], {"type": "null"}]} if types.NoneType in parts else one_of
    if networks_too and any(typing.get_origin(part) is Mapping for part in parts):
        described = {"$ref": "#/$defs/network"}
        return {"anyOf": [described, {"type": "null"}]} if types.NoneType in parts else described
    return of_annotation(annotation)


def of_function(function: Callable[..., Any], filled: tuple[str, ...] = (), networks_too: bool = False) -> Schema:
    """The properties of an object whose keys are the keyword-only parameters of `function`, and which are required."""
    given = parameters(function, filled)
    hints = annotations(function)
    _, found = meanings(inspect.getdoc(function) or "", list(given))
    properties, required = {}, []
    for name, parameter in given.items():
        properties[name] = of_parameter(name, hints[name], networks_too) | {"description": found.get(name, "")}
        if parameter.default is parameter.empty:
            required.append(name)
        else:
            default = default_of(parameter)
            properties[name]["default"] = list(default) if isinstance(default, tuple) else default
    return {"properties": properties, "required": required}


def chosen(key: str, choices: Mapping[str, Schema], also: tuple[str, ...] = ()) -> Schema:
    """An object whose other keys depend on its `key`. also: keys that it has whatever the choice."""
    branches = []
    for name, schema in choices.items():
        closed = {**dict.fromkeys((key, *also), True), **schema["properties"]}
        then = {"properties": closed, "required": schema["required"], "additionalProperties": False}
        branches.append({"if": {"properties": {key: {"const": name}}, "required": [key]}, "then": then})
    return {
        "type": "object",
        "required": [key],
        "properties": {key: {"anyOf": [{"enum": list(choices)}, OWN_CODE]}},
        "allOf": branches,
    }


def of_model_class(found: type[Model]) -> Schema:
    """The keys of a family. The entry's `first_stage` fills in the model that it builds upon."""
    schema = of_function(found, ("image_shape",), networks_too=True)
    if found.first_stage is not None:
        schema["properties"][found.first_stage] = {"$ref": "#/$defs/model"}
        schema["required"].remove(found.first_stage)
    return schema


def of_sampler(found: type[Model]) -> Schema:
    """The options of a family's samplers: of `sample` and, if it passes others on, of the walk and every method."""
    schema = of_function(found.sample)
    schema["properties"]["precision"] = {
        "enum": ["fp32", "bf16"],
        "default": "fp32",
        "description": "The network's precision: fp32, or bf16 by autocast.",
    }
    schema["properties"]["ema_length"] = {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": LONGEST_AVERAGE,
        "description": "Draw with the weights averaged over this length of a training that has ema_lengths.",
    }
    given = inspect.signature(found.sample).parameters.values()
    closed = all(parameter.kind is not parameter.VAR_KEYWORD for parameter in given)
    walk = [found.walk] if hasattr(found, "walk") else []
    for function in () if closed else (*walk, *found.methods.values()):
        schema["properties"] |= of_function(function)["properties"]
    if not closed:
        schema["properties"]["method"] |= {"anyOf": [{"enum": list(found.methods)}, OWN_CODE]}
    return {"type": "object", "properties": schema["properties"], "additionalProperties": not closed}


# --- The files --------------------------------------------------------------------------------------------------------


def suite_schema() -> Schema:
    """The model of a suite, with the keys that come from signatures."""
    schema = of_model(Suite)
    families = classes(models, Model)
    schema["$defs"] = {
        "model": chosen("class", {name: of_model_class(found) for name, found in families.items()}),
        "network": chosen(
            "class", {name: of_function(found, FILLED) for name, found in classes(networks, torch.nn.Module).items()}
        ),
        **{
            key: chosen("name", {name: of_function(function) for name, function in table.items()})
            for key, table in CHOICES.items()
        },
    }
    _choose(schema["properties"]["dataset"], "source", SOURCES)
    evaluation = schema["properties"]["evaluation"]["properties"]
    evaluation["options"] |= _closed(EvaluationOptions)
    evaluation["extractors"]["items"] = {"enum": list(EXTRACTORS)}
    schema["properties"]["evaluation"]["properties"]["without"]["items"] = {"enum": list(METRICS)}
    (entry,) = schema["properties"]["models"]["patternProperties"].values()
    keys = entry["properties"]
    keys["model"] = {"description": keys["model"]["description"], "$ref": "#/$defs/model"}
    keys["training"] |= _closed(TrainConfig)
    budgets = keys["training"]["properties"]["flops"]["anyOf"]
    budgets.append({"type": "array", "items": budgets[0], "minItems": 1})
    optimizer = _closed(OptimizerConfig)
    keys["training"]["properties"]["optimizer"] |= optimizer
    keys["training"]["properties"]["optimizers"]["additionalProperties"] = optimizer
    _choose(keys["pretrained"], "format", FORMATS)
    entry["allOf"] = [
        {
            "if": {
                "properties": {"model": {"properties": {"class": {"const": name}}, "required": ["class"]}},
                "required": ["model"],
            },
            "then": {"properties": {"samplers": {"additionalProperties": of_sampler(found)}}},
        }
        for name, found in families.items()
    ]
    return _or_extended(schema)


def _or_extended(schema: Schema) -> Schema:
    """The schema, or only its first keys for a file that extends another, which may give any part of them."""
    first = {key: {"description": found.get("description", "")} for key, found in schema["properties"].items()}
    return {
        "$defs": schema.pop("$defs"),
        "if": {"required": ["extends"]},
        "then": {"type": "object", "properties": first, "additionalProperties": False},
        "else": schema,
    }


def language_schema() -> Schema:
    """The model of a suite of language models, with the keys of an optimizer."""
    schema = of_model(LanguageSuite)
    (entry,) = schema["properties"]["models"]["patternProperties"].values()
    entry["properties"]["training"]["properties"]["optimizer"] |= _closed(OptimizerConfig)
    return schema


def _choose(schema: Schema, key: str, table: Mapping[str, Callable[..., Any]]) -> None:
    """Make the other keys of an object depend on `key`, the name of a function in `table`."""
    choice = chosen(key, {name: of_function(function) for name, function in table.items()}, tuple(schema["properties"]))
    schema["properties"][key] |= choice["properties"][key]
    schema["allOf"] = choice["allOf"]


def _closed(function: Callable[..., Any]) -> Schema:
    return {"type": "object", **of_function(function), "additionalProperties": False}


def exported() -> dict[str, str]:
    """The files of schemas/ by name."""
    found = {}
    schemas = {
        "config": of_model(Config),
        "suite": suite_schema(),
        "language": language_schema(),
        "record": of_model(Reference),
    }
    for name, schema in schemas.items():
        head = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$comment": "Written by tools/document.py.",
        }
        whole = {**head, **schema, "title": f"genbench {name}"}
        found[f"{name}.schema.json"] = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    return found
