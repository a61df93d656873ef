"""Render the page of a suite, and its table as CSV."""

import argparse
from pathlib import Path

from genbench.machine.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preflight", type=Path, required=True, metavar="FILE.json", help="from preflight.py")
    parser.add_argument("--results", type=Path, metavar="DIR", help="results/{suite} (default: where FILE.json lies)")
    parser.add_argument("--out-dir", type=Path, required=True, metavar="DIR", help="where the pages are written")
    parser.add_argument(
        "--template-dir",
        type=Path,
        metavar="DIR",
        default=Path(__file__).parents[1] / "report",
        help="default: report/",
    )
    args = parser.parse_args()

    from genbench.reporting.publish import publish

    publish(args.preflight, args.results or args.preflight.parent, args.out_dir, args.template_dir)


if __name__ == "__main__":
    run(main)
