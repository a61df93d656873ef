"""What is compared: each side is images, existing features, or published statistics, or several of these."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genbench.data import SOURCES, ImageSet, load_image_set, load_images, open_dataset
from genbench.data.as_found import KEYS, Axes, as_images, converted, read_images
from genbench.data.decoding import Filter
from genbench.data.samples import is_written_here
from genbench.errors import InputError, option, place, reader_has
from genbench.features.files import load_features
from genbench.features.published_statistics import PublishedStatistics, has_statistics, read_published
from genbench.files.npz import list_npz, read_npy, read_npz
from genbench.sampling.outputs import check_whole

BARE = ("feats", "features", "reps")  # clean-fid's features for KID, others', and dgm-eval's
Given = Any  # a path, the name of a data set, an array, a tensor


@dataclass
class Side:
    """One side of an evaluation, with whatever is known about it.

    name: for messages. images: uint8 (N, H, W, C), with the `info` of their file. made: files of features by extractor.
    bare: features (N, D) that do not state what made them. holdout: the held-out images of a data set.
    """

    name: str
    images: NDArray[np.uint8] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    made: dict[str, Path] = field(default_factory=dict)
    bare: NDArray[np.float32] | None = None
    statistics: list[PublishedStatistics] = field(default_factory=list)
    holdout: "Side | None" = None
    dataset: str | None = None

    @property
    def origin(self) -> str:
        """The name of its source: the data set, or the file or folder."""
        files = [*(path.name for path in self.made.values()), *(found.file for found in self.statistics)]
        return str(self.dataset or self.info.get("source") or next(iter(files), "an array"))

    @property
    def warnings(self) -> list[str]:
        """What a reader of the numbers must know about the images."""
        notes = [*self.info.get("notes", []), *(["stored with losses"] if self.info.get("lossy") else [])]
        return [f"{self.name}: {note}" for note in notes]


@dataclass(frozen=True)
class Reading:
    """How images are read: the options of `read_images` and, for a data set, the split and the folder of raw data."""

    layout: Axes | None = None
    channels: Literal[1, 3] | None = None
    image_size: int | None = None
    filter: Filter | None = None
    split: Literal["train", "test"] = "train"
    data_root: Path = Path("resources/downloads")

    @property
    def of_images(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("layout", "channels", "image_size", "filter")}

    def converted(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[str]]:
        """Images (N, H, W, C) as they are asked for, and a note for each conversion."""
        return converted(images, self.channels, self.image_size, self.filter or "bicubic")

    def check(self) -> None:
        """Raise InputError for an option that does nothing."""
        if self.filter is not None and self.image_size is None:
            raise InputError(
                f"{option('filter')}: found {self.filter!r}, which does nothing without {option('image_size')}"
            )


def open_side(given: Given, name: str, reading: Reading, datasets: bool = False) -> Side:
    """The content of a path, of an array or tensor or, if `datasets`, of the data set of this name.

    Raises InputError, naming `given`, if it is none of these.
    """
    if isinstance(given, str | os.PathLike):
        path = Path(given).expanduser()
        if path.exists():
            side = _of_path(path, name, reading)
            if side.images is None and (reading.channels or reading.image_size):
                side.info = {"notes": ["not converted: they are features or statistics, not images"]}
            return side
        if datasets and str(given) in SOURCES and str(given) != "folder":
            return _of_dataset(str(given), name, reading)
        others = f", nor a data set, such as {', '.join(sorted(SOURCES.keys() - {'folder'}))}" if datasets else ""
        raise InputError(f"{given}: no such file or folder{others}")
    with place(name):
        array = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
        if array.ndim == 2:
            return Side(name, bare=_as_features(array))
        images, notes = reading.converted(as_images(array, reading.layout))
        return Side(name, images, {"notes": notes})


def _of_path(path: Path, name: str, reading: Reading) -> Side:
    if path.is_file() and path.suffix.lower() == ".npz":
        return _of_npz(path, name, reading)
    if path.is_file() and path.suffix.lower() == ".npy":
        array = read_npy(path)
        if array.ndim == 2:
            with place(path):
                return Side(name, bare=_as_features(array))
    images, info = read_images(path, **reading.of_images)
    if path.is_dir():
        check_whole(path, images, as_drawn=not (reading.channels or reading.image_size))
    return Side(name, images, info)


def _of_npz(path: Path, name: str, reading: Reading) -> Side:
    read_npz(path, ())  # the error names a damaged file
    keys = list_npz(path)
    if {"features", "info"} <= set(keys):
        found = load_features(path)
        return Side(name, made={found.extractor: path})
    side = Side(name)
    if has_statistics(keys):
        side.statistics = read_published(path)
    for key in BARE:
        if key in keys:
            with place(f"{path}: {key}"):
                side.bare = _as_features(read_npz(path, (key,))[key])
    if any(key in keys for key in KEYS):
        side.images, side.info = _images_of(path, reading)
    if not side.statistics and side.bare is None and side.images is None:
        shown = ", ".join(keys[:5]) or "none"
        raise InputError(
            f"{path}: found the keys {shown}; expected images ({', '.join(KEYS)}), features ({', '.join(BARE)}), or "
            "statistics (mu and sigma)"
        )
    return side


def _images_of(path: Path, reading: Reading) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    options = reading.of_images
    if not is_written_here(path) or options["channels"] or options["image_size"]:
        return read_images(path, **options)
    images, info = load_images(path)  # verifies a file that genbench wrote
    with place(path):
        return as_images(images, reading.layout), info


def _of_dataset(source: str, name: str, reading: Reading) -> Side:
    """A split of a data set; the training split has the test images as held-out images. Uses prepared files, if any."""
    prepared = {split: Path("resources") / source / f"{split}.npz" for split in ("train", "test")}
    if all(path.exists() for path in prepared.values()):
        sets = {split: load_image_set(path) for split, path in prepared.items()}
    else:
        with reader_has("none"):  # the options are for images, not for a data set
            sets = open_dataset({"source": source}, reading.data_root).load()
    side = _of_split(sets[reading.split], f"{name} ({source}, {reading.split})", reading, source)
    if reading.split == "train":
        side.holdout = _of_split(sets["test"], f"test images ({source})", reading)
    return side


def _of_split(split: ImageSet, name: str, reading: Reading, dataset: str | None = None) -> Side:
    """The images of a split, converted as asked for."""
    images, notes = reading.converted(split.images)
    return Side(name, images, {**split.info, "notes": [*notes, *split.info.get("notes", [])]}, dataset=dataset)


def _as_features(array: NDArray[Any]) -> NDArray[np.float32]:
    if array.ndim != 2 or array.dtype.kind not in "fiu" or 0 in array.shape:
        raise InputError(f"found {array.dtype} {array.shape}, expected features (N, D)")
    if not np.isfinite(array).all():
        raise InputError("found features that are NaN or infinite, expected finite values")
    return np.ascontiguousarray(array, dtype=np.float32)
