"""The section of a page on one model: facts, recipe, every number, curves, pictures, and how to reproduce its rows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from genbench.records.plan import ModelPlan
from genbench.reporting.averages import compare
from genbench.reporting.cells import seen
from genbench.reporting.columns import Column
from genbench.reporting.curves import learning_curve
from genbench.reporting.drawing import Plot
from genbench.reporting.files import linked
from genbench.reporting.numerals import count, memory
from genbench.reporting.origins import OLDER, origins_of, packages
from genbench.reporting.pictures import Picture
from genbench.reporting.table import Table

if TYPE_CHECKING:
    from genbench.reporting.report import Report

MOST_CHECKPOINTS = 6  # a section shows at most so many, spread evenly


@dataclass(frozen=True)
class Strip:
    """The first samples of a row or of the real images: the same seeds in the same order for every model."""

    name: str
    picture: Picture
    anchor: str = ""  # of the whole grid
    file: str = ""  # the address of a grid that the page does not show
    row: str = ""  # the key of its row


@dataclass(frozen=True)
class Section:
    """The section of one model.

    numbers: of the shown checkpoints; samples_differ: whether they are judged by different numbers of samples;
    left_out: how many checkpoints are not shown. draws: for each compared row, what reproduces it, by name. packages:
    the versions that made it, if they are not those of the whole suite. endings: the last lines of the logs of rows
    without numbers, by name; go_on: the command that continues the run. pictures: as the macro of sheets takes them.
    """

    name: str
    anchor: str
    entry: ModelPlan
    remarks: Sequence[str]
    facts: Sequence[tuple[str, str]]
    recipe: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    numbers: Table
    samples_differ: bool
    left_out: int
    curves: Sequence[tuple[str, Plot]]
    strips: Sequence[Strip]
    pictures: Sequence[tuple[Strip, str, str]]
    commands: Sequence[str]
    draws: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    packages: Sequence[tuple[str, str]]
    endings: Mapping[str, Sequence[str]]
    go_on: str

    @property
    def measured(self) -> list[Column]:
        """The quantities with a number or a note."""
        rows, notes = self.numbers.rows, self.numbers.notes
        return [
            column
            for column in self.numbers.columns
            if any(row.cells[column.key].value is not None or row.cells[column.key].notes for row in rows)
            or (column is self.numbers.columns[0] and notes[column.key])
        ]

    @property
    def best(self) -> str:
        """The headline's label with the number of the best row."""
        lead, row = self.numbers.columns[0], next(iter(self.numbers.rows), None)
        return f"{lead.label} {row.cells[lead.key].text}" if row else ""


def model_section(report: Report, model: str, number: int) -> Section:
    """The section on `model`, the `number`-th of the page of `report`, counted from 1."""
    results, plan = report.results, report.preflight
    entry, label = plan.models[model], report.label(model)
    rows = report.rows_of[model]
    shown = shown_checkpoints(entry)
    numbers = rows[rows["checkpoint"].isin(shown)] if len(rows) else rows
    alike = len(set(seen(numbers, "num_fake"))) <= 1  # otherwise each row states its number of samples
    columns = report.details(report.num_samples if alike else None)
    origins = report.origins_of[model]
    versions, compared = packages(origins), compare(numbers, columns)
    return Section(
        name=label,
        anchor=report.anchors[model],
        entry=entry,
        remarks=[*remarks(entry), *([OLDER] if model in report.older else [])],
        # The one device of all rows is stated above the table.
        facts=[(name, text) for name, text in training_facts(entry, rows) if text and [text] != report.table.devices],
        recipe=recipe(entry.spec),
        numbers=replace(compared, rows=linked(compared.rows, report.files)),
        samples_differ=not alike,
        left_out=len(entry.checkpoints) - len(shown),
        curves=training_curves(results.histories.get(model), label),
        strips=report.samples.of_model(model),
        pictures=[(one, f"{label}: {one.name}", "") for one in report.samples.pictures(model, number)],
        commands=list(commands(report, model, seen(origins, "genbench_commit"))),
        draws=[
            (", ".join([str(draw["sampler_label"]), f"seed {draw['seed']}"]), list(origins_of(draw)))
            for draw in report.draws_of[model]
        ],
        packages=[] if versions == report.packages else versions,
        endings=results.endings.get(model, {}),
        go_on=f"uv run snakemake {_options(report)}",
    )


def commands(report: Report, model: str, commits: list[str]) -> Iterator[str]:
    """The commands that reproduce the rows of a model, which were made by code of these `commits`."""
    for commit in sorted(set(commits)):
        clean, _, changes = commit.partition("+")
        yield f"git checkout {shlex.quote(clean)}" + ("  # and changes that were not committed" if changes else "")
    targets = [
        report.root / model / f"seed{draw['seed']}" / draw["checkpoint"] / draw["sampler"] / "metrics.json"
        for draw in report.draws_of[model]
    ]
    yield " \\\n    ".join(["uv run snakemake", *(shlex.quote(str(target)) for target in targets), _options(report)])


def _options(report: Report) -> str:
    """The options for Snakemake, which name the suite."""
    suite = report.preflight.suite_argument or report.preflight.suite  # a name in suites/, or a path
    options = f"--cores all --resources gpu=1 --config suite={shlex.quote(suite)}"
    return options + (f" scale={report.preflight.scale:g}" if report.preflight.scale else "")


def recipe(spec: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """A model's entry as tables of (dotted key, value), one for each of its parts."""
    parts = {key: list(flatten(value)) for key, value in spec.items() if isinstance(value, Mapping) and value}
    if rest := {key: value for key, value in spec.items() if key not in parts}:
        parts["other"] = list(flatten(rest))
    return list(parts.items())


def flatten(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, text) of every leaf of nested mappings."""
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from flatten(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield key, ", ".join(text for part in value for _, text in flatten(part)) or "none"
    elif isinstance(value, bool):
        yield key, "yes" if value else "no"
    else:
        yield key, "none" if value is None else "defaults" if value == {} else str(value)


def training_facts(entry: ModelPlan, rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Facts about how a model was trained, as far as they were recorded."""

    def values(key: str, text: Any = str) -> str:
        return ", ".join(dict.fromkeys(text(value) for value in seen(rows, key)))

    yield "Parameters", ", ".join(f"{name} {count(number)}" for name, number in entry.parameters.items())
    training = {
        "steps": values("steps", "{:,.0f}".format),
        "images per batch": values("training_batch_size", count),
        "images/s": values("training_images_per_second", count),
    }
    yield "Training", ", ".join(f"{text} {unit}" for unit, text in training.items() if text)
    if entry.training_flops:
        yield "FLOPs of training", count(entry.training_flops)
    yield "Imported", values("imported")
    average = f"decay {values('ema_decay')}" if any(seen(rows, "ema_decay")) else "power function"
    weights = {"ema": f"moving average, {average}", "raw": "raw, no moving average"}
    yield "Weights", weights.get(values("weights"), values("weights"))
    yield "Precision", values("training_precision")
    if values("training_device") == values("device"):
        yield "Trained and sampled on", values("device")
    else:
        yield "Trained on", values("training_device")
        yield "Sampled on", values("device")
    yield "Sampling batch", values("batch_size", count)
    if memory_bytes := entry.training_memory_bytes:
        yield "Training memory", f"{memory(memory_bytes)}, estimated"
    if any(seen(rows, "resumed")):
        yield "Continued", f"{values('resumed', '{:.0f}'.format)} times after an interruption"


def remarks(entry: ModelPlan) -> list[str]:
    """What a reader must know about a model's rows; remarks that hold only for some samplers name these."""
    found: dict[str, list[str]] = {}
    for sampler, option in entry.samplers.items():
        for remark in option.remarks:
            found.setdefault(remark, []).append(option.label or sampler)
    everywhere = len(entry.samplers)
    return [
        remark if len(samplers) == everywhere else f"{', '.join(samplers)}: {remark}"
        for remark, samplers in found.items()
    ]


def shown_checkpoints(entry: ModelPlan) -> list[str]:
    """The checkpoints of a model that its section shows, the first and the last included."""
    checkpoints = entry.checkpoints
    if len(checkpoints) <= MOST_CHECKPOINTS:
        return checkpoints
    last = len(checkpoints) - 1
    return [checkpoints[round(last * number / (MOST_CHECKPOINTS - 1))] for number in range(MOST_CHECKPOINTS)]


def training_curves(history: pd.DataFrame | None, label: str) -> list[tuple[str, Plot]]:
    """The curves of one model against the steps: its losses, then each quantity, in training and on held-out images."""
    if history is None:
        return []
    losses = history[history["kind"] == "losses"]
    curves = [("Losses", learning_curve(losses, f"Losses of {label}"))]
    others = history[history["kind"] != "losses"]
    for name, values in others.groupby("name", sort=False):
        if "validation" in set(values["kind"]):
            values = values.assign(name=values["kind"].map({"metrics": "training", "validation": "held-out images"}))
        curves.append((str(name), learning_curve(values, f"{name} of {label}")))
    return [(title, curve) for title, curve in curves if curve]
