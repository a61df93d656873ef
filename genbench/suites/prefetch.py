"""Download everything that a suite needs, for machines without a network: data sets, checkpoints, weights."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from genbench.data import open_dataset, texts
from genbench.errors import InputError, place, unknown_name
from genbench.features import EXTRACTORS
from genbench.features.published_weights import check_sha256, fetch_weights
from genbench.files.hub import pretrained_path, published_folder
from genbench.suites.load import load_suite

log = logging.getLogger(__name__)


def prefetch(suites: Sequence[str | os.PathLike[str]], data_root: str | os.PathLike[str]) -> list[InputError]:
    """Download the files that the suites need, and verify existing ones; returns an error for each missing file.

    data_root: the folder of downloads. Raises InputError for a suite that can't be read.
    """
    files, errors = 0, []
    for fetch in (each for path in suites for each in fetchers(load_suite(Path(path)), Path(data_root))):
        files += 1
        try:
            log.info("here and verified: %s", fetch())
        except InputError as error:
            errors.append(error)
    if not errors:
        log.info("%s: all %d files that are needed are here", ", ".join(map(str, suites)), files)
    return errors


def fetchers(suite: Mapping[str, Any], data_root: Path) -> Iterator[Callable[[], Path]]:
    """A function for each file, which makes sure that this machine has the file, or raises InputError."""
    if suite.get("kind") == "language":
        yield from texts.fetchers(suite["text"], data_root)
        sources = {"tokenizer: published": suite["tokenizer"].get("published", {})}
        sources |= {
            f"models: {name}: pretrained": entry.get("pretrained", {}) for name, entry in suite["models"].items()
        }
        yield from (partial(_have_published, *found, data_root) for found in sources.items() if "hub" in found[1])
        return
    yield from open_dataset(suite["dataset"], data_root).fetchers
    for name, entry in suite["models"].items():
        if "hub" in entry.get("pretrained", {}):
            yield partial(_have_checkpoint, name, entry["pretrained"], data_root)
    for name in suite["evaluation"]["extractors"]:
        if name not in EXTRACTORS:
            raise unknown_name("evaluation: extractors", name, EXTRACTORS)
        if EXTRACTORS[name].weights is not None:
            yield partial(_have_weights, name)


def _have_published(where: str, source: Mapping[str, Any], data_root: Path) -> Path:
    with place(where):
        return published_folder(source, data_root)


def _have_checkpoint(model: str, given: Mapping[str, Any], data_root: Path) -> Path:
    with place("models", model, "pretrained"):
        return pretrained_path(given, data_root)


def _have_weights(extractor: str) -> Path:
    file = EXTRACTORS[extractor].weights
    assert file is not None  # checked in fetchers()
    path = fetch_weights(file)
    check_sha256(path, file)
    return path
