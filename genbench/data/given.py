"""Samples that were drawn elsewhere: an npz as OpenAI's scripts write it, or a folder or archive of images."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.data.decoding import SUFFIXES, decode
from genbench.data.image_files import Layout, load_image_files
from genbench.errors import InputError
from genbench.files.archives import list_files
from genbench.files.artifacts import array_sha256
from genbench.files.npz import read_npz


def given_samples(
    path: Path, count: int, image_shape: tuple[int, int, int]
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """The first `count` images at `path`, uint8 (count, H, W, C), and where they come from.

    path: an .npz with the key arr_0 (or images), or a folder, .zip or .tar of images, taken in the order of the numbers
    in their names. image_shape: (C, H, W) of the data set. Nothing is resized or converted: raises InputError when
    there are too few images, when they are of another shape, or are no uint8.
    """
    if path.suffix == ".npz":
        images, lossy = _read_arrays(path), False
    else:
        images, lossy = _read_files(path, count)
    if len(images) < count:
        raise InputError(
            f"{path}: found {len(images):,} images, expected at least {count:,} (the suite's num_samples): a distance "
            "falls with the number of samples, so sets of different sizes are not compared"
        )
    channels, height, width = image_shape
    if images.dtype != np.uint8 or images.shape[1:] != (height, width, channels):
        raise InputError(
            f"{path}: found {images.dtype} images of shape (H, W, C) = {images.shape[1:]}, expected uint8 "
            f"{(height, width, channels)}, as the data set's"
        )
    images = images[:count]
    return images, {"source": path.name, "lossy": lossy, "samples_sha256": array_sha256(images)}


def _read_arrays(path: Path) -> NDArray[Any]:
    for key, images in read_npz(path, ("arr_0", "images")).items():
        if images.ndim != 4:
            raise InputError(f"{path}: {key}: found shape {images.shape}, expected (N, H, W, C)")
        return images
    raise InputError(f"{path}: found neither of the keys arr_0 (OpenAI's) and images")


def _read_files(path: Path, count: int) -> tuple[NDArray[np.uint8], bool]:
    names = sorted((name for name in list_files(path) if name.lower().endswith(SUFFIXES)), key=_natural)
    if not names:
        raise InputError(f"{path}: found no images ({', '.join(SUFFIXES)})")
    layout = Layout(("all",), {"samples": [(name, 0) for name in names[:count]]}, ())
    as_stored = partial(decode, image_size=None, filter="bicubic", channels=None)
    found = load_image_files(path, layout, as_stored, dataset="given", origin=path.name, resize=None)["samples"]
    return found.images, bool(found.info["lossy"])


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2.png before 10.png."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
