"""`genbench doctor`: whether this machine, or a cluster, can run a suite."""

from typing import Annotated

import typer


def command(
    profile: Annotated[
        str | None, typer.Option(help="Also check the cluster of this profile, such as slurm, with a small job.")
    ] = None,
) -> None:
    """Check driver, free disk and quota, and mpiexec; with --profile also a cluster's partitions, and a node's shared
    folder, GPU and mpiexec. Each line with a problem says what to do; the exit status is then 1."""
    from genbench.machine.doctor import examine

    well = True
    for check in examine(profile):
        well = well and not check.mend
        typer.echo(f"{'mend' if check.mend else 'ok':4}  {check.name}: {check.found}")
        if check.mend:
            typer.echo(f"      {check.mend}")
    raise typer.Exit(0 if well else 1)
