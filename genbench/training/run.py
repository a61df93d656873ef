"""The run of one training in its folder: from its last save to its end, saved as it goes."""

import copy
import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genbench import own_code
from genbench.data import ImageSet
from genbench.errors import InputError, place
from genbench.files import weights
from genbench.files.artifacts import sha256_json, write_json
from genbench.machine import provenance
from genbench.machine.devices import device_label, synchronise
from genbench.machine.distributed import copy_from_first, synchronise_batch_norm
from genbench.machine.precision import Precision
from genbench.machine.progress import Progress, clock
from genbench.machine.ranks import Ranks
from genbench.machine.signals import stop_on_signal
from genbench.models import Model, build, count_parameters
from genbench.records.provenance import Provenance
from genbench.records.training import Training
from genbench.schema import without_defaults
from genbench.tensors import image_layout
from genbench.training.batches import Batches, Slice
from genbench.training.history import History
from genbench.training.recipe import TrainConfig
from genbench.training.trainer import Trainer

log = logging.getLogger(__name__)

STATE = "state.safetensors"  # the last save, in the folder of a training
RECIPE_BEFORE_0_2 = frozenset(
    "steps batch_size accumulate precision ema_decay clip_norm flip compile sync_batch_norm log_every validate_every "
    "optimizer optimizers".split()
)


@dataclass(frozen=True)
class Task:
    """What is trained: all that its weights depend on, besides the code.

    spec: {"model": entry, "training": entry}; config: the latter, read, with a precision in the place of auto before
    anything is trained. images: uint8 (N, H, W, C), with their hash.
    held_out: what `validate_every` looks at. first_stage: tensors and record of the model that this one builds upon.
    flops: what a training with a budget takes, where its steps are known.
    """

    spec: Mapping[str, Any]
    config: TrainConfig
    images: np.ndarray
    labels: np.ndarray
    data_sha256: str
    seed: int
    snapshots: Sequence[int]
    held_out: ImageSet | None
    first_stage: tuple[dict[str, Tensor], dict[str, Any]] | None
    device: torch.device
    flops: int | None = None

    def fingerprint(self) -> str:
        """The same for two tasks that are the same training, and for no others: keys at their defaults don't count."""
        model = without_defaults("genbench.models", self.spec["model"])
        return self._hash_of(own_code.without_paths(model), self.config.without_defaults())

    def in_precision(self, precision: Precision) -> "Task":
        """This task with `precision` in the place of auto."""
        return replace(self, config=self.config.in_precision(precision))

    def earlier_fingerprint(self) -> str | None:
        """The fingerprint that this training had before 0.2, when defaults counted; None where there was none."""
        config = asdict(self.config)
        new = self.config.without_defaults().keys() - RECIPE_BEFORE_0_2
        return None if new else self._hash_of(self.spec["model"], {key: config[key] for key in RECIPE_BEFORE_0_2})

    def _hash_of(self, model: Mapping[str, Any], config: Mapping[str, Any]) -> str:
        own = [model, config, self.data_sha256, self.seed, self.snapshots, self.device.type]
        held_out = [self.held_out.info["sha256"]] if self.config.validate_every and self.held_out is not None else []
        first_stage = [self.first_stage[1]["sha256"]] if self.first_stage is not None else []
        return sha256_json([*own, *held_out, *first_stage])

    def model(self) -> Model:
        """The untrained model, on the device; one of two stages has the weights of the first.

        Raises InputError if the recipe does not suit it, or the first stage is missing or of another model.
        """
        torch.manual_seed(self.seed)
        with place("model"), torch.device(self.device):
            model = build(self.spec["model"], self.image_shape)
        with place("training"):
            self.config.check_model(model)
            self.config.check_device(self.device)
        name, stage = model.first_stage, self.first_stage
        if (name is None) != (stage is None):
            raise InputError(
                f"first stage: found {'none' if stage is None else 'one'}, expected "
                f"{'none' if name is None else f'the trained {name} of {type(model).__name__}'}"
            )
        if name is not None and stage is not None:
            tensors, info = stage
            if own_code.without_paths(info["model"]) != own_code.without_paths(self.spec["model"][name]):
                raise InputError(f"first stage: found a model {info['model']}, expected {self.spec['model'][name]}")
            part = model.get_submodule(name)
            part.load_state_dict(tensors)
            part.requires_grad_(False)
        return model

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, height, width, channels = self.images.shape
        return channels, height, width


class TrainingRun:
    """One process's part in a training: the trainer, the history, and what they are saved to.

    Raises InputError for a recipe that does not suit the model, a damaged save, or a loss that is not finite.
    """

    def __init__(self, task: Task, folder: Path, team: Ranks) -> None:
        self.task, self.folder, self.fingerprint, self.team = task, folder, task.fingerprint(), team
        config, device = task.config, task.device
        model = task.model()
        with place("training"):
            config.check_ranks(model, team.size)
        part = None
        if team.size > 1:
            copy_from_first(model)
            part = Slice.of(team, config.batch_size // config.accumulate, model.group_size, device)
            if config.sync_batch_norm:
                synchronise_batch_norm(model)
        model = model.to(memory_format=image_layout(device))
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.batches = Batches(task.images, task.labels, task.seed, config, device, part)
        self.held_out = None
        if config.validate_every and (held_out := task.held_out) is not None:
            self.held_out = Batches(held_out.images, held_out.labels, task.seed, config, device)
        self.trainer = Trainer(model, config, self.batches, task.seed, device, team)
        self.state_path = folder / STATE
        self.seconds_before, self.compile_seconds, self.resumed = 0.0, 0.0, 0
        self.history = self._restore()
        self.first_step, self.started = self.trainer.step, time.monotonic()

    def _restore(self) -> History:
        """Go back to the last save, if there is one of this training; the history up to there."""
        trainer, path = self.trainer, self.state_path
        tensors, info = weights.load_tensors(path, self.task.device) if path.exists() else ({}, {})
        own = (self.fingerprint, self.task.earlier_fingerprint())
        if resuming := "fingerprint" in info and info["fingerprint"] in own:
            trainer.restore(tensors, info)
            self.seconds_before, self.resumed = info["seconds"], info["resumed"] + 1
            self.compile_seconds = info.get("compile_seconds", 0.0)
            log.info("continuing from step %d of %d", trainer.step, self.task.config.num_steps)
        if len(steps := set(self.team.gather(trainer.step))) > 1:
            raise InputError(
                f"{path}: found saves of the steps {sorted(steps)} on different machines, expected a folder that all "
                "share"
            )
        history = History(self.folder / "history.jsonl", trainer.step, writes=self.team.first)
        if resuming:
            if self.team.first and trainer.step and history.sha256() != info["history_sha256"]:
                raise InputError(
                    f"{history.path}: damaged: not as it was at step {trainer.step}, to which {path} goes back; "
                    f"to train anew, delete that: rm {shlex.quote(str(path))}"
                )
            history.restore(tensors, info["history"])
        return history

    def seconds(self) -> float:
        """Spent on this training so far, before it was interrupted too."""
        return self.seconds_before + time.monotonic() - self.started

    def check_finite(self) -> None:
        """Raise InputError if a loss was NaN or infinite since the last look. Synchronises with the device."""
        if (bad := self.history.first_bad_step()) is not None:
            saved = f"{self.state_path} (from before that step)" if self.state_path.exists() else "none yet"
            raise InputError(
                f"the loss is not finite at step {bad}: training stopped; last good save: {saved}. "
                "A lower learning rate, a longer warm-up, clip_norm or precision fp32 may help"
            )

    def save_state(self) -> None:
        """Save all that it takes to go on from here."""
        self.check_finite()
        if not self.team.first:
            return
        tensors, info = self.trainer.state()
        sums, counts = self.history.state()
        info |= {"history": counts, "history_sha256": self.history.sha256(), "fingerprint": self.fingerprint}
        info |= {"seconds": self.seconds(), "compile_seconds": self.compile_seconds, "resumed": self.resumed}
        weights.save_tensors(self.state_path, tensors | sums, info)

    def save_model(self, path: Path) -> str:
        """Save the model as it is now, averaged if it is, to be sampled from; the hash of its weights."""
        self.check_finite()
        if not self.team.first:
            return ""
        task = self.task
        result = copy.deepcopy(self.trainer.result).eval()
        with torch.no_grad():
            result.after_training(self.batches.in_order())
        info = {
            "model": task.spec["model"],
            "training": task.spec["training"],
            "precision": task.config.precision,
            "image_shape": task.image_shape,
            "step": self.trainer.step,
            "seed": task.seed,
            "weights": self.which_weights,
            "data_sha256": task.data_sha256,
            "provenance": provenance.collect(
                "torch", "numpy", "safetensors", kind="training", model=task.spec["model"]
            ),
        }
        return weights.save_tensors(path, result.state_dict(), info)

    @property
    def which_weights(self) -> str:
        """Of which weights the result is made: "ema", an exponential moving average, or "raw", the last."""
        return "ema" if self.task.config.ema_decay else "raw"

    def go(self, save_seconds: float) -> None:
        """Train to the end, and leave model.safetensors, the snapshots, history.jsonl and training.json in the folder.

        Saved at least every `save_seconds`, and before it leaves (SystemExit) when a signal asks it to.
        """
        trainer, config = self.trainer, self.task.config
        last_save = time.monotonic()
        with (
            stop_on_signal() as stopped,
            Progress(config.num_steps, "steps", initial=trainer.step) as progress,
        ):
            while trainer.step < config.num_steps:
                if trainer.step in self.task.snapshots:
                    self.save_model(self.folder / f"{trainer.step}.safetensors")
                self._advance()
                progress.update()
                if trainer.step % config.log_every == 0 or trainer.step == config.num_steps:
                    progress.note(self._write_line())
                if self.held_out is not None and trainer.step % config.validate_every == 0:
                    self._validate(self.held_out)
                due = self.team.first and time.monotonic() - last_save > save_seconds
                received, overdue = self.team.highest(stopped() or 0, due)
                if received:
                    self.save_state()
                    log.info("stopped by a signal; saved step %d, run again to continue", trainer.step)
                    raise SystemExit(128 + received)
                if overdue:
                    self.save_state()
                    last_save = time.monotonic()
        sha256 = self.save_model(self.folder / "model.safetensors")
        seconds = self.seconds()
        self.team.share(None)  # nobody leaves before the model is written
        if self.team.first:
            self._write_record(sha256, seconds)
            log.info("trained %s steps in %s", f"{config.num_steps:,}", clock(seconds))

    def _advance(self) -> None:
        """One iteration. The first one after a start is timed where networks are compiled in it."""
        started, step = time.monotonic(), self.trainer.step
        self.history.add(step, *self.trainer.advance())
        if self.task.config.compile and step == self.first_step:
            synchronise(self.task.device)
            self.compile_seconds += time.monotonic() - started

    def _write_line(self) -> str:
        """Write a line of the history; the same in words."""
        self.check_finite()
        step, batch_size = self.trainer.step, self.task.config.batch_size
        speed = (step - self.first_step) * batch_size / max(time.monotonic() - self.started, 1e-9)
        line = self.history.write(
            step=step,
            lr={name: optimizer.param_groups[0]["lr"] for name, optimizer in self.trainer.optimizers.items()},
            images_seen=step * batch_size,
            seconds=round(self.seconds(), 3),
            images_per_second=round(speed, 2),
        )
        return f"{_in_words(line['losses'])}, {speed:,.0f} images/s"

    def _validate(self, held_out: Batches) -> None:
        step, config = self.trainer.step, self.task.config
        found = self.trainer.validate(held_out)
        self.history.append(step=step, validation=found, images_seen=step * config.batch_size)
        log.info("step %d/%d, held-out images: %s", step, config.num_steps, _in_words(found))

    def _write_record(self, model_sha256: str, seconds: float) -> None:
        """Write training.json: how the model came about, and what it cost."""
        config, device, team = self.task.config, self.task.device, self.team
        some: dict[str, Any] = {"compile_seconds": round(self.compile_seconds, 3)} if config.compile else {}
        some |= {} if self.task.flops is None else {"flops": self.task.flops}
        record = Training(
            steps=config.num_steps,
            images_seen=config.num_steps * config.batch_size,
            seconds=round(seconds, 3),
            **some,
            images_per_second=round(config.num_steps * config.batch_size / seconds, 2),
            batch_size=config.batch_size,
            precision=config.precision,
            device=device_label(device, team.size),
            ranks=team.size,
            parameters=count_parameters(self.trainer.model),
            weights=self.which_weights,
            ema_decay=config.ema_decay,
            seed=self.task.seed,
            resumed=self.resumed,
            peak_memory_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
            data_sha256=self.task.data_sha256,
            model_sha256=model_sha256,
            history_sha256=self.history.sha256(),
            provenance=Provenance.collect(
                *("torch", "numpy", "safetensors", *team.packages), kind="training", model=self.task.spec["model"]
            ),
        )
        write_json(self.folder / "training.json", record.content())


def _in_words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
