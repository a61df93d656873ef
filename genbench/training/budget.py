"""A training's budget in FLOPs: the steps that it pays for, the same on every machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genbench.errors import InputError, place
from genbench.models import Model, build
from genbench.training.flops import META, training_cost
from genbench.training.recipe import TrainConfig


@dataclass(frozen=True)
class Paid:
    """What a budget pays for: `steps` of `flops_per_step` each, after the `first_stage`'s FLOPs."""

    steps: int
    flops_per_step: int
    first_stage: int = 0

    @property
    def flops(self) -> int:
        """FLOPs of the training, including a first stage: less than one step below the budget."""
        return self.steps * self.flops_per_step + self.first_stage

    @classmethod
    def by(cls, budget: float, flops_per_step: int, first_stage: int = 0) -> "Paid":
        """The most steps within a budget. Raises InputError if it does not pay for one."""
        steps = int((budget - first_stage) // flops_per_step)
        if steps < 1:
            staged = f" after the first stage's {first_stage:.4g}" if first_stage else ""
            raise InputError(
                f"key 'flops': found {budget:.4g}, expected at least {first_stage + flops_per_step:.4g}: a step takes "
                f"{flops_per_step:.4g}{staged}"
            )
        return cls(steps, flops_per_step, first_stage)


def model_on_meta(entry: Mapping[str, Any], image_shape: tuple[int, int, int]) -> Model:
    """The model of an entry without weights, on the meta device. image_shape: (C, H, W)."""
    with META:
        return build(entry, image_shape).to(META)


def paid(
    model: Mapping[str, Any], training: Mapping[str, Any], image_shape: tuple[int, int, int], first_stage: int = 0
) -> Paid:
    """The steps of a training and their cost: those of its entry, or those that its `flops` pay for. Needs no weights.

    model, training: a suite's entry. image_shape: (C, H, W). first_stage: FLOPs that its first stage took. Raises
    InputError for a budget below one step.
    """
    with place("training"):
        config = TrainConfig.from_entry(training)
        flops_per_step = training_cost(model_on_meta(model, image_shape), config)["flops"]
        if config.flops is None:
            return Paid(config.num_steps, flops_per_step, first_stage)
        return Paid.by(config.flops, flops_per_step, first_stage)
