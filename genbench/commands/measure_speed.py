"""Measure how fast a trained model samples, with each of several samplers. Run nothing else beside it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench import own_code
from genbench.errors import InputError, reader_has
from genbench.machine.command_line import (
    batch_argument,
    object_argument,
)
from genbench.machine.job import add_device_arguments, open_device


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, metavar="FILE", help="model.safetensors or a snapshot")
    parser.add_argument(
        "--samplers",
        type=object_argument,
        default={"default": {}},
        metavar="JSON",
        help="by name, options of the model's sampler, and optionally a quantisation scheme; or @file",
    )
    parser.add_argument(
        "--condition",
        type=Path,
        metavar="FILE",
        help="images or labels to start from, by seed, if needed: a prepared split, or label sets as JSON",
    )
    parser.add_argument("--batch-size", type=batch_argument, default=500, help="images per batch, at most")
    parser.add_argument("--out", type=Path, required=True, metavar="speed.json")
    add_device_arguments(parser, ranks=True)
    return parser


@reader_has("flags")
def main(arguments: Sequence[str] | None = None) -> None:
    """Write speed.json."""
    args = parser().parse_args(arguments)
    for name, options in args.samplers.items():
        if not isinstance(options, dict):
            raise InputError(f"--samplers: {name}: found {options!r}, expected options of the model's sampler")
    device = open_device(args)
    from genbench.files.artifacts import write_json
    from genbench.sampling.speed import measure_speed

    record = measure_speed(
        args.model,
        own_code.complete(args.samplers),
        batch_size=args.batch_size,
        condition=args.condition,
        device=device,
    )
    if record is not None:
        write_json(args.out, record.content())
