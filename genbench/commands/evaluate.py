"""Metrics of generated images against real ones, from the features of both. No network runs here, and no GPU."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench import own_code
from genbench.errors import InputError, reader_has, unknown_name
from genbench.machine.command_line import label_log, object_argument, positive_argument
from genbench.tracking import add_track_argument, check_trackers


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", nargs="+", required=True, metavar="features.npz", help="one for each extractor")
    parser.add_argument("--fake", nargs="+", required=True, metavar="features.npz", help="in the same order")
    parser.add_argument(
        "--test",
        "--holdout",
        nargs="+",
        metavar="features.npz",
        help="features of test images, in the same order, if --real has training images: finds memorised samples",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="metrics.json")
    parser.add_argument(
        "--write-statistics",
        type=Path,
        metavar="FILE.npz",
        help="write the parts of metrics that depend only on --real, with --fake as the test images of later runs",
    )
    parser.add_argument(
        "--statistics", type=Path, metavar="FILE.npz", help="read this file, which more than halves the time"
    )
    parser.add_argument(
        "--published",
        nargs="+",
        type=published_argument,
        default=[],
        metavar="EXTRACTOR=FILE.npz",
        help="published statistics (mu, sigma) of real images, and their extractor: adds the distance to them",
    )
    parser.add_argument(
        "--draws", type=positive_argument, default=1, help="number of draws, with different seeds, in --fake"
    )
    parser.add_argument(
        "--subset", type=positive_argument, metavar="N", help="judge N of the images of --fake, drawn at random"
    )
    parser.add_argument(
        "--metrics", nargs="+", default=[], metavar="FILE.py:NAME", help="your own metrics, besides genbench's"
    )
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME", help="metrics of genbench to leave out")
    parser.add_argument("--options", type=object_argument, default={}, help='JSON such as {"splits": 10}, or @file')
    parser.add_argument(
        "--neighbours", type=Path, metavar="FILE.png", help="draw samples above their nearest training images, from:"
    )
    parser.add_argument("--headline", default="", metavar="KEY", help="the metric whose features measure distance")
    parser.add_argument("--samples", metavar="samples.npz", help="the images of --fake, for --neighbours")
    parser.add_argument("--train", metavar="train.npz", help="the images of --real, for --neighbours")
    parser.add_argument(
        "--allow-too-few", action="store_true", help="leave out a metric that needs more images, rather than fail"
    )
    add_track_argument(parser)
    return parser


def published_argument(text: str) -> tuple[str, str]:
    """Parse EXTRACTOR=FILE."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected EXTRACTOR=FILE.npz")
    return name, path


@reader_has("flags")
def main(arguments: Sequence[str] | None = None) -> None:
    """Write metrics.json, and the picture of neighbours if it is asked for."""
    args = parser().parse_args(arguments)
    if args.neighbours and not (args.samples and args.train):
        raise InputError("--neighbours: found it without --samples and --train, expected all three")
    trackers = check_trackers(args.track)
    label_log(args.out)
    from genbench.features.evaluation import evaluate_files
    from genbench.files.artifacts import write_json
    from genbench.metrics import METRICS, load_metric

    for name in args.without:
        if name not in METRICS:
            raise unknown_name("--without", name, METRICS)
    chosen = [metric for name, metric in METRICS.items() if name not in args.without]
    record = evaluate_files(
        args.real,
        args.fake,
        args.test,
        draws=args.draws,
        subset=args.subset,
        options=args.options,
        allow_too_few=args.allow_too_few,
        metrics=[*chosen, *(load_metric(own_code.complete(name)) for name in args.metrics)],
        statistics=args.statistics,
        write_statistics=args.write_statistics,
        published=dict(args.published),
    )
    write_json(args.out, record.content())
    if args.neighbours:
        from genbench.sampling.sheets import draw_neighbours

        draw_neighbours(args.out, args.samples, args.train, args.neighbours, args.headline)
    if trackers:
        from genbench.tracking.evaluations import track_evaluation

        track_evaluation(trackers, args.out.parent)
