"""Published models: folders of the user's own, or commits of the model hub. Imports nothing heavy."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from genbench.errors import place
from genbench.files.downloads import existing_path
from genbench.files.hub import fetch_hub, hub_folder, language_files

Suite = Mapping[str, Any]


def published_folder(source: Mapping[str, Any], data_root: Path) -> Path:
    """The folder of a published model: the user's own, or that of the hub's commit, downloaded as far as need be."""
    if "hub" in source:
        return fetch_hub(source["hub"], source["revision"], data_root, language_files)
    return existing_path(source["path"], data_root)


def _sources(suite: Suite) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where in the suite a published model stands, and where that is."""
    if "published" in suite["tokenizer"]:
        yield "tokenizer: published", suite["tokenizer"]["published"]
    for name, entry in suite["models"].items():
        if "pretrained" in entry:
            yield f"models: {name}: pretrained", entry["pretrained"]


def is_here(source: Mapping[str, Any], data_root: Path) -> bool:
    """Whether nothing of a published model is downloaded any more."""
    return "path" in source or hub_folder(source["hub"], source["revision"], data_root).is_dir()


def fetchers(suite: Suite, data_root: Path) -> Iterator[Callable[[], Path]]:
    """One for each published model of the hub: it has the model on this machine, or raises InputError."""

    def fetch(where: str, source: Mapping[str, Any]) -> Path:
        with place(where):
            return published_folder(source, data_root)

    yield from (partial(fetch, where, source) for where, source in _sources(suite) if "hub" in source)
