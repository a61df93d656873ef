"""Write the documents that are generated from the code: every key of a suite, every metric and the functions for Python
in docs/, and schemas/ for editors; and the tables of results from reference/. `--check` only compares.

A generated part is between `<!-- written by tools/document.py: NAME -->` and `<!-- end -->`; the rest is not changed.
Keys come from genbench/suites/keys.py and from the signatures that a suite's entries are checked against, their
meanings from the lines `key: Meaning.` of the docstrings there.
"""

import argparse
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

import genbench
from genbench import models, networks
from genbench.data.datasets import SOURCES
from genbench.errors import InputError, place
from genbench.importing import FORMATS
from genbench.machine.command_line import run
from genbench.mappings import Keys
from genbench.metrics import METRICS, EvaluationOptions
from genbench.models.diffusion import Diffusion
from genbench.processes.ada import AUGMENTATIONS
from genbench.processes.adversarial import PENALTIES
from genbench.processes.degradations import DEGRADATIONS
from genbench.processes.samplers import SAMPLERS
from genbench.processes.schedule import SCHEDULES
from genbench.processes.spacing import Spacing, spaced_timesteps
from genbench.processes.time_samplers import TIME_SAMPLERS
from genbench.records.record import Record
from genbench.schema import annotations, words
from genbench.suites.config import Config
from genbench.suites.keys import Suite
from genbench.suites.language import LanguageSuite
from genbench.suites.listing import list_names
from genbench.training.recipe import OptimizerConfig, TrainConfig
from tools import records, schemas
from tools.reference_results import few_steps_table, reference_table
from tools.signatures import FILLED, classes, default_of, meanings, parameters

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- written by tools/document.py: {} -->", "<!-- end -->"


def cell(text: str) -> str:
    """A text as the cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def code(value: Any) -> str:
    """A value in YAML, as code."""
    value = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
    return f"`{text.removesuffix('...').strip()}`"


def sentence(text: str) -> str:
    """The text with a capital first letter, unless it begins with a symbol such as x0_hat, and a full stop."""
    text = " ".join(text.split()).removesuffix(";")
    word = re.match(r"(a|[a-z]{2,})(?=[ ,;.-]|$)", text)
    text = text[:1].upper() + text[1:] if word else text
    return text if not text or text.endswith((".", ":", "?")) else f"{text}."


def table(rows: list[tuple[str, ...]], *head: str) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(cell, row))} |"
    yield ""


# --- Functions and classes whose keyword-only parameters are an entry's keys ------------------------------------------


def describe(
    function: Callable[..., Any], place: str, *, filled: tuple[str, ...] = (), docstring: str | None = None
) -> Iterator[str]:
    """What a function or class does, and a table of its keys. `place` names it in errors."""
    given = parameters(function, filled)
    docstring = inspect.cleandoc(docstring or function.__doc__ or "")
    text, found = meanings(docstring, list(given))
    if stray := set(re.findall(r"^(\w+): [A-Z]", docstring, re.MULTILINE)) - set(given):
        raise InputError(f"{place}: found a line {stray.pop() + ':'!r} in its docstring, expected it only for a key")
    if text:
        yield from (sentence(text), "")
    hints = annotations(function)
    rows = []
    for name, parameter in given.items():
        if name not in found:
            raise InputError(
                f"{place}: key {name!r} has no meaning, expected a line '{name}: Meaning.' in its docstring"
            )
        required = parameter.default is parameter.empty
        default = "required" if required else code(default_of(parameter))
        rows.append((f"`{name}`", words(hints[name]), default, found[name]))
    if rows:
        yield from table(rows, "key", "value", "default", "what it is")


def named(functions: Mapping[str, Callable[..., Any]], **options: Any) -> Iterator[str]:
    """A small closed set, each with its own keys."""
    for name, function in functions.items():
        yield from (f"#### `{name}`", "")
        yield from describe(function, name, **options)


# --- Models of files --------------------------------------------------------------------------------------------------


def kind(schema: Mapping[str, Any]) -> str:
    """The kind of a value, in words."""
    if "title" in schema:
        return str(schema["title"]).partition(":")[0]
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(sorted(map(kind, schema["anyOf"]), key="null".__ne__))  # null first
    found = str(schema.get("type"))
    if found == "array":
        return f"a list, of each {kind(schema['items'])}" if schema["items"] else "a list"
    simple = {
        "integer": "an integer",
        "number": "a number",
        "string": "a string",
        "boolean": "true or false",
        "object": "a mapping",
        "null": "null",
    }
    low, high = schema.get("minimum"), schema.get("maximum")
    limits = (f" from {low}" if low is not None else "") + (f" to {high}" if high is not None else "")
    return simple[found] + limits


def keys(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, ...]]:
    """A row for every key of a schema, at all levels."""
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        default = "required" if name in required else code(part["default"]) if "default" in part else ""
        yield f"`{path}{name}`", kind(part), default, sentence(str(part["description"]))
        yield from keys(part, f"{path}{name}.")
        for others in part.get("patternProperties", {}).values():
            yield from keys(others, f"{path}{name}.NAME.")


def model_keys(model: type[Keys]) -> Iterator[str]:
    yield from table(list(keys(schemas.of_model(model))), "key", "value", "default", "what it is")


def record_keys(record: type[Record], own_hash: bool) -> Iterator[str]:
    """A table of the keys that every such record has, and a list of the keys that only some have."""
    rows: dict[str, list[records.Row]] = {}
    for only, row in records.keys(record):
        rows.setdefault(only, []).append(row)
    always = [*rows.pop(""), *[records.OWN_HASH] * own_hash]
    yield from table([(key, value, sentence(text)) for key, value, text in always], "key", "value", "what it is")
    for only, some in rows.items():
        yield from (f"Only {only}:", "")
        yield from (f"- {key}, {value}: {sentence(text)}" for key, value, text in some)
        yield ""


# --- The parts --------------------------------------------------------------------------------------------------------


def all_models() -> Iterator[str]:
    for path, found in classes(models, models.Model).items():
        yield from (f"### `{path}`", "", f"{found.family} ({found.paper}).", "")
        yield from describe(found, path, filled=("image_shape",))
        if parameters(found.sample):
            yield from ("Options of its samplers:", "")
            yield from describe(found.sample, path, docstring=inspect.getdoc(found.sample) or "")
        if "methods" in vars(found) and found is not Diffusion:  # its samplers have their own section
            yield from named(found.methods)
        if found.pictures:
            drawn = [
                (f"`{name}`", sentence(inspect.getdoc(getattr(found, name)) or "")) for name in sorted(found.pictures)
            ]
            yield from table(drawn, "picture", "what it shows")


def all_networks() -> Iterator[str]:
    import torch

    for path, found in classes(networks, torch.nn.Module).items():
        yield from (f"### `{path}`", "")
        yield from describe(found, path, filled=FILLED)


def all_samplers() -> Iterator[str]:
    yield from ("Of the walk, whatever its `method`:", "")
    yield from describe(Diffusion.walk, "walk")
    yield from ("Of one `method` only:", "")
    yield from named(SAMPLERS)


def all_spacings() -> Iterator[str]:
    names = list(typing.get_args(Spacing))
    _, found = meanings(inspect.getdoc(spaced_timesteps) or "", names)
    yield from table([(f"`{name}`", sentence(found[name])) for name in names], "name", "which times")


def all_metrics() -> Iterator[str]:
    arrow = {"lower": "; lower is better", "higher": "; higher is better", None: ""}
    rows = [
        (f"`{key}`", info.label, f"{info.definition}{arrow[info.direction]}", info.minimum_rule, info.source)
        for key, info in METRICS.items()
    ]
    yield from table(rows, "key", "name", "definition", "images needed", "source")


def all_extractors() -> Iterator[str]:
    rows = []
    for row in list_names("extractors"):
        keys = ", ".join(f"`{key}`" for key in row["metrics"].split(", "))
        weights = re.sub(r"the extra (\S+)", r"the extra `\1`", row["weights"])
        rows.append((f"`{row['extractor']}`", str(row["features"]), weights, keys))
    yield from table(rows, "extractor", "features", "weights", "metrics")


def all_functions() -> Iterator[str]:
    """The public functions of the package, in the order in which its docstring lists them."""
    listed = re.findall(r"^(\w+)  ", str(genbench.__doc__), re.MULTILINE)
    if set(listed) != set(genbench.__all__):
        raise InputError(f"genbench/__init__.py: found {', '.join(listed)} in its docstring, expected all of __all__")
    for name in listed:
        function = getattr(genbench, name)
        given = inspect.signature(function).parameters
        docstring = inspect.getdoc(function) or ""
        text, found = meanings(docstring, list(given))
        for key in given:
            if found and key not in found:
                raise InputError(f"{name}: {key!r} has no meaning, expected a line '{key}: Meaning.' in its docstring")
        plain = [p.replace(annotation=inspect.Parameter.empty) for p in given.values()]
        yield from (f"## {name}", "", "```text", f"genbench.{name}{inspect.Signature(plain)}", "```", "")
        raised = re.search(r"Raises InputError[^.]*\.", docstring)
        for paragraph in [*text.split("\n\n"), *([" ".join(raised[0].split())] if raised else [])]:
            yield from (paragraph, "")
        required = {p.name: "required" if p.default is p.empty else f"`{p.default!r}`" for p in given.values()}
        named = {p.name: f"`**{p.name}`" if p.kind is p.VAR_KEYWORD else f"`{p.name}`" for p in given.values()}
        default = required | {p.name: "" for p in given.values() if p.kind is p.VAR_KEYWORD}
        rows = [(named[key], default[key], found[key]) for key in given if found]
        if rows:
            yield from table(rows, "argument", "default", "what it is")


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "functions": all_functions,
    "configuration": lambda: model_keys(Config),
    "suite": lambda: model_keys(Suite),
    "language suite": lambda: model_keys(LanguageSuite),
    "training": lambda: describe(TrainConfig, "TrainConfig"),
    "optimizer": lambda: describe(OptimizerConfig, "OptimizerConfig"),
    "models": all_models,
    "networks": all_networks,
    "schedules": lambda: named(SCHEDULES),
    "samplers": all_samplers,
    "spacings": all_spacings,
    "time samplers": lambda: named(TIME_SAMPLERS),
    "penalties": lambda: named(PENALTIES),
    "augmentations": lambda: named(AUGMENTATIONS),
    "degradations": lambda: named(DEGRADATIONS),
    "data sets": lambda: named(SOURCES),
    "formats": lambda: named(FORMATS),
    "evaluation options": lambda: describe(EvaluationOptions, "EvaluationOptions"),
    "metrics": all_metrics,
    "extractors": all_extractors,
    "reference results": lambda: reference_table("mnist-equal"),
    "reference results, modern": lambda: reference_table("mnist-equal-modern", None),
    "reference results, few steps": lambda: few_steps_table("mnist-equal-modern"),
    "reference results, fashion": lambda: reference_table("fashion-mnist-equal", None, times=False),
    "reference results, CIFAR-10": lambda: reference_table("cifar10-jpeg-equal", None, times=False),
    **{f"record: {name}": partial(record_keys, record, True) for name, record in records.FILES.items()},
    **{f"part: {name}": partial(record_keys, record, False) for name, record in records.PARTS.items()},
}


def written(text: str) -> str:
    """A document with its parts written again."""

    def replace(match: re.Match[str]) -> str:
        if match[1] not in PARTS:
            raise InputError(f"found the part {match[1]!r}, expected one of: {', '.join(PARTS)}")
        return "\n".join([BEGIN.format(match[1]), "", *PARTS[match[1]](), END])

    return re.sub(BEGIN.format("([^>]*?)") + r"\n.*?" + END, replace, text, flags=re.DOTALL)


def contents() -> dict[Path, str]:
    """What every document and schema should contain."""
    documents = {}
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        with place(path.name):
            documents[path] = written(path.read_text(encoding="utf-8"))
    return documents | {ROOT / "schemas" / name: text for name, text in schemas.exported().items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a document is out of date")
    args = parser.parse_args()
    stale = []
    for path, new in contents().items():
        if not path.exists() or path.read_text(encoding="utf-8") != new:
            stale.append(str(path.relative_to(ROOT)))
            if not args.check:
                path.write_text(new, encoding="utf-8")
    if stale and args.check:
        sys.exit(f"out of date: {', '.join(stale)}; run tools/document.py")


if __name__ == "__main__":
    run(main)
