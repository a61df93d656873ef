"""Writes and reads files of features, without torch and without pickle."""

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.files.artifacts import array_sha256, atomic_path, repair, repair_if_ours
from genbench.files.npz import read_info, read_npz
from genbench.metrics import Features


def save_features(path: str | os.PathLike[str], found: Features) -> None:
    """Write features, logits and labels (if any), and info as an uncompressed npz, whole or not at all."""
    arrays: dict[str, NDArray[Any]] = {"features": found.features}
    if found.logits is not None:
        arrays["logits"] = found.logits
    if found.labels is not None:
        arrays["labels"] = found.labels
    info = {**found.info, "sha256": array_sha256(*arrays.values())}
    arrays["info"] = np.array(json.dumps(info, allow_nan=False))
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_features(path: str | os.PathLike[str]) -> Features:
    """Read what `save_features` wrote.

    Raises InputError, naming the file, if it is missing, damaged or something else.
    """
    arrays = read_npz(path, ("features", "logits", "labels", "info"), ours=True)
    if "features" not in arrays or "info" not in arrays:
        raise InputError(
            f"{path}: not a file of features, expected one written by extract_features.py{repair_if_ours(path)}"
        )
    features, logits, info = arrays["features"], arrays.get("logits"), read_info(path, arrays["info"])
    extractor = info.get("extractor")
    if not (isinstance(extractor, dict) and {"name", "sha256"} <= extractor.keys() and "images_sha256" in info):
        raise InputError(
            f"{path}: info: found keys {sorted(info)}, expected extractor (name, sha256) and images_sha256"
        )
    for key, array in {"features": features, "logits": logits}.items():
        if array is not None and (array.dtype != np.float32 or array.ndim != 2 or len(array) != len(features)):
            raise InputError(
                f"{path}: {key}: found {array.dtype} {array.shape}, expected float32 ({len(features)}, ...)"
            )
    labels = arrays.get("labels")
    if labels is not None and (labels.dtype != np.int64 or labels.shape != features.shape[:1]):
        raise InputError(f"{path}: labels: found {labels.dtype} {labels.shape}, expected int64 ({len(features)},)")
    sha256 = array_sha256(*(array for array in (features, logits, labels) if array is not None))
    if (expected := info.pop("sha256", None)) != sha256:
        raise InputError(f"{path}: damaged: found SHA-256 {sha256}, expected {expected}{repair(path)}")
    return Features(features, logits, info, sha256, labels)
