"""The tables of docs/results.md: every key of every record, from genbench/records/."""

import functools
import inspect
import operator
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

from genbench.files.artifacts import RECORD_SHA256
from genbench.records.language import LanguageTraining, Perplexity, TextCounts, Texts
from genbench.records.likelihood import Likelihood
from genbench.records.metrics import Metric, Metrics
from genbench.records.objects import Objects
from genbench.records.paired import Paired
from genbench.records.plan import ModelPlan, Plan, SamplerPlan
from genbench.records.provenance import Provenance
from genbench.records.record import Record
from genbench.records.reference import RecordedDraw, RecordedModel, RecordedOrigin, RecordedTraining, Reference
from genbench.records.speed import SamplerSpeed, Speed
from genbench.records.timing import Timing
from genbench.records.training import Training
from genbench.schema import words

FILES = {
    "plan": Plan,
    "training": Training,
    "timing": Timing,
    "speed": Speed,
    "metrics": Metrics,
    "objects": Objects,
    "paired": Paired,
    "likelihood": Likelihood,
    "reference": Reference,
    "text": TextCounts,
    "language training": LanguageTraining,
    "perplexity": Perplexity,
    "texts": Texts,
}
PARTS = {
    "provenance": Provenance,
    "sampler speed": SamplerSpeed,
    "metric": Metric,
    "model plan": ModelPlan,
    "sampler plan": SamplerPlan,
    "recorded model": RecordedModel,
    "recorded training": RecordedTraining,
    "recorded draw": RecordedDraw,
    "recorded origin": RecordedOrigin,
}
OWN_HASH = (f"`{RECORD_SHA256}`", "a string", "hash of the rest of the file, to detect damage")
Row = tuple[str, ...]


def keys(record: type[Record], prefix: str = "") -> Iterator[tuple[str, Row]]:
    """(only, row) for each key, at all levels except in provenance: `only` says which records have it, "" for all."""
    for name, field in record.model_fields.items():
        key, annotation = prefix + (field.alias or name), _without_null(field.annotation)
        extra = field.json_schema_extra
        only = str(extra["only"]) if isinstance(extra, dict) else ""
        inside = inspect.isclass(annotation) and issubclass(annotation, Record)
        mapping = inside or typing.get_origin(annotation) is dict
        value = (
            "a list of mappings"
            if _of_records(annotation)
            else "a mapping"
            if mapping
            else re.sub(r"a list of an? (\w+)", r"a list of \1s", words(annotation))
        )
        yield only, (f"`{key}`", value, str(field.description))
        if inside and annotation is not Provenance:
            yield from ((only or inner, row) for inner, row in keys(annotation, f"{key}."))


def _of_records(annotation: Any) -> bool:
    parts = typing.get_args(annotation)
    return typing.get_origin(annotation) is list and inspect.isclass(parts[0]) and issubclass(parts[0], Record)


def _without_null(annotation: Any) -> Any:
    """A key's kind of value, without null, whose meaning is in the key's description."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not types.NoneType]
        annotation = functools.reduce(operator.or_, kinds)
    return annotation
