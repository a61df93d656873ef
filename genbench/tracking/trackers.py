"""TensorBoard and wandb, each as a log of numbers and pictures at steps.

Whenever a log is opened, it is written again from its beginning, with the earlier values taken from the results. It
therefore never holds a step twice, nor a step that a resumed training has discarded.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from genbench.files.artifacts import atomic_path

FLUSH_SECONDS = 20  # TensorBoard sees a line after at most this time


class Tracker(ABC):
    """One log. Steps never decrease; several lines and pictures may have the same step."""

    @abstractmethod
    def line(self, step: int, values: Mapping[str, float], time: float) -> None:
        """Log numbers by name; time: when they were computed, in seconds since 1970."""

    @abstractmethod
    def picture(self, step: int, name: str, pixels: np.ndarray, time: float) -> None:
        """Log a picture, uint8 (H, W, 3)."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left."""


class TensorBoard(Tracker):
    """Event files in `folder`, which replace those that are there."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        # Readers that have the old files open discard their content when they read purge_step.
        self.writer = SummaryWriter(str(folder), purge_step=0, flush_secs=FLUSH_SECONDS)

    def line(self, step: int, values: Mapping[str, float], time: float) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step, walltime=time)

    def picture(self, step: int, name: str, pixels: np.ndarray, time: float) -> None:
        self.writer.add_image(name, pixels, step, walltime=time, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()


class Wandb(Tracker):
    """A run of wandb, below `folder`, in the project $WANDB_PROJECT or genbench; $WANDB_MODE can make it offline.

    own: the file that holds the run's id, with which it is continued; None begins a new run each time.
    """

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any], group: str, own: Path | None) -> None:
        wandb = import_module("wandb")  # not a dependency, not even of an extra
        known = own.read_text(encoding="utf-8") if own and own.exists() else uuid4().hex[:12]
        if own:
            with atomic_path(own) as temporary:
                temporary.write_text(known, encoding="utf-8")
        folder.mkdir(parents=True, exist_ok=True)
        self.wandb = wandb
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "genbench",
            dir=str(folder),
            id=known,
            name=name,
            group=group,
            config=dict(config),
            resume="allow",
        )
        self.first = self.run.step  # the server already has earlier steps of a run that is continued

    def line(self, step: int, values: Mapping[str, float], time: float) -> None:
        if step >= self.first:
            self.run.log(dict(values), step=step)

    def picture(self, step: int, name: str, pixels: np.ndarray, time: float) -> None:
        if step >= self.first:
            self.run.log({name: self.wandb.Image(pixels)}, step=step)

    def close(self) -> None:
        self.run.finish()


def open_tracker(
    name: str, folder: Path, run: str, config: Mapping[str, Any] | None = None, own: Path | None = None, part: str = ""
) -> Tracker:
    """The tracker `name` for the results in `folder`; `run` is their name.

    part: the part of them that is logged, such as a sampler; "" is the training itself. config, own: as for Wandb.
    """
    if name == "tensorboard":
        return TensorBoard(folder / "tensorboard" / part)
    return Wandb(folder, f"{run} {part}".strip(), config or {}, run, own)
