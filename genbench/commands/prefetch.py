"""Download every data set and every file of weights that a suite needs, so that its jobs need no network.

What is there already is verified, and not fetched again. For every file that can't be had one line says what to do.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, nargs="+", required=True, help="YAML files of suites")
    parser.add_argument("--data-root", type=Path, default=Path("resources/downloads"), help="where downloads are kept")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetch, and end with status 2 where something can't be had."""
    args = parser().parse_args(arguments)
    from genbench.suites.prefetch import prefetch

    errors = prefetch(args.suite, args.data_root)
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if errors:
        sys.exit(2)
