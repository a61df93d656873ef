"""What a run shows of itself elsewhere while it goes on: losses, metrics and grids of samples, in TensorBoard or wandb.

trackers      the two, behind one face
run           a training that is tracked
evaluations   metrics of samples, once they are there

Off by default, and no part of what is trained: $GENBENCH_TRACK names the trackers, as `track` of config.yaml does.
Neither library is imported, and neither is torch, before something is logged.
"""

import argparse
import os
from collections.abc import Sequence
from importlib.util import find_spec

from genbench.errors import InputError, unknown_name
from genbench.machine.extras import install

VARIABLE = "GENBENCH_TRACK"  # names of trackers, with commas between them
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
    """The flag --track; by default what $GENBENCH_TRACK says."""
    names = [name for name in os.environ.get(VARIABLE, "").split(",") if name]
    parser.add_argument(
        "--track",
        nargs="*",
        default=names,
        metavar="NAME",
        help=f"also log to tensorboard or wandb, beside the results (default: ${VARIABLE}, or to neither)",
    )
