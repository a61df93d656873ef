"""A user's own images: a folder or archive with one folder of images per class."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from genbench.data.decoding import SUFFIXES, Filter, decode
from genbench.data.description import Dataset, Description
from genbench.data.image_files import Layout, decode_or_reason, load_image_files
from genbench.data.image_set import ImageSet
from genbench.errors import InputError
from genbench.files.archives import list_files, read_files
from genbench.files.artifacts import sha256_file
from genbench.files.downloads import existing_path


def folder(
    data_root: Path,
    *,
    path: str,
    image_size: int | None = None,
    filter: Filter = "bicubic",
    channels: Literal[1, 3] | None = None,
    test_fraction: float = 0.1,
    split_seed: int = 0,
) -> Dataset:
    """Images in class folders, or directly at the root as the one class "all"; archives are read in place.

    Labels are indexes into the sorted class names; images are sorted by class and name.

    path: A folder, .zip or .tar[.gz|.xz|.bz2], as it stands or inside `data_root`; a folder that wraps an archive's
        whole content is looked through.
    image_size: Side of the square to which every image is resized; without it all must have one size.
    filter: How pixels are weighted where images are resized.
    channels: 1 or 3 to convert every image; without it all must be grayscale, or all in colour.
    test_fraction: The share of each class that is held out, unless the root has folders train and test (or val), which
        are then the splits.
    split_seed: Chooses which images are held out, where there are no such folders.
    """
    if image_size is not None and image_size < 1:
        raise InputError(f"key 'image_size': found {image_size}, expected at least 1")
    if not 0 < test_fraction < 1:
        raise InputError(f"key 'test_fraction': found {test_fraction}, expected a number between 0 and 1")
    source = existing_path(path, data_root)
    names = [name for name in list_files(source) if name.lower().endswith(SUFFIXES)]
    if not names:
        raise InputError(f"{source}: found no images ({', '.join(SUFFIXES)})")
    layout = _arrange(source, names, test_fraction, split_seed)
    as_asked = partial(decode, image_size=image_size, filter=filter, channels=channels)

    name, content = next(read_files(source, {names[0]}))
    first = decode_or_reason(content, as_asked)
    if isinstance(first, str):
        raise InputError(f"{source}: {name}: {first}")
    height, width, found_channels = first.pixels.shape
    notes = list(layout.notes)
    if any(name.lower().endswith((".jpg", ".jpeg")) for name in names):
        notes.append("JPEG source: lossy")
    elif first.lossy:
        notes.append("WebP source: lossy")
    if image_size is not None and first.size != (width, height):
        notes.append(f"resized to {width}x{height} ({filter})")
    description = Description(
        name="folder",
        label="folder",
        height=height,
        width=width,
        channels=found_channels,
        num_classes=len(layout.class_names),
        num_train=len(layout.splits["train"]),
        num_test=len(layout.splits["test"]),
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
        name: (counts["train"][label], counts["test"][label]) for label, name in enumerate(layout.class_names)
    }
    return Dataset(description, load, class_counts=class_counts)


def _arrange(source: Path, names: Sequence[str], test_fraction: float, split_seed: int) -> Layout:
    """Classes and splits, from the names of the images alone."""
    files = [(PurePosixPath(name).parts, name) for name in names]
    if not source.is_dir() and len({parts[0] for parts, _ in files}) == 1 and any(len(parts) > 2 for parts, _ in files):
        files = [(parts[1:], name) for parts, name in files]  # packed together with the folder that holds it all
    tops = {parts[0] for parts, _ in files if len(parts) > 1}
    held_out = next((top for top in ("test", "val") if top in tops), None)

    if "train" in tops and held_out is not None:
        by_split = {
            split: _by_class(source, [(parts[1:], name) for parts, name in files if parts[0] == top])
            for split, top in (("train", "train"), ("test", held_out))
        }
        class_names = sorted(by_split["train"])
        if unknown := sorted(set(by_split["test"]) - set(class_names)):
            raise InputError(f"{source}: {held_out} has the class {unknown[0]!r}, which train has not")
        unused = sorted({parts[0] for parts, _ in files} - {"train", held_out})
        notes = [f"not used: {', '.join(unused[:5])}{' ...' if len(unused) > 5 else ''}"] if unused else []
    else:
        classes = _by_class(source, files)
        class_names = sorted(classes)
        by_split = {"train": {}, "test": {}}
        for class_name, members in classes.items():
            by_split["train"][class_name], by_split["test"][class_name] = _split(
                class_name, members, test_fraction, split_seed
            )
        notes = [f"held out for test: {test_fraction:g} of each class (split_seed {split_seed})"]

    splits = {
        split: [(name, label) for label, c in enumerate(class_names) for name in sorted(classes.get(c, []))]
        for split, classes in by_split.items()
    }
    if not splits["test"]:
        raise InputError(f"{source}: found {len(names)} images, too few to hold any out; expected 2 or more of a class")
    return Layout(tuple(class_names), splits, tuple(notes))


def _by_class(source: Path, files: Sequence[tuple[tuple[str, ...], str]]) -> dict[str, list[str]]:
    """Names of the images of each class, which is the first folder on their way; "all" where there are no folders."""
    loose = [name for parts, name in files if len(parts) == 1]
    if loose and len(loose) < len(files):
        inside = next(name for parts, name in files if len(parts) > 1)
        raise InputError(
            f"{source}: found {loose[0]} beside class folders ({inside}); put it into one, or take it away"
        )
    classes: dict[str, list[str]] = {}
    for parts, name in files:
        classes.setdefault("all" if loose else parts[0], []).append(name)
    return classes


def _split(class_name: str, names: Sequence[str], test_fraction: float, split_seed: int) -> tuple[list[str], list[str]]:
    """Train and test names of a class.

    Ranked by a hash of seed, class and file name: no library's random numbers, the same for a folder and an archive
    of it, and a new image hardly moves any other.
    """

    def rank(name: str) -> tuple[bytes, str]:
        key = f"{split_seed}:{class_name}/{PurePosixPath(name).name}"
        return hashlib.sha256(key.encode(errors="surrogateescape")).digest(), name

    ranked = sorted(names, key=rank)
    num_test = min(max(int(len(names) * test_fraction + 0.5), 1), len(names) - 1)
    return ranked[num_test:], ranked[:num_test]
