"""Train the classifier of a data set's objects, the evaluator of conditional models, and measure its own accuracy."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.errors import reader_has
from genbench.machine.command_line import positive_argument, seed_argument, share_argument
from genbench.machine.job import add_device_arguments, open_device


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", "--data-train", required=True, metavar="train.npz", help="from prepare_data.py")
    parser.add_argument(
        "--test", "--data-test", required=True, metavar="test.npz", help="of other scenes than train.npz"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="object_classifier.safetensors")
    parser.add_argument("--epochs", type=positive_argument, default=4)
    parser.add_argument("--seed", type=seed_argument, default=0)
    parser.add_argument(
        "--precision", choices=["fp32", "bf16"], default="fp32", help="bf16 is faster where there is hardware"
    )
    parser.add_argument(
        "--min-accuracy", type=share_argument, metavar="SHARE", help="fail below this accuracy on test.npz"
    )
    add_device_arguments(parser)
    return parser


@reader_has("flags")
def main(arguments: Sequence[str] | None = None) -> None:
    """Write object_classifier.safetensors."""
    args = parser().parse_args(arguments)
    device = open_device(args)
    from genbench.features.evaluators import make_object_classifier

    make_object_classifier(
        args.train,
        args.test,
        args.out,
        epochs=args.epochs,
        seed=args.seed,
        precision=args.precision,
        min_accuracy=args.min_accuracy,
        device=device,
    )
