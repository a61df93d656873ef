"""The records of language models: text.json, training.json, perplexity.json and texts.json of their suites."""

import math
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from genbench.records.provenance import Provenance
from genbench.records.record import Record, only

WORDS = "separated by white space; the end of each line counts as one"
HERE = "where the file comes from: see docs/results.md"


class TextCounts(Record):
    """text.json: numbers of tokens and words in the texts of a suite."""

    train_tokens: int = Field(description="tokens of the training text")
    train_words: int = Field(description=f"its words, {WORDS}")
    valid_tokens: int = Field(description="tokens of the held-out text, used only for learning curves")
    valid_words: int = Field(description=f"its words, {WORDS}")
    test_tokens: int = Field(description="tokens of the test text, all of which are scored")
    test_words: int = Field(description=f"its words, {WORDS}")
    test_bytes: int = Field(description="its bytes in UTF-8")
    vocab_size: int = Field(description="tokens that the tokenizer knows")
    train_sha256: str = Field(description="hash of the training text")
    valid_sha256: str = Field(description="hash of the held-out text")
    test_sha256: str = Field(description="hash of the test text")
    tokens_sha256: str = Field(description="hash of the tokens of all three")
    provenance: Provenance | None = Field(default=None, description=HERE)


class LanguageTraining(Record):
    """training.json: how a network was trained, and the cost."""

    steps: int = Field(description="steps; 0 for a published model without fine-tuning")
    tokens_seen: int = Field(description="tokens that it was trained on, summed over epochs")
    seconds: float = Field(description="training time, without interruptions")
    precision: str = Field(description="numeric precision")
    device: str = Field(description="the machine's GPU or processor")
    parameters: int = Field(description="number of weights")
    seed: int = Field(description="seed of the training")
    resumed: int = Field(description="how often it was resumed")
    peak_memory_bytes: int | None = Field(description="peak memory of the process; on a GPU, the memory held there")
    tokens_sha256: str = Field(description="hash of the tokens")
    model_sha256: str = Field(description="hash of the weights")
    history_sha256: str = Field(description="hash of history.jsonl")
    provenance: Provenance | None = Field(default=None, description=HERE)


class Perplexity(Record):
    """perplexity.json: how well a model predicts the test text."""

    perplexity_per_token: float = Field(
        description="exp of the mean negative log-likelihood per token: comparable only for one tokenizer"
    )
    perplexity_per_word: float = Field(
        description="exp of the text's negative log-likelihood divided by its words: comparable for all models"
    )
    bits_per_byte: float = Field(description="the text's negative log-likelihood in bits, divided by its bytes")
    tokens: int = Field(description="tokens that were scored: each token of the test text once")
    words: int = Field(description="words of the text, for perplexity per word")
    window: int = Field(description="tokens per window; for an n-gram model, n")
    stride: int = Field(description="tokens from the start of one window to the next")
    parameters: int = Field(description="number of weights; for an n-gram model, of counts")
    fit_seconds: float | None = only("for n-gram models", "counting time")
    seconds: float = Field(description="scoring time")
    seconds_per_1000_tokens: float = Field(description="scoring time per 1,000 tokens")
    device: str = Field(description="the machine's GPU or processor")
    peak_memory_bytes: int | None = Field(description="peak memory of the process; on a GPU, the memory held there")
    tokens_sha256: str = Field(description="hash of the tokens")
    model_sha256: str | None = Field(description="hash of the weights; null for an n-gram model")
    provenance: Provenance | None = Field(default=None, description=HERE)


def perplexities(losses: Sequence[float], words: int, size: int) -> dict[str, Any]:
    """A text's perplexity per token and per word, and its bits per byte, by their keys in `Perplexity`.

    losses: negative log-likelihoods of its tokens, in nats. words, size: its number of words and of bytes.
    """
    total = math.fsum(losses)
    return {
        "perplexity_per_token": math.exp(total / len(losses)),
        "perplexity_per_word": math.exp(total / words),
        "bits_per_byte": total / math.log(2) / size,
    }


class GeneratedText(Record):
    """A text that a network wrote."""

    prompt: str = Field(description="the prompt")
    seed: int = Field(description="the seed")
    text: str = Field(description="the network's continuation")
    tokens: int = Field(description="tokens of the continuation")


class Texts(Record):
    """texts.json: what a network wrote, and how long that took."""

    texts: list[GeneratedText] = Field(description="prompt, seed, text and tokens of each")
    options: dict[str, Any] = Field(description="tokens, temperature, top_k and batch_size")
    seconds: float = Field(description="time to draw all texts")
    seconds_per_1000_tokens: float = Field(description="time per 1,000 tokens, including padding")
    device: str = Field(description="the machine's GPU or processor")
    model_sha256: str = Field(description="hash of the weights")
    provenance: Provenance | None = Field(default=None, description=HERE)
