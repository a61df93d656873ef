"""Take samples that were drawn elsewhere into the pipeline: the same files as scripts/sample.py writes."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.machine.command_line import label_log, positive_argument


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in", dest="path", type=Path, required=True, metavar="PATH", help=".npz, folder or archive")
    parser.add_argument(
        "--limit", "--count", type=positive_argument, required=True, metavar="N", help="the first N images are taken"
    )
    parser.add_argument("--like", required=True, metavar="FILE.npz", help="a prepared data set, for the images' shape")
    parser.add_argument("--out", type=Path, required=True, metavar="samples.npz")
    parser.add_argument("--timing", type=Path, required=True, metavar="FILE.json", help="what is known of their making")
    parser.add_argument("--grid", type=Path, required=True, metavar="FILE.png", help="a picture of the first 100")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write samples.npz, its record and its picture."""
    args = parser().parse_args(arguments)
    label_log(args.out)
    from genbench.sampling.imported import import_samples

    import_samples(args.path, args.out, limit=args.limit, like=args.like, timing=args.timing, sheet=args.grid)
