"""`genbench list`: what a suite can name."""

import json
from typing import Annotated

import typer

from genbench.errors import unknown_name

KINDS = ("suites", "models", "samplers", "extractors", "metrics", "datasets")


def command(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="|".join(KINDS),
            help="Which names; without it, all.",
            autocompletion=lambda incomplete: [kind for kind in KINDS if kind.startswith(incomplete)],
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON, for programs.")] = False,
) -> None:
    """List the suites, and the names that your own suite can use: models, samplers, extractors, metrics, data sets."""
    if kind is not None and kind not in KINDS:
        raise unknown_name("genbench list", kind, KINDS)
    from genbench.suites.listing import list_names

    found = {each: list_names(each) for each in ([kind] if kind else KINDS)}
    if as_json:
        typer.echo(json.dumps(found[kind] if kind else found, indent=2, ensure_ascii=False))
        return
    from genbench.commands.table import show_rows

    for title, rows in found.items():
        show_rows(rows, title="" if kind else title)
