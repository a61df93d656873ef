"""Checkpoints of diffusers and language models on a model hub: the few files that are needed, at one commit, verified.

A commit and not a branch: a branch moves, and the row of a table must stay the same. The commit's list of files and
their hashes is kept beside the files, which can therefore be verified again without a network.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from genbench.errors import InputError, place
from genbench.files.artifacts import git_sha1, read_json, sha256_file
from genbench.files.downloads import download, existing_path

CONFIG, SCHEDULER = "config.json", "scheduler_config.json"
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
)  # fmt: skip
# Of diffusers, or of accelerate; in one file, or in shards with an index; in float32, or as a variant such as fp16.
_NAME = re.compile(
    r"(?:diffusion_pytorch_model|model|pytorch_model)(?P<variant>\.[\w-]+?)?(?P<shard>-\d{5}-of-\d{5})?"
    r"\.(?P<kind>safetensors|bin)(?P<index>\.index(?P<index_variant>\.[\w-]+)?\.json)?"
)
LOCATION_KEYS = ("path", "hub", "revision")  # of an entry's `pretrained`, besides `format` and its options
_OTHERWISE = "`prefetch` fetches it where there is a network, and `path` instead of `hub` takes a folder that has it"


def hub_url(path: str) -> str:
    """The address of a path on the hub: $HF_ENDPOINT, or the hub's own."""
    from huggingface_hub import constants  # imported only when the hub is used

    return f"{(os.environ.get('HF_ENDPOINT') or constants.ENDPOINT).rstrip('/')}/{quote(path)}"


def _read_listing(path: Path) -> dict[str, Mapping[str, Any]]:
    """The hub's entry of each file: `oid`, its hash in git, and `lfs`: `oid`, the SHA-256 of a large file."""
    listing = read_json(path)
    if not isinstance(listing, list) or not all(isinstance(file, dict) and "path" in file for file in listing):
        raise InputError(f"{path}: not a list of a repository's files")
    return {str(file["path"]): file for file in listing if file.get("type") == "file"}


def _check(path: Path, file: Mapping[str, Any]) -> None:
    """Raise InputError unless the file at `path` has the hash that the hub lists."""
    if file.get("lfs"):
        kind, expected, found = "SHA-256", file["lfs"].get("oid"), sha256_file(path)
    else:
        kind, expected, found = "git's hash", file.get("oid"), git_sha1(path)
    if found != expected:
        raise InputError(
            f"{path}: found {kind} {found}, expected {expected}, as the hub lists it; replace it or move it away"
        )


def _parsed(name: str) -> dict[str, str] | None:
    """The parts of the name of a file of weights: stem, `variant`, `shard`, `kind`, `index`; None for other files."""
    if (match := _NAME.fullmatch(name)) is None:
        return None
    parts = {key: value or "" for key, value in match.groupdict().items()}
    return parts | {"variant": parts["variant"] or parts["index_variant"], "stem": re.split(r"[.-]", name)[0]}


def choose_weights(names: Iterable[str], where: object) -> str | None:
    """The file of weights among the names of a folder, or the index of its shards; None if there is neither.

    Files of diffusers come before those of accelerate, and files without a variant before those with one such as fp16.
    Raises InputError if there are several variants and no file without one.
    """
    stems = ("diffusion_pytorch_model", "model", "pytorch_model")
    parsed = [(name, parts) for name in sorted(names) if (parts := _parsed(name)) and not parts["shard"]]
    for stem in stems:
        found = [(name, parts) for name, parts in parsed if parts["stem"] == stem]
        variants = sorted({parts["variant"] for _, parts in found})
        if "" not in variants and len(variants) > 1:
            listed = ", ".join(name for name, _ in found)
            raise InputError(f"{where}: found {listed}, expected one of them; give its path")
        same = [
            (parts["kind"] == "bin", bool(parts["index"]), name)
            for name, parts in found
            if parts["variant"] == variants[0]
        ]
        if same:
            return min(same)[2]
    return None


def _shards(index: str, names: Iterable[str]) -> list[str]:
    """The names of an index's shards among the names of its folder."""
    given = _parsed(index)
    assert given is not None
    keys = ("stem", "variant", "kind")
    all_parts = ((name, _parsed(name)) for name in names)
    return [name for name, parts in all_parts if parts and parts["shard"] and all(parts[k] == given[k] for k in keys)]


def _needed(files: Sequence[str]) -> list[str]:
    """The files of a network and its scheduler among those of a repository; the oldest repositories have no folders."""
    folder = "unet/" if f"unet/{CONFIG}" in files else ""
    here = [name.removeprefix(folder) for name in files if name.startswith(folder) and "/" not in name[len(folder) :]]
    weights = choose_weights(here, folder or "the repository")
    if folder + CONFIG not in files or weights is None:
        raise InputError(f"found {len(files)} files, expected among them {CONFIG} and {' or '.join(WEIGHTS)}")
    scheduler = next((name for name in (f"scheduler/{SCHEDULER}", SCHEDULER) if name in files), None)
    shards = _shards(weights, here) if weights.endswith(".json") else []
    return [folder + CONFIG, *([scheduler] if scheduler else []), *(folder + name for name in [weights, *shards])]


def language_files(files: Sequence[str]) -> list[str]:
    """The files of a language model of transformers and of its tokenizer among those of a repository."""
    here = [name for name in files if "/" not in name]
    weights = choose_weights(here, "the repository")
    if CONFIG not in here or weights is None:
        raise InputError(f"found {len(files)} files, expected among them {CONFIG} and the weights of a language model")
    shards = _shards(weights, here) if weights.endswith(".json") else []
    return [CONFIG, weights, *shards, *(name for name in TOKENIZER if name in here)]


def hub_folder(hub: str, revision: str, data_root: Path) -> Path:
    """Where the files of a repository's commit are kept."""
    return data_root / "hub" / hub.replace("/", "--") / revision


def fetch_hub(hub: str, revision: str, data_root: Path, needed: Callable[[Sequence[str]], list[str]] = _needed) -> Path:
    """The folder of a repository's network and scheduler; files that are missing there are downloaded to `data_root`.

    hub: OWNER/NAME; revision: a commit, 40 hexadecimal digits. needed: chooses among the names of its files. Raises
    InputError for other names, for failed downloads, and for files that do not have the hash that the hub lists.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", hub, re.ASCII):
        raise InputError(f"key 'hub': found {hub!r}, expected OWNER/NAME")
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise InputError(
            f"key 'revision': found {revision!r}, expected a commit, 40 hexadecimal digits (a branch would move)"
        )
    folder = hub_folder(hub, revision, data_root)
    listing = folder / "files.json"
    if not listing.exists():
        url = f"{hub_url(f'api/models/{hub}/tree/{revision}')}?recursive=true"
        download([url], listing, _read_listing, otherwise=_OTHERWISE)
    files = _read_listing(listing)
    with place(f"{hub} at {revision}"):
        names = needed(list(files))
    for name in names:
        target = folder / name
        if target.exists():
            _check(target, files[name])
        else:
            url = hub_url(f"{hub}/resolve/{revision}/{name}")
            download([url], target, partial(_check, file=files[name]), otherwise=_OTHERWISE)
    return folder


def format_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the format in an entry's `pretrained`: all its keys besides the format and the place."""
    return {key: value for key, value in given.items() if key not in ("format", *LOCATION_KEYS)}


def pretrained_path(given: Mapping[str, Any], data_root: Path) -> Path:
    """The file or folder of an entry's `pretrained`: its `path`, or what its `hub` and `revision` name, downloaded."""
    if "hub" not in given:
        return existing_path(given["path"], data_root)
    if "path" in given:
        raise InputError("found both of the keys 'path' and 'hub', expected one of them")
    if given["format"] != "diffusers":
        raise InputError(f"key 'hub': found with format {given['format']!r}, expected 'diffusers'; others take 'path'")
    return fetch_hub(given["hub"], given["revision"], data_root)


def published_folder(source: Mapping[str, Any], data_root: Path) -> Path:
    """The folder of a published language model: the user's `path`, or the downloaded commit of the `hub`."""
    if "hub" in source:
        return fetch_hub(source["hub"], source["revision"], data_root, language_files)
    return existing_path(source["path"], data_root)


def is_here(source: Mapping[str, Any], data_root: Path) -> bool:
    """Whether a published language model is on this machine, so nothing needs to be downloaded."""
    return "path" in source or hub_folder(source["hub"], source["revision"], data_root).is_dir()


@contextmanager
def reading(folder: Path, what: str) -> Iterator[None]:
    """Raise a one-line InputError if transformers cannot read `what` in a folder: it can raise any exception."""
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(f"{folder}: no {what} that transformers reads ({text})") from None
