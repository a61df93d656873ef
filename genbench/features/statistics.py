"""Results that metrics compute from only real and test images: written once, and read for every row of a table."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.files.artifacts import array_sha256, atomic_path, repair
from genbench.files.npz import read_info, read_npz
from genbench.machine.code import code_sha256
from genbench.metrics import EvaluationOptions, Features, Known

log = logging.getLogger(__name__)
Source = dict[str, Any]


def source_of(real: Features, test: Features | None, options: EvaluationOptions) -> Source:
    """All that these results depend on: the features of real and of test images, read from files, options, and code."""
    sets = {"real": real.sha256, "test": None if test is None else test.sha256}
    return {**sets, "options": asdict(options), "code": code_sha256("metrics")}


def save_statistics(path: str | os.PathLike[str], extractors: Mapping[str, tuple[Source, Known]]) -> None:
    """Write the results in each extractor's features, whole or not at all; only those of genbench's own metrics."""
    arrays: dict[str, NDArray[Any]] = {}
    info = {}
    for extractor, (source, known) in extractors.items():
        found = {
            f"{extractor}/{name}/{position}": array
            for name, values in known.items()
            if name.startswith("genbench.")
            for position, array in enumerate(values)
        }
        info[extractor] = {"source": source, "arrays": list(found), "sha256": array_sha256(*found.values())}
        arrays |= found
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, info=np.array(json.dumps({"statistics": info})), **arrays)


def read_statistics(path: str | os.PathLike[str], extractor: str, source: Source) -> Known:
    """The results that `save_statistics` wrote for an extractor's features; empty, and logged, for another source.

    Test images count only if `source` has some. Raises InputError, naming the file, if it is missing or damaged.
    """
    about = read_npz(path, ("info",), ours=True).get("info", np.array("{}"))
    if "statistics" not in (info := read_info(path, about)):
        raise InputError(f"{path}: not a file of statistics, expected one that evaluate.py --write-statistics wrote")
    found = info["statistics"].get(extractor, {"source": {}})
    differs = [key for key, value in source.items() if value is not None and found["source"].get(key) != value]
    if differs:
        log.info("%s: other %s than this evaluation's: computed again", path, ", ".join(differs))
        return {}
    arrays = read_npz(path, found["arrays"], ours=True)
    if (sha256 := array_sha256(*arrays.values())) != found["sha256"]:
        raise InputError(f"{path}: damaged: found SHA-256 {sha256}, expected {found['sha256']}{repair(path)}")
    known: Known = {}
    for key, array in arrays.items():
        name = key.split("/")[1]
        known[name] = (*known.get(name, ()), array)
    return known
