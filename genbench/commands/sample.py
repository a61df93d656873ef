"""Draw images from a trained model: image i is a function of the model, the sampler's options and seed i."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench import own_code
from genbench.errors import reader_has
from genbench.machine.command_line import (
    batch_argument,
    object_argument,
    positive_argument,
    range_argument,
)
from genbench.machine.job import add_device_arguments, open_device


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, metavar="FILE", help="model.safetensors or a snapshot")
    parser.add_argument(
        "--sampler",
        type=object_argument,
        default={},
        metavar="JSON",
        help="options of the model's sampler, and optionally a quantisation scheme, such as bf16; or @file",
    )
    parser.add_argument(
        "--condition",
        type=Path,
        metavar="FILE",
        help="images or labels to start from, by seed, if needed: a prepared split, or label sets as JSON",
    )
    parser.add_argument("--seeds", type=range_argument, default=range(50_000), metavar="START:STOP")
    parser.add_argument(
        "--draws",
        type=positive_argument,
        help="how often to draw all label sets of --condition, one batch each time; replaces --seeds and --batch-size",
    )
    parser.add_argument("--batch-size", type=batch_argument, default=500)
    parser.add_argument("--out", type=Path, required=True, metavar="samples.npz")
    parser.add_argument("--timing", type=Path, metavar="FILE.json", help="seconds, images/s, NFE, device")
    parser.add_argument(
        "--grid", metavar="FILE.png", help="a picture of the first 100 samples, or one of each label set"
    )
    add_device_arguments(parser, ranks=True)
    return parser


@reader_has("flags")
def main(arguments: Sequence[str] | None = None) -> None:
    """Write samples.npz, and its record and its picture if they are asked for."""
    args = parser().parse_args(arguments)
    device = open_device(args)
    from genbench.sampling.draw import draw_samples

    draw_samples(
        args.model,
        args.out,
        own_code.complete(args.sampler),
        seeds=args.seeds,
        batch_size=args.batch_size,
        condition=args.condition,
        draws=args.draws,
        timing=args.timing,
        sheet=args.grid,
        device=device,
    )
