"""Files of text in UTF-8, for language models: the user's own, or WikiText-2's (Merity et al. 2016, arXiv 1609.07843).

WikiText-2 is fetched if it is missing: as published, word by word with `<unk>`, from one commit of PyTorch's examples.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from genbench.errors import InputError, place
from genbench.files.artifacts import git_sha1
from genbench.files.downloads import download, existing_path, first_existing

WIKITEXT2 = (
    "https://raw.githubusercontent.com/pytorch/examples/77f55b912142e11fcfdf5b530231fb9c52f181e8/"
    "word_language_model/data/"
)
PUBLISHED = {  # by path in data_root, with the hash that git has for it
    "wikitext-2/train.txt": "2d84b35af79e411d73ea7cae83c73964c6ac83b4",
    "wikitext-2/valid.txt": "eec944eb2d9e46061cd34a6913528797db6842fc",
    "wikitext-2/test.txt": "6f3fc88e4cd88456ea892971f9f12243e8428624",
}
SPLITS = ("train", "valid", "test")
HELD_OUT = 20  # without a file `valid`, one line in 20 is held out


def _check(path: Path, name: str) -> None:
    if (found := git_sha1(path)) != PUBLISHED[name]:
        raise InputError(
            f"{path}: found git's hash {found}, expected {PUBLISHED[name]}, that of WikiText-2's file; "
            "replace it, or give another text another name"
        )


def text_file(name: str, data_root: Path, key: str, *, fetch: bool = True) -> Path | None:
    """The file of a suite's `text`, as given or inside data_root; WikiText-2's is verified, and fetched if missing.

    Without `fetch` nothing is downloaded, and a missing file of WikiText-2 is None. Raises InputError for any other
    missing file, and for a file of WikiText-2 with another hash.
    """
    with place("text"):
        if name not in PUBLISHED:
            return existing_path(name, data_root, key)
        path = first_existing([Path(name), data_root / name])
        if path is None and not fetch:
            return None
        if path is None:
            path = data_root / name
            otherwise = f"`text: {key}` takes any other file of text in UTF-8"
            download([WIKITEXT2 + name], path, partial(_check, name=name), otherwise)
        else:
            _check(path, name)
        return path


def fetchers(texts: Mapping[str, Any], data_root: Path) -> Iterator[Callable[[], Path]]:
    """One function for each file of WikiText-2 in a suite's `text`: it fetches the file, or raises InputError."""

    def fetch(name: str, split: str) -> Path:
        path = text_file(name, data_root, split)
        assert path is not None
        return path

    yield from (partial(fetch, texts[key], key) for key in SPLITS if texts.get(key) in PUBLISHED)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, unchanged. Raises InputError for another encoding, and if there is no text."""
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


def read_texts(texts: Mapping[str, Any], data_root: Path, *, fetch: bool = True) -> dict[str, str] | None:
    """The texts of a suite's `text`: `train` is learned, `valid` is only for the learning curve, `test` is scored.

    Without a file `valid`, the last twentieth of the training text's lines is held out for it, and not learned.
    None if a file is missing and may not be fetched.
    """
    found = {}
    for split in (key for key in SPLITS if key in texts):
        path = text_file(texts[split], data_root, split, fetch=fetch)
        if path is None:
            return None
        with place("text"):
            found[split] = read_text(path)
    if "valid" not in found:
        lines = found["train"].splitlines(keepends=True)
        kept = len(lines) - max(1, len(lines) // HELD_OUT)
        found |= {"train": "".join(lines[:kept]), "valid": "".join(lines[kept:])}
        if not found["train"].strip() or not found["valid"].strip():
            raise InputError(
                f"text: train: found {len(lines)} lines, of which the last {len(lines) - kept} are held out, which "
                "leaves one of the two without words; expected more, or a file `valid`"
            )
    return found


def count_words(text: str) -> int:
    """The number of words in a text, as its perplexities count them: runs without white space, and line ends."""
    return len(text.split()) + text.count("\n")
