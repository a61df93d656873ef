"""How well a model predicts a text: the exponential of the mean negative log-likelihood.

A network sees a window of the text at once. With a stride below the window, windows overlap, and only the tokens of a
window that the one before did not score are counted, as in "Perplexity of fixed-length models" of transformers'
documentation. Every token of the text is counted once; the mark of its beginning is not counted.
"""

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench.files.artifacts import write_json
from genbench.files.weights import load_tensors
from genbench.language.models import load_model
from genbench.language.ngrams import NgramModel
from genbench.machine.devices import device_label, peak_memory
from genbench.records.language import Perplexity, perplexities
from genbench.records.provenance import Provenance
from genbench.training.windows import overlapping


@torch.inference_mode()
def token_losses(network: nn.Module, tokens: Tensor, window: int, stride: int, batch_size: int) -> Tensor:
    """Negative log-likelihoods (N - 1,) of all tokens (N,) but the first, float64, in nats; computed in float32."""
    losses = torch.empty(len(tokens) - 1, dtype=torch.float64)
    device = next(network.parameters()).device
    found = list(overlapping(len(tokens), window, stride))
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


def evaluate(
    tokens: Path, out: Path, evaluation: dict[str, Any], *, model: Path | None, order: int | None, device: torch.device
) -> None:
    """Score the test text with the network in `model`, or an n-gram model of `order`; writes `out`, perplexity.json."""
    texts, info = load_tensors(tokens)
    test, known = texts["test"], dict[str, Any](fit_seconds=None, model_sha256=None)
    if model is not None:
        network, trained = load_model(model, device)
        known |= {"window": evaluation["window"], "stride": evaluation["stride"], "model_sha256": trained["sha256"]}
        known["parameters"] = sum(weight.numel() for weight in network.parameters())
        token_losses(network, test[: evaluation["window"]], **evaluation)  # the first call allocates memory
        started = time.monotonic()
        losses = token_losses(network, test, **evaluation).tolist()
    else:
        assert order is not None
        NgramModel(order, [0, 0], 1)  # imports NLTK
        started = time.monotonic()
        ngrams = NgramModel(order, texts["train"].tolist(), info["vocab_size"])
        known |= {"window": order, "stride": 1, "parameters": ngrams.size}
        known["fit_seconds"] = time.monotonic() - started
        started = time.monotonic()
        losses = ngrams.losses(test.tolist())
    seconds = time.monotonic() - started
    record = Perplexity(
        **perplexities(losses, info["words"], info["bytes"]) | known,
        tokens=len(losses),
        words=info["words"],
        seconds=round(seconds, 3),
        seconds_per_1000_tokens=1000 * seconds / len(losses),
        device=device_label(device),
        peak_memory_bytes=peak_memory(device),
        tokens_sha256=info["sha256"],
        provenance=Provenance.collect("torch", "transformers", "nltk", kind="language"),
    )
    write_json(out, record.content())
