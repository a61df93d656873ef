"""The device of a job: its flags, and the device itself once one is free."""

import argparse
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.machine.command_line import label_log, threads_argument
from genbench.machine.devices import claim_gpu, pick_device

if TYPE_CHECKING:
    import torch


def add_device_arguments(parser: argparse.ArgumentParser, ranks: bool = False) -> None:
    """Add `--threads` and `--device`, for `open_device`. ranks: whether several ranks may share the job."""
    of = ", of all ranks together" if ranks else ""
    parser.add_argument("--threads", type=threads_argument, help=f"CPU threads{of} (default: torch's)")
    parser.add_argument(
        "--device",
        choices=["auto", "cuda", "mps", "cpu"],
        default="auto",
        help="auto takes a GPU if there is one (mps: Apple's)",
    )


def open_device(args: argparse.Namespace, out: Path | None = None) -> "torch.device":
    """The device of a job that writes `out`, or `args.out`, which also labels its log; waits while all GPUs are taken.

    Torch must not be imported before this call. Raises InputError as `pick_device` does.
    """
    label_log(out or args.out)
    claim_gpu(args.device)
    _import_torch()
    return pick_device(args.device, args.threads)


def _import_torch() -> None:
    """Import torch without looking for garbage among its half million objects, now or later: they all stay."""
    if "torch" in sys.modules:
        return
    gc.disable()
    import torch  # noqa: F401

    gc.enable()
    gc.freeze()
