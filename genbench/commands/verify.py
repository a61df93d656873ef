"""`genbench verify`: results beside a record, row by row."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from genbench.references.verdicts import Verification


def command(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="The results of a suite, such as results/demo; or a record.")
    ],
    record: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RECORD]", help="The record to compare with; by default the one that comes with genbench."
        ),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Key of the metric to judge by; by default the headline.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for programs.")] = False,
) -> None:
    """State for every row of RESULTS whether it was reproduced, and if not, what differs upstream.

    *identical*: the samples are bitwise the same. *reproduced*: the numbers are no further apart than chance explains,
    over training seeds. *undecided*: they are further apart, but both have only one training, which is not the same, or
    the networks that give the features differ. *absent*: only one of the two has the row. The exit status is 1 if any
    row *differs*.
    """
    from genbench.references.verdicts import DIFFERS, verify
    from genbench.reporting.recorded import load_record, reference_of

    ours = load_record(results)
    found = verify(ours, reference_of(ours.suite, record), metric)
    if as_json:
        typer.echo(json.dumps(as_plain(found), indent=2, ensure_ascii=False))
    else:
        show(found)
    if found.count(DIFFERS):
        raise typer.Exit(1)


def as_plain(found: "Verification") -> dict[str, object]:
    """A verification as JSON."""
    rows = [
        {
            "row": row.name,
            "verdict": row.verdict,
            "ours": row.ours,
            "record": row.theirs,
            "difference": row.difference.size if row.difference else None,
            "p": row.difference.p if row.difference else None,
            "notes": list(row.notes),
            "causes": list(row.causes),
        }
        for row in found.rows
    ]
    return {"suite": found.suite, "metric": found.metric, "summary": found.sentence, "rows": rows}


def show(found: "Verification") -> None:
    """Print the table, the causes and the summary."""
    from genbench.commands.table import show_rows
    from genbench.reporting.numerals import significant

    def text(value: float | None) -> str:
        return "–" if value is None else significant(value)

    show_rows(
        [
            {
                "row": row.name,
                "verdict": row.verdict,
                found.metric: text(row.ours),
                "record": text(row.theirs),
                "difference": "–" if row.relative is None else f"{row.relative:+.1%}",
                "why": "; ".join([*row.notes, *found.own(row)]),
            }
            for row in found.rows
        ]
    )
    for cause in found.shared:
        typer.echo(f"every row: {cause}")
    typer.echo(found.sentence)
