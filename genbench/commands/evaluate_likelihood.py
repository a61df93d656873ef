"""Bits per dimension of held-out images: a diffusion model's variational bound on -log2 p, with its terms."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.machine.command_line import (
    batch_argument,
    positive_argument,
)
from genbench.machine.job import add_device_arguments, open_device


def steps_argument(text: str) -> int | None:
    """Parse a number of steps, or `all`, which is None."""
    return None if text == "all" else positive_argument(text)


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, metavar="FILE", help="model.safetensors or a snapshot")
    parser.add_argument("--images", required=True, metavar="FILE.npz", help="held-out images, from prepare_data.py")
    parser.add_argument("--limit", type=positive_argument, metavar="N", help="N of the images (default: all)")
    parser.add_argument(
        "--steps", type=steps_argument, metavar="S", help="how many of the model's T, evenly spaced (default: all)"
    )
    parser.add_argument("--batch-size", type=batch_argument, default=100)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    add_device_arguments(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write likelihood.json."""
    args = parser().parse_args(arguments)
    device = open_device(args)
    from genbench.files.artifacts import write_json
    from genbench.sampling.likelihood_record import evaluate_likelihood

    record = evaluate_likelihood(
        args.model, args.images, limit=args.limit, steps=args.steps, batch_size=args.batch_size, device=device
    )
    write_json(args.out, record.content())
