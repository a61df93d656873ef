"""From files of text to tokens: one tokenizer for all models of a suite, and what is counted in the text.

A byte-level BPE knows every text: there are no unknown words. A `<unk>` that stands in a text, as in WikiText-2, is
text like any other.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.errors import InputError, place
from genbench.files.artifacts import write_json
from genbench.files.downloads import existing_path
from genbench.language.published import published_folder
from genbench.records.language import TextCounts
from genbench.records.provenance import Provenance

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BEGINNING = "</s>"  # before the text, as OPT has it: so the text's first token is predicted, too
SPLITS = ("train", "test")


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, as it stands. Raises InputError for another encoding, and where there is no text."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"found the byte 0x{error.object[error.start]:02x} at position {error.start}"
        raise InputError(f"{path}: {byte}, expected text in UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: {str(error.strerror).lower()}, expected a file of text") from None
    if "\0" in text:
        raise InputError(f"{path}: found the byte 0x00 at position {text.index(chr(0))}, expected text in UTF-8")
    if not text.strip():
        raise InputError(f"{path}: found no text, expected some words")
    return text


def read_texts(texts: Mapping[str, Any], data_root: Path) -> dict[str, str]:
    """The training text and the test text of a suite's `text`."""
    found = {}
    for split in SPLITS:
        with place("text"):
            found[split] = read_text(existing_path(texts[split], data_root, split))
    return found


def count_words(text: str) -> int:
    """Words of a text, as its perplexities count them: what stands between white space, and the end of each line."""
    return len(text.split()) + text.count("\n")


def tokenizer_of(entry: Mapping[str, Any], text: str, data_root: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer of a suite: a published one, or a byte-level BPE trained on `text`."""
    if "published" in entry:
        with place("tokenizer", "published"):
            return load_tokenizer(published_folder(entry["published"], data_root))
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        text.splitlines(keepends=True),
        trainers.BpeTrainer(
            vocab_size=entry["vocab_size"],
            special_tokens=[BEGINNING],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGINNING)


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer of a folder. Raises InputError where there is none that transformers reads."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers raises anything for what it does not find or know
        raise InputError(
            f"{folder}: no tokenizer that transformers reads ({' '.join(str(error).split())[:200]})"
        ) from None


def encode(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """The tokens of a text behind the mark of its beginning, none of which is unknown."""
    beginning = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if beginning is None:
        raise InputError("tokenizer: found none that marks the beginning or the end of a text, expected one that does")
    return [beginning, *tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]]


def prepare_text(texts: Mapping[str, Any], tokenizer: Mapping[str, Any], data_root: Path, out: Path) -> None:
    """Write into the folder `out` the tokenizer, tokens.safetensors (train and test, int32) and text.json, what was
    counted. texts, tokenizer: those keys of a suite."""
    import torch

    from genbench.files.weights import save_tensors

    found = read_texts(texts, data_root)
    reader = tokenizer_of(tokenizer, found["train"], data_root)
    tokens = {split: torch.tensor(encode(reader, text), dtype=torch.int32) for split, text in found.items()}
    reader.save_pretrained(out / "tokenizer")
    info = {"vocab_size": len(reader), "words": count_words(found["test"]), "bytes": len(found["test"].encode())}
    sha256 = save_tensors(out / "tokens.safetensors", tokens, info)
    record = TextCounts(
        train_tokens=len(tokens["train"]) - 1,
        train_words=count_words(found["train"]),
        test_tokens=len(tokens["test"]) - 1,
        test_words=info["words"],
        test_bytes=info["bytes"],
        vocab_size=info["vocab_size"],
        train_sha256=hashlib.sha256(found["train"].encode()).hexdigest(),
        test_sha256=hashlib.sha256(found["test"].encode()).hexdigest(),
        tokens_sha256=sha256,
        provenance=Provenance.collect("tokenizers", "transformers", kind="language"),
    )
    write_json(out / "text.json", record.content())
