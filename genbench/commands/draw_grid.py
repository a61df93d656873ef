"""Draw 100 images of a set, in a fixed random order, as one picture."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, metavar="FILE.npz", help="a split from prepare_data.py")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    args = parser().parse_args(arguments)
    from genbench.sampling.sheets import draw_grid

    draw_grid(args.images, args.out)
