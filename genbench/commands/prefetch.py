"""Download every data set and every file of weights that a suite needs, so that its jobs need no network.

Existing files are verified and not fetched again. For each file that is unavailable, one line says what to do.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from genbench.errors import InputError


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="SUITE", help="such as cifar10, or my/suite.yaml")
    parser.add_argument("--suite", nargs="+", default=[], help=argparse.SUPPRESS)  # the same, as rules give it
    parser.add_argument("--data-root", type=Path, default=Path("resources/downloads"), help="folder of downloads")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetch; the exit status is 2 if anything is unavailable."""
    args = parser().parse_args(arguments)
    from genbench.suites.load import find_suite
    from genbench.suites.prefetch import prefetch

    names = [*args.names, *args.suite]
    if not names:
        raise InputError("found no suite, expected at least one, such as cifar10")
    errors = prefetch([find_suite(name) for name in names], args.data_root)
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if errors:
        sys.exit(2)
