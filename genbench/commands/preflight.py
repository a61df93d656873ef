"""Check suites: build, run and sample every model once without memory or data, and say what each will cost."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.machine.command_line import object_argument


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", required=True, nargs="+", metavar="FILE", help="such as suites/demo.yaml")
    parser.add_argument(
        "--overrides", type=object_argument, default={}, help='JSON such as {"num_samples": 1000}, or @file'
    )
    parser.add_argument("--data-root", type=Path, default=Path("resources/downloads"), help="folder of downloads")
    parser.add_argument("--results", type=Path, metavar="DIR", help="write DIR/SUITE/preflight.json")
    parser.add_argument("--check", action="store_true", help="only check, in seconds: run no model, download nothing")
    parser.add_argument("--device", choices=["auto", "cuda", "mps", "cpu"], default="auto", help="what jobs compute on")
    parser.add_argument(
        "--elsewhere",
        choices=["jobs", "files"],
        default="",
        help="what is on other machines: with jobs, memory is not checked; with files, disks are not checked either",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Show each suite's costs, and write them if asked to; or only check the suites."""
    args = parser().parse_args(arguments)
    from genbench.suites.cost_table import check_files, preflight_files, show

    options = {key: vars(args)[key] for key in ("data_root", "device", "elsewhere")}
    if args.check:
        check_files(args.suite, args.overrides, **options)
        return
    for plan in preflight_files(args.suite, args.overrides, results=args.results, **options):
        show(plan)
