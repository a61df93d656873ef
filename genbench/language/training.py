"""The training of a language model, with the trainer and loop of all models, on windows of a text.

The windows and the dropout of step k depend only on (seed, k): no random state is stored.
"""

import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from genbench.errors import place
from genbench.files.artifacts import sha256_json, write_json
from genbench.files.weights import load_tensors, save_tensors
from genbench.language.models import build
from genbench.language.perplexity import token_losses
from genbench.machine.devices import peak_memory
from genbench.machine.ranks import ALONE
from genbench.records.language import LanguageTraining
from genbench.records.provenance import Provenance
from genbench.training.claim import begun_in
from genbench.training.folder import train_alone
from genbench.training.loop import Run
from genbench.training.recipe import TrainConfig
from genbench.training.trainer import Trainer
from genbench.training.windows import Predictor, Windows, cut, in_steps


class TextRun(Run):
    """A network's training on a text, in its folder.

    spec: an entry's `model` or `pretrained`, and its `training`; without `training` the network is saved unchanged.
    Raises InputError for a recipe that does not fit the text.
    """

    data = "text"

    def __init__(
        self, spec: Mapping[str, Any], tokens: Path, folder: Path, *, data_root: Path, seed: int, device: torch.device
    ) -> None:
        self.spec, self.seed = spec, seed
        recipe = spec.get("training", {"window": 2, "validate_windows": 0})
        texts, info = load_tensors(tokens)
        self.window, self.data_sha256 = recipe["window"], info["sha256"]
        self.valid = texts["valid"][: recipe["validate_windows"] * (self.window - 1) + 1]
        windows = cut(texts["train"], self.window)
        with place("training"):
            config = in_steps(recipe, len(windows)) if "training" in spec else TrainConfig(steps=0, batch_size=1)
        fingerprint = sha256_json([dict(spec), self.data_sha256, seed, device.type])
        config = config.in_precision(begun_in(folder, fingerprint, device))
        network, self.network_config = build(spec, info["vocab_size"], data_root, seed)
        trainer = Trainer(Predictor(network).to(device), config, Windows(windows, config, seed, device), seed, device)
        super().__init__(trainer, folder, ALONE, fingerprint)

    def save_model(self, path: Path) -> str:
        """Save the network as it is now; returns the hash of its weights."""
        self.check_finite()
        info = {"config": self.network_config, "spec": json.loads(json.dumps(self.spec)), "seed": self.seed}
        info |= {"step": self.trainer.step, "data_sha256": self.data_sha256}
        return save_tensors(path, self.trainer.model.network.state_dict(), info)

    @property
    def tokens_seen(self) -> int:
        """Tokens that it has learned from, over all epochs."""
        return self.trainer.step * self.trainer.config.batch_size * self.window

    def _counted(self) -> tuple[dict[str, Any], str]:
        speed = (self.trainer.step - self.first_step) * self.trainer.config.batch_size * self.window
        lr = self.trainer.optimizers["network"].param_groups[0]["lr"]
        values = {"tokens_seen": self.tokens_seen, "lr": lr, "seconds": round(self.seconds(), 3)}
        return values, f"{speed / max(time.monotonic() - self.started, 1e-9):,.0f} tokens/s"

    def _is_watched(self) -> bool:  # also at the end, to complete the curve
        config = self.trainer.config
        return super()._is_watched() or (config.validate_every > 0 and self.trainer.step == config.num_steps)

    def _look(self) -> tuple[dict[str, float], dict[str, int]]:
        losses = token_losses(self.trainer.model.network.eval(), self.valid, self.window, self.window, 8)
        return {"loss": float(losses.mean())}, {"tokens_seen": self.tokens_seen}

    def _write_record(self, model_sha256: str, seconds: float) -> None:
        record = LanguageTraining(
            **self._known(model_sha256, seconds),
            parameters=sum(weight.numel() for weight in self.trainer.model.parameters()),
            tokens_seen=self.tokens_seen,
            peak_memory_bytes=peak_memory(self.trainer.device),
            tokens_sha256=self.data_sha256,
            provenance=Provenance.collect("torch", "transformers", "safetensors", kind="language"),
        )
        write_json(self.folder / "training.json", record.content())


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

    tokens: from `prepare_text`. A later call with the same arguments continues from the last save; `fresh` starts from
    the beginning. The network of an entry without training is written unchanged. Raises InputError.
    """
    make = partial(TextRun, spec, tokens, data_root=data_root, seed=seed, device=device)
    train_alone(make, out, save_seconds=save_seconds, fresh=fresh)
