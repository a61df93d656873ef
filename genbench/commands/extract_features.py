"""Compute the features of a set of images, real or generated, after checking that they are images."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.machine.command_line import positive_argument
from genbench.machine.job import add_device_arguments, open_device


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", required=True, metavar="FILE.npz", help="a prepared data set, or samples")
    parser.add_argument("--extractor", required=True, metavar="NAME[:PATH]", help="such as classifier:FILE.safetensors")
    parser.add_argument("--out", type=Path, required=True, metavar="features.npz")
    parser.add_argument("--batch-size", type=positive_argument, help="images at a time (default: the extractor's)")
    parser.add_argument(
        "--weights-root",
        "--weights-dir",
        type=Path,
        metavar="DIR",
        help="where published weights are, or are downloaded to (default: $GENBENCH_WEIGHTS, or resources/weights)",
    )
    parser.add_argument(
        "--any-weights",
        action="store_true",
        help="accept other weights than the published ones; the metrics are then named fd_NAME-unofficial, never fid",
    )
    add_device_arguments(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write features.npz."""
    args = parser().parse_args(arguments)
    device = open_device(args)
    from genbench.features.computation import extract_features

    extract_features(
        args.images,
        args.extractor,
        args.out,
        batch_size=args.batch_size,
        weights_root=args.weights_root,
        any_weights=args.any_weights,
        device=device,
    )
