"""Live logs of a run in TensorBoard or wandb: losses, metrics and grids of samples.

trackers      TensorBoard and wandb, with one interface
run           a training that is tracked
evaluations   metrics of samples, once they exist

Off by default, and without effect on the training: $GENBENCH_TRACK names the trackers, as `track` of config.yaml does.
Neither library, nor torch, is imported before something is logged.
"""

import argparse
import os
from collections.abc import Sequence
from importlib.util import find_spec

from genbench.errors import InputError, unknown_name
from genbench.machine.extras import install

VARIABLE = "GENBENCH_TRACK"  # names of trackers, separated by commas
REMEDIES = {
    "tensorboard": install("track"),
    "wandb": "pip install wandb; in a checkout, uv pip install wandb",
}


def check_trackers(names: Sequence[str]) -> list[str]:
    """The names, each once. Raises InputError for one that is unknown, or whose library is not installed."""
    for name in names:
        if name not in REMEDIES:
            raise unknown_name("track", name, REMEDIES)
        if find_spec(name) is None:
            raise InputError(f"track: found {name!r}, which is not installed; expected it from: {REMEDIES[name]}")
    return list(dict.fromkeys(names))


def add_track_argument(parser: argparse.ArgumentParser) -> None:
    """Add the flag --track; its default is $GENBENCH_TRACK."""
    names = [name for name in os.environ.get(VARIABLE, "").split(",") if name]
    parser.add_argument(
        "--track",
        nargs="*",
        default=names,
        metavar="NAME",
        help=f"also log to tensorboard or wandb, beside the results (default: ${VARIABLE}, or to neither)",
    )
