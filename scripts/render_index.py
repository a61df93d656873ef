"""Render the first page of a report, over every suite that has a page there."""

import argparse
from pathlib import Path

from genbench.machine.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True, metavar="DIR", help="where render_report.py wrote")
    parser.add_argument(
        "--template-dir",
        type=Path,
        metavar="DIR",
        default=Path(__file__).parents[1] / "report",
        help="default: report/",
    )
    args = parser.parse_args()

    from genbench.reporting.publish import publish_index

    publish_index(args.report, args.template_dir)


if __name__ == "__main__":
    run(main)
