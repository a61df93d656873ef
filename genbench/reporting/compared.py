"""The rows that a suite's page compares: their table, the order of the models, and where the results come from."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from genbench.machine.code import is_this_code
from genbench.reporting.averages import compare, final_rows
from genbench.reporting.cells import seen
from genbench.reporting.columns import COSTS, Column, comparison_columns, definition_columns, detail_columns
from genbench.reporting.origins import OLDER, code_versions, of_each, older_code, packages, records, stages
from genbench.reporting.results import Results
from genbench.reporting.snapshots import distinct
from genbench.reporting.table import Table

STAGES = {  # of the provenance, and the key of each in ROOTS of machine/code.py
    "training": "training",
    "sampling": "sampling",
    "evaluation": "metrics",
    "likelihood": "likelihood",
    "object accuracy": "objects",
}


class Compared:
    """The compared rows of one suite. Each part is computed on first use; root: results/{suite}."""

    def __init__(self, results: Results, root: Path) -> None:
        self.results, self.root, self.preflight = results, root, results.preflight
        self.num_samples: int | None = self.preflight.num_samples
        self.dataset: Mapping[str, Any] = self.preflight.dataset.content() if self.preflight.dataset else {}
        self.anchors = anchors(self.preflight.models)
        self.compared = final_rows(results.rows)

    @cached_property
    def table(self) -> Table:
        """The comparison."""
        found, headline = self.results, self.preflight.headline
        columns = comparison_columns(
            found.metrics, headline, self.num_samples, self.dataset, self.likelihood, found.own
        )
        measured = [column for column in columns[1:] if column not in COSTS or seen(self.compared, column.key)]
        links = {model: f"#{anchor}" for model, anchor in self.anchors.items()}
        rows = self.compared
        if self.older and not self.all_older:  # if all are, the page says so above the table
            told = [[OLDER] * (model in self.older) for model in rows["model"]]
            rows = rows.assign(remarks=rows["remarks"] + pd.Series(told, rows.index, dtype=object))
        shown = [columns[0], *measured]
        return compare(rows, shown, found.floor, self.num_samples, links, self.preflight.expect)

    @property
    def likelihood(self) -> bool:
        """Whether any model has bits per dimension."""
        return "bits_per_dim" in self.results.rows

    def label(self, model: str) -> str:
        return self.preflight.models[model].label or model

    @cached_property
    def order(self) -> list[str]:
        """The models, the best first; those that are not sampled last."""
        return list(dict.fromkeys([*(row.model for row in self.table.rows), *self.preflight.models]))

    @cached_property
    def names(self) -> dict[str, str]:
        """A distinct label for each model, in their order."""
        return distinct({model: self.label(model) for model in self.order})

    @cached_property
    def rows_of(self) -> dict[str, pd.DataFrame]:
        """The tidy rows of each model."""
        return of_each(self.order, self.results.rows)

    @cached_property
    def origins_of(self) -> dict[str, pd.DataFrame]:
        """Where the results of each model come from."""
        return of_each(self.order, self.results.provenance)

    @cached_property
    def draws_of(self) -> dict[str, list[dict[str, Any]]]:
        """The compared rows of each model as plain values."""
        return {model: [draw for draw in self.draws if draw["model"] == model] for model in self.order}

    @cached_property
    def definitions(self) -> list[Column]:
        """Every quantity of the page."""
        keys = [self.preflight.headline, *self.results.metrics]
        return definition_columns(keys, self.likelihood, self.results.own)

    def details(self, samples: int | None = None) -> list[Column]:
        """Every column of the models' sections; samples: their number, if all rows have the same."""
        found, headline = self.results, self.preflight.headline
        return detail_columns(found.metrics, headline, samples, self.dataset, self.likelihood, found.own)

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
        """The models whose results were made by other code than this checkout's."""

        known: dict[str, bool] = {}  # many models share a class and differ only in their training

        def is_current(stage: str, model: str, code: str) -> bool:
            spec = self.preflight.models[model].spec
            elsewhere = {"training": "imported"} if "pretrained" in spec else {}
            elsewhere |= {"sampling": "given"} if "samples" in spec else {}
            asked = code, elsewhere.get(stage, STAGES[stage]), spec.get("model")
            key = json.dumps(asked, sort_keys=True)
            if key not in known:
                known[key] = is_this_code(*asked)
            return known[key]

        return older_code(self.results.provenance, is_current)

    @property
    def all_older(self) -> bool:
        """Whether the results of every model that has some were made by other code."""
        return len(self.older) == len(set(seen(self.results.provenance, "model")))

    @property
    def code_versions(self) -> int:
        """How many versions of the code made the results."""
        return code_versions(self.results.provenance)

    @cached_property
    def draws(self) -> list[dict[str, Any]]:
        """The compared rows of the tidy table, without absent values."""
        return records(self.compared)


def anchors(names: Sequence[str] | Mapping[str, Any]) -> dict[str, str]:
    """A unique fragment identifier for each name: letters, digits, full stop, dash and underscore."""
    found: dict[str, str] = {}
    for number, name in enumerate(names):
        anchor = "model-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
        found[name] = anchor if anchor not in found.values() else f"{anchor}-{number}"
    return found
