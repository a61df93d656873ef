"""Render the page of a suite, and its table as CSV."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.machine.checkout import ROOT


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preflight", type=Path, required=True, metavar="FILE.json", help="from preflight.py")
    parser.add_argument("--results", type=Path, metavar="DIR", help="results/{suite} (default: FILE.json's folder)")
    parser.add_argument(
        "--report", "--out-dir", type=Path, required=True, metavar="DIR", help="the folder of the pages"
    )
    parser.add_argument(
        "--template-dir",
        type=Path,
        metavar="DIR",
        default=ROOT / "report",
        help="default: report/",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="FILE.json",
        help="the record to compare with (default: the one that comes with genbench, if any)",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page, the plots and the tables."""
    args = parser().parse_args(arguments)
    from genbench.reporting.publish import publish

    publish(args.preflight, args.results or args.preflight.parent, args.report, args.template_dir, args.reference)
