"""`genbench check`: what a run of suites would do, and what their models are and cost."""

import json
from pathlib import Path
from typing import Annotated

import typer

from genbench.commands.names import suite_names


def command(
    suites: Annotated[
        list[str], typer.Argument(metavar="SUITE", help="Names or files of suites.", autocompletion=suite_names)
    ],
    data_root: Annotated[Path, typer.Option(help="Where downloads are kept.")] = Path("resources/downloads"),
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for programs.")] = False,
) -> None:
    """Check every key of SUITE, and show what a run would do and what each model costs.

    Nothing is trained and nothing downloaded. Jobs are those that are still to be done in this folder. `genbench run`
    checks the same before it starts.
    """
    from genbench.commands.table import show_rows
    from genbench.suites.cost_table import show
    from genbench.suites.workflow import planned_suites

    found = planned_suites(suites, data_root)
    if as_json:
        records = [{"suite": plan.suite, "jobs": jobs, "plan": plan.content()} for plan, jobs in found]
        typer.echo(json.dumps(records, indent=2, ensure_ascii=False))
        return
    for plan, jobs in found:
        show(plan)
        rows = [{"job": rule, "number": number} for rule, number in jobs.items()]
        total = f"{plan.suite}: jobs to run" if rows else f"{plan.suite}: nothing to be done"
        show_rows(rows, title=total)
