"""One training of a language model in its folder: saved as it goes, and continued to the same bits.

Step k sees the windows, and drops what it drops, as (seed, k) say: nothing random is stored.
"""

import json
import logging
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genbench.errors import InputError, place
from genbench.files.artifacts import atomic_path, sha256_json, write_json
from genbench.files.locks import locked
from genbench.files.weights import load_tensors, save_tensors
from genbench.language.models import build
from genbench.language.perplexity import token_losses
from genbench.machine.devices import device_label, peak_memory
from genbench.machine.precision import native_precision
from genbench.machine.progress import Progress
from genbench.machine.signals import stop_on_signal
from genbench.records.language import LanguageTraining
from genbench.records.provenance import Provenance
from genbench.training.batches import epoch_order
from genbench.training.history import History
from genbench.training.recipe import OptimizerConfig

log = logging.getLogger(__name__)


class TextTraining:
    """A network, its optimizer, and the text in windows; goes on from `folder`/state.safetensors, if that is its own.

    spec: an entry's `model` or `pretrained`, and its `training`. Raises InputError for a recipe that does not fit the
    text.
    """

    def __init__(
        self, spec: Mapping[str, Any], tokens: Path, folder: Path, *, data_root: Path, seed: int, device: torch.device
    ) -> None:
        self.recipe: dict[str, Any] = spec.get("training", {"epochs": 0, "window": 2, "batch_size": 1, "optimizer": {}})
        self.seed, self.device, self.folder, self.path = seed, device, folder, folder / "state.safetensors"
        texts, info = load_tensors(tokens)
        window = self.recipe["window"]
        count = len(texts["train"]) // window
        self.windows = texts["train"][: count * window].view(count, window).long()
        self.test, self.data_sha256 = texts["test"], info["sha256"]
        self.steps = self.recipe["epochs"] * count // self.recipe["batch_size"]
        if "training" in spec and not self.steps:
            raise InputError(
                f"training: found {count} windows of {window} tokens in the text, expected at least one batch of "
                f"{self.recipe['batch_size']}: a shorter window, smaller batches or more epochs"
            )
        with place("training", "optimizer"):
            self.optimization = OptimizerConfig.from_entry(self.recipe["optimizer"], self.recipe["optimizer"])
        self.network, self.config = build(spec, info["vocab_size"], data_root, seed)
        self.network.to(device)
        self.optimizer = self.optimization.build(list(self.network.parameters()))
        self.fingerprint = sha256_json([dict(spec), self.data_sha256, seed, device.type])
        self.precision = self.recipe.get("precision", "fp32")
        self.precision = native_precision(device) if self.precision == "auto" else self.precision
        self.step, self.seconds_before, self.resumed = 0, 0.0, 0
        self.history = self._restore()
        self.first, self.started = self.step, time.monotonic()

    def _restore(self) -> History:
        tensors, info = load_tensors(self.path) if self.path.exists() else ({}, {})
        own = info.get("fingerprint") == self.fingerprint
        if own:
            self.network.load_state_dict(_part(tensors, "model."))
            groups, state = self.optimizer.state_dict()["param_groups"], dict[int, dict[str, Tensor]]()
            for name, value in _part(tensors, "optimizer.").items():
                number, _, key = name.partition(".")
                state.setdefault(int(number), {})[key] = value
            self.optimizer.load_state_dict({"state": state, "param_groups": groups})
            self.step, self.precision, self.resumed = info["step"], info["precision"], info["resumed"] + 1
            self.seconds_before = info["seconds"]
            log.info("continuing from step %d of %d", self.step, self.steps)
        history = History(self.folder / "history.jsonl", self.step)
        if own:
            history.restore(tensors, info["history"])
        return history

    def save(self) -> None:
        """Save all that it takes to go on from here."""
        self.check_finite()
        sums, counts = self.history.state()
        tensors = {f"model.{name}": value for name, value in self.network.state_dict().items()} | sums
        for number, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
        info = {"fingerprint": self.fingerprint, "step": self.step, "precision": self.precision, "history": counts}
        self.history.sha256()  # its lines are on the disk before what goes on behind them
        save_tensors(self.path, tensors, info | {"seconds": self.seconds(), "resumed": self.resumed})

    def seconds(self) -> float:
        """Spent on this training so far, before it was interrupted too."""
        return self.seconds_before + time.monotonic() - self.started

    def check_finite(self) -> None:
        """Raise InputError if a loss was NaN or infinite since the last look."""
        if (step := self.history.first_bad_step()) is not None:
            raise InputError(f"the loss is not finite at step {step}: training stopped; a lower learning rate may help")

    def batch(self) -> Tensor:
        """The windows (batch_size, window) of this step; an epoch ends inside a batch, and the next begins there."""
        first, count = self.step * self.recipe["batch_size"], len(self.windows)
        places = [divmod(first + offset, count) for offset in range(self.recipe["batch_size"])]
        orders = {epoch: epoch_order(self.seed, epoch, count) for epoch in {epoch for epoch, _ in places}}
        return self.windows[[int(orders[epoch][index]) for epoch, index in places]].to(self.device)

    def advance(self) -> Tensor:
        """One step; its loss, the mean over its tokens."""
        entropy = np.random.SeedSequence([self.seed, self.step]).generate_state(1, np.uint64)[0]
        torch.manual_seed(int(entropy >> 1))  # dropout
        half = torch.autocast(self.device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()
        total = torch.zeros((), device=self.device)
        self.network.train()
        for part in self.batch().chunk(self.recipe["accumulate"]):
            with half:
                loss = self.network(input_ids=part, labels=part, use_cache=False).loss / self.recipe["accumulate"]
            loss.backward()
            total += loss.detach().float()
        if self.recipe["clip_norm"]:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe["clip_norm"])
        for group in self.optimizer.param_groups:
            group["lr"] = self.optimization.lr_at(self.step, self.steps)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return total

    def go(self, save_seconds: float) -> None:
        """Train to the end; saved at least every `save_seconds`, and before it leaves (SystemExit) for a signal."""
        saved, window = time.monotonic(), self.recipe["window"]
        seen = self.recipe["batch_size"] * window
        with stop_on_signal() as stopped, Progress(self.steps, "steps", initial=self.step) as progress:
            while self.step < self.steps:
                self.history.add(self.step, {"loss": self.advance()}, {})
                progress.update()
                seconds, counted = round(self.seconds(), 3), {"step": self.step, "tokens_seen": self.step * seen}
                if self.step % self.recipe["log_every"] == 0 or self.step == self.steps:
                    self.check_finite()
                    lr = self.optimizer.param_groups[0]["lr"]
                    line = self.history.write(**counted, lr=lr, seconds=seconds)
                    progress.note(f"loss {line['losses']['loss']:.4g}")
                every = self.recipe["validate_every"]
                if every and (self.step % every == 0 or self.step == self.steps):
                    part = self.test[: self.recipe["validate_windows"] * (window - 1) + 1]
                    loss = float(token_losses(self.network.eval(), part, window, window, 8).mean())
                    self.history.append(**counted, validation={"loss": loss}, seconds=seconds)
                if received := stopped():
                    self.save()
                    log.info("stopped by a signal; saved step %d, run again to continue", self.step)
                    raise SystemExit(128 + received)
                if time.monotonic() - saved > save_seconds:
                    self.save()
                    saved = time.monotonic()


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def train(
    spec: Mapping[str, Any],
    tokens: Path,
    out: Path,
    *,
    data_root: Path,
    seed: int,
    device: torch.device,
    save_seconds: float = 60.0,
    fresh: bool = False,
) -> None:
    """Train the network of an entry and write `out`, model.safetensors, and beside it history.jsonl and training.json.

    tokens: from `prepare_text`. A later call with the same arguments goes on from the last save; `fresh` begins anew.
    An entry without training is written as it is. Raises InputError.
    """
    folder = out.parent / "training"
    with locked(folder / "lock", "training this very model"):
        if fresh:
            (folder / "state.safetensors").unlink(missing_ok=True)
        run = TextTraining(spec, tokens, folder, data_root=data_root, seed=seed, device=device)
        run.go(save_seconds)
        run.check_finite()
        info = {"config": run.config, "spec": json.loads(json.dumps(spec)), "seed": seed, "step": run.step}
        provenance = Provenance.collect("torch", "transformers", "safetensors", kind="language")
        sha256 = save_tensors(out, run.network.state_dict(), info | {"data_sha256": run.data_sha256})
        with atomic_path(out.with_name("history.jsonl")) as temporary:
            temporary.write_bytes(run.history.path.read_bytes())
        record = LanguageTraining(
            steps=run.steps,
            tokens_seen=run.steps * run.recipe["batch_size"] * run.recipe["window"],
            seconds=round(run.seconds(), 3),
            precision=run.precision,
            device=device_label(device),
            parameters=sum(weight.numel() for weight in run.network.parameters()),
            seed=seed,
            resumed=run.resumed,
            peak_memory_bytes=peak_memory(device),
            tokens_sha256=run.data_sha256,
            model_sha256=sha256,
            history_sha256=run.history.sha256(),
            provenance=provenance,
        )
        write_json(out.with_name("training.json"), record.content())
        run.path.unlink(missing_ok=True)
