"""Compare samples with those that another network of the same model drew from the same seeds, image by image."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, metavar="samples.npz", help="of the quantised network")
    parser.add_argument("--reference", type=Path, required=True, metavar="samples.npz", help="of the float32 network")
    parser.add_argument("--out", type=Path, required=True, metavar="paired.json")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write paired.json."""
    args = parser().parse_args(arguments)
    from genbench.files.artifacts import write_json
    from genbench.sampling.comparison import compare_samples

    write_json(args.out, compare_samples(args.samples, args.reference).content())
