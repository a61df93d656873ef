"""A training that is tracked. Its weights are bitwise those of an untracked one: grids are drawn from copies.

Everything that was logged is also in the folder of the training, in history.jsonl and grid-STEP.png, from which each
start writes the log again. A training that was stopped, or was tracked only later, therefore has one complete curve.
"""

import copy
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from genbench.data import choose
from genbench.errors import InputError
from genbench.images import to_images, to_pixels
from genbench.machine.ranks import Ranks
from genbench.models import Model
from genbench.processes.noise import Noise
from genbench.sampling.grids import grid, save_png
from genbench.tracking.trackers import Tracker, open_tracker
from genbench.training.run import Task, TrainingRun

log = logging.getLogger(__name__)

GRIDS = 10  # over a training, besides those of its snapshots
IMAGES = 64  # on a grid
FEW_STEPS: Mapping[str, Any] = {"method": "ddim", "steps": 50}  # for models that take more by default
OWN_ID = "wandb-id"  # moves with the other files when another training takes the folder
KINDS = ("losses", "metrics", "validation", "lr")


def scalars(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line of history.jsonl by name: losses/denoiser, lr/denoiser, images_per_second."""
    values = {f"{kind}/{name}": float(value) for kind in KINDS for name, value in line.get(kind, {}).items()}
    return values | {key: float(line[key]) for key in ("images_per_second",) if key in line}


def preview(model: Model) -> dict[str, Any]:
    """Options with which the model draws a grid: its defaults, or 50 steps of DDIM if the defaults take more."""
    walk = model.describe_walk({})
    try:
        return model.check_sampler(FEW_STEPS) if walk and walk["steps"] > FEW_STEPS["steps"] else {}
    except InputError:  # a family without them
        return {}


class TrackedRun(TrainingRun):
    """A training run whose first rank also logs the history, and ten grids of samples on the way."""

    def __init__(self, task: Task, folder: Path, team: Ranks, trackers: Sequence[str]) -> None:
        super().__init__(task, folder, team)
        steps = task.config.num_steps
        self.grid_steps = {math.ceil(steps * number / GRIDS) for number in range(1, GRIDS + 1)} | set(task.snapshots)
        self.trackers: list[Tracker] = []
        if team.first:
            if not self.trainer.step:
                (folder / OWN_ID).unlink(missing_ok=True)  # not the run that had this folder before
            self.trackers = [self._open(name) for name in trackers]
            self._replay()
            self.history.watch = self._log

    def go(self, save_seconds: float) -> None:
        try:
            super().go(save_seconds)
        finally:
            for tracker in self.trackers:
                tracker.close()

    def _open(self, name: str) -> Tracker:
        results = self.folder.parent  # such as results/demo/gan/seed0
        run = "/".join(results.absolute().parts[-3:])
        config = {key: self.task.spec[key] for key in ("model", "training")} | {"seed": self.task.seed}
        return open_tracker(name, results, run, config, self.folder / OWN_ID)

    def _log(self, line: Mapping[str, Any]) -> None:
        moment = self._moment(line.get("seconds"))
        for tracker in self.trackers:
            tracker.line(line["step"], scalars(line), moment)

    def _moment(self, seconds: float | None) -> float:
        """The time at which the training would have been `seconds` old, had it never stopped; None is now."""
        return time.time() - (0.0 if seconds is None else self.seconds() - seconds)

    def _replay(self) -> None:
        """Log the lines and grids of the steps before this start."""
        found: dict[int, list[Mapping[str, Any] | Path]] = {}
        for text in self.history.path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            found.setdefault(line["step"], []).append(line)
        for path in self.folder.glob("grid-*.png"):
            if (step := int(path.stem.removeprefix("grid-"))) > self.trainer.step:
                path.unlink()
            else:
                found.setdefault(step, []).append(path)
        seconds = None
        for step in sorted(found):
            for entry in found[step]:
                if isinstance(entry, Path):
                    with Image.open(entry) as picture:
                        self._log_grid(step, np.array(picture), self._moment(seconds))
                else:
                    seconds = entry.get("seconds", seconds)
                    self._log({**entry, "seconds": seconds})

    def _log_grid(self, step: int, pixels: np.ndarray, moment: float) -> None:
        for tracker in self.trackers:
            tracker.picture(step, "samples", pixels, moment)

    def _advance(self) -> None:
        super()._advance()
        if self.trackers and self.trainer.step in self.grid_steps:
            started = time.monotonic()
            try:
                pixels = self._draw()
            except Exception as error:  # such as too little memory: no reason to stop a training
                log.warning("no grid of samples at step %d: %s", self.trainer.step, " ".join(str(error).split())[:200])
            else:
                save_png(self.folder / f"grid-{self.trainer.step}.png", pixels)
                self._log_grid(self.trainer.step, pixels, time.time())
            self.started += time.monotonic() - started  # does not count as training time

    def _draw(self) -> np.ndarray:
        """The first samples of the model as it would be saved now, eight per row, as uint8 (H, W, 3)."""
        model, device = copy.deepcopy(self.trainer.result).eval(), self.task.device
        options, seeds = preview(model), torch.arange(IMAGES, device=device)
        with torch.no_grad():
            model.after_training(self.batches.in_order())
            drawn = model.sample(Noise(seeds), self._given(model.condition(options)), **options)
        return grid(to_pixels(drawn).cpu().numpy(), columns=8)

    def _given(self, kind: str) -> torch.Tensor | None:
        """What the samples start from: labels or images of the training set, always the same, or nothing."""
        if kind == "nothing":
            return None
        chosen = np.resize(choose(len(self.task.images)), IMAGES)
        rows = torch.from_numpy((self.task.images if kind == "images" else self.task.labels)[chosen])
        rows = rows.to(self.task.device)
        return to_images(rows) if kind == "images" else rows
