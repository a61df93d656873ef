"""What a job computes on: its flags, and its device once there is a free one."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.machine.command_line import label_log, threads_argument
from genbench.machine.devices import claim_gpu, pick_device

if TYPE_CHECKING:
    import torch


def add_device_arguments(parser: argparse.ArgumentParser, ranks: bool = False) -> None:
    """Add `--threads` and `--device`, for `open_device`. ranks: whether several of them may share the job."""
    of = ", of all ranks together" if ranks else ""
    parser.add_argument("--threads", type=threads_argument, help=f"CPU threads{of} (default: torch's)")
    parser.add_argument(
        "--device",
        choices=["auto", "cuda", "mps", "cpu"],
        default="auto",
        help="auto takes a GPU if there is one (mps: Apple's)",
    )


def open_device(args: argparse.Namespace, out: Path | None = None) -> "torch.device":
    """The device of a job that writes `out`, or `args.out`, after which its log is named; waits while GPUs are taken.

    Imports torch, which nothing may do before. Raises InputError as `pick_device` does.
    """
    label_log(out or args.out)
    claim_gpu(args.device)
    return pick_device(args.device, args.threads)
