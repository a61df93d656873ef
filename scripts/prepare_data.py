"""Prepare one data set: train.npz, test.npz, and info.json, which says what is in them and where it came from."""

import argparse
from dataclasses import asdict
from pathlib import Path

from genbench.data import ImageSet, open_dataset, save_image_set
from genbench.files.artifacts import atomic_path, write_json
from genbench.machine import command_line, provenance


def summary(image_set: ImageSet) -> dict[str, object]:
    """Shape and number of images of each class, and the image set's own info."""
    return {"num_images": len(image_set.images), "shape": list(image_set.images.shape[1:])} | {
        "per_class": image_set.class_counts(),
        **image_set.info,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=command_line.json_argument, required=True, help="JSON of the entry, or @file")
    parser.add_argument("--data-root", type=Path, default=Path("resources/downloads"), help="where downloads are kept")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()

    dataset = open_dataset(arguments.dataset, arguments.data_root)
    splits = dataset.load()
    info = asdict(dataset.description) | {
        "entry": arguments.dataset,
        "splits": {split: summary(image_set) for split, image_set in splits.items()},
        "provenance": provenance.collect("genbench", "numpy", "pillow", "mlxtend"),
    }
    # Renamed when all three are written, info.json last: it is there only if the others are.
    with (
        atomic_path(arguments.out / "info.json") as info_path,
        atomic_path(arguments.out / "test.npz") as test_path,
        atomic_path(arguments.out / "train.npz") as train_path,
    ):
        save_image_set(train_path, splits["train"])
        save_image_set(test_path, splits["test"])
        write_json(info_path, info)


if __name__ == "__main__":
    command_line.run(main)
