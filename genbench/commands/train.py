"""Train one model of a suite; stop and run again to continue."""

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from genbench import own_code
from genbench.machine.command_line import object_argument, seconds_argument, seed_argument
from genbench.machine.job import add_device_arguments, open_device
from genbench.tracking import add_track_argument, check_trackers


def steps_argument(text: str) -> list[int]:
    """Parse training steps, separated by commas; "" is an empty list."""
    steps = [step for step in text.split(",") if step]
    if not all(step.isdecimal() for step in steps):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected STEP,STEP,... such as 1000,2000")
    return [int(step) for step in steps]


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=object_argument, required=True, help='JSON {"model": ..., "training": ...} or @file'
    )
    parser.add_argument(
        "--train", "--data", required=True, metavar="train.npz", help="training images, from prepare_data.py"
    )
    parser.add_argument("--test", "--held-out", metavar="test.npz", help="held-out images for training: validate_every")
    parser.add_argument("--first-stage", type=Path, metavar="model.safetensors", help="for models of two stages")
    parser.add_argument("--seed", type=seed_argument, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="model.safetensors")
    parser.add_argument(
        "--snapshots",
        type=steps_argument,
        default=[],
        metavar="STEP,STEP,...",
        help="steps at which to keep the model as well",
    )
    parser.add_argument(
        "--save-seconds",
        type=seconds_argument,
        default=float(os.environ.get("GENBENCH_SAVE_SECONDS", "60")),
        help="save at least this often while training",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="start from the beginning even if there is a save to continue from"
    )
    add_track_argument(parser)
    add_device_arguments(parser, ranks=True)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write model.safetensors, and beside it the training's history, record and snapshots."""
    args = parser().parse_args(arguments)
    trackers = check_trackers(args.track)
    device = open_device(args)
    from genbench.training.folder import train_model

    tracked: dict[str, Any] = {}
    if trackers:
        from genbench.tracking.run import TrackedRun

        tracked["run"] = partial(TrackedRun, trackers=trackers)

    train_model(
        own_code.complete(args.spec),
        args.train,
        args.out,
        test=args.test,
        first_stage=args.first_stage,
        seed=args.seed,
        snapshots=args.snapshots,
        save_seconds=args.save_seconds,
        fresh=args.fresh,
        device=device,
        **tracked,
    )
