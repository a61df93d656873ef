"""One training loop for every family: the model says what to minimise, the loop does the rest.

Step k uses the images and the random numbers that belong to (seed, k), so a run that was stopped and continued
gives bitwise the weights of one that was not (on one device).
"""

import copy
import json
import logging
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from genbench import provenance, weights
from genbench.artifacts import sha256_json, write_json
from genbench.construction import check_arguments
from genbench.devices import device_label
from genbench.errors import InputError
from genbench.images import to_images
from genbench.models import Batch, Model, build
from genbench.noise import Noise

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adam and its schedule. Times are iterations of the trainer: lr rises linearly over `warmup_steps`, then decays
    to `final_lr` over the rest of `decay_steps` (default: the whole training)."""

    algorithm: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    warmup_steps: int = 0
    decay: Literal["constant", "linear", "cosine"] = "constant"
    decay_steps: int | None = None
    final_lr: float = 0.0

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
        algorithm = torch.optim.AdamW if self.algorithm == "adamw" else torch.optim.Adam
        return algorithm(parameters, betas=self.betas, eps=self.eps, fused=True, **options)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained; the `training` part of a suite's entry, key for key.

    steps: iterations. batch_size: images of one iteration, all micro-batches and processes together. accumulate:
    micro-batches of one iteration. precision: fp32 is exact float32, tf32 allows NVIDIA's shortened products, bf16
    and fp16 are autocast. ema_decay: 0 keeps no average, and the raw weights are the result. clip_norm: of all
    gradients of one submodule together. flip: mirror images at random. optimizer: for every submodule;
    optimizers: differences by submodule.
    """

    steps: int
    batch_size: int
    accumulate: int = 1
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    ema_decay: float = 0.0
    clip_norm: float | None = None
    flip: bool = False
    compile: bool = False
    log_every: int = 50
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    optimizers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any], where: str = "training") -> "TrainConfig":
        """Check a suite's `training` entry; InputError begins with `where`."""
        config = cls(**check_arguments(cls, entry, where))
        for key, low in (("steps", 1), ("batch_size", 1), ("accumulate", 1), ("log_every", 1)):
            if getattr(config, key) < low:
                raise InputError(f"{where}: key {key!r}: found {getattr(config, key)}, expected at least {low}")
        if config.batch_size % config.accumulate:
            raise InputError(
                f"{where}: key 'accumulate': found {config.accumulate}, expected a divisor of batch_size "
                f"{config.batch_size}"
            )
        if not 0 <= config.ema_decay < 1:
            raise InputError(f"{where}: key 'ema_decay': found {config.ema_decay}, expected 0 (none) up to below 1")
        check_arguments(OptimizerConfig, config.optimizer, f"{where}: optimizer")
        for name, options in config.optimizers.items():
            check_arguments(OptimizerConfig, options, f"{where}: optimizers: {name}")
        return config

    def optimizer_for(self, name: str) -> OptimizerConfig:
        options = {**self.optimizer, **self.optimizers.get(name, {})}
        return OptimizerConfig(**check_arguments(OptimizerConfig, options, f"optimizer of {name}"))

    def check_model(self, model: Model, where: str = "training") -> None:
        """Check what depends on the model: names of optimizers, compilation."""
        names = [name for name, _ in model.named_children()]
        for name in self.optimizers:
            if name not in names:
                raise InputError(f"{where}: optimizers: found {name!r}, expected one of: {', '.join(names)}")
        if self.compile and not model.allows_compile():
            raise InputError(f"{where}: key 'compile': found true, but this model differentiates twice; expected false")


def epoch_order(seed: int, epoch: int, num_images: int) -> np.ndarray:
    """The order of the images in an epoch: a permutation that depends on (seed, epoch) alone."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(num_images)


def batch_indices(seed: int, step: int, batch_size: int, num_images: int) -> np.ndarray:
    """The images of iteration `step`: epochs follow each other without a gap, so that each is seen equally often."""
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // num_images
    orders = {epoch: epoch_order(seed, int(epoch), num_images) for epoch in np.unique(epochs)}
    return np.array([orders[epoch][position % num_images] for epoch, position in zip(epochs, positions, strict=True)])


class Batches:
    """The training images as one uint8 tensor on the device, and the batch of any iteration out of it."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, seed: int, config: TrainConfig, device: torch.device
    ) -> None:
        self.pixels = torch.from_numpy(images).to(device)  # (N, H, W, C)
        self.labels = torch.from_numpy(labels).to(device)
        self.seed, self.config, self.device = seed, config, device
        self._orders: dict[int, Tensor] = {}

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self._orders:  # at most two epochs meet in a batch that is smaller than the data set
            self._orders = {key: value for key, value in self._orders.items() if key >= epoch - 1}
            self._orders[epoch] = torch.from_numpy(epoch_order(self.seed, epoch, len(self.pixels))).to(self.device)
        return self._orders[epoch]

    def micro_batches(self, step: int) -> list[Batch]:
        """The `accumulate` parts of iteration `step`. Image j of the iteration has noise seed step * batch_size + j."""
        size, count = self.config.batch_size, len(self.pixels)
        first, last = step * size, (step + 1) * size
        spans = []
        while first < last:
            epoch, start = divmod(first, count)
            stop = min(count, start + last - first)
            spans.append(self._order(epoch)[start:stop])
            first += stop - start
        indices = torch.cat(spans)
        seeds = torch.arange(step * size, (step + 1) * size, device=self.device)
        parts = []
        for index, seed in zip(indices.chunk(self.config.accumulate), seeds.chunk(self.config.accumulate), strict=True):
            noise = Noise(seed, key=self.seed)
            x0 = to_images(self.pixels[index])
            if self.config.flip:
                x0 = torch.where(noise.uniform(1, 1, 1) < 0.5, x0.flip(3), x0)
            parts.append(Batch(x0, self.labels[index], noise))
        return parts

    def in_order(self, batch_size: int = 500) -> Iterator[Tensor]:
        """All images once, as (N, C, H, W) in [-1, 1]."""
        for pixels in self.pixels.split(batch_size):
            yield to_images(pixels)


def _precision(config: TrainConfig, device: torch.device) -> Callable[[], Any]:
    """A context for the forward pass; and the float32 mode of the device, set once."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = config.precision != "fp32"
    if config.precision not in ("bf16", "fp16"):
        return nullcontext
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float16
    return lambda: torch.autocast(device.type, dtype=dtype)


class Trainer:
    """A model, its optimizers and its average, advanced step by step; everything that a resumed run must restore."""

    def __init__(self, model: Model, config: TrainConfig, batches: Batches, seed: int, device: torch.device) -> None:
        self.model, self.config, self.batches, self.seed, self.device = model, config, batches, seed, device
        self.step = 0
        self.autocast = _precision(config, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        for name, submodule in model.named_children():
            if parameters := [p for p in submodule.parameters() if p.requires_grad]:
                self.optimizers[name] = config.optimizer_for(name).build(parameters)
        self.ema = copy.deepcopy(model).requires_grad_(False) if config.ema_decay else None
        if config.compile:
            for submodule in model.children():
                submodule.compile()

    @property
    def result(self) -> Model:
        """The model to be saved: the average where one is kept."""
        return self.model if self.ema is None else self.ema

    def advance(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """One iteration; returns its losses and metrics as detached scalars on the device (no synchronisation)."""
        step, k = self.step, self.config.accumulate
        torch.manual_seed(
            int(np.random.SeedSequence([self.seed, step]).generate_state(1, np.uint64)[0] >> 1)
        )  # dropout
        self.model.train()
        batches = self.batches.micro_batches(step)
        generators = [self.model.losses(batch, step) for batch in batches]
        losses: dict[str, Tensor] = {}
        while True:
            # The micro-batches' generators advance in turn; the submodule moves when all have been differentiated.
            name, total = None, torch.zeros((), device=self.device)
            for generator in generators:
                with self.autocast():
                    item = next(generator, None)
                if item is None:
                    break
                name, loss = item
                if name not in self.optimizers:
                    raise InputError(
                        f"{type(self.model).__name__}.losses yielded {name!r}, expected a submodule with parameters"
                    )
                parameters = self.optimizers[name].param_groups[0]["params"]
                self.scaler.scale(loss / k).backward(inputs=parameters)
                total += loss.detach().float() / k
            if name is None:
                break
            losses[name] = total
            self._update(name)
        if self.ema is not None:
            self._average()
        self.step += 1
        metrics = {key: sum(b.metrics[key].float() for b in batches) / k for key in batches[0].metrics}
        return losses, metrics  # type: ignore[return-value]

    def _update(self, name: str) -> None:
        optimizer = self.optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = self.config.optimizer_for(name).lr_at(self.step, self.config.steps)
        if self.config.clip_norm is not None:
            self.scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], self.config.clip_norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _average(self) -> None:
        assert self.ema is not None
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.model.parameters()), 1 - self.config.ema_decay)
        for average, current in zip(self.ema.buffers(), self.model.buffers(), strict=True):
            average.copy_(current)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that a resumed run needs: tensors by name, and plain values."""
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        if self.ema is not None:
            tensors |= {f"ema.{key}": value for key, value in self.ema.state_dict().items()}
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
        for name, optimizer in self.optimizers.items():
            parameters = optimizer.param_groups[0]["params"]
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in part(f"optimizer.{name}.").items():
                number, _, entry = key.partition(".")
                parameter = parameters[int(number)]
                if value.shape == parameter.shape:  # a fused optimizer takes the moments to lie as the weights do
                    value = torch.empty_like(parameter).copy_(value)
                state.setdefault(int(number), {})[entry] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.scaler.load_state_dict(info["scaler"])
        self.step = info["step"]


class History:
    """history.jsonl: a line every `log_every` steps with the means since the last; on the device until then."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        # A line cut short by a crash is always after the last saved step.
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept))
        self.sums: dict[str, dict[str, tuple[Tensor, int]]] = {"losses": {}, "metrics": {}}
        self.bad_step: Tensor | None = None

    def add(self, step: int, losses: Mapping[str, Tensor], metrics: Mapping[str, Tensor]) -> None:
        for kind, values in (("losses", losses), ("metrics", metrics)):
            for name, value in values.items():
                total, count = self.sums[kind].get(name, (torch.zeros_like(value), 0))
                self.sums[kind][name] = (total + value, count + 1)
        bad = ~torch.stack([value.isfinite() for value in losses.values()]).all()
        first = self.bad_step if self.bad_step is not None else torch.full_like(bad, -1, dtype=torch.int64)
        self.bad_step = torch.where(bad & (first < 0), step, first)

    def first_bad_step(self) -> int | None:
        """The first step whose loss was NaN or infinite, if any since the last line. Synchronises with the device."""
        found = -1 if self.bad_step is None else int(self.bad_step)
        return None if found < 0 else found

    def state(self) -> tuple[dict[str, Tensor], dict[str, int]]:
        """The sums since the last line, so that a resumed run writes the line that an uninterrupted one would."""
        flat = {f"history.{kind}.{name}": entry for kind, sums in self.sums.items() for name, entry in sums.items()}
        return {key: total for key, (total, _) in flat.items()}, {key: count for key, (_, count) in flat.items()}

    def restore(self, tensors: Mapping[str, Tensor], counts: Mapping[str, int]) -> None:
        for key, count in counts.items():
            _, kind, name = key.split(".", 2)
            self.sums[kind][name] = (tensors[key], count)

    def write(self, **values: Any) -> dict[str, Any]:
        means = {
            kind: {name: float(total) / count for name, (total, count) in sums.items()}
            for kind, sums in self.sums.items()
        }
        line = {"step": values.pop("step"), **means, **values}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.sums, self.bad_step = {"losses": {}, "metrics": {}}, None
        return line


@contextmanager
def _stop_on_signal() -> Iterator[Callable[[], int | None]]:
    """SIGTERM and SIGINT are remembered, so that the loop can save before it leaves; a second one acts at once."""
    received: list[int] = []

    def remember(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, remember) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the training's folder; wait for another process that trains the same model (an orphan of a killed run)."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            log.info("process %s is training this very model; waiting for it to finish", file.read().strip() or "?")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _publish(source: Path, target: Path) -> None:
    """Make `target` the same file as `source` (a hard link costs no space), whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)


def train(
    spec: Mapping[str, Any],
    images: np.ndarray,
    labels: np.ndarray,
    *,
    data_sha256: str,
    seed: int,
    out: Path,
    snapshots: Sequence[int] = (),
    device: torch.device,
    save_seconds: float = 60.0,
    fresh: bool = False,
) -> None:
    """Train the model of `spec` and write `out`, and beside it history.jsonl, training.json and snapshots/.

    spec: {"model": entry, "training": entry}. images: uint8 (N, H, W, C). While it runs, everything lies in the
    folder `training` beside `out`, saved at least every `save_seconds`; the results appear at the end, as links
    to it. A later call with the same arguments goes on from the last save (`fresh` begins anew).
    Raises InputError for a bad spec, a damaged save, or a loss that is not finite.
    """
    config = TrainConfig.from_entry(spec["training"])
    if any(not 0 <= snapshot < config.steps for snapshot in snapshots):
        raise InputError(f"snapshots: found {sorted(snapshots)}, expected steps from 0 to {config.steps - 1}")
    fingerprint = sha256_json([spec["model"], asdict(config), data_sha256, seed, sorted(snapshots), device.type])
    folder = out.parent / "training"
    with _locked(folder):
        state_path, done_path = folder / "state.safetensors", folder / "done.json"
        finished = json.loads(done_path.read_text()) if done_path.exists() else {}
        same = finished == {"fingerprint": fingerprint, "code": provenance.code_sha256()} and not fresh
        if not same:
            done_path.unlink(missing_ok=True)
            _run(
                spec,
                config,
                images,
                labels,
                data_sha256,
                seed,
                sorted(snapshots),
                device,
                folder,
                fingerprint,
                save_seconds,
                fresh,
            )
            write_json(done_path, {"fingerprint": fingerprint, "code": provenance.code_sha256()})
            state_path.unlink(missing_ok=True)
        else:
            log.info("already trained with this very code, data and configuration: nothing to do but to publish it")
        (out.parent / "snapshots").mkdir(exist_ok=True)  # the workflow expects the folder even when it is empty
        for snapshot in snapshots:
            _publish(folder / f"{snapshot}.safetensors", out.parent / "snapshots" / f"{snapshot}.safetensors")
        _publish(folder / "history.jsonl", out.parent / "history.jsonl")
        _publish(folder / "training.json", out.parent / "training.json")
        _publish(folder / "model.safetensors", out)


def _run(
    spec: Mapping[str, Any],
    config: TrainConfig,
    images: np.ndarray,
    labels: np.ndarray,
    data_sha256: str,
    seed: int,
    snapshots: Sequence[int],
    device: torch.device,
    folder: Path,
    fingerprint: str,
    save_seconds: float,
    fresh: bool,
) -> None:
    """Train in `folder` from its last save, if that is of the same training, to the end."""
    torch.backends.cudnn.deterministic = True
    torch.manual_seed(seed)
    image_shape = (images.shape[3], images.shape[1], images.shape[2])
    with torch.device(device):
        model = build(spec["model"], image_shape)
    config.check_model(model)
    model = model.to(memory_format=torch.channels_last)  # as the images are stored; the faster layout for convolutions
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    batches = Batches(images, labels, seed, config, device)
    trainer = Trainer(model, config, batches, seed, device)

    state_path = folder / "state.safetensors"
    seconds_before, resumed = 0.0, 0
    sums: tuple[dict[str, Tensor], dict[str, int]] = ({}, {})
    if state_path.exists() and not fresh:
        tensors, info = weights.load_tensors(state_path, device)
        if info["fingerprint"] == fingerprint:
            trainer.restore(tensors, info)
            sums = tensors, info["history"]
            seconds_before, resumed = info["seconds"], info["resumed"] + 1
            log.info("continuing from step %d of %d", trainer.step, config.steps)
        else:
            log.info("the saved state is of another configuration, data set or device: starting from step 0")
        del tensors
    history = History(folder / "history.jsonl", trainer.step)
    history.restore(*sums)
    started = last_save = last_line = time.monotonic()

    def seconds() -> float:
        return seconds_before + time.monotonic() - started

    def check_finite() -> None:
        if (bad := history.first_bad_step()) is not None:
            saved = f"{state_path} (from before that step)" if state_path.exists() else "none yet"
            raise InputError(
                f"the loss is not finite at step {bad}: training stopped; last good save: {saved}. "
                "A lower learning rate, a longer warm-up, clip_norm or precision fp32 may help"
            )

    def save_state() -> None:
        check_finite()
        tensors, info = trainer.state()
        sums, counts = history.state()
        info |= {"history": counts, "fingerprint": fingerprint, "seconds": seconds(), "resumed": resumed}
        weights.save_tensors(state_path, tensors | sums, info)

    def save_model(path: Path) -> str:
        check_finite()
        result = copy.deepcopy(trainer.result).eval()
        with torch.no_grad():
            result.after_training(batches.in_order())
        return weights.save_tensors(
            path,
            result.state_dict(),
            {
                "model": spec["model"],
                "training": spec["training"],
                "image_shape": image_shape,
                "step": trainer.step,
                "seed": seed,
                "weights": "ema" if config.ema_decay else "raw",
                "data_sha256": data_sha256,
                "provenance": provenance.collect("torch", "numpy", "safetensors"),
            },
        )

    first_step = trainer.step
    with (
        _stop_on_signal() as stopped,
        tqdm(total=config.steps, initial=first_step, unit="step", disable=None, dynamic_ncols=True) as bar,
    ):
        while trainer.step < config.steps:
            if trainer.step in snapshots:
                save_model(folder / f"{trainer.step}.safetensors")
            history.add(trainer.step, *trainer.advance())
            bar.update()
            now = time.monotonic()
            if trainer.step % config.log_every == 0 or trainer.step == config.steps:
                check_finite()
                speed = (trainer.step - first_step) * config.batch_size / max(now - started, 1e-9)
                line = history.write(
                    step=trainer.step,
                    lr={name: optimizer.param_groups[0]["lr"] for name, optimizer in trainer.optimizers.items()},
                    images_seen=trainer.step * config.batch_size,
                    seconds=round(seconds(), 3),
                    images_per_second=round(speed, 2),
                )
                text = ", ".join(f"{name} {value:.4g}" for name, value in line["losses"].items())
                bar.set_postfix_str(f"{text}, {speed:.0f} images/s")
                if now - last_line > 10 and not sys.stderr.isatty():
                    left = (config.steps - trainer.step) * config.batch_size / speed
                    log.info(
                        "step %d/%d: %s; %.0f images/s, %s left", trainer.step, config.steps, text, speed, _clock(left)
                    )
                    last_line = now
            if stopped() is not None:
                save_state()
                log.info("stopped by a signal; saved step %d, run again to continue", trainer.step)
                raise SystemExit(128 + (stopped() or 0))
            if now - last_save > save_seconds:
                save_state()
                last_save = now
    sha256 = save_model(folder / "model.safetensors")
    total = seconds()
    write_json(
        folder / "training.json",
        {
            "steps": config.steps,
            "images_seen": config.steps * config.batch_size,
            "seconds": round(total, 3),
            "images_per_second": round(config.steps * config.batch_size / total, 2),
            "batch_size": config.batch_size,
            "precision": config.precision,
            "device": device_label(device),
            "parameters": {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()},
            "weights": "ema" if config.ema_decay else "raw",
            "ema_decay": config.ema_decay,
            "seed": seed,
            "resumed": resumed,
            "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
            "data_sha256": data_sha256,
            "model_sha256": sha256,
            "provenance": provenance.collect("torch", "numpy", "safetensors"),
        },
    )
    log.info("trained %d steps in %s", config.steps, _clock(total))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
