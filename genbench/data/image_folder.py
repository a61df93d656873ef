"""A user's own images: a folder or archive with one folder of images per class."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from genbench.data.decoding import Filter, decode
from genbench.data.description import Dataset, Description
from genbench.data.image_files import decode_or_reason, disagreement, load_image_files
from genbench.data.image_set import ImageSet
from genbench.data.layouts import arrange
from genbench.errors import InputError
from genbench.files.archives import read_files
from genbench.files.artifacts import sha256_file
from genbench.files.downloads import existing_path
from genbench.ranges import Seed, ShareBelowOne, Side

LOOKED_AT = 32  # images, at most, that are compared with the first before all are read


def folder(
    data_root: Path,
    *,
    path: str,
    image_size: Side | None = None,
    filter: Filter = "bicubic",
    channels: Literal[1, 3] | None = None,
    test_fraction: ShareBelowOne = 0.1,
    split_seed: Seed = 0,
    splits: Mapping[str, str] | None = None,
) -> Dataset:
    """Images in class folders, or directly at the root as the one class "all"; archives are read in place.

    Labels are indexes into the sorted class names; images are sorted by class and name. A dataset.json, as
    StyleGAN2-ADA's and EDM's dataset_tool writes it, has the labels; its folders of 1,000 images are not classes.

    path: A folder, .zip or .tar[.gz|.xz|.bz2], used as given or inside `data_root`. If everything in an archive is in
        one folder, the content of that folder is used.
    image_size: Side of the square to which every image is resized; without it, all must have the same size.
    filter: The filter for resizing.
    channels: 1 or 3 converts every image; without it, all must be greyscale, or all in colour.
    test_fraction: The share of each class that is held out, unless the root has folders train and test, which are then
        the splits (or training for train; val, testing, valid or validation for test; upper or lower case). 0 holds out
        none: all images are the reference, and parts that need held-out images are left out.
    split_seed: Chooses which images are held out, if there are no such folders.
    splits: The folders of the splits, if they have other names, such as {train: seg_train, test: seg_test}; with only
        train, some of its images are held out, and other folders are not used.
    """
    source = existing_path(path, data_root)
    layout = arrange(source, test_fraction, split_seed, splits)
    names = [name for files in layout.splits.values() for name, _ in files]
    as_asked = partial(decode, image_size=image_size, filter=filter, channels=channels)

    name, content = next(read_files(source, set(names)))
    first = decode_or_reason(content, as_asked)
    if isinstance(first, str):
        raise InputError(f"{source}: {name}: {first}")
    quick = source.is_dir() or source.suffix.lower() == ".zip"  # other archives are read from their beginning
    if quick and (image_size is None or channels is None):
        for other, content in read_files(source, set(names[:: -(-len(names) // LOOKED_AT)])):
            second = decode_or_reason(content, as_asked)
            if not isinstance(second, str) and second.pixels.shape != first.pixels.shape:
                raise disagreement(source, name, first, other, second)
    height, width, found_channels = first.pixels.shape
    notes = list(layout.notes)
    if any(name.lower().endswith((".jpg", ".jpeg")) for name in names):
        notes.append("JPEG source: lossy")
    elif first.lossy:
        notes.append("WebP source: lossy")
    if image_size is not None and first.size != (width, height):
        notes.append(f"resized to {width}x{height} ({filter})")
    num_test = len(layout.splits["test"]) if test_fraction else 0
    description = Description(
        name="folder",
        label="folder",
        height=height,
        width=width,
        channels=found_channels,
        num_classes=len(layout.class_names),
        num_train=len(layout.splits["train"]),
        num_test=num_test,
        notes=tuple(notes),
    )

    def load() -> dict[str, ImageSet]:
        resize = None if image_size is None else {"size": image_size, "filter": filter}
        whole = None if source.is_dir() else sha256_file(source)
        return load_image_files(
            source, layout, as_asked, dataset="folder", origin=source.name, resize=resize, source_sha256=whole
        )

    counts = {split: Counter(label for _, label in files) for split, files in layout.splits.items()}
    class_counts = {
        name: (counts["train"][label], counts["test"][label] if test_fraction else 0)
        for label, name in enumerate(layout.class_names)
    }
    return Dataset(description, load, class_counts=class_counts)
