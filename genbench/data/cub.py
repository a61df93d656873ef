"""CUB-200-2011, 11,788 photographs of 200 species of birds, from the official archive.

C. Wah, S. Branson, P. Welinder, P. Perona, S. Belongie, The Caltech-UCSD Birds-200-2011 Dataset, CNS-TR-2011-001.
Images are resized as in CMU's course 16-824 for its GANs (PIL's bicubic filter straight to a square). Unlike in the
course, they are not stored as JPEGs again, and the 8 greyscale photographs are kept.
"""

import hashlib
from functools import partial
from pathlib import Path
from typing import Literal

from genbench.data.decoding import decode
from genbench.data.description import Dataset, Description
from genbench.data.image_files import Layout, load_image_files
from genbench.data.image_set import ImageSet
from genbench.errors import InputError
from genbench.files.archives import read_files
from genbench.files.downloads import download, existing_path, first_existing
from genbench.ranges import Side

URL = "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz"
Split = Literal["official", "all"]
ARCHIVE, FOLDER = "CUB_200_2011.tgz", "CUB_200_2011"
MD5 = "97eceeb196236b17998738112f37df78"  # the publisher's
NUM_CLASSES, NUM_TRAIN, NUM_TEST = 200, 5994, 5794
TABLES = ("classes.txt", "images.txt", "image_class_labels.txt", "train_test_split.txt")
GREY_NOTE = "greyscale photographs are kept, as RGB (the course deletes 8)"
OVERLAP_NOTE = (
    "split: all, the course's protocol: every image is for training, also the test images (the official test half), "
    "so the distance between the two is no floor"
)


def cub(data_root: Path, *, path: str | None = None, image_size: Side = 32, split: Split = "official") -> Dataset:
    """CUB-200-2011 in colour. Labels are the species. Labels and images are in the official order.

    path: CUB_200_2011.tgz, or the folder CUB_200_2011 that it holds, or a folder with either, used as given or inside
        `data_root`; by default it is in `data_root`, or downloaded to it.
    image_size: Side of the square to which images are resized, without keeping the aspect ratio.
    split: "official" has 5,994 images for training and 5,794 for test. "all" trains on all images, as the course does;
        its test images are the official ones, so training has seen them, as a note states.
    """
    root = data_root if path is None else existing_path(path, data_root)
    is_source = path is not None and (root.is_file() or (root / "images.txt").exists())
    source = root if is_source else first_existing([root / FOLDER / "images.txt", root / ARCHIVE])
    if source is None and path is not None:
        raise InputError(f"key 'path': found {path!r}, which holds neither {ARCHIVE} nor {FOLDER}")
    if source is not None and source.name == "images.txt":
        source = source.parent

    def fetch() -> Path:
        if source is None:
            download([URL], root / ARCHIVE, check=_check_archive)
        elif source.is_file():
            _check_archive(source)
        return source or root / ARCHIVE

    def load() -> dict[str, ImageSet]:
        where = fetch()
        return load_image_files(
            where,
            _read_layout(where, split),
            # Not turned upright: the course does not turn them when it reads the files with PIL.
            partial(decode, image_size=image_size, filter="bicubic", channels=3, upright=False),
            dataset="cub",
            origin=f"the official {ARCHIVE}",
            resize={"size": image_size, "filter": "bicubic"},
        )

    notes = ["JPEG source: lossy", f"resized to {image_size}x{image_size} (bicubic)", GREY_NOTE]
    description = Description(
        name="cub",
        label="CUB-200-2011",
        height=image_size,
        width=image_size,
        channels=3,
        num_classes=NUM_CLASSES,
        num_train=NUM_TRAIN if split == "official" else NUM_TRAIN + NUM_TEST,
        num_test=NUM_TEST,
        notes=(*notes, OVERLAP_NOTE) if split == "all" else tuple(notes),
    )
    return Dataset(description, load, [fetch])


def _check_archive(path: Path) -> None:
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != MD5:
        raise InputError(f"{path}: found md5 {found}, expected {MD5}; replace it or move it away")


def _read_layout(source: Path, split: Split) -> Layout:
    """Splits and labels from the official tables, in the order of images.txt."""
    prefix = "" if source.is_dir() else f"{FOLDER}/"
    contents: dict[str, bytes] = {}
    for name, content in read_files(source, {f"{prefix}{table}" for table in TABLES}):
        contents[name.removeprefix(prefix)] = content
        if len(contents) == len(TABLES):
            break  # the rest of an archive is photographs
    classes, images, labels, is_train = (_read_table(source, table, contents) for table in TABLES)

    class_labels = {number: label for label, number in enumerate(classes)}
    splits: dict[str, list[tuple[str, int]]] = {"train": [], "test": []}
    for number, name in images.items():
        class_number, flag = labels.get(number, ""), is_train.get(number, "")
        if class_number not in class_labels or flag not in ("0", "1"):
            raise InputError(
                f"{source}: image {number}: found the class {class_number!r} and the training flag {flag!r}, "
                "expected a class of classes.txt, and 0 or 1"
            )
        file = f"{prefix}images/{name}", class_labels[class_number]
        if flag == "1" or split == "all":
            splits["train"].append(file)
        if flag == "0":
            splits["test"].append(file)
    found = len(classes), len(splits["train"]), len(splits["test"])
    expected = NUM_CLASSES, NUM_TRAIN if split == "official" else NUM_TRAIN + NUM_TEST, NUM_TEST
    if found != expected:
        raise InputError(f"{source}: found (classes, train, test) = {found}, expected {expected}")

    # "001.Black_footed_Albatross" is shown as "Black footed Albatross".
    class_names = tuple(name.partition(".")[2].replace("_", " ") or name for name in classes.values())
    return Layout(class_names, splits, (OVERLAP_NOTE,) if split == "all" else ())


def _read_table(source: Path, name: str, contents: dict[str, bytes]) -> dict[str, str]:
    """A table of lines "number value", as {number: value}."""
    if name not in contents:
        raise InputError(f"{source}: holds no {name}; expected the folder {FOLDER} of the official archive")
    rows = [line.split() for line in contents[name].decode(errors="replace").splitlines() if line.strip()]
    wrong = next((row for row in rows if len(row) != 2), None)
    if wrong is not None:
        raise InputError(f"{source}: {name}: found the line {' '.join(wrong)!r}, expected a number and a value")
    table = {row[0]: row[1] for row in rows}
    if len(table) < len(rows):
        raise InputError(f"{source}: {name}: found a number twice")
    return table
