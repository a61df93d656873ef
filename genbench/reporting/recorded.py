"""The record of a suite's results, written by `genbench record` and the report: others compare their results with it.

About the machine it states only the processor and the versions of packages: no host, no user, no path.
"""

import re
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from genbench.errors import InputError
from genbench.records.plan import ModelPlan
from genbench.records.reference import (
    FORMAT,
    RecordedDraw,
    RecordedModel,
    RecordedOrigin,
    RecordedSampler,
    RecordedTraining,
    Reference,
)
from genbench.references.files import LONGEST, LONGEST_NAME, packaged, read_reference, write_reference
from genbench.references.pieces import joined
from genbench.reporting.cells import known
from genbench.reporting.missing import NOT_BEGUN
from genbench.reporting.numerals import one_line
from genbench.reporting.origins import records
from genbench.reporting.results import Results, read_results

DIGITS = 9  # significant, of a metric
INTERVAL_DIGITS = 5  # of the ends of its interval
TRAINING = ("steps", "images_seen", "data_sha256", "model_sha256")
OF_TRAINING = ("batch_size", "seconds", "device", "precision")  # columns of the tidy table begin with training_
DRAW = ("samples_sha256", "reference_sha256", "batch_size", "device", "precision", "seconds_per_50k")
NO_RECIPE = ("description", "published", "files")  # keys of an entry that are not part of its recipe
PATHS = ("path", "samples", "labels", "evaluator", "statistics")  # keys whose values are files and folders


def write_record(
    results: Path, out: Path, name: str | None = None, add: bool = False
) -> tuple[Reference, Mapping[str, list[str]]]:
    """Write the record of results/{suite} to `out`; returns it, and the rows that it leaves out (`left_out`).

    add: keep the rows in `out` whose model and seed these results do not have. Raises InputError if there are no
    results.
    """
    found = results_at(results)
    if not final_draws(found.rows):
        why = "".join(f"; {reason}" for reason in list(left_out(found.rows))[:1])
        raise InputError(f"{results}: found no row with numbers, expected the results of a run{why}")
    record = record_of(found, name)
    if add and out.exists():
        record = joined(record, read_reference(out, record.suite), str(out))
    write_reference(out, record)
    return record, left_out(found.rows)


def left_out(rows: pd.DataFrame) -> dict[str, list[str]]:
    """By reason, the rows of final models that have no numbers, except those of trainings that have not begun."""
    found: dict[str, list[str]] = {}
    for row in records(rows):
        if row["checkpoint"] == "final" and row.get("missing", NOT_BEGUN) != NOT_BEGUN:
            found.setdefault(row["missing"], []).append(f"{row['model']}/seed{row['seed']}/{row['sampler']}")
    return found


def load_record(path: Path) -> Reference:
    """The record at `path`: a file, or the results of a suite, results/{suite}."""
    return read_reference(path) if path.is_file() else record_of(results_at(path, ", or a record"))


def results_at(folder: Path, other: str = "") -> Results:
    """The results of results/{suite}; other: an alternative to name in the error message."""
    preflight = folder / "preflight.json"
    if not preflight.exists():
        expected = f"the results of a suite, such as results/demo{other}"
        page = folder.parent / f"report/{folder.name}.html"
        again = f"; delete the suite's page, and run again: rm {shlex.quote(str(page))}" if page.exists() else ""
        raise InputError(f"{folder}: found no preflight.json, expected {expected}{again}")
    return read_results(preflight, folder)


def reference_of(suite: str, path: Path | None = None) -> Reference:
    """The record of a suite to compare with: the file at `path`, or the one that comes with genbench."""
    found = path or packaged(suite)
    if found is None:
        raise InputError(
            f"record: found none of suite {suite!r} in genbench, expected a file: genbench verify RESULTS RECORD"
        )
    return read_reference(found, suite)


def record_of(results: Results, name: str | None = None) -> Reference:
    """The record of results that were read; rows without numbers are left out.

    name: who made them, for tables of several records.
    """
    plan, rows = results.preflight, final_draws(results.rows)
    hashes = {key: found for key in ("data_sha256", "reference_sha256") if (found := most_common(rows, key))}
    own = {key: info.about() for key, info in results.own.items()}
    content = {
        "format": FORMAT,
        "name": name,
        "suite": plan.suite,
        "title": plan.title,
        "headline": plan.headline,
        "dataset": plan.dataset.content() if plan.dataset else None,
        "num_samples": plan.num_samples,
        **hashes,
        "evaluation": plan.evaluation,
        "extractors": results.extractors,
        "own_metrics": own or None,
        "real": metrics_of(results.floor or {}, results.metrics),
    }
    return Reference(
        **without_folders({key: value for key, value in content.items() if value is not None}),
        models={model: recorded_model(entry) for model, entry in plan.models.items()},
        origins=origins_of(results.provenance),
        trainings=trainings_of([without(row, hashes) for row in rows]),
        draws=[recorded_draw(without(row, hashes), [*results.metrics, "bits_per_dim"]) for row in rows],
    )


def final_draws(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of final models that have numbers, without absent values."""
    return [row for row in records(rows) if row["checkpoint"] == "final" and "missing" not in row]


def most_common(rows: list[dict[str, Any]], key: str) -> Any:
    """The most frequent value in the rows; None if no row has one."""
    found = Counter(row[key] for row in rows if key in row).most_common(1)
    return found[0][0] if found else None


def without(row: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """A row without the values that are equal in `shared`."""
    return {key: value for key, value in row.items() if key not in shared or value != shared[key]}


def recorded_model(entry: ModelPlan) -> RecordedModel:
    """An entry of a suite."""
    spec = {key: value for key, value in entry.spec.items() if key not in NO_RECIPE}
    samplers = {
        name: RecordedSampler(
            label=_text(option.label),
            nfe=option.nfe,
            flops_per_image=option.flops_per_image,
            generates=option.generates,
        )
        for name, option in entry.samplers.items()
    }
    return RecordedModel(
        label=_text(entry.label),
        family=_text(entry.family),
        budget=_text(entry.budget),
        series=_text(entry.series),
        spec=without_folders(spec),
        parameters=sum(entry.parameters.values()) if entry.parameters else None,
        training_flops=entry.training_flops,
        samplers=samplers,
    )


def trainings_of(rows: list[dict[str, Any]]) -> list[RecordedTraining]:
    """The training runs of the rows, each once; samples from elsewhere have none."""
    found = {}
    for row in rows:
        values = {key: row[key] for key in TRAINING if key in row}
        values |= {key: row[f"training_{key}"] for key in OF_TRAINING if f"training_{key}" in row}
        if values:
            values = _typed(values, RecordedTraining)
            found[row["model"], row["seed"]] = RecordedTraining(model=row["model"], seed=int(row["seed"]), **values)
    return list(found.values())


def recorded_draw(row: Mapping[str, Any], keys: list[str]) -> RecordedDraw:
    """One row of the tidy table."""
    values = {key: list(map(_rounded, row[f"{key}_values"])) for key in keys if f"{key}_values" in row}
    intervals = {
        key: [_rounded(end, INTERVAL_DIGITS) for end in row[f"{key}_interval"]]
        for key in keys
        if f"{key}_interval" in row
    }
    found = {key: row[key] for key in DRAW if key in row}
    found |= {"seeds": row["sample_seeds"]} if "sample_seeds" in row else {}
    found |= {"num_samples": row["num_fake"]} if "num_fake" in row else {}
    return RecordedDraw(
        model=row["model"],
        seed=int(row["seed"]),
        sampler=row["sampler"],
        metrics=metrics_of(row, keys),
        values=values or None,
        intervals=intervals or None,
        **_typed(found, RecordedDraw),
    )


def metrics_of(row: Mapping[str, Any], keys: list[str]) -> dict[str, float]:
    """The known metrics of a row."""
    return {key: _rounded(row[key]) for key in keys if known(row.get(key))}


def origins_of(rows: pd.DataFrame) -> list[RecordedOrigin]:
    """The code and packages that made the results: for each stage one entry per version, with all its models."""
    found: dict[str, tuple[dict[str, Any], dict[str, None]]] = {}
    for row in rows.to_dict("records"):
        if not known(row.get("model")):
            continue
        keys = ("genbench_commit", "code_sha256", "python", "packages")
        values = {"stage": row["stage"]} | {key: row[key] for key in keys if known(row.get(key))}
        found.setdefault(repr(values), (values, {}))[1][row["model"]] = None
    return [RecordedOrigin(**values, models=list(models)) for values, models in found.values()]


def without_folders(value: Any, path: bool = False) -> Any:
    """A JSON value with each path reduced to its last part, and each text printable and not too long.

    path: whether all its texts are paths; else only texts that look like paths are.
    """
    if isinstance(value, Mapping):
        return {
            one_line(str(key))[:LONGEST_NAME]: without_folders(part, path or key in PATHS)
            for key, part in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [without_folders(part, path) for part in value]
    if not isinstance(value, str):
        return value
    if (path or re.match(r"(/|~|\.{1,2}/|[A-Za-z]:\\|\\\\)\S|\S+/\S+\.\w+(:|#|$)", value)) and "://" not in value:
        value = re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    return _text(value)


def _text(value: str | None) -> str | None:
    return None if value is None else one_line(value)[:LONGEST]


def _typed(values: Mapping[str, Any], kind: type[RecordedTraining] | type[RecordedDraw]) -> dict[str, Any]:
    """Values in the record's types: in the tidy table, integers are floats if their column has gaps."""
    whole = {name for name, field in kind.model_fields.items() if field.annotation == int | None}
    return {key: int(value) if key in whole else value for key, value in values.items()}


def _rounded(value: Any, digits: int = DIGITS) -> float:
    return float(f"{float(value):.{digits}g}")
