"""Metrics of samples in the log of their training, at the step of the checkpoint that drew them."""

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from genbench.errors import InputError
from genbench.files.locks import locked
from genbench.records.metrics import Metrics
from genbench.records.objects import Objects
from genbench.records.record import read_record
from genbench.records.training import Training
from genbench.tracking.trackers import open_tracker

log = logging.getLogger(__name__)

FINAL = "final"


def track_evaluation(trackers: Sequence[str], draw: Path) -> None:
    """Log the metrics in the folder of a draw, RUN/CHECKPOINT/SAMPLER. Does nothing for other folders.

    TensorBoard has a run for each sampler, RUN/tensorboard/SAMPLER, which is written again with the metrics of all
    checkpoints; wandb has a new run each time, in the training's group.
    """
    run, sampler, record = draw.parents[1], draw.name, draw.parents[1] / "training.json"
    if not trackers or not record.exists() or step_of(draw, 0) is None:
        return
    steps = read_record(record, Training).steps or 0
    name = "/".join(run.absolute().parts[-3:])
    for tracker in trackers:
        draws = sorted(run.glob(f"*/{sampler}")) if tracker == "tensorboard" else [draw]
        with locked(run / "tensorboard" / f".{sampler}.lock", f"logging {sampler}"):
            found = sorted((step, path) for path in draws if (step := step_of(path, steps)) is not None)
            opened = open_tracker(tracker, run, name, part=sampler)
            for step, path in found:
                if values := dict(metrics_of(path)):
                    opened.line(step, values, time.time())
                if (sheet := path / "grid.png").exists():
                    with Image.open(sheet) as picture:
                        opened.picture(step, "samples", np.array(picture.convert("RGB")), time.time())
            opened.close()


def step_of(draw: Path, steps: int) -> int | None:
    """The step of a draw's checkpoint, of a training of `steps`; None if the folder is not a checkpoint's."""
    checkpoint = draw.parent.name
    if checkpoint == FINAL:
        return steps
    number = checkpoint.removeprefix("step-")
    return int(number) if checkpoint.startswith("step-") and number.isdecimal() else None


def metrics_of(draw: Path) -> Iterator[tuple[str, float]]:
    """Every metric of a draw by its name in the log, those of objects with the name of their label sets."""
    try:
        if (path := draw / "metrics.json").exists():
            for key, metric in read_record(path, Metrics).metrics.items():
                yield f"evaluation/{key}", metric.value
        for path in sorted(draw.glob("objects/*.json")):
            for key, metric in read_record(path, Objects).metrics.items():
                yield f"evaluation/{key}_{path.stem}", metric.value
    except InputError as error:  # of an older run, or half written: the report also says so
        log.warning("left out of the log: %s", error)
