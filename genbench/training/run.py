"""The training of a model of images: what it depends on, and what it writes. Its loop is in loop.py."""

import copy
import logging
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
from genbench.machine.distributed import copy_from_first, synchronise_batch_norm
from genbench.machine.precision import Precision
from genbench.machine.ranks import Ranks
from genbench.models import Model, build, count_parameters
from genbench.records.provenance import Provenance
from genbench.records.training import Training
from genbench.schema import without_defaults
from genbench.tensors import image_layout
from genbench.training.batches import Batches, Slice, in_first_epoch
from genbench.training.loop import Run
from genbench.training.recipe import TrainConfig
from genbench.training.trainer import Trainer

log = logging.getLogger(__name__)

RECIPE_BEFORE_0_2 = frozenset(
    "steps batch_size accumulate precision ema_decay clip_norm flip compile sync_batch_norm log_every validate_every "
    "optimizer optimizers".split()
)


@dataclass(frozen=True)
class Task:
    """A training: everything that its weights depend on, besides the code.

    spec: {"model": entry, "training": entry}. config: the parsed `training`; before the training begins, a precision
    replaces auto. images: uint8 (N, H, W, C), with their hash. held_out: the images for `validate_every`.
    first_stage: tensors and record of the model that this one builds upon.
    flops: what a training with a budget takes, once its steps are known.
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
        """A hash that is equal only for tasks that are the same training; keys at their defaults do not count."""
        model = without_defaults("genbench.models", self.spec["model"])
        return self._hash_of(own_code.without_paths(model), self.config.without_defaults())

    def in_precision(self, precision: Precision) -> "Task":
        """This task with `precision` instead of auto."""
        return replace(self, config=self.config.in_precision(precision))

    def earlier_fingerprint(self) -> str | None:
        """The fingerprint of this training before 0.2, when defaults counted; None if it was not possible then."""
        config = asdict(self.config)
        new = self.config.without_defaults().keys() - RECIPE_BEFORE_0_2
        return None if new else self._hash_of(self.spec["model"], {key: config[key] for key in RECIPE_BEFORE_0_2})

    def _hash_of(self, model: Mapping[str, Any], config: Mapping[str, Any]) -> str:
        own = [model, config, self.data_sha256, self.seed, self.snapshots, self.device.type]
        held_out = [self.held_out.info["sha256"]] if self.config.validate_every and self.held_out is not None else []
        first_stage = [self.first_stage[1]["sha256"]] if self.first_stage is not None else []
        return sha256_json([*own, *held_out, *first_stage])

    def model(self) -> Model:
        """The untrained model, on the device; a model of two stages has the weights of its first stage.

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
        model.begin(in_first_epoch(self.images, self.seed, self.device))
        return model

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, height, width, channels = self.images.shape
        return channels, height, width


class TrainingRun(Run):
    """One process's part in the training of a task.

    Raises InputError for a recipe that does not suit the model, a damaged save, or a loss that is not finite.
    """

    data = "images"

    def __init__(self, task: Task, folder: Path, team: Ranks) -> None:
        self.task = task
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
        trainer = Trainer(model, config, self.batches, task.seed, device, team)
        super().__init__(
            trainer,
            folder,
            team,
            task.fingerprint(),
            earlier=task.earlier_fingerprint(),
            snapshots=task.snapshots,
        )

    def save_model(self, path: Path) -> str:
        """Save the model as it is now, or its average if there is one; returns the hash of the saved weights."""
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

    def _advance(self) -> None:
        super()._advance()
        trainer = self.trainer
        if self.team.first and trainer.step in trainer.config.average_steps:
            self.check_finite()
            learned = [name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad]
            tensors = {
                f"{length}:{name}": average.get_parameter(name)
                for length, average in trainer.averages.items()
                for name in learned
            }
            info = {"step": trainer.step, "ema_lengths": [str(length) for length in trainer.averages]}
            weights.save_tensors(self.folder / f"averages-{trainer.step}.safetensors", tensors, info)

    @property
    def which_weights(self) -> str:
        """The weights of the result: "ema", a moving average, or "raw", the last."""
        return "ema" if self.task.config.ema_decay or self.task.config.ema_lengths else "raw"

    def _counted(self) -> tuple[dict[str, Any], str]:
        step, batch_size = self.trainer.step, self.task.config.batch_size
        speed = (step - self.first_step) * batch_size / max(time.monotonic() - self.started, 1e-9)
        values = {
            "lr": {name: optimizer.param_groups[0]["lr"] for name, optimizer in self.trainer.optimizers.items()},
            "images_seen": step * batch_size,
            "seconds": round(self.seconds(), 3),
            "images_per_second": round(speed, 2),
        }
        return values, f"{speed:,.0f} images/s"

    def _is_watched(self) -> bool:
        return self.held_out is not None and super()._is_watched()

    def _look(self) -> tuple[dict[str, float], dict[str, int]]:
        assert self.held_out is not None
        return self.trainer.validate(self.held_out), {"images_seen": self.trainer.step * self.task.config.batch_size}

    def _write_record(self, model_sha256: str, seconds: float) -> None:
        """Write training.json: how the model was trained, and what it cost."""
        config, device, team = self.task.config, self.task.device, self.team
        some: dict[str, Any] = {"compile_seconds": round(self.compile_seconds, 3)} if config.compile else {}
        some |= {"ema_lengths": list(config.ema_lengths)} if config.ema_lengths else {}
        some |= {} if self.task.flops is None else {"flops": self.task.flops}
        record = Training(
            **self._known(model_sha256, seconds),
            parameters=count_parameters(self.trainer.model),
            images_seen=config.num_steps * config.batch_size,
            **some,
            images_per_second=round(config.num_steps * config.batch_size / seconds, 2),
            batch_size=config.batch_size,
            ranks=team.size,
            weights=self.which_weights,
            ema_decay=config.ema_decay,
            peak_memory_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
            data_sha256=self.task.data_sha256,
            provenance=Provenance.collect(
                *("torch", "numpy", "safetensors", *team.packages), kind="training", model=self.task.spec["model"]
            ),
        )
        write_json(self.folder / "training.json", record.content())
