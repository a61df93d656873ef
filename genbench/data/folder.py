"""A user's own images: a folder or archive with one folder of PNG, JPEG or WebP files a class."""

import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError
from tqdm import tqdm

from genbench.artifacts import sha256_file, sha256_json
from genbench.data.archives import list_files, read_files
from genbench.data.decoding import SUFFIXES, Decoded, Filter, decode
from genbench.data.description import Dataset, Description
from genbench.data.downloads import existing_path
from genbench.data.image_set import ImageSet, make_image_set
from genbench.errors import InputError

BATCH = 64  # images that a thread decodes at a time: small ones take less time than handing them over


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

    path: a folder, .zip or .tar[.gz|.xz|.bz2]; a folder that wraps an archive's whole content is looked through.
    image_size, filter: resize every image to a square; without it all must have one size.
    channels: 1 or 3 to convert every image; without it all must be grayscale, or all in colour.
    test_fraction, split_seed: the share of each class that is held out, unless the root has folders train and test
    (or val), which are then the splits.

    Labels are indexes into the sorted class names; images are sorted by class and name.
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
    first = _decode_or_reason(content, as_asked)
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
        return _load(source, layout, as_asked, None if image_size is None else {"size": image_size, "filter": filter})

    counts = {split: Counter(label for _, label in files) for split, files in layout.splits.items()}
    class_counts = {
        name: (counts["train"][label], counts["test"][label]) for label, name in enumerate(layout.class_names)
    }
    return Dataset(description, load, class_counts)


class _Layout(NamedTuple):
    class_names: tuple[str, ...]
    splits: dict[str, list[tuple[str, int]]]
    """(file name, label), sorted by label and name; "train" and "test"."""
    notes: tuple[str, ...]


def _arrange(source: Path, names: Sequence[str], test_fraction: float, split_seed: int) -> _Layout:
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
    return _Layout(tuple(class_names), splits, tuple(notes))


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


def _load(
    source: Path, layout: _Layout, as_asked: Callable[[bytes], Decoded], resize: dict[str, Any] | None
) -> dict[str, ImageSet]:
    rows = {name: (split, row) for split, files in layout.splits.items() for row, (name, _) in enumerate(files)}
    images: dict[str, NDArray[np.uint8]] = {}
    digests = {split: [""] * len(files) for split, files in layout.splits.items()}
    lossy, transparent, stretched = (dict.fromkeys(layout.splits, 0) for _ in range(3))
    reference: tuple[str, Decoded] | None = None
    refused: list[str] = []

    for name, decoded, digest in tqdm(
        _decode_all(source, rows, as_asked), total=len(rows), desc=source.name, unit=" images", disable=None
    ):
        if isinstance(decoded, str):
            refused.append(f"{name} ({decoded})")
            continue
        if reference is None:
            reference = name, decoded
            for split, files in layout.splits.items():
                images[split] = np.empty((len(files), *decoded.pixels.shape), dtype=np.uint8)
        elif decoded.pixels.shape != reference[1].pixels.shape:
            raise _disagreement(source, *reference, name, decoded)
        split, row = rows[name]
        images[split][row] = decoded.pixels
        digests[split][row] = digest
        lossy[split] += decoded.lossy
        transparent[split] += decoded.transparent
        stretched[split] += resize is not None and decoded.size[0] != decoded.size[1]
    if refused:
        more = f", and {len(refused) - 5} more" if len(refused) > 5 else ""
        raise InputError(
            f"{source}: {len(refused)} of {len(rows)} images cannot be used: {', '.join(refused[:5])}{more}"
        )

    archive_sha256 = None if source.is_dir() else sha256_file(source)
    image_sets = {}
    for split, files in layout.splits.items():
        notes = list(layout.notes)
        if transparent[split]:
            notes.append(f"images with transparency, laid on white: {transparent[split]}")
        if stretched[split]:
            notes.append(f"images that are not square, resized without keeping the aspect ratio: {stretched[split]}")
        image_sets[split] = make_image_set(
            images[split],
            np.array([label for _, label in files], dtype=np.int64),
            layout.class_names,
            dataset="folder",
            split=split,
            source=f"{len(files):,} image files in {source.name}",
            source_sha256=archive_sha256
            or sha256_json([[name, digest] for (name, _), digest in zip(files, digests[split], strict=True)]),
            lossy=lossy[split] > 0,
            resize=resize,
            notes=notes,
        )
    return image_sets


def _decode_all(
    source: Path, names: Container[str], as_asked: Callable[[bytes], Decoded]
) -> Iterator[tuple[str, Decoded | str, str]]:
    """Yield (name, image or what is wrong with it, SHA-256 of the file) in stored order.

    Files are read in this thread and decoded in others, a bounded number ahead.
    """

    def decode_batch(batch: list[tuple[str, bytes]]) -> list[tuple[str, Decoded | str, str]]:
        return [
            (name, _decode_or_reason(content, as_asked), hashlib.sha256(content).hexdigest()) for name, content in batch
        ]

    workers = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[list[tuple[str, Decoded | str, str]]]] = deque()
        files = read_files(source, names)
        while batch := list(islice(files, BATCH)):
            pending.append(pool.submit(decode_batch, batch))
            if len(pending) > 2 * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


def _decode_or_reason(content: bytes, as_asked: Callable[[bytes], Decoded]) -> Decoded | str:
    try:
        return as_asked(content)
    except UnidentifiedImageError:
        return "no PNG, JPEG or WebP image"
    except Exception as error:  # a damaged file can make PIL raise anything
        return str(error) or type(error).__name__


def _disagreement(source: Path, a: str, first: Decoded, b: str, second: Decoded) -> InputError:
    channels = [image.pixels.shape[2] for image in (first, second)]
    if channels[0] != channels[1]:
        grey, colour = (a, b) if channels[0] == 1 else (b, a)
        return InputError(f"{source}: {grey} is grayscale and {colour} is in colour; give the option channels: 1 or 3")
    sizes = ["{}x{}".format(*image.size) for image in (first, second)]
    return InputError(
        f"{source}: {a} is {sizes[0]} and {b} is {sizes[1]} (width x height); give the option image_size to resize all"
    )
