"""`genbench record`: the results of a suite as one small file, for others to compare theirs with."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="The results of a suite, such as results/demo.")],
    out: Annotated[Path, typer.Option(metavar="FILE.json", help="Where to write the record.")],
    name: Annotated[
        str | None,
        typer.Option(help="Who made the results, for pages over several records; by default nobody is named."),
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Keep rows of FILE.json that RESULTS lacks, for a suite run piece by piece.")
    ] = False,
) -> None:
    """Write the record of RESULTS: every number of the final models, with seeds, hashes, versions and processors.

    It names no host, user or path. `genbench verify` compares results with it, and `genbench merge` compares several.
    """
    from genbench.reporting.recorded import write_record

    record, left_out = write_record(results, out, name, add)
    for why, rows in left_out.items():
        typer.echo(f"left out: {', '.join(rows)}: {why}", err=True)
    typer.echo(f"{out}: {len(record.draws)} rows of {record.suite}, {out.stat().st_size / 1000:.0f} kB")
