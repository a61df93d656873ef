"""Prepare one data set: train.npz, test.npz, and info.json, which says what is in them and where it came from."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench import own_code
from genbench.machine.command_line import object_argument


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=object_argument, required=True, help="JSON of the entry, or @file")
    parser.add_argument("--data-root", type=Path, default=Path("resources/downloads"), help="where downloads are kept")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the three files."""
    args = parser().parse_args(arguments)
    from genbench.data.prepared import prepare_data

    prepare_data(own_code.complete(args.dataset), args.out, args.data_root)
