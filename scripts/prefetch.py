"""Download every data set and every file of weights that a suite needs, so that its jobs need no network.

What is there already is verified, and not fetched again. For every file that can't be had one line says what to do.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from genbench.data import open_dataset
from genbench.errors import InputError, place
from genbench.features import EXTRACTORS
from genbench.features.published_weights import check_sha256, fetch_weights
from genbench.files.hub import pretrained_path
from genbench.machine import command_line
from genbench.schema import unknown_name
from genbench.suites.load import load_suite

log = logging.getLogger(__name__)


def fetchers(suite: dict[str, Any], data_root: Path) -> Iterator[Callable[[], Path]]:
    """One for each file: it has the file on this machine, or raises InputError."""
    yield from open_dataset(suite["dataset"], data_root).fetchers
    for name, entry in suite["models"].items():
        if "hub" in entry.get("pretrained", {}):
            yield partial(have_checkpoint, name, entry["pretrained"], data_root)
    for name in suite["evaluation"]["extractors"]:
        if name not in EXTRACTORS:
            raise unknown_name("evaluation: extractors", name, EXTRACTORS)
        if EXTRACTORS[name].weights is not None:
            yield partial(have_weights, name)


def have_checkpoint(model: str, given: dict[str, Any], data_root: Path) -> Path:
    with place("models", model, "pretrained"):
        return pretrained_path(given, data_root)


def have_weights(extractor: str) -> Path:
    file = EXTRACTORS[extractor].weights
    assert file is not None  # fetchers() has asked
    path = fetch_weights(file)
    check_sha256(path, file)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, nargs="+", required=True, help="YAML files of suites")
    parser.add_argument("--data-root", type=Path, default=Path("resources/downloads"), help="where downloads are kept")
    arguments = parser.parse_args()

    files, errors = 0, []
    for fetch in (each for path in arguments.suite for each in fetchers(load_suite(path), arguments.data_root)):
        files += 1
        try:
            log.info("here and verified: %s", fetch())
        except InputError as error:
            errors.append(error)
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if errors:
        sys.exit(2)
    log.info("%s: all %d files that are needed are here", ", ".join(map(str, arguments.suite)), files)


if __name__ == "__main__":
    command_line.run(main)
