"""Images as they are found, of any number and size: an array, or a folder or archive of image files."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genbench.data.decoding import SUFFIXES, Filter, decode, unread_note
from genbench.data.image_files import Layout, load_image_files
from genbench.errors import InputError, named, place, unknown_name
from genbench.files.archives import list_files
from genbench.files.npz import list_npz, read_npy, read_npz

ARRAYS = (".npz", ".npy")
KEYS = ("arr_0", "samples", "images")  # of OpenAI, of score_sde, and of a data set prepared here
NOT_READ = (".pt", ".pth", ".pkl", ".h5", ".hdf5", ".mat", ".safetensors")
Axes = Literal["NHWC", "NCHW"]


def read_images(
    path: Path,
    *,
    channels: Literal[1, 3] | None = None,
    image_size: int | None = None,
    filter: Filter | None = None,
    layout: Axes | None = None,
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """All images at `path`, uint8 (N, H, W, C), and their `source`, `lossy` and `notes`.

    path: an .npy; an .npz with the key arr_0, samples or images; or a folder, .zip or .tar of images, which are sorted
    by the numbers in their names, folders included. channels, image_size, filter: convert and resize every image;
    without them all must be alike. layout: of an array, as for `as_images`. Raises InputError for anything else.
    """
    filter = filter or "bicubic"
    if path.suffix.lower() in ARRAYS and not path.is_dir():
        key, array = find_array(path)
        with place(f"{path}: {key}".removesuffix(": ")):
            images, notes = converted(as_images(array, layout), channels, image_size, filter)
        return images, {"source": path.name, "lossy": False, "notes": notes}
    refuse_others(path)
    names, unread = image_names(path)
    as_asked = partial(decode, image_size=image_size, filter=filter, channels=channels)
    resize = None if image_size is None else {"size": image_size, "filter": filter}
    layout_of_files = Layout(("all",), {"all": [(name, 0) for name in names]}, ())
    found = load_image_files(path, layout_of_files, as_asked, dataset="as found", origin=path.name, resize=resize)[
        "all"
    ]
    asked = conversions(channels, image_size, filter)
    notes = [*asked, *notes_of_folders(names), *found.info["notes"], *([unread] if unread else [])]
    return found.images, {"source": path.name, "lossy": bool(found.info["lossy"]), "notes": notes}


def image_names(path: Path) -> tuple[list[str], str]:
    """The names of the images in a folder or archive, in the order of the numbers in them; and a note on other kinds.

    Raises InputError if there are none.
    """
    files = list_files(path)
    names = sorted((name for name in files if name.lower().endswith(SUFFIXES)), key=natural)
    unread = unread_note(files)
    if not names:
        arrays = [name for name in files if name.lower().endswith(ARRAYS)]
        unread = f"{unread}: give one file as the path, such as {path / arrays[0]}" if arrays else unread
        raise InputError(f"{path}: found no images ({', '.join(SUFFIXES)}){f'; {unread}' if unread else ''}")
    return names, unread


def notes_of_folders(names: Sequence[str]) -> list[str]:
    """A note if images of several folders are taken together."""
    folders = sorted({PurePosixPath(name).parent.as_posix() for name in names}, key=natural)
    if len(folders) < 2:
        return []
    shown = ", ".join("its root" if folder == "." else folder for folder in folders[:3])
    return [f"images of {len(folders)} folders together ({shown}{', ...' if len(folders) > 3 else ''})"]


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2.png before 10.png."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def conversions(channels: int | None, image_size: int | None, filter: str) -> list[str]:
    """A note for each conversion that is asked for."""
    asked = [f"converted to {'greyscale' if channels == 1 else 'RGB'}"] if channels else []
    return [*asked, *([f"resized to {image_size}x{image_size} ({filter})"] if image_size else [])]


def refuse_others(path: Path) -> None:
    """Raise InputError for kinds of array files that are not read."""
    if path.is_file() and path.suffix.lower() in NOT_READ:
        raise InputError(
            f"{path}: expected an .npz or .npy, or a folder or archive of images: write them as one of these"
        )


# --- Arrays -----------------------------------------------------------------------------------------------------------


def find_array(path: Path, key: str | None = None) -> tuple[str, NDArray[Any]]:
    """("key: ", images) of an .npz, from its key `key` or the first of KEYS that it has; ("", images) of an .npy."""
    if path.suffix.lower() == ".npy":
        return "", read_npy(path)
    for found, images in read_npz(path, KEYS if key is None else (key,)).items():
        return f"{found}: ", images
    names = list_npz(path)
    if key is not None:
        raise unknown_name(f"{path}: {named('key')}", key, names)
    shown = ", ".join(names[:5]) or "none"
    if {"mu", "sigma"} <= set(names):
        shown += ", which are statistics for FID"
    raise InputError(f"{path}: found neither of the keys {', '.join(KEYS)}, but {shown}")


def as_images(array: NDArray[Any], layout: Axes | None = None) -> NDArray[np.uint8]:
    """An array as images, uint8 (N, H, W, C), C = 1 or 3.

    layout: NHWC, or NCHW as in torch; by default NHWC, unless only the second dimension can be the channels.
    Raises InputError for other shapes, and for values that are not whole numbers from 0 to 255.
    """
    if array.ndim == 3 and array.shape[2] in (3, 4):
        raise InputError(f"found shape {array.shape}, one image (H, W, C), expected (N, H, W, C): write images[None]")
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise InputError(f"found shape {array.shape}, expected (N, H, W, C)")
    if layout == "NCHW" or (layout is None and channels_first(array.shape)):
        array = np.moveaxis(array, 1, 3)
    if array.shape[3] not in (1, 3):
        raise InputError(f"found {array.shape[3]} channels in shape (N, H, W, C) = {array.shape}, expected 1 or 3")
    if 0 in array.shape:
        raise InputError(f"found shape {array.shape}, expected at least one image")
    images = as_bytes(array)
    return images.ravel().reshape(images.shape)  # with ordinary strides: torch's rounding depends on them


def channels_first(shape: Sequence[int]) -> bool:
    """Whether only the second of four dimensions can be the channels: (N, C, H, W), as in torch."""
    return shape[1] in (1, 3) and shape[3] not in (1, 3)


def as_bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Whole numbers from 0 to 255 as uint8. Raises InputError for others, with the expression that converts them."""
    if images.dtype.kind in "iu" and images.min() >= 0 and images.max() <= 255:
        return images.astype(np.uint8, copy=False)
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise InputError(f"found {images.dtype} images with values that are not numbers, expected uint8")
    if images.dtype.kind not in "biuf":
        raise InputError(f"found {images.dtype}, expected uint8 images")
    scaled = _conversion(images)
    advice = f": write ({scaled}).round().clip(0, 255).astype('uint8') instead" if scaled else ""
    raise InputError(
        f"found {images.dtype} images of {images.min():.4g} to {images.max():.4g}, expected uint8 of 0 to 255{advice}"
    )


def from_range(images: NDArray[Any], low: float, high: float) -> tuple[NDArray[np.uint8], int]:
    """Values as the nearest levels of 0 to 255, `low` black and `high` white; and how many images were clipped.

    images: (N, ...). Raises InputError for values that are not numbers, or so far outside that the range must be wrong.
    """
    if images.dtype.kind not in "biuf":
        raise InputError(f"found {images.dtype}, expected numbers from {low:g} to {high:g}")
    levels = np.empty(images.shape, np.uint8)
    clipped = 0
    for row, image in enumerate(images):  # one at a time: all in float64 would take eight times the memory
        scaled = (image.astype(np.float64) - low) * (255 / (high - low))
        if not np.isfinite(scaled).all():
            raise InputError(f"found {images.dtype} images with values that are not numbers")
        if scaled.min() < -255 or scaled.max() > 510:
            raise InputError(
                f"found {images.dtype} images with values from {images.min():.4g} to {images.max():.4g}, "
                f"expected about {low:g} to {high:g}, as the {named('range')} says"
            )
        clipped += bool(scaled.min() < -0.5 or scaled.max() > 255.5)
        levels[row] = scaled.round().clip(0, 255)
    return levels, clipped


def _conversion(images: NDArray[Any]) -> str | None:
    """The expression that makes these values 0 to 255, by their range; None if the range belongs to no known one.

    Images from a network or a smooth resize go a little beyond black and white.
    """
    low, high = float(images.min()), float(images.max())
    if images.dtype.kind in "iu":
        return "images / 257.0" if low >= 0 and 2**15 <= high < 2**16 else None
    for black, white, scaled in (
        (0.0, 1.0, "images * 255.0"),
        (-0.5, 0.5, "(images + 0.5) * 255"),
        (-1.0, 1.0, "(images + 1) * 127.5"),
        (0.0, 255.0, "images"),
    ):
        beyond = 0.1 * (white - black)
        if black - beyond <= low and high <= white + beyond:
            return scaled
    return None


def converted(
    images: NDArray[np.uint8], channels: int | None, image_size: int | None, filter: str
) -> tuple[NDArray[np.uint8], list[str]]:
    """Images (N, H, W, C) with each converted as asked for, and a note for each conversion."""
    if channels or image_size:
        asked = channels or images.shape[3], image_size, filter
        images = np.stack([convert(image, *asked) for image in images])
    return images, conversions(channels, image_size, filter)


def convert(pixels: NDArray[np.uint8], channels: int, image_size: int | None, filter: str) -> NDArray[np.uint8]:
    """An image (H, W, 1 or 3), converted as `decode` converts a file of it."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("L" if channels == 1 else "RGB")
    if image_size is not None and image.size != (image_size, image_size):
        image = image.resize((image_size, image_size), Image.Resampling[filter.upper()])
    return np.array(image).reshape(image.height, image.width, -1)
