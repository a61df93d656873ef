"""`genbench check`: what a run of suites would do, what their models are, and what all of it will cost."""

import json
from pathlib import Path
from typing import Annotated

import typer

from genbench.commands.names import suite_names
from genbench.commands.run import CONFIG
from genbench.commands.run import Command as Command  # takes several values of one --config


def command(
    suites: Annotated[
        list[str], typer.Argument(metavar="SUITE", help="Names or files of suites.", autocompletion=suite_names)
    ],
    config: Annotated[
        list[str] | None,
        typer.Option(*CONFIG, metavar="KEY=VALUE...", help="Keys of config.yaml, such as scale=0.01 device=cpu."),
    ] = None,
    gpu: Annotated[str | None, typer.Option(help="Forecast for this GPU, such as h100.")] = None,
    measure: Annotated[
        bool, typer.Option(help="Measure networks whose speed is unknown here, once, for a second or two each.")
    ] = True,
    data_root: Annotated[Path, typer.Option(help="Folder of downloads.")] = Path("resources/downloads"),
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for programs.")] = False,
) -> None:
    """Check every key of SUITE, and show what a run would do and what each model costs: hours, disk, memory, downloads.

    Nothing is trained or downloaded. Jobs and hours are those that remain in this folder. Hours are FLOPs divided by a
    speed from earlier runs, from records, or measured here. `genbench run` checks the same keys.
    """
    from genbench.commands.table import show_rows
    from genbench.suites.cost_table import show
    from genbench.suites.forecast_table import planned_forecast
    from genbench.suites.workflow import overrides_of, planned_suites

    given = overrides_of(config or [])
    found = [
        (plan, jobs, planned_forecast(plan, given, data_root, gpu, measure and not gpu))
        for plan, jobs in planned_suites(suites, data_root, config or [])
    ]
    if as_json:
        records = [
            {
                "suite": plan.suite,
                "jobs": jobs,
                "forecast": forecast.record() if forecast else None,
                "plan": plan.content(),
            }
            for plan, jobs, forecast in found
        ]
        typer.echo(json.dumps(records, indent=2, ensure_ascii=False))
        return
    for plan, jobs, forecast in found:
        show(plan)
        rows = [{"job": rule, "number": number} for rule, number in jobs.items()]
        total = f"{plan.suite}: jobs to run" if rows else f"{plan.suite}: nothing left to do"
        show_rows(rows, title=total)
        if forecast and forecast.jobs:
            forecast.show()
            for line in forecast.lines():
                typer.echo(line)
