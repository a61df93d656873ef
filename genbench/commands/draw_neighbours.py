"""Draw samples, and below each its nearest training image, which makes memorised samples visible."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--evaluation", "--metrics", type=Path, required=True, metavar="metrics.json", help="made with --test"
    )
    parser.add_argument("--headline", required=True, metavar="KEY", help="the metric whose features measure distance")
    parser.add_argument("--samples", required=True, metavar="samples.npz")
    parser.add_argument("--train", required=True, metavar="train.npz", help="the training images")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    args = parser().parse_args(arguments)
    from genbench.sampling.sheets import draw_neighbours

    draw_neighbours(args.evaluation, args.samples, args.train, args.out, args.headline)
