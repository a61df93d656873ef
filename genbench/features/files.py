"""Files of images, read, and files of features, written and read. Without torch, and without pickle."""

import json
import os
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.artifacts import atomic_path
from genbench.errors import InputError
from genbench.metrics import Features


def load_images(path: str | os.PathLike[str]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Images and info of an npz: a prepared data set (key `images`) or samples (key `arr_0`, OpenAI's convention).

    The images are as found; `check_images` checks them. Raises InputError, naming the file, when it can't be read.
    """
    arrays = _read_npz(path, ("images", "arr_0", "info"))
    if "images" not in arrays and "arr_0" not in arrays:
        raise InputError(f"{path}: found neither the key 'images' of a data set nor the key 'arr_0' of samples")
    info = _read_info(path, arrays["info"]) if "info" in arrays else {}
    return arrays["images"] if "images" in arrays else arrays["arr_0"], info


def save_features(path: str | os.PathLike[str], found: Features) -> None:
    """Write features, logits where there are some, and info as an uncompressed npz, whole or not at all."""
    arrays = {"features": found.features, "info": np.array(json.dumps(found.info, allow_nan=False))}
    if found.logits is not None:
        arrays["logits"] = found.logits
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_features(path: str | os.PathLike[str]) -> Features:
    """Read what `save_features` wrote.

    Raises InputError, naming the file, when it is missing, damaged or something else.
    """
    arrays = _read_npz(path, ("features", "logits", "info"))
    if "features" not in arrays or "info" not in arrays:
        raise InputError(f"{path}: not a file of features; expected one written by extract_features.py")
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
    return Features(features, logits, info)


def _read_npz(path: str | os.PathLike[str], keys: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Those arrays of an npz that it has among `keys`; without pickle."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in keys if key in arrays}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not an npz file, or damaged ({error})") from None


def _read_info(path: str | os.PathLike[str], text: NDArray[Any]) -> dict[str, Any]:
    try:
        info = json.loads(str(text))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: info: not valid JSON ({error})") from None
    if not isinstance(info, dict):
        raise InputError(f"{path}: info: found {type(info).__name__}, expected a JSON object")
    return info
