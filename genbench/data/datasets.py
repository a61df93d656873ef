"""The data set of a suite's entry, which is checked against the signature of the source's function."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from genbench.data.cifar import cifar10
from genbench.data.classes import keep_classes
from genbench.data.cub import cub
from genbench.data.demo import demo
from genbench.data.description import Dataset, Description
from genbench.data.iclevr import iclevr
from genbench.data.idx import fashion_mnist, mnist
from genbench.data.image_folder import folder
from genbench.data.image_set import ImageSet
from genbench.data.shapes import shapes
from genbench.errors import InputError, place
from genbench.own_code import naming_lines, parse
from genbench.schema import check_arguments, find_function

COMMON_KEYS = ("name", "label", "classes")  # keys that every entry may have, whatever its source


def describe(dataset: Mapping[str, Any], data_root: str | Path) -> Description:
    """The description of the data set of the entry `dataset`, without a download or a full decode.

    Raises InputError for an unknown source, an unknown, missing or wrong key, and a `path` that does not exist.
    """
    return open_dataset(dataset, data_root).description


def prepare(dataset: Mapping[str, Any], data_root: str | Path) -> dict[str, ImageSet]:
    """The images of the entry `dataset`: {"train": ..., "test": ...}.

    Official files are looked for in `data_root`, in torchvision's layout or flat, and otherwise downloaded into it.
    Raises InputError as `describe` does, and for files that are missing, damaged or have another checksum.
    """
    return open_dataset(dataset, data_root).load()


def open_dataset(entry: Any, data_root: str | Path) -> Dataset:
    """Check an entry and open its data set, for callers that need both the description and the images."""
    if not isinstance(entry, Mapping):
        raise InputError(f"data set: found {entry!r}, expected a mapping with the key 'source'")
    options = dict(entry)
    source = options.pop("source", None)
    function = find_function(SOURCES, source, "data set: key 'source'", takes=["data_root"])
    name = options.pop("name", default_name(source))
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
        raise InputError(
            f"data set: key 'name': found {name!r}, expected letters, digits, '_', '-' and '.' (not first)"
        )
    with place(f"data set {name!r}"):
        label = options.pop("label", None)
        if not (label is None or (isinstance(label, str) and label)):
            raise InputError(f"key 'label': found {label!r}, expected a string")
        classes = options.pop("classes", None)
        options = check_arguments(function, options, also=["source", *COMMON_KEYS])
        with naming_lines():
            opened = function(Path(data_root), **options)
        if not isinstance(opened, Dataset):  # a user's own function returned it
            raise InputError(f"found {type(opened).__name__} returned by {source}, expected a genbench.data.Dataset")
        described = replace(opened.description, name=name)
        opened = opened._replace(description=replace(described, label=name) if source == "folder" else described)
        if classes is not None:
            opened = keep_classes(opened, classes)

    def load() -> dict[str, ImageSet]:
        with naming_lines():
            sets = opened.load()
        return {split: replace(image_set, info=image_set.info | {"dataset": name}) for split, image_set in sets.items()}

    description = replace(opened.description, label=label or opened.description.label)
    return opened._replace(description=description, load=load)


def default_name(source: str) -> str:
    """The name of a data set whose entry gives none: its source, or the name of the function in a user's own file."""
    own = parse(source)
    return source if own is None else own.name


SOURCES: dict[str, Callable[..., Dataset]] = {
    "demo": demo,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
    "cub": cub,
    "shapes": shapes,
    "iclevr": iclevr,
    "folder": folder,
}
