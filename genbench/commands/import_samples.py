"""Import samples from elsewhere into the pipeline, as the same files that scripts/sample.py writes."""

import argparse
import typing
from collections.abc import Sequence
from pathlib import Path

from genbench.data.as_found import Axes
from genbench.data.decoding import Filter
from genbench.errors import reader_has
from genbench.machine.command_line import interval_argument, label_log, positive_argument


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--in", dest="path", type=Path, required=True, metavar="PATH", help=".npz, .npy, folder or archive"
    )
    parser.add_argument(
        "--limit",
        "--count",
        type=positive_argument,
        required=True,
        metavar="N",
        help="the number of images to use: if there are more, a random subset, always the same one",
    )
    parser.add_argument("--like", required=True, metavar="FILE.npz", help="a prepared data set, for the images' shape")
    parser.add_argument("--out", type=Path, required=True, metavar="samples.npz")
    parser.add_argument("--timing", type=Path, required=True, metavar="FILE.json", help="the record of their origin")
    parser.add_argument("--grid", type=Path, required=True, metavar="FILE.png", help="a picture of the first 100")
    parser.add_argument("--channels", type=int, choices=[1, 3], help="convert every image to this many")
    parser.add_argument(
        "--image-size", type=positive_argument, metavar="N", help="resize every image to NxN, the data set's size"
    )
    parser.add_argument("--filter", choices=typing.get_args(Filter), help="filter for resizing (default: bicubic)")
    parser.add_argument("--key", metavar="NAME", help="which array of an npz (default: arr_0, samples or images)")
    parser.add_argument(
        "--layout",
        choices=typing.get_args(Axes),
        help="axes of an array (default: NHWC, unless the shape rules it out)",
    )
    parser.add_argument(
        "--range",
        type=interval_argument,
        metavar="[LOW, HIGH]",
        help="the values of black and white in an array, such as [0, 1]",
    )
    parser.add_argument("--hand-in", action="store_true", help="record any fault of the images instead of failing")
    parser.add_argument("--refused", metavar="REASON", help="for a hand-in: why its images are refused")
    return parser


@reader_has("flags")
def main(arguments: Sequence[str] | None = None) -> None:
    """Write samples.npz, its record and its picture."""
    args = parser().parse_args(arguments)
    label_log(args.out)
    from genbench.features.guards import check_images
    from genbench.sampling.imported import import_samples

    import_samples(
        args.path,
        args.out,
        limit=args.limit,
        like=args.like,
        timing=args.timing,
        sheet=args.grid,
        channels=args.channels,
        image_size=args.image_size,
        filter=args.filter,
        key=args.key,
        layout=args.layout,
        range=args.range,
        hand_in=args.hand_in,
        refused=args.refused,
        check=check_images if args.hand_in else None,
    )
