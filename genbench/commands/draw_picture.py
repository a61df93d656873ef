"""Draw one of a model's own pictures, such as reconstructions, with ten images per row."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.machine.command_line import json_argument
from genbench.machine.job import add_device_arguments, open_device


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, metavar="FILE", help="model.safetensors or a snapshot")
    parser.add_argument(
        "--picture", required=True, metavar="NAME", help="a name in the `pictures` of the model's class"
    )
    parser.add_argument("--images", required=True, metavar="FILE.npz", help="held-out images, from prepare_data.py")
    parser.add_argument(
        "--labels",
        type=json_argument,
        metavar="JSON",
        help='lists of objects such as [["red cube", "gray sphere"]], used in turn instead of the images\' own',
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    add_device_arguments(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    args = parser().parse_args(arguments)
    device = open_device(args)
    from genbench.sampling.picture import draw_picture

    draw_picture(args.model, args.picture, args.images, args.out, labels=args.labels, device=device)
