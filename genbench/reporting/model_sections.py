"""The section of one model: facts, recipe, every number, curves, pictures, and what makes its rows again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from genbench.reporting.cells import seen
from genbench.reporting.columns import detail_columns
from genbench.reporting.files import linked
from genbench.reporting.origins import OLDER, origins_of, packages
from genbench.reporting.sections import (
    Section,
    recipe,
    remarks,
    shown_checkpoints,
    training_curves,
    training_facts,
)
from genbench.reporting.table import compare

if TYPE_CHECKING:
    from genbench.reporting.report import Report


def model_section(report: Report, model: str, number: int) -> Section:
    """What the page of `report` says about `model`, which stands there at place `number`, from 1 on."""
    results, plan = report.results, report.preflight
    entry, label = plan.models[model], report.label(model)
    rows = report.rows_of[model]
    shown = shown_checkpoints(entry)
    numbers = rows[rows["checkpoint"].isin(shown)] if len(rows) else rows
    alike = len(set(seen(numbers, "num_fake"))) <= 1  # otherwise each row says of how many samples it is
    columns = detail_columns(
        results.metrics,
        plan.headline,
        report.num_samples if alike else None,
        report.dataset,
        report.likelihood,
        results.own,
    )
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
        pictures=report.samples.pictures(model, number),
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
    """What to type to make the rows of a model again, which code of these `commits` made."""
    for commit in sorted(set(commits)):
        clean, _, changes = commit.partition("+")
        yield f"git checkout {shlex.quote(clean)}" + ("  # and changes that were not committed" if changes else "")
    targets = [
        report.root / model / f"seed{draw['seed']}" / draw["checkpoint"] / draw["sampler"] / "metrics.json"
        for draw in report.draws_of[model]
    ]
    yield " \\\n    ".join(["uv run snakemake", *(shlex.quote(str(target)) for target in targets), _options(report)])


def _options(report: Report) -> str:
    """The options of Snakemake that name the suite."""
    suite = report.preflight.suite_argument or report.preflight.suite  # a name in suites/, or a path
    options = f"--cores all --resources gpu=1 --config suite={shlex.quote(suite)}"
    return options + (f" scale={report.preflight.scale:g}" if report.preflight.scale else "")
