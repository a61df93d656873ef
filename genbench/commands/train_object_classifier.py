"""Train the classifier of a data set's objects, the evaluator of conditional models, and measure its own accuracy."""

import argparse
from collections.abc import Sequence

from genbench.commands.train_classifier import add_flags
from genbench.errors import reader_has
from genbench.machine.job import open_device


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_flags(parser, held_out="of other scenes than train.npz", epochs=4, judged_on="accuracy on test.npz")
    parser.add_argument(
        "--precision", choices=["fp32", "bf16"], default="fp32", help="bf16 is faster if the hardware supports it"
    )
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
