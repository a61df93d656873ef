"""`genbench merge`: records of several people or machines on one page."""

from pathlib import Path
from typing import Annotated

import typer

from genbench.machine.checkout import ROOT


def command(
    records: Annotated[
        list[Path],
        typer.Argument(metavar="RECORD...", help="Two records or more, of one suite, such as a.json b.json."),
    ],
    out: Annotated[Path, typer.Option(metavar="PAGE.html", help="Where to write the page.")],
    metric: Annotated[str | None, typer.Option(help="Key of the metric to show; by default the headline.")] = None,
) -> None:
    """Write one page over several RECORDs: each row with who made it and where, and with whom it disagrees."""
    from genbench.reporting.merged import merge

    merged = merge(records, out, ROOT / "report", metric)
    typer.echo(f"{out}: {merged.sentence}")
