"""Images and labels in memory, and the .npz file that holds them."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.files.artifacts import array_sha256, atomic_path, repair, repair_if_ours
from genbench.files.npz import read_npz

KEYS = ("images", "labels", "class_names", "info")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """One split of a data set.

    images: uint8 (N, H, W, C), C = 1 or 3, N > 0; labels: int64 (N,), indexes into class_names, or (N, classes), ones
    for the classes that an image has, zeros for the others.
    info: JSON values: dataset, split, source (in words), source_sha256, lossy (whether any image was decoded from JPEG
    or lossy WebP), resize ({"size", "filter"} or None), notes, and sha256 (`array_sha256` of images and labels).
    Anything else raises InputError.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    info: dict[str, Any]

    def __post_init__(self) -> None:
        _check_arrays(self.images, self.labels, len(self.class_names))

    @property
    def multi_label(self) -> bool:
        """Whether the labels are zeros and ones for several classes per image, instead of class indexes."""
        return self.labels.ndim == 2

    def representative_order(self) -> NDArray[np.int64]:
        """The rows in an order whose first rows are of all classes.

        Rows sorted by class, such as those of class folders, are mixed, always in the same way; other orders are kept.
        """
        several = not self.multi_label and self.labels[0] != self.labels[-1]
        sorted_by_class = several and np.all(np.diff(self.labels) >= 0)
        return choose(len(self.labels)) if sorted_by_class else np.arange(len(self.labels))

    def class_counts(self) -> dict[str, int]:
        """Number of images of each class."""
        counts = (
            self.labels.sum(axis=0) if self.multi_label else np.bincount(self.labels, minlength=len(self.class_names))
        )
        return dict(zip(self.class_names, counts.tolist(), strict=True))


def choose(count: int) -> NDArray[np.int64]:
    """A random order of `count` images, always the same: sets may be sorted by class, so their first images are not a
    fair selection."""
    return np.random.Generator(np.random.Philox(key=0)).permutation(count)


def _check_arrays(images: NDArray[Any], labels: NDArray[Any], num_classes: int) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise InputError(f"images: found {images.dtype} {images.shape}, expected uint8 (N, H, W, 1 or 3)")
    if labels.dtype == np.int64 and labels.ndim == 2:
        if labels.shape != (len(images), num_classes):
            raise InputError(f"labels: found int64 {labels.shape}, expected int64 {(len(images), num_classes)}")
        if labels.min() < 0 or labels.max() > 1:
            raise InputError(f"labels: found {labels.min()} to {labels.max()}, expected zeros and ones")
        return
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise InputError(f"labels: found {labels.dtype} {labels.shape}, expected int64 ({len(images)},)")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise InputError(f"labels: found {labels.min()} to {labels.max()}, expected 0 to {num_classes - 1}")


def make_image_set(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    *,
    dataset: str,
    split: str,
    source: str,
    source_sha256: str,
    lossy: bool = False,
    resize: dict[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> ImageSet:
    """An ImageSet with its info filled in."""
    info = {
        "dataset": dataset,
        "split": split,
        "source": source,
        "source_sha256": source_sha256,
        "lossy": lossy,
        "resize": resize,
        "notes": list(notes),
        "sha256": array_sha256(images, labels),
    }
    return ImageSet(images, labels, tuple(class_names), info)


def save_image_set(path: str | os.PathLike[str], image_set: ImageSet) -> None:
    """Write an uncompressed .npz, whole or not at all: images, labels, class_names, and info as a JSON string.

    The same image set gives the same bytes.
    """
    # Through an open file, since np.savez adds .npz to a path that does not end in it.
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            images=image_set.images,
            labels=image_set.labels,
            class_names=np.array(image_set.class_names, dtype=np.str_),
            info=np.array(json.dumps(image_set.info, sort_keys=True, allow_nan=False)),
        )


def load_image_set(path: str | os.PathLike[str]) -> ImageSet:
    """Read what `save_image_set` wrote, and verify its hash.

    Raises InputError, naming the file, if it is missing, not an image set, or damaged (and how to make it again).
    """
    path = Path(path)
    arrays = read_npz(path, KEYS, ours=True)
    if missing := [key for key in KEYS if key not in arrays]:
        raise InputError(
            f"{path}: damaged, or not an image set: the key {missing[0]!r} is missing{repair_if_ours(path)}"
        )
    images, labels, class_names, info_json = arrays.values()
    try:
        info = json.loads(str(info_json))
        if class_names.ndim != 1 or class_names.dtype.kind != "U" or not isinstance(info, dict):
            raise InputError("class_names or info: expected a list of strings and a JSON object")
        _check_arrays(images, labels, len(class_names))
    except ValueError as error:  # InputError is one
        raise InputError(f"{path}: damaged, or not an image set: {error}{repair_if_ours(path)}") from None
    found = array_sha256(images, labels)
    if found != info.get("sha256"):
        raise InputError(f"{path}: damaged: found sha256 {found}, expected {info.get('sha256')}{repair(path)}")
    return ImageSet(images, labels, tuple(map(str, class_names)), info)
