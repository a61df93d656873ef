"""The models of checked suites and their cost: written for the report, and shown as a table."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from genbench.files.artifacts import write_json
from genbench.records.plan import Plan
from genbench.suites.checked import Checked
from genbench.suites.config import Config
from genbench.suites.forecast_table import Forecast
from genbench.suites.kinds import of_another_kind
from genbench.suites.load import load_suite
from genbench.suites.needs import shortages
from genbench.suites.preflight import check_suite, preflight

log = logging.getLogger(__name__)


def preflight_files(
    paths: Sequence[str],
    overrides: Mapping[str, Any] | None = None,
    *,
    data_root: str | os.PathLike[str] = "resources/downloads",
    results: str | os.PathLike[str] | None = None,
    device: str = "auto",
    elsewhere: str = "",
) -> Iterator[Plan]:
    """Check the suites in these files, one after another, and yield what each will make and cost. For a suite of
    another kind than images, only show how many weights its models have.

    overrides: keys of config.yaml, such as {"num_samples": 1000}. results: a folder in which each plan is also written,
    as SUITE/preflight.json. device: the device of jobs. elsewhere: "jobs" or "files" if these are on other machines.
    Logs what this machine has too little of. Raises InputError, with file, entry and key, for the first error.
    """
    _check_overrides(overrides)
    for path in paths:
        suite = load_suite(Path(path), overrides)
        if other := of_another_kind(suite):
            _show_parameters(suite, other.check_suite(suite, Path(data_root), path, fetch=True))
            continue
        checked = Checked(suite, data_root)
        plan = preflight(suite, str(data_root), path, checked)
        if results:
            write_json(Path(results) / plan.suite / "preflight.json", plan.content())
        for line in shortages(suite, checked.facts, device=device, elsewhere=elsewhere, ask=True):
            log.warning("%s: %s", path, line)
        if not elsewhere and (slow := Forecast(suite, checked.facts, device).too_slow()):
            log.warning("%s: %s", path, slow)
        yield plan


def check_files(
    paths: Sequence[str],
    overrides: Mapping[str, Any] | None = None,
    *,
    data_root: str | os.PathLike[str] = "resources/downloads",
    device: str = "auto",
    elsewhere: str = "",
) -> None:
    """Check the suites in these files in seconds, without running models or downloads. Arguments, errors: as above."""
    _check_overrides(overrides)
    for path in paths:
        suite = load_suite(Path(path), overrides)
        if other := of_another_kind(suite):
            other.check_suite(suite, Path(data_root), path, fetch=False)
            continue
        checked = Checked(suite, data_root)
        if not checked.holds():
            check_suite(suite, str(data_root), path, checked=checked)
        for line in shortages(suite, checked.facts, device=device, elsewhere=elsewhere):
            log.warning("%s: %s", path, line)


def _check_overrides(overrides: Mapping[str, Any] | None) -> None:
    Config.read({"suite": "any", **(overrides or {})}, "--overrides")


def show(plan: Plan) -> None:
    """Print a suite's plan as a table as wide as the terminal."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title=escape(f"{plan.suite}: {plan.title}"))
    columns = ["model", "sampler", "parameters", "NFE", "FLOPs/image"]
    if console.width >= 100:  # a narrow terminal would cut every number
        columns += ["FLOPs/NFE", "steps", "training FLOPs", "memory"]
    for column in columns:
        table.add_column(column, no_wrap=True, justify="left" if column in ("model", "sampler") else "right")
    for name, model in plan.models.items():
        for sampler, cost in model.samplers.items():
            cells = {
                "model": name,
                "sampler": sampler,
                "parameters": human(sum(model.parameters.values()) or None),
                "FLOPs/NFE": human(cost.flops_per_nfe),
                "NFE": str(cost.nfe or "-"),
                "FLOPs/image": human(cost.flops_per_image),
                "steps": "-" if model.training_steps is None else f"{model.training_steps:,}",
                "training FLOPs": human(model.training_flops),
                "memory": human(model.training_memory_bytes, "B"),
            }
            table.add_row(*(escape(cells[column]) for column in columns))
    console.print(table)


def _show_parameters(suite: Mapping[str, Any], parameters: Mapping[str, int | None]) -> None:
    table = Table("model", title=escape(f"{suite['name']}: {suite['title']}"))
    table.add_column("parameters", justify="right")
    for name, count in parameters.items():
        table.add_row(escape(name), human(count))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def human(value: float | None, unit: str = "") -> str:
    """A number with three digits and a unit prefix; a dash if it is unknown, as for samples from elsewhere."""
    if value is None:
        return "-"
    for prefix in ("", "k", "M", "G", "T", "P"):
        if value < 1000:
            return f"{value:.3g} {prefix}{unit}".strip()
        value /= 1000
    return f"{value:.3g} E{unit}"
