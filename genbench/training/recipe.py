"""How a model is trained: the `training` part of a suite's entry, key for key."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal

import torch

from genbench.errors import InputError, place
from genbench.machine.precision import Precision, multiplies
from genbench.models import Model
from genbench.ranges import (
    EMA_SNAPSHOTS,
    AverageLength,
    Count,
    Epsilon,
    Flops,
    NotNegative,
    NumImages,
    Positive,
    ShareBelowOne,
    Steps,
    StepsOrZero,
)
from genbench.schema import check_arguments


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The optimizer of a submodule and its learning rate. Times are iterations of the trainer.

    algorithm: Adam, Adam with decoupled weight decay, rectified Adam (Liu et al. 2020, arXiv 1908.03265), or stochastic
        gradient descent.
    lr: Learning rate.
    betas: Decay rates of Adam's averages; the first is the momentum of `sgd`.
    eps: Added to the denominator of Adam's step.
    weight_decay: Pulls weights towards 0; decoupled from the gradient in `adamw`.
    warmup_steps: Iterations over which the learning rate rises linearly.
    decay: How the learning rate falls afterwards.
    decay_steps: Iteration at which the decay ends at `final_lr`; by default the training's last.
    final_lr: Learning rate at the end of the decay.
    """

    algorithm: Literal["adam", "adamw", "radam", "sgd"] = "adam"
    lr: NotNegative = 2e-4
    betas: tuple[ShareBelowOne, ShareBelowOne] = (0.9, 0.999)
    eps: Epsilon = 1e-8
    weight_decay: NotNegative = 0.0
    warmup_steps: StepsOrZero = 0
    decay: Literal["constant", "linear", "cosine"] = "constant"
    decay_steps: Steps | None = None
    final_lr: NotNegative = 0.0

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any], own: Mapping[str, Any]) -> "OptimizerConfig":
        """Check the options of an optimizer. Raises InputError, also for a key of `own` that would do nothing."""
        config = cls(**check_arguments(cls, entry))
        idle = {"decay_steps": "decay: constant", "final_lr": "decay: constant"} if config.decay == "constant" else {}
        if config.algorithm == "sgd":
            idle["eps"] = "algorithm: sgd"
        if config.decay_steps is not None and config.decay_steps <= config.warmup_steps and own.get("decay_steps"):
            raise InputError(
                f"key 'decay_steps': found {config.decay_steps}, expected more than warmup_steps {config.warmup_steps}"
            )
        if config.decay != "constant" and config.final_lr > config.lr:
            raise InputError(f"key 'final_lr': found {config.final_lr}, expected at most lr {config.lr}")
        for key, reason in idle.items():
            if own.get(key):
                raise InputError(f"key {key!r}: found {own[key]}, which does nothing beside {reason}; expected none")
        return config

    def lr_at(self, step: int, steps: int) -> float:
        """The learning rate of iteration `step` (from 0) of a training of `steps`."""
        if step < self.warmup_steps:
            return self.lr * (step + 1) / self.warmup_steps
        if self.decay == "constant":
            return self.lr
        end = self.decay_steps or steps
        progress = min(1.0, (step - self.warmup_steps) / max(1, end - self.warmup_steps))
        rest = 1 - progress if self.decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
        return self.final_lr + (self.lr - self.final_lr) * rest

    def build(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        options: dict[str, Any] = {"lr": self.lr, "weight_decay": self.weight_decay}
        if self.algorithm == "sgd":
            return torch.optim.SGD(parameters, momentum=self.betas[0], **options)
        if self.algorithm == "radam":  # it has no fused form; capturable steps do not wait for the GPU
            on_gpu = parameters[0].is_cuda
            return torch.optim.RAdam(parameters, betas=self.betas, eps=self.eps, capturable=on_gpu, **options)
        algorithm = torch.optim.AdamW if self.algorithm == "adamw" else torch.optim.Adam
        return algorithm(parameters, betas=self.betas, eps=self.eps, fused=True, **options)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained; the `training` part of a suite's entry, key for key.

    steps: Iterations.
    flops: FLOPs of the whole training, including those of a first stage, instead of `steps`, which follow from them.
        They are counted as in preflight when a training starts, and not again when it continues.
    batch_size: Images per iteration, all micro-batches and processes together.
    accumulate: Micro-batches per iteration, a divisor of `batch_size`.
    precision: fp32 is exact float32, tf32 allows NVIDIA's shortened products, bf16 and fp16 are autocast. auto is bf16
        if the CPU or GPU multiplies it natively, and otherwise fp32; it is decided once, when a training starts.
    ema_decay: Share of the weights' average that each iteration keeps; the average is the result. With 0 there is no
        average, and the raw weights are the result.
    ema_lengths: Instead of `ema_decay`, averages by EDM2's power function (Karras et al. 2024, arXiv 2312.02696). Each
        length is a share of the training: the standard deviation of the average's profile, the paper's sigma_rel. The
        first average is the result. With two, such as 0.05 and 0.1, a sampler can draw with the average of any length,
        its `ema_length`.
    ema_snapshots: How many times these averages are saved for that, evenly over the training.
    clip_norm: Largest norm of all gradients of one submodule together; by default they are not clipped.
    flip: Mirror images left to right at random.
    compile: Compile the networks with torch.compile.
    sync_batch_norm: With several processes, batch normalisation takes its statistics from the images of all processes
        together.
    log_every: Iterations between lines of history.jsonl.
    validate_every: Iterations between validations on the held-out images, 0 for none.
    optimizer: The optimizer of every submodule, see below.
    optimizers: By submodule, keys that differ from `optimizer`.
    """

    steps: Steps | None = None
    flops: Flops | None = None
    batch_size: NumImages
    accumulate: NumImages = 1
    precision: Literal["auto", Precision] = "auto"
    ema_decay: ShareBelowOne = 0.0
    ema_lengths: Sequence[AverageLength] = ()
    ema_snapshots: Count = EMA_SNAPSHOTS
    clip_norm: Positive | None = None
    flip: bool = False
    compile: bool = False
    sync_batch_norm: bool = False
    log_every: Steps = 50
    validate_every: StepsOrZero = 0
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    optimizers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> "TrainConfig":
        """Check a suite's `training` entry. Raises InputError."""
        config = cls(**check_arguments(cls, entry))
        if config.steps is None and config.flops is None:
            raise InputError("key 'steps' is missing; expected steps or flops")
        if config.steps is not None and config.flops is not None:
            raise InputError(
                f"key 'flops': found {config.flops:.4g} beside steps {config.steps}; expected one of the two"
            )
        if config.ema_lengths and config.ema_decay:
            raise InputError(
                f"key 'ema_lengths': found {list(config.ema_lengths)} beside ema_decay {config.ema_decay}; "
                "expected one of the two"
            )
        if len(set(config.ema_lengths)) < len(config.ema_lengths):
            raise InputError(f"key 'ema_lengths': found {list(config.ema_lengths)}, expected each length once")
        if "ema_snapshots" in entry and not config.ema_lengths:
            raise InputError(
                f"key 'ema_snapshots': found {config.ema_snapshots}, which does nothing without ema_lengths"
            )
        if config.batch_size % config.accumulate:
            raise InputError(
                f"key 'accumulate': found {config.accumulate}, expected a divisor of batch_size {config.batch_size}"
            )
        _ = config._optimizer_configs  # checks them
        return config

    def without_defaults(self) -> dict[str, Any]:
        """The keys whose values are not the defaults: what distinguishes this recipe. `precision: fp32` is left out: it
        was the default before there was `auto`, and trainings from then are still the same."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.flops is not None:
            del own["steps"]  # they follow from flops
        plain = TrainConfig(steps=0, batch_size=0, precision="fp32")
        return {key: value for key, value in own.items() if value != getattr(plain, key)}

    @property
    def num_steps(self) -> int:
        """Iterations; with a budget of `flops`, known only after `in_steps`."""
        assert self.steps is not None, "a budget's steps are not known yet"
        return self.steps

    @property
    def average_steps(self) -> list[int]:
        """The steps after which the averages of `ema_lengths` are saved: `ema_snapshots`, or all if there are fewer."""
        count = min(self.ema_snapshots, self.num_steps) if self.ema_lengths else 0
        return [round(self.num_steps * number / count) for number in range(1, count + 1)]

    def in_steps(self, steps: int) -> "TrainConfig":
        """This recipe with the steps that its `flops` pay for."""
        return replace(self, steps=steps)

    def in_precision(self, precision: Precision) -> "TrainConfig":
        """This recipe with `precision` instead of auto."""
        return replace(self, precision=precision) if self.precision == "auto" else self

    @cached_property
    def _optimizer_configs(self) -> tuple[OptimizerConfig, dict[str, OptimizerConfig]]:
        """The optimizer of most submodules, and those of `optimizers`. Not a field: it is derived from two fields."""
        with place("optimizer"):
            shared = OptimizerConfig.from_entry(self.optimizer, self.optimizer)
        own = {}
        for name, options in self.optimizers.items():
            with place("optimizers", name):
                own[name] = OptimizerConfig.from_entry({**self.optimizer, **options}, options)
        return shared, own

    def optimizer_for(self, name: str) -> OptimizerConfig:
        """The optimizer of a submodule. Raises InputError for options that it does not have."""
        shared, own = self._optimizer_configs
        return own.get(name, shared)

    def check_model(self, model: Model) -> None:
        """Check what depends on the model: names of optimizers, validation, compilation."""
        names = [name for name, _ in model.named_children()]
        for name in self.optimizers:
            if name not in names:
                raise InputError(f"optimizers: found {name!r}, expected one of: {', '.join(names)}")
        if self.validate_every and type(model).validate is Model.validate:
            raise InputError(
                f"key 'validate_every': found {self.validate_every}, but {type(model).__name__} has "
                "nothing to watch on held-out images; expected 0"
            )
        if self.compile and not model.allows_compile():
            raise InputError("key 'compile': found true, but this model differentiates twice; expected false")
        if self.compile and self.sync_batch_norm:
            raise InputError("key 'sync_batch_norm': found true beside compile; expected one of the two")

    def check_device(self, device: torch.device) -> None:
        """Raise InputError for a precision that would be hopelessly slow on a device."""
        if self.precision == "fp16" and not multiplies(device, "fp16"):
            raise InputError(
                "key 'precision': found 'fp16', which this processor does not multiply: emulated, it takes about 70 "
                "times as long as fp32; expected auto, fp32 or bf16, or a GPU"
            )

    def check_ranks(self, model: Model, ranks: int) -> None:
        """Check that a micro-batch can be shared among so many processes."""
        size = self.batch_size // self.accumulate
        groups = size // min(model.group_size, size)
        if groups < ranks:
            together = f", {groups} groups of {size // groups} that {type(model).__name__} looks at together"
            raise InputError(
                f"found {ranks} processes (ranks) for {size} images at once (batch_size / accumulate)"
                f"{together if groups < size else ''}; expected at most {groups}"
            )
