"""A text in windows of tokens, and which of them an iteration sees: a function of (seed, step) only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from genbench.errors import InputError
from genbench.models import Learner
from genbench.training.batches import Order, Slice
from genbench.training.recipe import TrainConfig

OWN = ("epochs", "window", "validate_windows")  # keys of a text's recipe that the trainer does not have


def cut(tokens: Tensor, window: int) -> Tensor:
    """A text (N,) in windows (n, window) that do not overlap; left-over tokens at its end are dropped."""
    return tokens[: len(tokens) // window * window].view(-1, window)


def overlapping(length: int, window: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """(begin, end, first) of each window of a text of `length` tokens: it sees begin to end - 1, and scores from first.

    A window begins `stride` tokens after the one before. Each token but the first is scored once.
    """
    scored = 1  # nothing predicts the first token
    for begin in range(0, length, min(stride, window - 1)):
        end = min(begin + window, length)
        if scored < end:
            yield begin, end, scored
        scored = end
        if end == length:
            return


def in_steps(training: Mapping[str, Any], windows: int) -> TrainConfig:
    """The recipe of a language model's `training`, with its epochs converted to steps on so many windows.

    Raises InputError.
    """
    steps = training["epochs"] * windows // training["batch_size"]
    if not steps:
        raise InputError(
            f"found {windows} windows of {training['window']} tokens in the text, expected at least one batch of "
            f"{training['batch_size']}: a shorter window, smaller batches or more epochs"
        )
    shared = {key: value for key, value in training.items() if key not in OWN}
    return TrainConfig.from_entry(shared | {"steps": steps, "clip_norm": training["clip_norm"] or None})


@dataclass
class Part:
    """What a language model learns from: windows (B, window) of tokens. metrics: as in a `Batch`."""

    ids: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)


class Windows:
    """The windows (n, window) of a text, and the micro-batches of any iteration."""

    part: Slice | None = None  # one process trains on all

    def __init__(self, windows: Tensor, config: TrainConfig, seed: int, device: torch.device) -> None:
        self.windows, self.config, self.device = windows, config, device
        self.order = Order(seed, len(windows), config.batch_size, windows.device)

    def micro_batches(self, step: int) -> list[Part]:
        """The `accumulate` parts of iteration `step`."""
        ids = self.windows[self.order.of(step)].long().to(self.device)  # (batch_size, window)
        return [Part(part) for part in ids.chunk(self.config.accumulate)]


class Predictor(Learner):
    """A causal network of transformers, for the trainer: it predicts each token of a window from those before it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def losses(self, batch: Part, step: int) -> Iterator[tuple[str, Tensor]]:
        yield "network", self.network(input_ids=batch.ids, labels=batch.ids, use_cache=False).loss
