"""The option `classes` of every entry: keep only the images of these classes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from genbench.data.description import Dataset
from genbench.data.image_set import ImageSet, make_image_set
from genbench.errors import InputError, place, unknown_name

KEY = "key 'classes'"
NAMED = 3  # the label names up to this many classes


def keep_classes(dataset: Dataset, classes: Any) -> Dataset:
    """`dataset` with only the images of `classes`; a class's label is its place in `classes`.

    Raises InputError if `classes` is not a list of different class names, or leaves a split empty: at once if the data
    set knows its classes, otherwise when it is loaded.
    """
    if not isinstance(classes, (list, tuple)) or not classes:
        raise InputError(f"{KEY}: found {classes!r}, expected a list of class names")
    if dataset.description.multi_label:
        raise InputError(
            f"{KEY}: found {classes!r}, but an image of this data set has several labels; leave the key out"
        )
    for name in classes:
        if classes.count(name) > 1:
            raise InputError(f"{KEY}: found {name!r} {classes.count(name)} times, expected it once")
    counts = None
    if dataset.class_counts is not None:
        _check_known(classes, dataset.class_counts)
        counts = {name: dataset.class_counts[name] for name in classes}
        totals = [sum(split) for split in zip(*counts.values(), strict=True)]
        splits = ("train", "test") if dataset.description.num_test != 0 else ("train",)  # 0: none are held out
        _check_left(classes, dict(zip(splits, totals, strict=False)))

    described = dataset.description
    shown = ", ".join(map(str, classes)) if len(classes) <= NAMED else f"{len(classes)} classes"
    note = f"only the classes {', '.join(map(str, classes))} of {described.num_classes}"
    description = replace(
        described,
        label=f"{described.label} ({shown})",
        num_classes=len(classes),
        num_train=totals[0] if counts else None,
        num_test=totals[1] if counts else None,
        notes=(*described.notes, note),
    )

    def load() -> dict[str, ImageSet]:
        image_sets = dataset.load()
        with place(f"data set {described.name!r}"):
            _check_known(classes, image_sets["train"].class_names)
            numbers = [image_sets["train"].class_names.index(name) for name in classes]
            _check_left(classes, {split: int(np.isin(s.labels, numbers).sum()) for split, s in image_sets.items()})
        return {split: _select(image_set, classes, note) for split, image_set in image_sets.items()}

    return dataset._replace(description=description, load=load, class_counts=counts)


def _check_known(classes: Sequence[Any], known: Sequence[str] | Mapping[str, Any]) -> None:
    for name in classes:
        if not isinstance(name, str) or name not in known:  # YAML reads 3 as a number: the error suggests '3'
            raise unknown_name(KEY, name, known)


def _check_left(classes: Sequence[str], left: Mapping[str, int]) -> None:
    for split, count in left.items():
        if not count:
            raise InputError(f"{KEY}: found {list(classes)}, of which {split} has no images")


def _select(image_set: ImageSet, classes: Sequence[str], note: str) -> ImageSet:
    renumbered = np.full(len(image_set.class_names), -1, dtype=np.int64)
    renumbered[[image_set.class_names.index(name) for name in classes]] = np.arange(len(classes))
    labels = renumbered[image_set.labels]
    kept = labels >= 0
    info = {key: value for key, value in image_set.info.items() if key != "sha256"}
    return make_image_set(
        image_set.images[kept], labels[kept], classes, **info | {"notes": [*image_set.info["notes"], note]}
    )
