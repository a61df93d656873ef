"""`genbench run`: the whole workflow on suites, with Snakemake's options after `--`."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from genbench.commands.names import suite_names

CONFIG, SNAKEMAKE = ("--config", "-C"), "--snakemake"


class Command(TyperCommand):
    """Passes what follows `--` to Snakemake, and takes several values of one --config, as Snakemake does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        here = args.index("--") if "--" in args else len(args)
        behind = [f"{SNAKEMAKE}={option}" for option in args[here + 1 :]]
        return super().parse_args(ctx, [*_one_value_each(args[:here]), *behind])


def _one_value_each(args: list[str]) -> list[str]:
    """`--config a=1 b=2` as `--config a=1 --config b=2`."""
    found: list[str] = []
    for argument in args:
        further = len(found) > 1 and found[-2] in CONFIG and "=" in argument and not argument.startswith("-")
        found += [CONFIG[0], argument] if further else [argument]
    return found


def command(
    suites: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SUITE",
            help="Names or files, such as demo or my/suite.yaml; the default is that of config.yaml, or demo.",
            autocompletion=suite_names,
        ),
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(*CONFIG, metavar="KEY=VALUE...", help="Keys of config.yaml, such as num_samples=1000."),
    ] = None,
    options: Annotated[list[str] | None, typer.Option(SNAKEMAKE, hidden=True)] = None,
) -> None:
    """Train, sample, evaluate and report everything that SUITE names; finished results are kept.

    Results are written to ./results, and data to ./resources; open ./results/report/index.html. All cores and GPUs of
    this machine are used. Options of Snakemake follow after `--` and take precedence: `genbench run demo -- --dry-run`.

    Stop it at any time with Ctrl-C: the same command continues from the last save.
    """
    from genbench.reporting.stops import STOP
    from genbench.suites.workflow import how_to_go_on, run_workflow

    status = run_workflow(suites or [], config or [], options or [])
    if status and STOP.seen:
        typer.echo(f"genbench run: stopped, with nothing lost. {how_to_go_on(sys.argv[1:])}", err=True)
        raise typer.Exit(status)
    if status:
        how = how_to_go_on(sys.argv[1:], "When it is mended, go on with")
        typer.echo(f"genbench run: not finished, for the reason above. {how}", err=True)
        raise typer.Exit(status)
