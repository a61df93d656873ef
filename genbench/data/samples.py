"""Files of samples in OpenAI's convention: an npz with images as `arr_0`, and `info` as JSON."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.data.image_set import load_image_set
from genbench.errors import InputError
from genbench.files.artifacts import array_sha256, atomic_path, repair, repair_if_ours
from genbench.files.npz import read_info, read_npy, read_npz


def save_samples(
    path: str | os.PathLike[str],
    images: NDArray[np.uint8],
    info: Mapping[str, Any],
    seeds: range | None = None,
    labels: NDArray[np.int64] | None = None,
) -> None:
    """Write images, uint8 (N, H, W, C), their seeds and classes (N,) if any, and info, whole or not at all."""
    arrays: dict[str, Any] = {"arr_0": images}
    if seeds is not None:
        arrays["seeds"] = np.arange(seeds.start, seeds.stop)
    if labels is not None:
        arrays["labels"] = labels
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays, info=np.array(json.dumps(info)))


def is_written_here(path: str | os.PathLike[str]) -> bool:
    """Whether a file of arrays has the `info` that genbench writes. Other programs' files use the same names of keys.

    Raises InputError, naming the file, if it is missing or damaged.
    """
    if Path(path).suffix.lower() == ".npy":
        return False
    try:
        return isinstance(json.loads(str(read_npz(path, ("info",), ours=True)["info"])), dict)
    except (KeyError, json.JSONDecodeError):
        return False


def load_labels(path: str | os.PathLike[str]) -> NDArray[np.int64] | None:
    """The class (N,) of each image of an npz: of a prepared data set, or of conditional samples; None without them."""
    if Path(path).suffix.lower() == ".npy" or (labels := read_npz(path, ("labels",), ours=True).get("labels")) is None:
        return None
    return labels if labels.ndim == 1 else None


def load_images(path: str | os.PathLike[str]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Images and info of an npz: a prepared data set (key `images`) or samples (key `arr_0`). An .npy has no info.

    The images are not checked; `genbench.features.check_images` does that. Raises InputError, naming the file, if it
    cannot be read, or was written by genbench and has changed since.
    """
    if Path(path).is_dir():
        raise InputError(f"{path}: found a folder, expected an npz: scripts/import_samples.py makes one of it")
    if Path(path).suffix.lower() == ".npy":
        return read_npy(path), {}
    arrays = read_npz(path, ("images", "arr_0", "info"), ours=True)
    if "images" in arrays:
        data = load_image_set(path)
        return data.images, data.info
    if "arr_0" not in arrays:
        raise InputError(
            f"{path}: found neither the key 'images' of a data set nor the key 'arr_0' of samples{repair_if_ours(path)}"
        )
    images, info = arrays["arr_0"], read_info(path, arrays["info"]) if "info" in arrays else {}
    if "samples_sha256" in info and info["samples_sha256"] != (found := array_sha256(images)):
        raise InputError(
            f"{path}: damaged: found SHA-256 {found} of the images, expected {info['samples_sha256']}{repair(path)}"
        )
    return images, info
