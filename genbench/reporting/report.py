"""What a suite's page shows, part by part: comparison, plots, pictures, a section for each model, and provenance."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from genbench.machine.code import is_this_code
from genbench.reporting.cells import seen
from genbench.reporting.columns import (
    COSTS,
    NFE,
    TRAINING_TIME,
    Column,
    comparison_columns,
    definition_columns,
    detail_columns,
)
from genbench.reporting.drawing import Plot
from genbench.reporting.exports import EXPORTS
from genbench.reporting.noise_schedules import bound_terms, noise_schedules
from genbench.reporting.origins import code_versions, older_code, origins_of, packages, stages
from genbench.reporting.overview import NARROW, WIDE, Highlight, highlights
from genbench.reporting.pictures import Picture, caption, embed, first_row, first_tiles, read_grid
from genbench.reporting.plots import quality_against_cost
from genbench.reporting.published import Beside, published_beside
from genbench.reporting.results import Draw, Results
from genbench.reporting.sampler_studies import Setting, Study, arrange, quality_plots, settings
from genbench.reporting.schemes import Schemes, scheme_table
from genbench.reporting.sections import (
    Section,
    Strip,
    recipe,
    remarks,
    shown_checkpoints,
    training_curves,
    training_facts,
)
from genbench.reporting.snapshots import Comparison, distinct, held_out, quality_over_training
from genbench.reporting.speed import quality_against_steps
from genbench.reporting.table import Row, Table, compare, final_rows

# All of a page together, before base64 adds a third:
GRID_BYTES, STRIP_BYTES, PICTURE_BYTES, STUDY_BYTES = 3_300_000, 1_100_000, 1_100_000, 600_000
STUDY_TILES = 5  # samples of each setting in the matrix of a study
STAGES = {  # of the provenance, and where each is computed: a key of machine/code.py's ROOTS
    "training": "training",
    "sampling": "sampling",
    "evaluation": "metrics",
    "likelihood": "likelihood",
    "object accuracy": "objects",
}
FORMAT = "genbench-report-1"  # of the summaries that the index reads
BESIDE = (6.1, 4.6)  # inches, of two plots beside each other
OLDER = "made by other code than this checkout's, which may give other numbers: run the suite again"
COST_PLOTS = [
    (
        NFE,
        "Quality against network evaluations",
        "Quality against the number of network evaluations (NFE) that a sample takes, on a logarithmic scale; they can "
        "differ in size. The line is the Pareto front.",
    ),
    (
        TRAINING_TIME,
        "Quality against the cost of training",
        "Quality of each model's best row against the time that its training took, on a logarithmic scale. The line is "
        "the Pareto front.",
    ),
]


class Report:
    """One suite, arranged for its page. Each part is made when it is first asked for."""

    def __init__(self, results: Results, root: Path) -> None:
        self.results, self.root, self.preflight = results, root, results.preflight
        self.num_samples: int | None = self.preflight.num_samples
        self.dataset: Mapping[str, Any] = self.preflight.dataset.content() if self.preflight.dataset else {}
        self.image_shape = self.dataset.get("image_shape")
        self.anchors = anchors(self.preflight.models)
        self.compared = final_rows(results.rows)

    @cached_property
    def table(self) -> Table:
        columns = comparison_columns(
            self.results.metrics,
            self.preflight.headline,
            self.num_samples,
            self.dataset,
            self.likelihood,
            self.results.own,
        )
        measured = [column for column in columns[1:] if column not in COSTS or seen(self.compared, column.key)]
        links = {model: f"#{anchor}" for model, anchor in self.anchors.items()}
        rows = self.compared
        if self.older and not self.all_older:  # told at the row; of all of them, above the table
            told = [[OLDER] * (model in self.older) for model in rows["model"]]
            rows = rows.assign(remarks=rows["remarks"] + pd.Series(told, rows.index, dtype=object))
        return compare(rows, [columns[0], *measured], self.results.floor, self.num_samples, links)

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

    @property
    def elsewhere(self) -> list[str]:
        """The names of the rows shown whose images were drawn elsewhere, of other seeds."""
        given = [row.name for row, _ in self.shown() if "samples" in self.preflight.models[row.model].spec]
        return list(dict.fromkeys(given))

    @property
    def captioned_sheets(self) -> list[tuple[Strip, str, str]]:
        """The grids, each with its alternative text and the headline number of its row."""
        lead = self.table.columns[0]
        return [
            (sheet, f"A grid of samples of {sheet.name}", f"{lead.label} {row.cells[lead.key].text}" if row else "")
            for row, sheet in self.sheets
        ]

    def shown(self) -> Iterator[tuple[Row, Path]]:
        """The rows of the table that have a grid, and the grid of their first seed that has one."""
        for row in self.table.rows:
            for seed in self.preflight.seeds:
                path = self.results.grids.get(Draw(row.model, seed, row.checkpoint, row.sampler))
                if path:
                    yield row, path
                    break

    def grid(self, path: Path, share: int) -> Picture:
        return embed(read_grid(path, self.image_shape), share)

    def first_samples(self, path: Path) -> Picture:
        entries = self.preflight.models.values()
        strips = sum(len(entry.samplers) * len(shown_checkpoints(entry)) for entry in entries)
        share = STRIP_BYTES // (strips + len(self.table.rows) + 1)
        return embed(first_row(read_grid(path, self.image_shape), self.image_shape), share)

    def sheet_anchor(self, row: Row | None) -> str:
        return f"grid-{self.table.rows.index(row) + 1}" if row else "grid-real"

    @cached_property
    def highlights(self) -> list[Highlight]:
        """What is best at what."""
        return highlights(self.table)

    @cached_property
    def quality_plots(self) -> list[Plot | None]:
        """Quality against the time to sample, for a wide and for a narrow window."""
        return [quality_against_cost(self.table, size) for size in (WIDE, NARROW)]

    @cached_property
    def costs(self) -> list[Comparison]:
        """Quality against NFE, and against the time of training."""
        found = []
        for column, title, told in COST_PLOTS:
            wide, narrow = (quality_against_cost(self.table, size, column) for size in (BESIDE, NARROW))
            if wide and narrow:
                found.append(Comparison(title, " ".join(filter(None, [told, self.table.bars])), wide, narrow))
        return found

    @cached_property
    def progress(self) -> Comparison | None:
        """The headline metric of the snapshots of all models."""
        return quality_over_training(self.results, self.table.rows)

    @cached_property
    def held_out(self) -> list[Comparison]:
        """What was watched on held-out images, for all models."""
        return held_out(self.results, distinct({model: self.label(model) for model in self.order}))

    @property
    def losses(self) -> list[tuple[Section, Plot]]:
        """The loss curves of each model that has a history."""
        return [(section, curve) for section in self.sections for title, curve in section.curves if title == "Losses"]

    @property
    def likelihood(self) -> bool:
        """Whether any model has bits per dimension."""
        return "bits_per_dim" in self.results.rows

    @cached_property
    def diffusion(self) -> list[Comparison]:
        """The noise schedules of all models, and the terms of their bounds."""
        names = distinct({model: self.label(model) for model in self.order})
        plots = noise_schedules(self.preflight.models, names), bound_terms(self.results.bound_terms, names)
        return [plot for plot in plots if plot]

    @cached_property
    def schemes(self) -> Schemes | None:
        """The quantised networks beside those in float32."""
        return scheme_table(self.compared, self.preflight.models, self.table.columns[0])

    @cached_property
    def settings(self) -> dict[str, list[Setting]]:
        """The samplers that take steps, of each model, the best model first."""
        models = self.preflight.models
        return {
            model: settings(models[model], [row for row in self.table.rows if row.model == model])
            for model in self.order
        }

    @cached_property
    def speed(self) -> Comparison | None:
        """What fewer sampling steps cost each model."""
        names = distinct({model: self.label(model) for model in self.order})
        return quality_against_steps(
            {names[model]: chosen for model, chosen in self.settings.items()}, self.table.columns[0]
        )

    @cached_property
    def studies(self) -> list[Study]:
        """The models whose samplers differ in steps or in noise, enough to be compared."""
        lead, grids = self.table.columns[0], {(row.model, row.sampler): path for row, path in self.shown()}
        studies = []
        for model, chosen in self.settings.items():
            if plots := quality_plots(chosen, lead):
                share = STUDY_BYTES // max(1, len(self.table.rows))
                pictures = [
                    (setting, embed(self.first_of_grid(path), share))
                    for setting in chosen
                    if (path := grids.get((model, setting.row.sampler)))
                ]
                studies.append(Study(self.label(model), self.anchors[model], plots, arrange(pictures)))
        return studies

    def first_of_grid(self, path: Path) -> Image.Image:
        return first_tiles(read_grid(path, self.image_shape), STUDY_TILES, self.image_shape)

    def label(self, model: str) -> str:
        return self.preflight.models[model].label or model

    @property
    def order(self) -> list[str]:
        """The models, the best first; those that are not sampled last."""
        return list(dict.fromkeys([*(row.model for row in self.table.rows), *self.preflight.models]))

    @cached_property
    def sections(self) -> list[Section]:
        """A section for each model."""
        return [self.section(model) for model in self.order]

    def section(self, model: str) -> Section:
        entry = self.preflight.models[model]
        rows = self.results.rows
        rows = rows[rows["model"] == model] if len(rows) else rows
        shown = shown_checkpoints(entry)
        numbers = rows[rows["checkpoint"].isin(shown)] if len(rows) else rows
        alike = len(set(seen(numbers, "num_fake"))) <= 1  # otherwise each row says of how many samples it is
        columns = detail_columns(
            self.results.metrics,
            self.preflight.headline,
            self.num_samples if alike else None,
            self.dataset,
            self.likelihood,
            self.results.own,
        )
        return Section(
            name=self.label(model),
            anchor=self.anchors[model],
            entry=entry,
            remarks=[*remarks(entry), *([OLDER] if model in self.older else [])],
            facts=[(name, text) for name, text in training_facts(entry, rows) if text],
            recipe=recipe(entry.spec),
            numbers=compare(numbers, columns),
            samples_differ=not alike,
            left_out=len(entry.checkpoints) - len(shown),
            curves=training_curves(self.results.histories.get(model), self.label(model)),
            strips=self.first_of_checkpoints(model),
            pictures=self.pictures(model),
            commands=list(self.commands(model)),
            draws=[
                (", ".join([str(draw["sampler_label"]), f"seed {draw['seed']}"]), list(origins_of(draw)))
                for draw in records(self.compared)
                if draw["model"] == model
            ],
            packages=packages(self.results.provenance[self.results.provenance["model"] == model]),
        )

    def first_of_checkpoints(self, model: str) -> list[Strip]:
        """The first samples of each sampler of a model, at its checkpoints in turn; of its first seed."""
        entry, seed = self.preflight.models[model], self.preflight.seeds[0]
        strips = []
        for sampler, option in entry.samplers.items():
            for checkpoint in shown_checkpoints(entry):
                path = self.results.grids.get(Draw(model, seed, checkpoint, sampler))
                name = ", ".join([option.label or sampler] + [checkpoint] * (checkpoint != "final"))
                strips += [Strip(name, self.first_samples(path))] if path else []
        return strips

    def pictures(self, model: str) -> list[Strip]:
        """The pictures that a model has drawn of itself, each with its caption."""
        share = PICTURE_BYTES // max(1, sum(map(len, self.results.pictures.values())))
        return [
            Strip(caption(name), self.grid(path, share), f"picture-{self.order.index(model) + 1}-{number}")
            for number, (name, path) in enumerate(self.results.pictures.get(model, {}).items(), start=1)
        ]

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
        suite = self.preflight.suite_argument or self.preflight.suite  # a name in suites/, or a path
        options = f"--cores all --resources gpu=1 --config suite={shlex.quote(suite)}"
        yield " \\\n    ".join(["uv run snakemake", *(shlex.quote(str(target)) for target in targets), options])

    @cached_property
    def definitions(self) -> list[Column]:
        """Every quantity of the page."""
        keys = [self.preflight.headline, *self.results.metrics]
        return definition_columns(keys, self.likelihood, self.results.own)

    @cached_property
    def stages(self) -> list[dict[str, str]]:
        """Where the results come from, stage by stage."""
        return stages(self.results.provenance)

    @cached_property
    def packages(self) -> list[tuple[str, str]]:
        """Each package with its version, or its versions."""
        return packages(self.results.provenance)

    @cached_property
    def older(self) -> list[str]:
        """The models whose results other code made than that of this checkout."""

        def is_current(stage: str, model: str, code: str) -> bool:
            spec = self.preflight.models[model].spec
            elsewhere = {"training": "imported"} if "pretrained" in spec else {}
            elsewhere |= {"sampling": "given"} if "samples" in spec else {}
            return is_this_code(code, elsewhere.get(stage, STAGES[stage]), spec.get("model"))

        return older_code(self.results.provenance, is_current)

    @property
    def all_older(self) -> bool:
        """Whether other code made the results of every model that has some."""
        return len(self.older) == len(set(seen(self.results.provenance, "model")))

    @property
    def code_versions(self) -> int:
        """By how many versions of the code the results were made."""
        return code_versions(self.results.provenance)

    @cached_property
    def published(self) -> list[Beside]:
        """What others published on this data set, family by family."""
        return published_beside(self.dataset, self.table)

    @cached_property
    def exports(self) -> dict[str, str]:
        """The comparison as files, by their ending."""
        return {kind: write(self.table) for kind, write in EXPORTS.items()}

    @cached_property
    def plots(self) -> dict[str, Plot]:
        """Every plot of the page, in its wide form, by the name of its file."""
        comparisons = [*self.costs, *filter(None, [self.progress, self.speed]), *self.held_out, *self.diffusion]
        plots = {"quality-against-time": self.quality_plots[0]} if self.quality_plots[0] else {}
        plots |= {file_name(comparison.title): comparison.wide for comparison in comparisons}
        for study in self.studies:
            name = file_name(study.anchor.removeprefix("model-"))
            plots |= {f"sampling-{name}-{file_name(plot.title)}": plot.wide for plot in study.plots}
        for section in self.sections:
            name = file_name(section.anchor.removeprefix("model-"))
            plots |= {f"training-{name}-{file_name(title)}": curve for title, curve in section.curves}
        return plots

    @property
    def snapshots(self) -> bool:
        """Whether there are results of other checkpoints than those that are compared."""
        return len(self.results.rows) > len(self.compared)

    @property
    def draws(self) -> list[dict[str, Any]]:
        """The compared rows of the tidy table, absent values left out."""
        return records(self.compared)

    def summary(self) -> dict[str, Any]:
        """What the index over all suites needs of this one, as JSON."""
        own = {key: info.about() for key, info in self.results.own.items()}
        keys = ("suite", "title", "description", "dataset", "num_samples", "headline")
        plan = self.preflight.content()
        return {
            "format": FORMAT,
            **{key: plan[key] for key in keys if plan.get(key) is not None},
            "anchors": self.anchors,
            "metrics": self.results.metrics,
            **({"own_metrics": own} if own else {}),
            "rows": records(self.compared),
            "floor": self.results.floor,
            **({"elsewhere": self.elsewhere} if self.elsewhere else {}),
            "strips": [{"name": strip.name, **vars(strip.picture)} for strip in self.strips],
        }


def file_name(text: str) -> str:
    """A text as the name of a file: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "plot"


def anchors(names: Sequence[str] | Mapping[str, Any]) -> dict[str, str]:
    """A fragment identifier for each name: letters, digits, point, dash and underscore, all different."""
    found: dict[str, str] = {}
    for number, name in enumerate(names):
        anchor = "model-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
        found[name] = anchor if anchor not in found.values() else f"{anchor}-{number}"
    return found


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as plain values, without those that are absent."""
    return [
        {str(key): value for key, value in record.items() if isinstance(value, list) or pd.notna(value)}
        for record in rows.to_dict("records")
    ]
