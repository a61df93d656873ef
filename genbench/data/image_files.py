"""Image files in a folder or archive, decoded in parallel into the image sets of a layout."""

import hashlib
import logging
import math
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from genbench.data.decoding import Decoded
from genbench.data.image_set import ImageSet, make_image_set
from genbench.errors import InputError, option
from genbench.files.archives import read_files
from genbench.files.artifacts import sha256_json
from genbench.files.substitutes import substitute
from genbench.machine.cores import cores
from genbench.machine.memory import available_memory, check_memory, in_words
from genbench.machine.progress import Progress

log = logging.getLogger(__name__)

BATCH = 64  # images that a thread decodes at a time: one small image takes less time than handing it over


class Layout(NamedTuple):
    """Which files are in which split, in which order. A file may be in several splits."""

    class_names: tuple[str, ...]
    splits: Mapping[str, Sequence[tuple[str, int | tuple[int, ...]]]]
    """{"train": ..., "test": ...}: (file name, label) of each image; a label may be a zero or one for each class."""
    notes: tuple[str, ...]


def load_image_files(
    source: Path,
    layout: Layout,
    as_asked: Callable[[bytes], Decoded],
    *,
    dataset: str,
    origin: str,
    resize: dict[str, Any] | None,
    source_sha256: str | None = None,
) -> dict[str, ImageSet]:
    """Decode the files of `layout` with `as_asked`, in one pass over `source`.

    origin: where the files come from, in words. source_sha256: by default that of the names and hashes of the files.
    Raises InputError for files that are missing, cannot be decoded, or differ in size or channels.
    """
    places: dict[str, list[tuple[str, int]]] = {}
    for split, files in layout.splits.items():
        for row, (name, _) in enumerate(files):
            places.setdefault(name, []).append((split, row))
    images: dict[str, NDArray[np.uint8]] = {}
    digests = {split: [""] * len(files) for split, files in layout.splits.items()}
    counts: dict[str, Counter[str]] = {split: Counter() for split in layout.splits}
    reference: tuple[str, Decoded] | None = None
    refused: list[str] = []
    missing = set(places)

    progress = Progress(len(places), "images", name=source.name)
    for name, decoded, digest in progress.over(_decode_all(source, places, as_asked)):
        missing.discard(name)
        if isinstance(decoded, str):
            refused.append(f"{name} ({decoded})")
            continue
        if reference is None:
            reference = name, decoded
            _check_memory(source, layout, decoded.pixels.shape)
            for split, files in layout.splits.items():
                images[split] = np.empty((len(files), *decoded.pixels.shape), dtype=np.uint8)
        elif decoded.pixels.shape != reference[1].pixels.shape:
            raise disagreement(source, *reference, name, decoded)
        for split, row in places[name]:
            images[split][row] = decoded.pixels
            digests[split][row] = digest
            counts[split].update(_features(decoded, resize is not None))
    refused += [f"{name} (no such file)" for name in sorted(missing)]
    if refused:
        more = f", and {len(refused) - 5} more" if len(refused) > 5 else ""
        raise InputError(
            f"{source}: {len(refused)} of {len(places)} images cannot be used: {', '.join(refused[:5])}{more}"
        )

    image_sets = {}
    for split, files in layout.splits.items():
        found = [f"{words}: {counts[split][words]}" for words in NOTED if counts[split][words]]
        image_sets[split] = make_image_set(
            images[split],
            np.array([label for _, label in files], dtype=np.int64),
            layout.class_names,
            dataset=dataset,
            split=split,
            source=f"{len(files):,} image files in {origin}",
            source_sha256=source_sha256
            or sha256_json([[name, digest] for (name, _), digest in zip(files, digests[split], strict=True)]),
            lossy=counts[split][LOSSY] > 0,
            resize=resize,
            notes=[*layout.notes, *found],
        )
    return image_sets


def _check_memory(source: Path, layout: Layout, shape: tuple[int, ...]) -> None:
    """Raise InputError if the images do not fit into memory, before any but the first is read."""
    count = sum(len(files) for files in layout.splits.values())
    size = count * math.prod(shape)
    height, width, channels = shape
    described = f"{count:,} images of {width}x{height} in {channels} channel{'s' if channels > 1 else ''}"
    smaller = f", or smaller ones by the option {resize}" if (resize := option("image_size")) else ""
    check_memory(size, f"{source}: {described} take", f"expected fewer images{smaller}")
    log.info("%s: %s, %s", source.name, described, in_words(size))


LOSSY = "lossy"
TRANSPARENT = "images with transparency, laid on white"
STRETCHED = "images that are not square, resized without keeping the aspect ratio"
GREY = "greyscale images, converted to RGB"
NOTED = (TRANSPARENT, STRETCHED, GREY)


def _features(decoded: Decoded, resized: bool) -> list[str]:
    """The features of an image that are counted."""
    present = {
        LOSSY: decoded.lossy,
        TRANSPARENT: decoded.transparent,
        STRETCHED: resized and decoded.size[0] != decoded.size[1],
        GREY: decoded.grey and decoded.pixels.shape[2] == 3,
    }
    return [name for name, is_present in present.items() if is_present]


def _decode_all(
    source: Path, names: Container[str], as_asked: Callable[[bytes], Decoded]
) -> Iterator[tuple[str, Decoded | str, str]]:
    """Yield (name, image or what is wrong with it, SHA-256 of the file) in stored order.

    Files are read in this thread and decoded in others, a bounded number ahead.
    """

    def decode_batch(batch: list[tuple[str, bytes]]) -> list[tuple[str, Decoded | str, str]]:
        return [
            (name, decode_or_reason(content, as_asked), hashlib.sha256(content).hexdigest()) for name, content in batch
        ]

    workers = cores()
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[list[tuple[str, Decoded | str, str]]]] = deque()
        files = read_files(source, names)
        while batch := list(islice(files, BATCH)):
            pending.append(pool.submit(decode_batch, batch))
            if len(pending) > 2 * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


def decode_or_reason(content: bytes, as_asked: Callable[[bytes], Decoded]) -> Decoded | str:
    try:
        return as_asked(content)
    except MemoryError:
        return f"no memory for its pixels: {in_words(available_memory())} are free"
    except UnidentifiedImageError:
        return substitute(content) or "no PNG, JPEG, WebP, BMP, TIFF or PPM image"
    except Exception as error:  # a damaged file can make PIL raise anything
        return str(error) or type(error).__name__


def disagreement(source: Path, a: str, first: Decoded, b: str, second: Decoded) -> InputError:
    """The error about two images, by their names in `source`, that differ in size or channels."""
    channels = [image.pixels.shape[2] for image in (first, second)]
    if channels[0] != channels[1]:
        grey, colour = (a, b) if channels[0] == 1 else (b, a)
        return InputError(f"{source}: {grey} is greyscale and {colour} is in colour{_to_convert('channels', '1 or 3')}")
    sizes = ["{}x{}".format(*image.size) for image in (first, second)]
    return InputError(
        f"{source}: {a} is {sizes[0]} and {b} is {sizes[1]} (width x height)"
        f"{_to_convert('image_size', purpose=' to resize all')}"
    )


def _to_convert(name: str, values: str | None = None, purpose: str = "") -> str:
    """The end of an error about images that differ: what to do."""
    given = option(name, values)
    return f"; give the option {given}{purpose}" if given else "; expected images that are alike"
