"""Compute the features of a set of images, real or generated, after checking that they are images."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.errors import InputError, reader_has
from genbench.machine.command_line import (
    batch_argument,
)
from genbench.machine.job import add_device_arguments, open_device


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", metavar="IMAGES", help="the same as --images")
    parser.add_argument("--images", metavar="PATH", help="a data set, samples, or a folder or archive of images")
    parser.add_argument("--extractor", required=True, metavar="NAME[:PATH]", help="such as classifier:FILE.safetensors")
    parser.add_argument("--out", type=Path, metavar="features.npz", help="the file of features to write")
    parser.add_argument(
        "--write-statistics",
        "--statistics",
        type=Path,
        metavar="FILE.npz",
        help="also write their mean and covariance, which pytorch-fid and clean-fid read",
    )
    parser.add_argument("--batch-size", type=batch_argument, help="images per batch (default: the extractor's)")
    parser.add_argument(
        "--weights-root",
        "--weights-dir",
        type=Path,
        metavar="DIR",
        help="folder of published weights, also for downloads (default: $GENBENCH_WEIGHTS, or resources/weights)",
    )
    parser.add_argument(
        "--any-weights",
        action="store_true",
        help="accept weights other than the published ones; the metrics are then named fd_NAME-unofficial, never fid",
    )
    add_device_arguments(parser)
    return parser


@reader_has("flags")
def main(arguments: Sequence[str] | None = None) -> None:
    """Write features.npz, and statistics if they are asked for."""
    args = parser().parse_args(arguments)
    if (args.images is None) == (args.path is None):
        raise InputError("--images: expected one path of images, as --images PATH or without the flag")
    if args.out is None and args.write_statistics is None:
        raise InputError("--out: is missing; expected --out features.npz, or --statistics FILE.npz, or both")
    device = open_device(args, args.out or args.write_statistics)
    from genbench.features.computation import extract_features

    extract_features(
        args.images or args.path,
        args.extractor,
        args.out,
        batch_size=args.batch_size,
        weights_root=args.weights_root,
        any_weights=args.any_weights,
        device=device,
        statistics=args.write_statistics,
    )
