"""Files of images, read, and files of features, written and read. Without torch, and without pickle."""

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.data import load_image_set
from genbench.errors import InputError
from genbench.files.artifacts import array_sha256, atomic_path, repair
from genbench.files.npz import read_npz
from genbench.metrics import Features


def load_images(path: str | os.PathLike[str]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Images and info of an npz: a prepared data set (key `images`) or samples (key `arr_0`, OpenAI's convention).

    The images are as found; `check_images` checks them. Raises InputError, naming the file, when it can't be read, or
    is not what was written (where it was written here).
    """
    arrays = read_npz(path, ("images", "arr_0", "info"), ours=True)
    if "images" in arrays:
        data = load_image_set(path)
        return data.images, data.info
    if "arr_0" not in arrays:
        raise InputError(
            f"{path}: found neither the key 'images' of a data set nor the key 'arr_0' of samples; if genbench wrote "
            f"it, {repair(path)}"
        )
    images, info = arrays["arr_0"], _read_info(path, arrays["info"]) if "info" in arrays else {}
    if "samples_sha256" in info and info["samples_sha256"] != (found := array_sha256(images)):
        raise InputError(
            f"{path}: damaged: found SHA-256 {found} of the images, expected {info['samples_sha256']}; {repair(path)}"
        )
    return images, info


def save_features(path: str | os.PathLike[str], found: Features) -> None:
    """Write features, logits where there are some, and info as an uncompressed npz, whole or not at all."""
    arrays = {"features": found.features}
    if found.logits is not None:
        arrays["logits"] = found.logits
    info = {**found.info, "sha256": array_sha256(*arrays.values())}
    arrays["info"] = np.array(json.dumps(info, allow_nan=False))
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_features(path: str | os.PathLike[str]) -> Features:
    """Read what `save_features` wrote.

    Raises InputError, naming the file, when it is missing, damaged or something else.
    """
    arrays = read_npz(path, ("features", "logits", "info"), ours=True)
    if "features" not in arrays or "info" not in arrays:
        raise InputError(f"{path}: not a file of features, expected one written by extract_features.py; {repair(path)}")
    features, logits, info = arrays["features"], arrays.get("logits"), _read_info(path, arrays["info"])
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
    sha256 = array_sha256(features) if logits is None else array_sha256(features, logits)
    if (expected := info.pop("sha256", None)) != sha256:
        raise InputError(f"{path}: damaged: found SHA-256 {sha256}, expected {expected}; {repair(path)}")
    return Features(features, logits, info)


def _read_info(path: str | os.PathLike[str], text: NDArray[Any]) -> dict[str, Any]:
    try:
        info = json.loads(str(text))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: info: not valid JSON ({error})") from None
    if not isinstance(info, dict):
        raise InputError(f"{path}: info: found {type(info).__name__}, expected a JSON object")
    return info
