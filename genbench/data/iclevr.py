"""iCLEVR as the NYCU course on deep learning distributes it: 18,009 images of one to three of 24 objects.

A. El-Nouby et al., Tell, Draw, and Repeat, ICCV 2019, arXiv 1811.09845. The images belong to the course and cannot be
downloaded; without them, the data set `shapes` renders scenes for the same label sets.
"""

from functools import partial
from pathlib import Path

from genbench.data.decoding import decode
from genbench.data.description import Dataset, Description
from genbench.data.image_files import Layout, load_image_files
from genbench.data.image_set import ImageSet
from genbench.data.objects import OBJECTS, check_objects, hold_out, multi_hot, read_labels
from genbench.errors import InputError, place
from genbench.files.archives import list_files
from genbench.files.downloads import existing_path
from genbench.ranges import InnerShare, Seed, Side

IMAGES, OBJECT_FILE, TRAIN_FILE, TEST_FILES = "iclevr", "objects.json", "train.json", ("test.json", "new_test.json")


def iclevr(
    data_root: Path, *, path: str, image_size: Side = 64, test_fraction: InnerShare = 0.1, split_seed: Seed = 0
) -> Dataset:
    """The images of train.json in colour.

    Labels are zeros and ones for the 24 objects, in the order of objects.json; images are in the order of train.json.

    path: A folder with iclevr/*.png, train.json, test.json, new_test.json and objects.json, used as given or inside
        `data_root`.
    image_size: Side of the square to which images are resized, without keeping the aspect ratio.
    test_fraction: The share of the scenes that is held out; the three images of a scene stay together.
    split_seed: Chooses which scenes are held out.
    """
    root = existing_path(path, data_root)
    expected = f"iclevr's layout: the folder {IMAGES} and {', '.join((TRAIN_FILE, *TEST_FILES, OBJECT_FILE))}"
    absent = [name for name in (IMAGES, TRAIN_FILE, *TEST_FILES, OBJECT_FILE) if not (root / name).exists()]
    if absent:
        raise InputError(f"{root}: found no {absent[0]}, expected {expected}")
    check_objects(root / OBJECT_FILE)
    for name in TEST_FILES:
        read_labels(root / name)
    labels = read_labels(root / TRAIN_FILE)
    if labels.names is None:
        raise InputError(f"{root / TRAIN_FILE}: found a list, expected a mapping of image names to lists of objects")
    present = set(list_files(root / IMAGES))
    missing = [name for name in labels.names if name not in present]
    if missing:
        raise InputError(
            f"{root / IMAGES}: {len(missing):,} of the {len(labels.names):,} images of {TRAIN_FILE} are missing, "
            f"such as {missing[0]}"
        )
    with place(root / TRAIN_FILE):
        rows = hold_out(labels.scenes(), test_fraction, split_seed)

    notes = (
        f"resized to {image_size}x{image_size} (bilinear), the aspect ratio not kept",
        f"held out for test: {test_fraction:g} of the scenes (split_seed {split_seed})",
    )
    hot = [tuple(row) for row in multi_hot(labels.sets).tolist()]
    names = labels.names
    splits = {split: [(names[row], hot[row]) for row in members] for split, members in rows.items()}
    description = Description(
        name="iclevr",
        label="iCLEVR",
        height=image_size,
        width=image_size,
        channels=3,
        num_classes=len(OBJECTS),
        num_train=len(rows["train"]),
        num_test=len(rows["test"]),
        notes=notes,
        multi_label=True,
    )

    def load() -> dict[str, ImageSet]:
        return load_image_files(
            root / IMAGES,
            Layout(OBJECTS, splits, notes),
            # Bilinear, as torchvision's Resize in the course's code.
            partial(decode, image_size=image_size, filter="bilinear", channels=3),
            dataset="iclevr",
            origin=f"the folder {IMAGES}",
            resize={"size": image_size, "filter": "bilinear"},
        )

    return Dataset(description, load)
