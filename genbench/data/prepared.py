"""A data set as the files that every job reads: train.npz, test.npz, and info.json, which describes them."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genbench.data.datasets import open_dataset
from genbench.data.image_set import ImageSet, save_image_set
from genbench.files.artifacts import atomic_path, write_json
from genbench.machine import provenance


def prepare_data(entry: Mapping[str, Any], out: str | os.PathLike[str], data_root: str | os.PathLike[str]) -> None:
    """Prepare one data set in the folder `out`.

    entry: a suite's `dataset`. data_root: where downloads are kept. The three files appear together or not at all.
    Raises InputError, naming the key, for a wrong entry and for raw data that are missing or damaged.
    """
    folder, dataset = Path(out), open_dataset(entry, Path(data_root))
    splits = dataset.load()
    info = asdict(dataset.description) | {
        "entry": entry,
        "splits": {split: summary(image_set) for split, image_set in splits.items()},
        "provenance": provenance.collect("genbench", "numpy", "pillow", "mlxtend"),
    }
    # Renamed when all three are written, info.json last: it exists only if the others do.
    with (
        atomic_path(folder / "info.json") as info_path,
        atomic_path(folder / "test.npz") as test_path,
        atomic_path(folder / "train.npz") as train_path,
    ):
        save_image_set(train_path, splits["train"])
        save_image_set(test_path, splits["test"])
        write_json(info_path, info)


def summary(image_set: ImageSet) -> dict[str, object]:
    """Shape and number of images of each class, and the image set's own info."""
    return {"num_images": len(image_set.images), "shape": list(image_set.images.shape[1:])} | {
        "per_class": image_set.class_counts(),
        **image_set.info,
    }
