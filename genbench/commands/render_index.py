"""Render the first page of a report, over every suite that has a page there."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.machine.checkout import ROOT


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True, metavar="DIR", help="the folder of the pages")
    parser.add_argument(
        "--template-dir",
        type=Path,
        metavar="DIR",
        default=ROOT / "report",
        help="default: report/",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write index.html."""
    args = parser().parse_args(arguments)
    from genbench.reporting.publish import publish_index

    publish_index(args.report, args.template_dir)
