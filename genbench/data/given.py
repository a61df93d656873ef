"""Samples that were drawn elsewhere: arrays as OpenAI's scripts write them, or a folder or archive of images."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genbench.data.decoding import SUFFIXES, Decoded, Filter, decode, unread_note
from genbench.data.image_files import Layout, load_image_files
from genbench.errors import InputError
from genbench.files.archives import list_files
from genbench.files.artifacts import array_sha256
from genbench.files.npz import list_npz, read_npy, read_npz

ARRAYS = (".npz", ".npy")
KEYS = ("arr_0", "samples", "images")  # OpenAI's, score_sde's, and that of a data set prepared here
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
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """`count` of the images at `path`, uint8 (count, H, W, C), where they come from, and `notes` if there are any.

    path: an .npy; an .npz with the key arr_0, samples or images; or a folder, .zip or .tar of images, in the
    order of the numbers in their names. Of more images than `count` a random part is taken, always the same, in their
    order: files are often sorted by class. image_shape: (C, H, W) of the data set. Grey images stored in three equal
    channels are taken for grey, grey ones are made RGB for a data set in colour, and (N, C, H, W) is transposed; all
    else that would change a pixel happens only where it is asked for.

    channels, image_size, filter: convert and resize every image to the data set's shape. Raises InputError when there
    are too few images, or when they do not fit.
    """
    _check_options(image_shape, channels, image_size, filter)
    options = {"channels": channels, "image_size": image_size, "filter": filter or "bicubic"}
    if path.suffix.lower() in ARRAYS and not path.is_dir():
        images, found, notes, lossy = *_read_arrays(path, count, image_shape, **options), False
    elif path.is_file() and path.suffix.lower() in (".pt", ".pth", ".pkl", ".h5", ".hdf5", ".mat", ".safetensors"):
        raise InputError(
            f"{path}: expected an .npz or .npy, or a folder or archive of images: write them as one of these"
        )
    else:
        images, found, notes, lossy = _read_files(path, count, image_shape, **options)
    asked = [f"converted to {'grayscale' if channels == 1 else 'RGB'}"] if channels else []
    asked += [f"resized to {image_size}x{image_size} ({options['filter']})"] if image_size else []
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
        raise InputError(f"key 'channels': found {channels}, expected {expected}, as the data set's images have")
    if image_size is not None and (image_size, image_size) != (height, width):
        raise InputError(f"key 'image_size': found {image_size}, but the data set's images are {width}x{height}")
    if filter is not None and image_size is None:
        raise InputError(f"key 'filter': found {filter!r}, which does nothing without the key 'image_size'")


def _part(path: Path, found: int, count: int) -> list[int]:
    """Which `count` of so many images are taken, in their order: those of the lowest hashes, no library's numbers."""
    if found < count:
        raise InputError(
            f"{path}: found {found:,} images, expected at least {count:,} (the suite's num_samples): a distance "
            "falls with the number of samples, so sets of different sizes are not compared"
        )
    if found == count:
        return list(range(found))
    return sorted(sorted(range(found), key=lambda row: hashlib.sha256(f"0:{row}".encode()).digest())[:count])


def _remedy(image_shape: tuple[int, int, int], keys: Sequence[str]) -> str:
    """How an entry asks for a conversion; nothing where none helps."""
    channels, height, width = image_shape
    values = {"channels": channels, **({"image_size": height} if height == width else {})}
    options = "".join(f", {key}: {values[key]}" for key in keys if key in values)
    return f"; samples: {{path: ...{options}}} converts every image" if options else ""


# --- Arrays -----------------------------------------------------------------------------------------------------------


def _read_arrays(
    path: Path, count: int, image_shape: tuple[int, int, int], **options: Any
) -> tuple[NDArray[np.uint8], int, list[str]]:
    """(images, how many there are in the file, notes)."""
    key, images = _find_array(path)
    channels, height, width = image_shape
    if images.ndim == 3 and images.shape[1:] == (height, width):
        images = images[..., None]
    if images.ndim != 4:
        raise InputError(f"{path}: {key}found shape {images.shape}, expected (N, H, W, C)")
    if images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        images = np.moveaxis(images, 1, 3)  # (N, C, H, W), as torch has it
    found = len(images)
    images = np.asarray(images[_part(path, found, count)])
    if images.dtype.kind in "iu" and images.min() >= 0 and images.max() <= 255:
        images = images.astype(np.uint8)
    if images.dtype != np.uint8:
        if images.dtype.kind == "f" and not np.isfinite(images).all():
            raise InputError(f"{path}: found {images.dtype} images with values that are no numbers, expected uint8")
        raise InputError(
            f"{path}: found {images.dtype} images of {_range(images)}, expected uint8 of 0 to 255: "
            f"write {_conversion(images)} instead"
        )
    notes = []
    if options["channels"] or options["image_size"]:
        if images.shape[3] not in (1, 3):
            raise InputError(f"{path}: {key}found {images.shape[3]} channels, expected 1 or 3")
        asked = options["channels"] or images.shape[3], options["image_size"], options["filter"]
        images = np.stack([_convert(image, *asked) for image in images])
    if images.shape[3] == 3 and channels == 1 and _is_grey(images):
        images, notes = images[..., :1], [f"{GREY_IN_THREE}: {count}"]
    elif images.shape[3] == 1 and channels == 3:
        images = np.repeat(images, 3, axis=3)
        notes = [f"grayscale images, converted to RGB: {count}"]
    if images.shape[1:] != (height, width, channels):
        keys = ["channels"] if images.shape[3] in (1, 3) and images.shape[3] != channels else []
        keys += ["image_size"] if images.shape[1:3] != (height, width) else []
        raise InputError(
            f"{path}: found {images.dtype} images of shape (H, W, C) = {images.shape[1:]}, expected uint8 "
            f"{(height, width, channels)}, as the data set's{_remedy(image_shape, keys)}"
        )
    return np.ascontiguousarray(images), found, notes


def _find_array(path: Path) -> tuple[str, NDArray[Any]]:
    """("key: ", images) of an .npz; ("", images) of an .npy."""
    if path.suffix.lower() == ".npy":
        return "", read_npy(path)
    for key, images in read_npz(path, KEYS).items():
        return f"{key}: ", images
    names = list_npz(path)
    shown = ", ".join(names[:5]) or "none"
    if {"mu", "sigma"} <= set(names):
        shown += ", which are statistics for FID"
    raise InputError(f"{path}: found neither of the keys {', '.join(KEYS)}, but {shown}")


def _range(images: NDArray[Any]) -> str:
    return f"{images.min():.4g} to {images.max():.4g}"


def _conversion(images: NDArray[Any]) -> str:
    """The expression that makes uint8 of these values, by their range."""
    low, high = images.min(), images.max()
    scaled = "images"
    if images.dtype.kind == "b" or (low >= 0 and high <= 1):
        scaled = "images * 255.0"
    elif low >= -0.5 and high <= 0.5:
        scaled = "(images + 0.5) * 255"
    elif low >= -1 and high <= 1:
        scaled = "(images + 1) * 127.5"
    return f"({scaled}).round().clip(0, 255).astype('uint8')"


def _convert(pixels: NDArray[np.uint8], channels: int, image_size: int | None, filter: str) -> NDArray[np.uint8]:
    """An image (H, W, 1 or 3) as `decode` would have it of a file of it."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("L" if channels == 1 else "RGB")
    if image_size is not None and image.size != (image_size, image_size):
        image = image.resize((image_size, image_size), Image.Resampling[filter.upper()])
    return np.array(image).reshape(image.height, image.width, -1)


def _is_grey(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels[..., :1] == pixels[..., 1:]).all())


# --- Files ------------------------------------------------------------------------------------------------------------


def _read_files(
    path: Path, count: int, image_shape: tuple[int, int, int], **options: Any
) -> tuple[NDArray[np.uint8], int, list[str], bool]:
    """(images, how many there are, notes, whether any was stored with losses)."""
    files = list_files(path)
    names = sorted((name for name in files if name.lower().endswith(SUFFIXES)), key=_natural)
    unread = unread_note(files)
    if not names:
        arrays = [name for name in files if name.lower().endswith(ARRAYS)]
        unread = f"{unread}: give one file as the path, such as {path / arrays[0]}" if arrays else unread
        raise InputError(f"{path}: found no images ({', '.join(SUFFIXES)}){f'; {unread}' if unread else ''}")
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
                raise ValueError("in colour, expected grayscale")
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
            error.args = (f"{error}; take them away, if they are no samples{_remedy(image_shape, sorted(helpful))}",)
        raise
    notes = [*_notes_of_folders(chosen), *found.info["notes"]]
    notes += [f"{GREY_IN_THREE}: {len(in_three)}"] if in_three else []
    notes += [unread] if unread else []
    return found.images, len(names), notes, bool(found.info["lossy"])


def _notes_of_folders(names: Sequence[str]) -> list[str]:
    folders = sorted({PurePosixPath(name).parent.as_posix() for name in names}, key=_natural)
    if len(folders) < 2:
        return []
    shown = ", ".join("its root" if folder == "." else folder for folder in folders[:3])
    return [f"images of {len(folders)} folders together ({shown}{', ...' if len(folders) > 3 else ''})"]


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2.png before 10.png."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
