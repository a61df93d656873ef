"""What a suite's page shows, part by part: comparison, plots, pictures, a section for each model, and provenance."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from genbench.reporting.columns import NFE, PARAMETERS, TIME, Column, base, comparison_columns, detail_columns
from genbench.reporting.numerals import count, memory
from genbench.reporting.pictures import Picture, embed, first_row, read_grid
from genbench.reporting.plots import learning_curve, quality_against_time
from genbench.reporting.results import Draw, Results
from genbench.reporting.table import Row, Table, compare, final_rows, seen

GRID_BYTES, STRIP_BYTES = 4_500_000, 1_500_000  # all of a page together, before base64 adds a third
FORMAT = "genbench-report-1"  # of the summaries that the index reads
WIDE, NARROW = (12.5, 5.6), (4.9, 5.4)  # inches; the style sheet shows the one that fits
QUALITY = ("fd", "fid", "classifier_score", "inception_score", "precision", "recall")
OVERVIEW = (*QUALITY, TIME.key, NFE.key, PARAMETERS.key)  # the columns of the index


@dataclass(frozen=True)
class Strip:
    """The first samples of a row, or of the real images: for every model the same seeds in the same order."""

    name: str
    picture: Picture
    anchor: str = ""  # of the whole grid


@dataclass(frozen=True)
class Section:
    """What the page tells about one model."""

    name: str
    anchor: str
    entry: Mapping[str, Any]
    facts: Sequence[tuple[str, str]]
    recipe: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    numbers: Table
    curves: Sequence[tuple[str, Markup]]
    strips: Sequence[Strip]
    commands: Sequence[str]


class Report:
    """One suite, arranged for its page. Each part is made when it is first asked for."""

    def __init__(self, results: Results, root: Path) -> None:
        self.results, self.root, self.preflight = results, root, results.preflight
        self.num_samples: int | None = self.preflight.get("num_samples")
        self.image_shape = (self.preflight.get("dataset") or {}).get("image_shape")
        self.anchors = anchors(self.preflight["models"])
        self.compared = final_rows(results.rows)

    @cached_property
    def table(self) -> Table:
        columns = comparison_columns(self.results.metrics, self.preflight["headline"], self.num_samples)
        return compare(self.compared, columns, self.results.floor, self.num_samples)

    @cached_property
    def strips(self) -> list[Strip]:
        """The first samples of the real images, then of each row of the table."""
        strips = [Strip(row.name, self.first_samples(path), self.sheet_anchor(row)) for row, path in self.shown()]
        if self.results.real_grid:
            strips.insert(0, Strip("Real images", self.first_samples(self.results.real_grid)))
        return strips

    @cached_property
    def sheets(self) -> list[tuple[Row | None, Strip]]:
        """The grids of the real images (with no row) and of each row of the table."""
        paths: list[tuple[Row | None, Path]] = list(self.shown())
        if self.results.real_grid:
            paths.insert(0, (None, self.results.real_grid))
        share = GRID_BYTES // max(1, len(paths))
        return [
            (row, Strip(row.name if row else "Real images", self.grid(path, share), self.sheet_anchor(row)))
            for row, path in paths
        ]

    def shown(self) -> Iterator[tuple[Row, Path]]:
        """The rows of the table that have a grid, and the grid of their first seed that has one."""
        for row in self.table.rows:
            for seed in self.preflight["seeds"]:
                path = self.results.grids.get(Draw(row.model, seed, row.checkpoint, row.sampler))
                if path:
                    yield row, path
                    break

    def grid(self, path: Path, share: int) -> Picture:
        return embed(read_grid(path, self.image_shape), share)

    def first_samples(self, path: Path) -> Picture:
        share = STRIP_BYTES // (len(self.results.grids) + len(self.table.rows) + 1)
        return embed(first_row(read_grid(path, self.image_shape), self.image_shape), share)

    def sheet_anchor(self, row: Row | None) -> str:
        return f"grid-{self.table.rows.index(row) + 1}" if row else "grid-real"

    @cached_property
    def highlights(self) -> list[tuple[Column, str, list[str]]]:
        """For the columns that sum a suite up: the best number and whose it is."""
        found = []
        for column in self.table.columns:
            leads = column == self.table.columns[0] or column == TIME or base(column.key) in ("precision", "recall")
            best = [row for row in self.table.rows if row.cells[column.key].best]
            if leads and best:
                found.append((column, best[0].cells[column.key].text, [row.name for row in best]))
        return found

    @cached_property
    def quality_plots(self) -> list[Markup | None]:
        """The same plot for a wide and for a narrow window."""
        return [quality_against_time(self.table, size) for size in (WIDE, NARROW)]

    @cached_property
    def losses(self) -> dict[str, Markup]:
        """The loss curves of each model that has a history."""
        curves = {}
        for model, history in self.results.histories.items():
            curve = learning_curve(history[history["kind"] == "losses"], f"Losses of {self.label(model)}")
            if curve:
                curves[model] = curve
        return curves

    def label(self, model: str) -> str:
        return str(self.preflight["models"][model].get("label") or model)

    @cached_property
    def sections(self) -> list[Section]:
        """A section for each model, the best first."""
        order = list(dict.fromkeys(row.model for row in self.table.rows))
        return [self.section(model) for model in dict.fromkeys([*order, *self.preflight["models"]])]

    def section(self, model: str) -> Section:
        entry = self.preflight["models"][model]
        rows = self.results.rows
        rows = rows[rows["model"] == model] if len(rows) else rows
        columns = detail_columns(self.results.metrics, self.preflight["headline"], self.num_samples)
        curves = [("Losses", self.losses[model])] if model in self.losses else []
        history = self.results.histories.get(model)
        if history is not None:
            for name, values in history[history["kind"] == "metrics"].groupby("name", sort=False):
                curve = learning_curve(values, f"{name} of {self.label(model)}")
                curves += [(str(name), curve)] if curve else []
        return Section(
            name=self.label(model),
            anchor=self.anchors[model],
            entry=entry,
            facts=[(name, text) for name, text in training_facts(entry, rows) if text],
            recipe=recipe(entry.get("spec") or {}),
            numbers=compare(rows, columns),
            curves=curves,
            strips=self.progress(model),
            commands=list(self.commands(model)),
        )

    def progress(self, model: str) -> list[Strip]:
        """The first samples of each sampler of a model, at its checkpoints in turn; of its first seed."""
        entry, seed = self.preflight["models"][model], self.preflight["seeds"][0]
        strips = []
        for sampler, option in entry.get("samplers", {}).items():
            for checkpoint in entry.get("checkpoints", ["final"]):
                path = self.results.grids.get(Draw(model, seed, checkpoint, sampler))
                name = ", ".join([option.get("label") or sampler] + [checkpoint] * (checkpoint != "final"))
                strips += [Strip(name, self.first_samples(path))] if path else []
        return strips

    def commands(self, model: str) -> Iterator[str]:
        """What to type to make the rows of a model again."""
        origins = self.results.provenance
        for commit in sorted(set(seen(origins[origins["model"] == model], "genbench_commit"))):
            clean, _, changes = commit.partition("+")
            yield f"git checkout {shlex.quote(clean)}" + ("  # and changes that were not committed" if changes else "")
        targets = [
            self.root / model / f"seed{row['seed']}" / row["checkpoint"] / row["sampler"] / "metrics.json"
            for row in records(self.compared)
            if row["model"] == model
        ]
        suite = self.preflight.get("suite_argument", self.preflight["suite"])  # a name in suites/, or a path
        options = f"--cores all --resources gpu=1 --config suite={shlex.quote(suite)}"
        yield " \\\n    ".join(["uv run snakemake", *(shlex.quote(str(target)) for target in targets), options])

    @cached_property
    def definitions(self) -> list[Column]:
        """Every quantity of the page."""
        return detail_columns(self.results.metrics, self.preflight["headline"])

    @cached_property
    def stages(self) -> list[dict[str, str]]:
        """Where the results come from: for each stage the distinct values of what provenance recorded."""
        origins = self.results.provenance
        stages = []
        for stage, group in origins.groupby("stage", sort=False):
            times = sorted(map(str, seen(group, "time")))
            stages.append(
                {
                    "stage": str(stage),
                    "files": str(len(group)),
                    "commit": ", ".join(sorted({abbreviate(commit) for commit in seen(group, "genbench_commit")})),
                    "code": ", ".join(sorted({str(code)[:12] for code in seen(group, "code_sha256")})),
                    "device": "; ".join(sorted(set(seen(group, "device")))),
                    "python": ", ".join(sorted(set(seen(group, "python")))),
                    "platform": "; ".join(sorted(set(seen(group, "platform")))),
                    "time": " – ".join(dict.fromkeys(times[:1] + times[-1:])),
                }
            )
        return stages

    @cached_property
    def packages(self) -> list[tuple[str, str]]:
        """Each package with its version, or its versions."""
        found: dict[str, dict[str, None]] = {}
        for packages in seen(self.results.provenance, "packages"):
            for name, version in packages.items():
                found.setdefault(name, {})[version] = None
        return [(name, ", ".join(versions)) for name, versions in sorted(found.items())]

    @property
    def code_versions(self) -> int:
        """By how many versions of the code the results were made."""
        return len(set(seen(self.results.provenance, "code_sha256")))

    @property
    def draws(self) -> list[dict[str, Any]]:
        """The rows of the tidy table, absent values left out."""
        return records(self.results.rows)

    def summary(self) -> dict[str, Any]:
        """What the index over all suites needs of this one, as JSON."""
        keys = ("suite", "title", "description", "dataset", "num_samples", "headline")
        return {
            "format": FORMAT,
            **{key: self.preflight[key] for key in keys if self.preflight.get(key) is not None},
            "anchors": self.anchors,
            "metrics": self.results.metrics,
            "rows": records(self.compared),
            "floor": self.results.floor,
            "strips": [{"name": strip.name, **vars(strip.picture)} for strip in self.strips],
        }


class Overview:
    """One suite on the index, from its summary."""

    def __init__(self, summary: Mapping[str, Any]) -> None:
        self.preflight, self.anchors = summary, summary["anchors"]
        num_samples = summary.get("num_samples")
        columns = comparison_columns(summary["metrics"], summary["headline"], num_samples)
        columns = [column for column in columns if base(column.key) in OVERVIEW]
        self.table = compare(pd.DataFrame(summary["rows"]), columns, summary["floor"], num_samples)
        self.quality_plots = [quality_against_time(self.table, size) for size in (WIDE, NARROW)]
        self.strips = [
            Strip(strip["name"], Picture(strip["uri"], strip["width"], strip["height"])) for strip in summary["strips"]
        ]


def abbreviate(commit: str) -> str:
    """A commit's first twelve digits, with what is appended to it."""
    digits, plus, changes = commit.partition("+")
    return digits[:12] + plus + changes


def anchors(names: Sequence[str] | Mapping[str, Any]) -> dict[str, str]:
    """A fragment identifier for each name: letters, digits, point, dash and underscore, all different."""
    found: dict[str, str] = {}
    for number, name in enumerate(names):
        anchor = "model-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
        found[name] = anchor if anchor not in found.values() else f"{anchor}-{number}"
    return found


def recipe(spec: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """A model's entry as tables of (dotted key, value), one for each part of it."""
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


def training_facts(entry: Mapping[str, Any], rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """What is worth knowing of how a model was trained, as far as it was recorded."""

    def values(key: str, text: Any = str) -> str:
        return ", ".join(dict.fromkeys(text(value) for value in seen(rows, key)))

    parts = entry.get("parameters") or {}
    yield "Parameters", ", ".join(f"{name} {count(number)}" for name, number in parts.items())
    training = {
        "steps": values("steps", "{:,.0f}".format),
        "images a batch": values("training_batch_size", count),
        "images/s": values("training_images_per_second", count),
    }
    yield "Training", ", ".join(f"{text} {unit}" for unit, text in training.items() if text)
    weights = {"ema": f"moving average, decay {values('ema_decay')}", "raw": "raw, no moving average"}
    yield "Weights", weights.get(values("weights"), values("weights"))
    yield "Precision", values("training_precision")
    if values("training_device") == values("device"):
        yield "Trained and sampled on", values("device")
    else:
        yield "Trained on", values("training_device")
        yield "Sampled on", values("device")
    yield "Sampling batch", values("batch_size", count)
    if memory_bytes := entry.get("training_memory_bytes"):
        yield "Training memory", f"{memory(memory_bytes)}, estimated"
    if any(seen(rows, "resumed")):
        yield "Continued", f"{values('resumed', '{:.0f}'.format)} times after an interruption"


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as plain values, without those that are absent."""
    return [
        {str(key): value for key, value in record.items() if isinstance(value, list) or pd.notna(value)}
        for record in rows.to_dict("records")
    ]
