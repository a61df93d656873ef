"""Texts from prompts. Text i of a prompt is a function of (network, prompt, options, seed i).

Tokens are drawn by the inverse of the distribution function, from random numbers that belong to the seed (Noise).
Batches always have the same size, since kernels round differently for other sizes.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genbench.errors import InputError
from genbench.files.artifacts import write_json
from genbench.language.models import load_model
from genbench.language.text import encode, load_tokenizer
from genbench.machine.devices import device_label
from genbench.processes.noise import Noise
from genbench.records.language import GeneratedText, Texts
from genbench.records.provenance import Provenance


@torch.inference_mode()
def continuations(
    network: nn.Module, prompt: Sequence[int], seeds: Tensor, *, tokens: int, temperature: float, top_k: int
) -> Tensor:
    """Draw `tokens` tokens after a prompt, for each of the seeds (N,): (N, tokens)."""
    uniform = Noise(seeds).uniform(tokens)  # (N, tokens)
    given = torch.tensor(prompt, device=seeds.device).expand(len(seeds), -1)
    memory, drawn = None, []
    for place in range(tokens):
        found = network(input_ids=given, cache=memory, use_cache=True)
        memory, logits = found.cache, found.logits[:, -1].double() / temperature  # (N, V)
        if top_k:
            least = logits.topk(min(top_k, logits.shape[1])).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        share = logits.softmax(dim=1).cumsum(dim=1)
        given = torch.searchsorted(share, uniform[:, place : place + 1].double() * share[:, -1:])
        drawn.append(given)
    return torch.cat(drawn, dim=1)


def write_texts(
    model: Path, tokenizer: Path, samples: Mapping[str, Any], seeds: range, out: Path, device: torch.device
) -> None:
    """Write `out`, texts.json: the continuation of each prompt by the network in `model`, for each seed.

    samples: that key of a suite. Raises InputError if a prompt and its continuation are too long for the model.
    """
    network, info = load_model(model, device)
    reader, size = load_tokenizer(tokenizer), samples["batch_size"]
    options = {key: samples[key] for key in ("tokens", "temperature", "top_k")}
    places = info["config"].get("max_position_embeddings", float("inf"))
    started, count, texts = time.monotonic(), 0, []
    for text in samples["prompts"]:
        prompt = encode(reader, text)
        if len(prompt) + options["tokens"] > places:
            raise InputError(
                f"samples: found a prompt of {len(prompt)} tokens and {options['tokens']} more, expected at most "
                f"{places} together, the model's max_position_embeddings"
            )
        for first in range(0, len(seeds), size):
            part = list(seeds[first : first + size])
            padded = torch.tensor(part + part[-1:] * (size - len(part)), device=device)
            for seed, ids in zip(part, continuations(network, prompt, padded, **options).tolist(), strict=False):
                texts.append(GeneratedText(prompt=text, seed=seed, text=str(reader.decode(ids)), tokens=len(ids)))
            count += len(padded) * options["tokens"]
    seconds = time.monotonic() - started
    record = Texts(
        texts=texts,
        options=options | {"batch_size": size},
        seconds=round(seconds, 3),
        seconds_per_1000_tokens=1000 * seconds / count,
        device=device_label(device),
        model_sha256=info["sha256"],
        provenance=Provenance.collect("torch", "transformers", "tokenizers", kind="language"),
    )
    write_json(out, record.content())
