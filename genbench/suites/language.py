"""Every key of a suite of language models, each with its meaning below it."""
# ruff: noqa: RUF012 - pydantic copies mutable defaults

from typing import Annotated, Any, Literal

from pydantic import MISSING, Field, model_validator

from genbench.mappings import Keys
from genbench.ranges import (
    Count,
    CountOrZero,
    NotNegative,
    NumImages,
    Passes,
    Positive,
    Range,
    Repeats,
    Seed,
    ShareBelowOne,
)
from genbench.suites.values import FilePath, Name, Options, SomeUnique, Text, all_defaults

KINDS = ("ngram", "model", "pretrained")  # of entries: each has one of these keys


class Texts(Keys):
    """Files of text in UTF-8; each path is used as given or inside data_root. wikitext-2/train.txt, valid.txt and
    test.txt are WikiText-2 as published; they are verified, and downloaded if they are missing."""

    train: FilePath
    """The training text."""
    test: FilePath
    """The text that is scored. It is not used for training, for any choice or for learning curves."""
    valid: FilePath | MISSING = MISSING
    """The text for learning curves; by default the last twentieth of `train`'s lines, which then no model learns."""
    label: Text
    """The name of the text in the report."""
    note: str = ""
    """A remark on the text that readers of the report need, such as that another training text is usual."""


class Source(Keys):
    """The place of a published model: on this machine, or on the model hub."""

    path: FilePath | MISSING = MISSING
    """A folder that transformers can load; the path is used as given or inside data_root."""
    hub: str | MISSING = MISSING
    """OWNER/NAME on the model hub, instead of path."""
    revision: str | MISSING = MISSING
    """The commit there, 40 hexadecimal digits: a branch could change."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> "Source":
        _exactly_one(self, "path", "hub")
        if (self.hub is MISSING) != (self.revision is MISSING):
            raise ValueError(f"key {'revision' if self.revision is MISSING else 'hub'!r} is missing")
        return self


class Tokenizer(Keys):
    """The tokenizer of all models of the suite, so that their perplexities can be compared."""

    vocab_size: Annotated[int, Range(ge=257, le=10**6)] | MISSING = MISSING
    """Train a byte-level BPE with this many tokens on the training text; 257 are the bytes and the mark of the
    beginning."""
    published: Source | MISSING = MISSING
    """Take the tokenizer of a published model instead."""

    @model_validator(mode="after")
    def _is_one(self) -> "Tokenizer":
        _exactly_one(self, "vocab_size", "published")
        return self


class Windows(Keys):
    """How the test text is scored: in windows, each of which scores the tokens that the previous one did not."""

    window: Annotated[int, Range(ge=2, le=10**6)] = 1024
    """Tokens that a model sees at once."""
    stride: Count = 512
    """Tokens from the start of one window to the next; each scored token has at least window - stride before it."""
    batch_size: NumImages = 8
    """Windows per batch."""


class Samples(Keys):
    """Texts that every network writes as continuations of prompts."""

    prompts: SomeUnique[Text] = ["The"]
    """How the texts begin."""
    texts: Repeats = 2
    """Texts for each prompt, with the seeds 0, 1, ..."""
    tokens: Count = 60
    """Tokens of each continuation."""
    temperature: Positive = 1.0
    """The divisor of the logits; below 1, likely tokens become likelier."""
    top_k: CountOrZero = 0
    """Draw only from this many likeliest tokens; 0 draws from all."""
    batch_size: Count = 8
    """Texts per batch. Equal seeds give equal texts only with equal batch sizes."""


class Opt(Keys):
    """An OPT (Zhang et al. 2022, arXiv 2205.01068) of any size, with random weights; names as in transformers."""

    hidden_size: Count = 128
    """Width."""
    num_hidden_layers: Count = 4
    """Depth."""
    num_attention_heads: Count = 4
    """Heads, a divisor of the width."""
    ffn_dim: Count = 512
    """Width of the feed-forward layers."""
    max_position_embeddings: Count = 256
    """Longest window."""
    dropout: ShareBelowOne = 0.1
    """Share of activations that are dropped during training."""
    vocab_size: Count | MISSING = MISSING
    """Rows of the token embedding; by default the tokenizer's number of tokens."""

    @model_validator(mode="after")
    def _heads_fit(self) -> "Opt":
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"num_attention_heads: found {self.num_attention_heads}, expected a divisor of hidden_size "
                f"{self.hidden_size}"
            )
        return self


class Recipe(Keys):
    """How a network is trained."""

    epochs: Passes = 1
    """Passes over the training text."""
    batch_size: NumImages = 8
    """Windows per step, in all micro-batches together: batch 2 with accumulation 4 is 8."""
    accumulate: Count = 1
    """Micro-batches per step, a divisor of batch_size."""
    window: Annotated[int, Range(ge=2, le=10**6)] = 1024
    """Tokens per window; windows do not overlap, and an incomplete window at the end of the text is dropped."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 by autocast; auto is bf16 if the device multiplies it natively, decided when a training starts."""
    clip_norm: NotNegative = 1.0
    """Largest norm of all gradients together; 0 does not clip."""
    log_every: Count = 50
    """Steps between lines of history.jsonl."""
    validate_every: CountOrZero = 0
    """Steps between evaluations of the first `validate_windows` windows of the held-out text; 0 for none."""
    validate_windows: Count = 64
    """How many windows of the held-out text are evaluated."""
    optimizer: Options = {}
    """The same keys as `training: optimizer` in a suite of images."""


class Ngram(Keys):
    """An interpolated n-gram model, by NLTK."""

    order: Annotated[int, Range(ge=1, le=9)]
    """n: the model predicts a token from the n - 1 tokens before it; with 1 it only counts tokens."""


class Entry(Keys):
    """One of the models that are compared: an n-gram model, an OPT trained here, or a published model."""

    label: Text | MISSING = MISSING
    """The name in tables; by default the entry's key."""
    description: str = ""
    """A sentence for the report."""
    ngram: Ngram | MISSING = MISSING
    """An n-gram model."""
    model: Opt | MISSING = MISSING
    """An OPT of this size, with random weights; it needs training."""
    pretrained: Source | MISSING = MISSING
    """A published model; with the key training it is fine-tuned, without it is scored as published."""
    training: Recipe | MISSING = MISSING
    """How the network is trained."""

    @model_validator(mode="after")
    def _is_one(self) -> "Entry":
        _exactly_one(self, *KINDS)
        if self.model is not MISSING and self.training is MISSING:
            raise ValueError("key 'training' is missing: this model has random weights")
        if self.ngram is not MISSING and self.training is not MISSING:
            raise ValueError("found training beside ngram, which only counts; expected one of the two")
        return self


class Published(Keys):
    """A published figure, for orientation."""

    method: Text
    """The model or method."""
    perplexity: Positive
    """The published perplexity."""
    source: Text
    """The source; arXiv numbers become links."""


class LanguageSuite(Keys):
    """One benchmark of language models: a text, a tokenizer, the models, how they are scored, and what they write."""

    kind: Literal["language"]
    """Distinguishes this suite from a suite of images."""
    title: Text
    """The title of the page."""
    description: str = ""
    """The purpose of the suite, in a sentence or two."""
    text: Texts
    """The texts for training and scoring."""
    tokenizer: Tokenizer
    """The tokenizer of all models of the suite."""
    evaluation: Windows = all_defaults(Windows)
    """How the test text is scored."""
    samples: Samples = all_defaults(Samples)
    """Texts that every network writes."""
    seeds: SomeUnique[Seed] = [0]
    """Training seeds; every network is trained once for each."""
    published: list[Published] = []
    """Published figures, shown apart from the table."""
    models: Annotated[dict[Name, Entry], Field(min_length=1)]
    """The models that are compared, by name."""


def _exactly_one(keys: Any, *names: str) -> None:
    """Raise ValueError unless exactly one of these keys was given."""
    found = [name for name in names if getattr(keys, name) is not MISSING]
    if len(found) != 1:
        raise ValueError(f"found {' and '.join(found) or 'none'} of {', '.join(names)}; expected one of them")
