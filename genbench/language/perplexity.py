"""How well a model predicts a text: the exponential of the mean negative log-likelihood.

A network sees a window of the text at once. With a stride below the window, windows overlap, and of each only what the
one before did not score is counted, as in "Perplexity of fixed-length models" of transformers' documentation. Every
token of the text is counted once; the mark of its beginning, which only stands before it, is not.
"""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.files.artifacts import write_json
from genbench.files.weights import load_tensors
from genbench.language.models import load_model
from genbench.language.ngrams import NgramModel
from genbench.machine.devices import device_label, peak_memory, synchronise
from genbench.records.language import Perplexity
from genbench.records.provenance import Provenance


def windows(length: int, window: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """(begin, end, first) of each window of a text of `length` tokens: it sees begin to end - 1, scores from first."""
    scored = 1  # nothing predicts the first token
    for begin in range(0, length, min(stride, window - 1)):
        end = min(begin + window, length)
        if scored < end:
            yield begin, end, scored
        scored = end
        if end == length:
            return


@torch.inference_mode()
def token_losses(network: nn.Module, tokens: Tensor, window: int, stride: int, batch_size: int) -> Tensor:
    """Negative log-likelihoods (N - 1,) of all tokens (N,) but the first, float64, in nats; computed in float32."""
    losses = torch.empty(len(tokens) - 1, dtype=torch.float64)
    device = next(network.parameters()).device
    found = list(windows(len(tokens), window, stride))
    while found:
        size = found[0][1] - found[0][0]
        part = [span for span in found[:batch_size] if span[1] - span[0] == size]
        found = found[len(part) :]
        batch = torch.stack([tokens[begin:end] for begin, end, _ in part]).to(device).long()  # (B, size)
        logits = network(input_ids=batch, use_cache=False).logits[:, :-1].float()
        flat = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
        for row, (begin, end, first) in zip(flat.view(len(part), -1), part, strict=True):
            losses[first - 1 : end - 1] = row[first - 1 - begin :].double().cpu()
    return losses


def perplexities(losses: Sequence[float] | Tensor, words: int, size: int) -> dict[str, float]:
    """Per token, per word, and bits per byte, of a text of `words` words and `size` bytes. losses: in nats."""
    total = math.fsum(losses.tolist() if isinstance(losses, Tensor) else losses)
    return {
        "perplexity_per_token": math.exp(total / len(losses)),
        "perplexity_per_word": math.exp(total / words),
        "bits_per_byte": total / math.log(2) / size,
    }


def evaluate(
    tokens: Path, out: Path, evaluation: dict[str, Any], *, model: Path | None, order: int | None, device: torch.device
) -> None:
    """Score the test text by a network's file, or by an n-gram model of this order; writes `out`, perplexity.json."""
    texts, info = load_tensors(tokens)
    test = texts["test"]
    provenance = Provenance.collect("torch", "transformers", "nltk", kind="language")
    if model is not None:
        network, trained = load_model(model, device)
        token_losses(network, test[: evaluation["window"]], **evaluation)  # the first call makes room
        started = time.monotonic()
        losses: Sequence[float] | Tensor = token_losses(network, test, **evaluation)
        synchronise(device)
        parameters, weights = sum(weight.numel() for weight in network.parameters()), trained["sha256"]
        fitted = None
    else:
        assert order is not None
        NgramModel(order, [0, 0], 1)  # imports NLTK
        started = time.monotonic()
        ngrams = NgramModel(order, texts["train"].tolist(), info["vocab_size"])
        fitted = time.monotonic() - started
        started = time.monotonic()
        losses = ngrams.losses(test.tolist())
        parameters, weights = ngrams.size, None
    seconds = time.monotonic() - started
    record = Perplexity(
        **perplexities(losses, info["words"], info["bytes"]),
        tokens=len(losses),
        words=info["words"],
        window=evaluation["window"] if order is None else order,
        stride=evaluation["stride"] if order is None else 1,
        parameters=parameters,
        fit_seconds=fitted,
        seconds=round(seconds, 3),
        seconds_per_1000_tokens=1000 * seconds / len(losses),
        device=device_label(device),
        peak_memory_bytes=peak_memory(device),
        tokens_sha256=info["sha256"],
        model_sha256=weights,
        provenance=provenance,
    )
    write_json(out, record.content())
