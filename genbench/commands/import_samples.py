"""Take samples that were drawn elsewhere into the pipeline: the same files as scripts/sample.py writes."""

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
        help="so many images are taken: a part chosen at random where there are more, always the same",
    )
    parser.add_argument("--like", required=True, metavar="FILE.npz", help="a prepared data set, for the images' shape")
    parser.add_argument("--out", type=Path, required=True, metavar="samples.npz")
    parser.add_argument("--timing", type=Path, required=True, metavar="FILE.json", help="what is known of their making")
    parser.add_argument("--grid", type=Path, required=True, metavar="FILE.png", help="a picture of the first 100")
    parser.add_argument("--channels", type=int, choices=[1, 3], help="convert every image to so many")
    parser.add_argument(
        "--image-size", type=positive_argument, metavar="N", help="resize every image to NxN, the data set's size"
    )
    parser.add_argument("--filter", choices=typing.get_args(Filter), help="of resizing (default: bicubic)")
    parser.add_argument("--key", metavar="NAME", help="which array of an npz (default: arr_0, samples or images)")
    parser.add_argument(
        "--layout", choices=typing.get_args(Axes), help="of an array (default: NHWC, unless the shape rules it out)"
    )
    parser.add_argument(
        "--range",
        type=interval_argument,
        metavar="[LOW, HIGH]",
        help="the values of an array that are black and white, such as [0, 1]",
    )
    parser.add_argument(
        "--hand-in", action="store_true", help="what is wrong with the images is their record, and no error"
    )
    parser.add_argument("--refused", metavar="REASON", help="of a hand-in: why its images are not taken")
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
