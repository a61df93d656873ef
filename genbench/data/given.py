"""Samples drawn by other programs: arrays as OpenAI's scripts write them, or a folder or archive of images."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genbench.data.as_found import (
    ARRAYS,
    Axes,
    as_bytes,
    channels_first,
    conversions,
    convert,
    find_array,
    from_range,
    image_names,
    notes_of_folders,
    refuse_others,
)
from genbench.data.decoding import Decoded, Filter, decode
from genbench.data.image_files import Layout, load_image_files
from genbench.errors import InputError, for_a_card, named, option, place
from genbench.files.artifacts import array_sha256

GREY_IN_THREE = "grey images stored in three equal channels, read as one"


def given_entry(samples: str | Mapping[str, Any]) -> dict[str, Any]:
    """The path of a suite's `samples`, which may be a path or a mapping, and the options of `given_samples`."""
    return {"path": samples} if isinstance(samples, str) else dict(samples)


def given_samples(
    path: Path,
    count: int,
    image_shape: tuple[int, int, int],
    *,
    channels: Literal[1, 3] | None = None,
    image_size: int | None = None,
    filter: Filter | None = None,
    key: str | None = None,
    layout: Axes | None = None,
    range: Sequence[float] | None = None,
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """`count` of the images at `path`, uint8 (count, H, W, C), their source, and `notes` if there are any.

    path: an .npy; an .npz with the key arr_0, samples or images; or a folder, .zip or .tar of images, sorted by the
    numbers in their names. If there are more images than `count`, a random part is taken, always the same and in their
    order, since files are often sorted by class. image_shape: (C, H, W) of the data set. Grey images stored in three
    equal channels are read as grey, grey images are made RGB for a data set in colour, and (N, C, H, W) is transposed.
    Anything else that would change a pixel happens only if an option asks for it.

    channels, image_size, filter: convert and resize every image to the data set's shape. For arrays only, key: the key
    of an npz; layout: NHWC or NCHW, if the shape does not show it; range: the values of black and white, such as 0 and
    1 or -1 and 1, between which values become levels from 0 to 255. Raises InputError if there are too few images, or
    if they do not fit.
    """
    _check_options(image_shape, channels, image_size, filter)
    options: dict[str, Any] = {"channels": channels, "image_size": image_size, "filter": filter or "bicubic"}
    of_arrays: dict[str, Any] = {"key": key, "layout": layout, "range": range}
    if path.suffix.lower() in ARRAYS and not path.is_dir():
        if key is not None and path.suffix.lower() == ".npy":
            raise InputError(f"{path}: {named('key')}: found {key!r}, which does nothing for an .npy: it has no keys")
        images, found, notes, lossy = *_read_arrays(path, count, image_shape, **options, **of_arrays), False
    else:
        refuse_others(path)
        for name, value in of_arrays.items():
            if value is not None:
                raise InputError(f"{path}: {named(name)}: found {value!r}, which does nothing for files of images")
        images, found, notes, lossy = _read_files(path, count, image_shape, **options)
    asked = conversions(channels, image_size, options["filter"])
    asked += [f"from values of {range[0]:g} to {range[1]:g}"] if range is not None else []
    notes = [*asked, *notes]
    if found > count:
        notes = [f"{count:,} of {found:,} samples: a random part, always the same", *notes]
    info = {"source": path.name, "lossy": lossy, "samples_sha256": array_sha256(images)}
    return images, info | ({"notes": notes} if notes else {})


def _check_options(
    image_shape: tuple[int, int, int], channels: int | None, image_size: int | None, filter: str | None
) -> None:
    expected, height, width = image_shape
    if channels not in (None, expected):
        raise InputError(f"{named('channels')}: found {channels}, expected {expected}, as the data set's images have")
    if image_size is not None and (image_size, image_size) != (height, width):
        raise InputError(f"{named('image_size')}: found {image_size}, but the data set's images are {width}x{height}")
    if filter is not None and image_size is None:
        raise InputError(f"{named('filter')}: found {filter!r}, which does nothing without the {named('image_size')}")


def _part(path: Path, found: int, count: int) -> list[int]:
    """The rows of `count` out of `found` images, in order: those with the lowest hashes, which no library changes."""
    if found < count:
        limit = option("num_samples", flag="--limit")
        raise InputError(
            f"{path}: found {found:,} images, expected at least {count:,} ({limit}): a distance "
            "falls with the number of samples, so sets of different sizes are not compared"
        )
    if found == count:
        return list(range(found))
    return sorted(sorted(range(found), key=lambda row: hashlib.sha256(f"0:{row}".encode()).digest())[:count])


def _remedy(image_shape: tuple[int, int, int], keys: Sequence[str]) -> str:
    """The end of an error: how to ask for a conversion; "" if none helps."""
    channels, height, width = image_shape
    values = {"channels": channels, **({"image_size": height} if height == width else {})}
    options = [option(name, values[name]) for name in keys if name in values]
    if not options:
        return ""
    if for_a_card():
        return f"; {', '.join(options)} in its card converts every image"
    if options[0].startswith("--"):
        return f"; {' '.join(options)} converts every image"
    return f"; samples: {{path: ..., {', '.join(options)}}} converts every image"


# --- Arrays -----------------------------------------------------------------------------------------------------------


def _read_arrays(
    path: Path,
    count: int,
    image_shape: tuple[int, int, int],
    *,
    key: str | None,
    layout: Axes | None,
    range: Sequence[float] | None,
    **options: Any,
) -> tuple[NDArray[np.uint8], int, list[str]]:
    """(images, how many there are in the file, notes)."""
    key, images = find_array(path, key)
    channels, height, width = image_shape
    if images.ndim == 3 and images.shape[1:] == (height, width):
        images = images[..., None]
    if images.ndim != 4:
        raise InputError(f"{path}: {key}found shape {images.shape}, expected (N, H, W, C)")
    if layout == "NCHW" or (layout is None and channels_first(images.shape)):
        images = np.moveaxis(images, 1, 3)
    found = len(images)
    images = np.asarray(images[_part(path, found, count)])
    notes: list[str] = []
    with place(path):
        if range is None:
            images = as_bytes(images)
        else:
            images, clipped = from_range(images, *range)
            notes += [f"images with values outside the range, clipped: {clipped}"] if clipped else []
    if options["channels"] or options["image_size"]:
        if images.shape[3] not in (1, 3):
            raise InputError(f"{path}: {key}found {images.shape[3]} channels, expected 1 or 3")
        asked = options["channels"] or images.shape[3], options["image_size"], options["filter"]
        images = np.stack([convert(image, *asked) for image in images])
    if images.shape[3] == 3 and channels == 1 and _is_grey(images):
        images = images[..., :1]
        notes += [f"{GREY_IN_THREE}: {count}"]
    elif images.shape[3] == 1 and channels == 3:
        images = np.repeat(images, 3, axis=3)
        notes += [f"greyscale images, converted to RGB: {count}"]
    if images.shape[1:] != (height, width, channels):
        keys = ["channels"] if images.shape[3] in (1, 3) and images.shape[3] != channels else []
        keys += ["image_size"] if images.shape[1:3] != (height, width) else []
        raise InputError(
            f"{path}: found {images.dtype} images of shape (H, W, C) = {images.shape[1:]}, expected uint8 "
            f"{(height, width, channels)}, as the data set's{_remedy(image_shape, keys)}"
        )
    return np.ascontiguousarray(images), found, notes


def _is_grey(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels[..., :1] == pixels[..., 1:]).all())


# --- Files ------------------------------------------------------------------------------------------------------------


def _read_files(
    path: Path, count: int, image_shape: tuple[int, int, int], **options: Any
) -> tuple[NDArray[np.uint8], int, list[str], bool]:
    """(images, how many there are, notes, whether any was stored with losses)."""
    names, unread = image_names(path)
    channels, height, width = image_shape
    chosen = [names[row] for row in _part(path, len(names), count)]
    helpful: set[str] = set()
    in_three: list[None] = []

    def as_given(content: bytes) -> Decoded:
        decoded = decode(
            content, options["image_size"], options["filter"], options["channels"] or (3 if channels == 3 else None)
        )
        if decoded.pixels.shape[2] != channels:  # in colour, where grey is expected
            if not _is_grey(decoded.pixels):
                helpful.add("channels")
                raise ValueError("in colour, expected greyscale")
            in_three.append(None)
            decoded = decoded._replace(pixels=decoded.pixels[..., :1])
        if decoded.pixels.shape[:2] != (height, width):
            helpful.add("image_size")
            raise ValueError(f"{decoded.size[0]}x{decoded.size[1]} pixels, expected {width}x{height}")
        return decoded

    layout = Layout(("all",), {"samples": [(name, 0) for name in chosen]}, ())
    resize = None if options["image_size"] is None else {"size": height, "filter": options["filter"]}
    try:
        found = load_image_files(path, layout, as_given, dataset="given", origin=path.name, resize=resize)["samples"]
    except InputError as error:
        if helpful:
            error.args = (f"{error}; move them out, if they are no samples{_remedy(image_shape, sorted(helpful))}",)
        raise
    notes = [*notes_of_folders(chosen), *found.info["notes"]]
    notes += [f"{GREY_IN_THREE}: {len(in_three)}"] if in_three else []
    notes += [unread] if unread else []
    return found.images, len(names), notes, bool(found.info["lossy"])
