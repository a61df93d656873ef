"""From text to tokens: one tokenizer for all models of a suite, and the counts of words, bytes and tokens.

A byte-level BPE encodes every text: there are no unknown words. A `<unk>` in a text, as in WikiText-2, is text like any
other.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.data.texts import count_words, read_texts
from genbench.errors import InputError, place
from genbench.files.artifacts import write_json
from genbench.files.hub import published_folder, reading
from genbench.records.language import TextCounts
from genbench.records.provenance import Provenance

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BEGINNING = "</s>"  # before the text, as in OPT: the text's first token is then predicted, too


def tokenizer_of(entry: Mapping[str, Any], text: str, data_root: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer of a suite: a published one, or a byte-level BPE trained on `text`."""
    if "published" in entry:
        with place("tokenizer", "published"):
            return load_tokenizer(published_folder(entry["published"], data_root))
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        text.splitlines(keepends=True),
        vocab_size=entry["vocab_size"],
        min_frequency=0,
        special_tokens=[BEGINNING],
        show_progress=False,
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, bos_token=BEGINNING)


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer in a folder. Raises InputError if there is none that transformers can read."""
    from transformers import AutoTokenizer

    with reading(folder, "tokenizer"):
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def encode(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """The mark of the beginning and the tokens of a text, none of which is unknown."""
    beginning = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if beginning is None:
        raise InputError("tokenizer: found none that marks the beginning or the end of a text, expected one that does")
    return [beginning, *tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]]


def prepare_text(texts: Mapping[str, Any], tokenizer: Mapping[str, Any], data_root: Path, out: Path) -> None:
    """Write the tokenizer, tokens.safetensors (train, valid and test, int32) and text.json (the counts) into `out`.

    texts, tokenizer: the keys `text` and `tokenizer` of a suite. Missing files that they name are downloaded.
    """
    import torch

    from genbench.files.weights import save_tensors

    found = read_texts(texts, data_root) or {}
    reader = tokenizer_of(tokenizer, found["train"], data_root)
    tokens = {split: torch.tensor(encode(reader, text), dtype=torch.int32) for split, text in found.items()}
    reader.save_pretrained(out / "tokenizer")
    info = {"vocab_size": len(reader), "words": count_words(found["test"]), "bytes": len(found["test"].encode())}
    sha256 = save_tensors(out / "tokens.safetensors", tokens, info)
    counted: dict[str, Any] = {f"{split}_tokens": len(ids) - 1 for split, ids in tokens.items()}
    counted |= {f"{split}_words": count_words(text) for split, text in found.items()}
    counted |= {f"{split}_sha256": hashlib.sha256(text.encode()).hexdigest() for split, text in found.items()}
    record = TextCounts(
        **counted,
        test_bytes=info["bytes"],
        vocab_size=info["vocab_size"],
        tokens_sha256=sha256,
        provenance=Provenance.collect("tokenizers", "transformers", kind="language"),
    )
    write_json(out / "text.json", record.content())
