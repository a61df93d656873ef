"""The records of language models: text.json, training.json, perplexity.json and texts.json of their suites."""

import math
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from genbench.records.provenance import Provenance
from genbench.records.record import Record, only

WORDS = "between white space, and the end of each line"
HERE = "where the file comes from: see docs/results.md"


class TextCounts(Record):
    """text.json: what was counted in the texts of a suite."""

    train_tokens: int = Field(description="tokens of the training text")
    train_words: int = Field(description=f"its words: what stands {WORDS}")
    valid_tokens: int = Field(description="tokens of the held-out text, which only learning curves look at")
    valid_words: int = Field(description=f"its words: what stands {WORDS}")
    test_tokens: int = Field(description="tokens of the test text, all of which are scored")
    test_words: int = Field(description=f"its words: what stands {WORDS}")
    test_bytes: int = Field(description="its bytes in UTF-8")
    vocab_size: int = Field(description="tokens that the tokenizer knows")
    train_sha256: str = Field(description="hash of the training text")
    valid_sha256: str = Field(description="hash of the held-out text")
    test_sha256: str = Field(description="hash of the test text")
    tokens_sha256: str = Field(description="hash of the tokens of all three")
    provenance: Provenance | None = Field(default=None, description=HERE)


class LanguageTraining(Record):
    """training.json: how a network came about, and what that cost."""

    steps: int = Field(description="steps; 0 of a published model as it is")
    tokens_seen: int = Field(description="tokens that it learned from, in every epoch")
    seconds: float = Field(description="time of training, stops not counted")
    precision: str = Field(description="what was computed in")
    device: str = Field(description="the machine's GPU or processor")
    parameters: int = Field(description="number of weights")
    seed: int = Field(description="seed of the training")
    resumed: int = Field(description="how often it was continued")
    peak_memory_bytes: int | None = Field(description="most memory of the process, of a GPU the memory held there")
    tokens_sha256: str = Field(description="hash of the tokens")
    model_sha256: str = Field(description="hash of the weights")
    history_sha256: str = Field(description="hash of history.jsonl")
    provenance: Provenance | None = Field(default=None, description=HERE)


class Perplexity(Record):
    """perplexity.json: how well a model predicts the test text."""

    perplexity_per_token: float = Field(
        description="exp of the mean negative log-likelihood of a token: compares only models of one tokenizer"
    )
    perplexity_per_word: float = Field(
        description="exp of the negative log-likelihood of the text, divided by its words: compares any models"
    )
    bits_per_byte: float = Field(description="the same in bits, divided by its bytes")
    tokens: int = Field(description="tokens that were scored: each of the test text once")
    words: int = Field(description="words that it is divided by")
    window: int = Field(description="tokens of a window; of an n-gram model n")
    stride: int = Field(description="tokens from one window to the next")
    parameters: int = Field(description="number of weights; of an n-gram model of its counts")
    fit_seconds: float | None = only("of n-gram models", "time of counting")
    seconds: float = Field(description="time of scoring")
    seconds_per_1000_tokens: float = Field(description="the same for 1,000 tokens")
    device: str = Field(description="the machine's GPU or processor")
    peak_memory_bytes: int | None = Field(description="most memory of the process, of a GPU the memory held there")
    tokens_sha256: str = Field(description="hash of the tokens")
    model_sha256: str | None = Field(description="hash of the weights; null of an n-gram model")
    provenance: Provenance | None = Field(default=None, description=HERE)


def perplexities(losses: Sequence[float], words: int, size: int) -> dict[str, Any]:
    """A text's perplexity per token and per word, and its bits per byte, as a `Perplexity` has them.

    losses: of its tokens, negative log-likelihoods in nats; words, size: how many words and bytes it has.
    """
    total = math.fsum(losses)
    return {
        "perplexity_per_token": math.exp(total / len(losses)),
        "perplexity_per_word": math.exp(total / words),
        "bits_per_byte": total / math.log(2) / size,
    }


class GeneratedText(Record):
    """A text that a network wrote."""

    prompt: str = Field(description="how it begins")
    seed: int = Field(description="its seed")
    text: str = Field(description="how the network continued it")
    tokens: int = Field(description="tokens of the continuation")


class Texts(Record):
    """texts.json: what a network wrote, and how long that took."""

    texts: list[GeneratedText] = Field(description="prompt, seed, text and tokens of each")
    options: dict[str, Any] = Field(description="tokens, temperature, top_k and batch_size")
    seconds: float = Field(description="time of drawing them all")
    seconds_per_1000_tokens: float = Field(description="the same for 1,000 tokens, padding counted")
    device: str = Field(description="the machine's GPU or processor")
    model_sha256: str = Field(description="hash of the weights")
    provenance: Provenance | None = Field(default=None, description=HERE)
