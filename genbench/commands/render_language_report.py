"""Render the page of a suite of language models, and its table as CSV."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.machine.command_line import object_argument


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=object_argument, required=True, help="a complete suite, as JSON, or @file")
    parser.add_argument("--results", type=Path, required=True, metavar="DIR", help="results/{suite}")
    parser.add_argument("--report", type=Path, required=True, metavar="DIR", help="the folder of the pages")
    parser.add_argument(
        "--template-dir",
        type=Path,
        metavar="DIR",
        default=Path(__file__).parents[2] / "report",
        help="default: report/",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page, the table and the summary."""
    args = parser().parse_args(arguments)
    from genbench.reporting.language import publish_language

    publish_language(args.suite, args.results, args.report, args.template_dir)
