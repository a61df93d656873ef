"""One step of training, for every family: the model defines what to minimise, the trainer does the rest.

Step k uses the images and the random numbers that belong to (seed, k). On one device, a run that was stopped and
continued therefore gives bitwise the same weights as an uninterrupted one. Several ranks share each micro-batch and
make the same updates; distributed.py describes what agrees between different numbers of ranks.
"""

import copy
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from genbench.errors import InputError
from genbench.machine.distributed import GradientSum, add_up
from genbench.machine.precision import native_precision
from genbench.machine.ranks import ALONE, Ranks
from genbench.models import Learner
from genbench.processes.averages import kept_share
from genbench.training.batches import Batches, MicroBatches
from genbench.training.recipe import TrainConfig

L = TypeVar("L", bound=Learner)


def _precision(config: TrainConfig, device: torch.device) -> Callable[[], Any]:
    """A context for the forward pass. Also sets the float32 mode of the device."""
    short = device.type == "cuda" and config.precision != "fp32"
    torch.set_float32_matmul_precision("high" if short else "highest")
    torch.backends.cudnn.allow_tf32 = short
    if config.precision not in ("bf16", "fp16"):
        return nullcontext
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float16
    return lambda: torch.autocast(device.type, dtype=dtype)


class Trainer(Generic[L]):
    """A model, its optimizers and its average, advanced step by step; everything that a resumed run must restore."""

    def __init__(
        self,
        model: L,
        config: TrainConfig,
        batches: MicroBatches,
        seed: int,
        device: torch.device,
        team: Ranks = ALONE,
    ) -> None:
        config = config.in_precision(native_precision(device))
        self.model, self.config, self.batches, self.seed, self.device = model, config, batches, seed, device
        self.team, self.step = team, 0
        model.training_steps = config.num_steps
        self.autocast = _precision(config, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        for name, submodule in model.named_children():
            if parameters := [p for p in submodule.parameters() if p.requires_grad]:
                self.optimizers[name] = config.optimizer_for(name).build(parameters)
        self.ema = copy.deepcopy(model).requires_grad_(False) if config.ema_decay else None
        self.averages: dict[float, L] = {  # by their lengths
            length: copy.deepcopy(model).requires_grad_(False) for length in config.ema_lengths
        }
        if config.compile:
            for submodule in model.children():
                submodule.compile()
        self.sums: dict[str, GradientSum] = {}
        if team.size > 1:
            self.sums = {name: GradientSum(o.param_groups[0]["params"]) for name, o in self.optimizers.items()}

    @property
    def result(self) -> L:
        """The model to save: its average if there is one; of several averages, the first."""
        return next(iter(self.averages.values()), self.model) if self.ema is None else self.ema

    def advance(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """One iteration; returns its losses and metrics as detached scalars on the device (no synchronisation)."""
        step, k = self.step, self.config.accumulate
        several = [self.team.rank] if self.team.size > 1 else []  # each rank drops other units
        entropy = np.random.SeedSequence([self.seed, step, *several])
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))  # dropout
        self.model.train()
        batches = self.batches.micro_batches(step)
        generators = [self.model.losses(batch, step) for batch in batches]
        losses: dict[str, Tensor] = {}
        while True:
            # The micro-batches' generators advance in turn; the submodule is updated when all have been differentiated.
            name, total = None, torch.zeros((), device=self.device)
            for number, generator in enumerate(generators, start=1):
                with self.autocast():
                    item = next(generator, None)
                if item is None:
                    break
                name, loss = item
                if name not in self.optimizers:
                    raise InputError(
                        f"{type(self.model).__name__}.losses yielded {name!r}, expected a submodule with parameters"
                    )
                loss = self._weigh(loss)
                total += loss.detach().float() / k
                if self.sums and number == k:
                    self.sums[name].expect(total)
                parameters = self.optimizers[name].param_groups[0]["params"]
                self.scaler.scale(loss / k).backward(inputs=parameters)
            if name is None:
                break
            losses[name] = self.sums[name].finish() if self.sums else total
            self._update(name)
        self._average()
        self.step += 1
        return losses, self._mean_metrics([batch.metrics for batch in batches])

    def _weigh(self, mean: Tensor) -> Tensor:
        """The mean over this rank's images, weighted as its part of the mean over all images."""
        return mean if self.batches.part is None else mean * self.batches.part.share

    def _mean_metrics(self, parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        names = list(parts[0])
        means = [sum(part[name].float() for part in parts) / len(parts) for name in names]
        if self.team.size > 1 and names:
            means = list(add_up(self._weigh(torch.stack(means))))  # type: ignore[arg-type]
        return dict(zip(names, means, strict=True))  # type: ignore[arg-type]

    @torch.no_grad()
    def validate(self, held_out: Batches) -> dict[str, float]:
        """The model's validation on all of `held_out`: means over the images, which the ranks share in batches."""
        training = self.result.training
        self.result.eval()
        sums: dict[str, Tensor] = {}
        count = 0
        for number, batch in enumerate(held_out.validation()):
            if number % self.team.size != self.team.rank:
                continue
            size = len(batch.x0)
            for name, value in self.result.validate(batch).items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + size * value.float()
            count += size
        self.result.train(training)
        found = self.team.gather((count, {name: float(total) for name, total in sums.items()}))
        images = sum(part for part, _ in found)
        return {name: sum(totals.get(name, 0.0) for _, totals in found) / images for name in found[0][1]}

    def _update(self, name: str) -> None:
        optimizer = self.optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = self.config.optimizer_for(name).lr_at(self.step, self.config.num_steps)
        if self.config.clip_norm is not None:
            self.scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], self.config.clip_norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _average(self) -> None:
        averages = [(average, kept_share(length, self.step + 1)) for length, average in self.averages.items()]
        if self.ema is not None:
            averages.append((self.ema, self.config.ema_decay))
        for average, share in averages:
            torch._foreach_lerp_(list(average.parameters()), list(self.model.parameters()), 1 - share)
            for own, current in zip(average.buffers(), self.model.buffers(), strict=True):
                own.copy_(current)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that a resumed run needs: tensors by name, and plain values."""
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        if self.ema is not None:
            tensors |= {f"ema.{key}": value for key, value in self.ema.state_dict().items()}
        for length, average in self.averages.items():
            tensors |= {f"average.{length}.{key}": value for key, value in average.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for index, entries in optimizer.state_dict()["state"].items():
                tensors |= {
                    f"optimizer.{name}.{index}.{key}": value for key, value in entries.items() if value is not None
                }
        return tensors, {"step": self.step, "scaler": self.scaler.state_dict()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], info: Mapping[str, Any]) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

        self.model.load_state_dict(part("model."))
        if self.ema is not None:
            self.ema.load_state_dict(part("ema."))
        for length, average in self.averages.items():
            average.load_state_dict(part(f"average.{length}."))
        for name, optimizer in self.optimizers.items():
            parameters = optimizer.param_groups[0]["params"]
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in part(f"optimizer.{name}.").items():
                number, _, entry = key.partition(".")
                parameter = parameters[int(number)]
                if value.shape == parameter.shape:  # a fused optimizer needs moments in the weights' memory layout
                    value = torch.empty_like(parameter).copy_(value)
                state.setdefault(int(number), {})[entry] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.scaler.load_state_dict(info["scaler"])
        self.step = info["step"]
