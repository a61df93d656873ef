"""Train the classifier of one data set, an evaluator where Inception does not fit, and measure its test accuracy."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.errors import reader_has
from genbench.machine.command_line import positive_argument, seed_argument, share_argument
from genbench.machine.job import add_device_arguments, open_device


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_flags(parser, held_out="images to measure its accuracy on", epochs=10, judged_on="test accuracy")
    parser.add_argument("--own", action="store_true", help="train even if genbench comes with one for these images")
    return parser


def add_flags(parser: argparse.ArgumentParser, *, held_out: str, epochs: int, judged_on: str) -> None:
    """Add the flags of a classifier's training."""
    parser.add_argument("--train", "--data-train", required=True, metavar="train.npz", help="from prepare_data.py")
    parser.add_argument("--test", "--data-test", required=True, metavar="test.npz", help=held_out)
    parser.add_argument("--out", type=Path, required=True, metavar="classifier.safetensors")
    parser.add_argument("--epochs", type=positive_argument, default=epochs)
    parser.add_argument("--seed", type=seed_argument, default=0)
    parser.add_argument("--min-accuracy", type=share_argument, metavar="SHARE", help=f"fail below this {judged_on}")
    add_device_arguments(parser)


@reader_has("flags")
def main(arguments: Sequence[str] | None = None) -> None:
    """Write classifier.safetensors."""
    args = parser().parse_args(arguments)
    device = open_device(args)
    from genbench.features.evaluators import make_classifier

    make_classifier(
        args.train,
        args.test,
        args.out,
        epochs=args.epochs,
        seed=args.seed,
        min_accuracy=args.min_accuracy,
        own=args.own,
        device=device,
    )
