"""The loop of a training in its folder: from its last save to its end, with saves on the way.

Subclasses define what is trained: models of images in run.py, of text in genbench/language/training.py.
"""

import logging
import shlex
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from genbench.errors import InputError
from genbench.files import weights
from genbench.machine.devices import device_label, synchronise
from genbench.machine.progress import Progress, clock
from genbench.machine.ranks import Ranks
from genbench.machine.signals import stop_on_signal
from genbench.machine.time_limit import stop_time
from genbench.training.history import History
from genbench.training.trainer import Trainer

log = logging.getLogger(__name__)

STATE = "state.safetensors"  # the last save, in the folder of a training


class Run(ABC):
    """One process's part in a training: the trainer, the history, and the folder to which they are saved.

    fingerprint: the name of exactly this training. earlier: its name in an older version, whose saves also count.
    snapshots: steps at which the model is also saved.
    Raises InputError for a damaged save, or a loss that is not finite.
    """

    data: ClassVar[str]  # what it learns from, for the log

    def __init__(
        self,
        trainer: Trainer[Any],
        folder: Path,
        team: Ranks,
        fingerprint: str,
        *,
        earlier: str | None = None,
        snapshots: Sequence[int] = (),
    ) -> None:
        self.trainer, self.folder, self.team = trainer, folder, team
        self.fingerprint, self.snapshots = fingerprint, snapshots
        self.state_path = folder / STATE
        self.seconds_before, self.compile_seconds, self.resumed = 0.0, 0.0, 0
        self.history = self._restore((fingerprint, earlier))
        self.first_step, self.started = trainer.step, time.monotonic()

    def _restore(self, own: tuple[str, str | None]) -> History:
        """Restore the last save of this training, if there is one; returns the history up to it."""
        trainer, path = self.trainer, self.state_path
        tensors, info = weights.load_tensors(path, trainer.device) if path.exists() else ({}, {})
        if resuming := "fingerprint" in info and info["fingerprint"] in own:
            trainer.restore(tensors, info)
            self.seconds_before, self.resumed = info["seconds"], info["resumed"] + 1
            self.compile_seconds = info.get("compile_seconds", 0.0)
            log.info("continuing from step %d of %d", trainer.step, trainer.config.num_steps)
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
                    f"to train again, delete that: rm {shlex.quote(str(path))}"
                )
            history.restore(tensors, info["history"])
        return history

    def seconds(self) -> float:
        """Seconds spent on this training so far, including those before interruptions."""
        return self.seconds_before + time.monotonic() - self.started

    def check_finite(self) -> None:
        """Raise InputError if a loss was NaN or infinite since the last check. Synchronises with the device."""
        if (bad := self.history.first_bad_step()) is not None:
            saved = f"{self.state_path} (from before that step)" if self.state_path.exists() else "none yet"
            raise InputError(
                f"the loss is not finite at step {bad}: training stopped; last good save: {saved}. "
                "A lower learning rate, a longer warm-up, clip_norm or precision fp32 may help"
            )

    def save_state(self) -> None:
        """Save everything that is needed to continue from here."""
        self.check_finite()
        if not self.team.first:
            return
        tensors, info = self.trainer.state()
        sums, counts = self.history.state()
        info |= {"history": counts, "history_sha256": self.history.sha256(), "fingerprint": self.fingerprint}
        info |= {"seconds": self.seconds(), "compile_seconds": self.compile_seconds, "resumed": self.resumed}
        weights.save_tensors(self.state_path, tensors | sums, info)

    @abstractmethod
    def save_model(self, path: Path) -> str:
        """Save the model as it is now; returns the hash of its weights. Only the first rank writes."""

    def go(self, save_seconds: float) -> None:
        """Train to the end, and leave model.safetensors, the snapshots, history.jsonl and training.json in the folder.

        It saves at least every `save_seconds`, and before it leaves (SystemExit) on a signal or when the cluster is
        about to end the job.
        """
        trainer, config = self.trainer, self.trainer.config
        last_save, stop = time.monotonic(), stop_time() if self.team.first else None
        with (
            stop_on_signal() as stopped,
            Progress(config.num_steps, "steps", initial=trainer.step) as progress,
        ):
            while trainer.step < config.num_steps:
                if trainer.step in self.snapshots:
                    self.save_model(self.folder / f"{trainer.step}.safetensors")
                self._advance()
                progress.update()
                if trainer.step % config.log_every == 0 or trainer.step == config.num_steps:
                    progress.note(self._write_line())
                if self._is_watched():
                    self._validate()
                due = self.team.first and time.monotonic() - last_save > save_seconds
                ends = stop is not None and time.monotonic() > stop and trainer.step < config.num_steps
                received, overdue, over = self.team.highest(stopped() or 0, due, ends)
                if received or over:
                    self.save_state()
                    why = "stopped by a signal" if received else "the job's time is nearly over"
                    log.info("%s; saved step %d, run again to continue", why, trainer.step)
                    raise SystemExit(128 + (received or signal.SIGTERM))
                if overdue:
                    self.save_state()
                    last_save = time.monotonic()
        sha256 = self.save_model(self.folder / "model.safetensors")
        seconds = self.seconds()
        self.team.share(None)  # no rank leaves before the model is written
        if self.team.first:
            self._write_record(sha256, seconds)
            log.info("trained %s steps in %s", f"{config.num_steps:,}", clock(seconds))

    def _advance(self) -> None:
        """One iteration. The first one after a start is timed if networks are compiled in it."""
        started, step = time.monotonic(), self.trainer.step
        self.history.add(step, *self.trainer.advance())
        if self.trainer.config.compile and step == self.first_step:
            synchronise(self.trainer.device)
            self.compile_seconds += time.monotonic() - started

    def _is_watched(self) -> bool:
        """Whether there is a validation on held-out data after this iteration."""
        every = self.trainer.config.validate_every
        return every > 0 and self.trainer.step % every == 0

    def _write_line(self) -> str:
        """Write a line of the history; returns it in words."""
        self.check_finite()
        values, speed = self._counted()
        line = self.history.write(step=self.trainer.step, **values)
        return f"{in_words(line['losses'])}, {speed}"

    @abstractmethod
    def _counted(self) -> tuple[dict[str, Any], str]:
        """The values of a line of the history besides the losses; and the speed of the training in words."""

    def _validate(self) -> None:
        """Validate on held-out data, and write a separate line of the history."""
        values, counted = self._look()
        step = self.trainer.step
        self.history.append(step=step, validation=values, **counted)
        log.info("step %d/%d, held-out %s: %s", step, self.trainer.config.num_steps, self.data, in_words(values))

    @abstractmethod
    def _look(self) -> tuple[dict[str, float], dict[str, int]]:
        """The validation on held-out data; and how much data the training has seen."""

    def _known(self, model_sha256: str, seconds: float) -> dict[str, Any]:
        """The part of the record that every training has."""
        trainer = self.trainer
        return {
            "steps": trainer.config.num_steps,
            "seconds": round(seconds, 3),
            "precision": trainer.config.precision,
            "device": device_label(trainer.device, self.team.size),
            "seed": trainer.seed,
            "resumed": self.resumed,
            "model_sha256": model_sha256,
            "history_sha256": self.history.sha256(),
        }

    @abstractmethod
    def _write_record(self, model_sha256: str, seconds: float) -> None:
        """Write training.json: how the model was trained, and what it cost."""


def in_words(values: Mapping[str, float]) -> str:
    """Names and numbers, for a line of the log."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
