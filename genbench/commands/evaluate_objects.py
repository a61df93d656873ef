"""Count with a classifier how many of the requested objects the samples of a conditional model show."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench.errors import reader_has
from genbench.machine.command_line import positive_argument
from genbench.machine.job import add_device_arguments, open_device
from genbench.tracking import add_track_argument, check_trackers


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--evaluator", required=True, metavar="FILE", help="from train_object_classifier.py, or the course's .pth"
    )
    parser.add_argument("--samples", required=True, metavar="samples.npz", help="an image for each label set, in order")
    parser.add_argument("--labels", required=True, metavar="FILE.json", help="label sets; or test, or new_test")
    parser.add_argument(
        "--draws",
        type=positive_argument,
        default=1,
        help="number of draws in the samples, one after another",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="accuracy.json")
    add_track_argument(parser)
    add_device_arguments(parser)
    return parser


@reader_has("flags")
def main(arguments: Sequence[str] | None = None) -> None:
    """Write accuracy.json."""
    args = parser().parse_args(arguments)
    trackers = check_trackers(args.track)
    device = open_device(args)
    from genbench.features.object_evaluation import evaluate_objects
    from genbench.files.artifacts import write_json

    record = evaluate_objects(args.evaluator, args.samples, args.labels, draws=args.draws, device=device)
    write_json(args.out, record.content())
    if trackers:
        from genbench.tracking.evaluations import track_evaluation

        track_evaluation(trackers, args.out.parents[1])
