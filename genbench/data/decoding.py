"""Decoding image files to uint8 pixels."""

import io
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, PpmImagePlugin, TiffImagePlugin

Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]  # PIL's names
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")  # PIL's names; PPM are also PGM and PBM
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")  # as in torchvision
UNREAD = (".gif", ".avif", ".heic", ".jp2", ".jxl", ".jfif", ".tga", ".pbm", ".exr", ".npy", ".npz")  # images, too
BITS_PER_SAMPLE = 258  # a tag of TIFF
LARGEST = 1 << 28  # pixels of an image, 16384x16384: a few kilobytes can be packed so that they unpack to any number
LARGE = 1 << 25  # pixels: to save memory, images above this are decoded one at a time
Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, LARGEST)  # PIL refuses images of twice as many pixels
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # below that it warns; here it is an error
_one_at_a_time = threading.Lock()


class Decoded(NamedTuple):
    pixels: NDArray[np.uint8]
    """(H, W, C), C = 1 or 3."""
    size: tuple[int, int]
    """Width and height in the file, before any resize."""
    lossy: bool
    transparent: bool
    grey: bool
    """Whether the file is greyscale, whatever the channels of `pixels`."""


def unread_note(names: Sequence[str]) -> str:
    """A note on image files of other kinds, such as "3 files (.gif) are not read"; or ""."""
    found = Counter(suffix for name in names if (suffix := PurePosixPath(name).suffix.lower()) in UNREAD)
    return f"{sum(found.values()):,} files ({', '.join(sorted(found))}) are not read" if found else ""


def decode(
    content: bytes, image_size: int | None, filter: Filter, channels: Literal[1, 3] | None, upright: bool = True
) -> Decoded:
    """Decode one image, with transparency laid on white.

    image_size: resizes to a square with PIL's `filter`, without keeping the aspect ratio. channels: None keeps those of
    the file. upright: turn the image as its EXIF data ask. Raises ValueError for more than 8 bits per channel, more
    than LARGEST pixels and an animation, and whatever PIL raises for a damaged file.
    """
    if content[:8] == b"\x89PNG\r\n\x1a\n" and content[24:25] == b"\x10":
        # PIL would silently drop 8 bits of a colour image, and clip the values of a greyscale image.
        raise ValueError("16 bits a channel, expected 8: convert it first")
    image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
    with _room_for(image):
        return _decode(content, image, image_size, filter, channels, upright)


@contextmanager
def _room_for(image: Image.Image) -> Iterator[None]:
    pixels = image.width * image.height
    if pixels > LARGEST:
        raise ValueError(f"{image.width}x{image.height} pixels, expected at most {LARGEST:,}: make it smaller first")
    if pixels <= LARGE:
        yield
        return
    with _one_at_a_time:
        yield


def _decode(
    content: bytes,
    image: Image.Image,
    image_size: int | None,
    filter: Filter,
    channels: Literal[1, 3] | None,
    upright: bool,
) -> Decoded:
    if image.mode.startswith(("I", "F")) or _bits(image) > 8:  # PIL would also drop or clip these
        raise ValueError("more than 8 bits a channel, expected 8: convert it first")
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise ValueError(
            "an animation, expected a still image" if image.format != "TIFF" else "several pages, expected one"
        )
    lossy = (
        image.format in ("JPEG", "MPO")
        or image.info.get("compression") in ("jpeg", "webp")
        or (image.format == "WEBP" and _is_lossy_webp(content))
    )
    if upright:
        ImageOps.exif_transpose(image, in_place=True)
    grey = image.mode in ("1", "L", "LA", "La")
    transparent = False
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        transparent = rgba.getchannel("A").tobytes().count(255) < rgba.width * rgba.height
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    image = image.convert("L" if (grey if channels is None else channels == 1) else "RGB")
    size = image.size
    if image_size is not None and size != (image_size, image_size):
        image = image.resize((image_size, image_size), Image.Resampling[filter.upper()])
    pixels = np.array(image)  # (H, W) or (H, W, 3)
    return Decoded(pixels.reshape(*pixels.shape[:2], -1), size, lossy, transparent, grey)


def _bits(image: Image.Image) -> int:
    """Bits per channel of a TIFF or PPM file; 8 for other files."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (1,)))
    if isinstance(image, PpmImagePlugin.PpmImageFile) and isinstance(args := image.tile[0].args, tuple):
        return int(args[-1]).bit_length()  # the largest value, if it is not 255
    return 8


def _is_lossy_webp(content: bytes) -> bool:
    """Whether the picture of a WebP file is in a "VP8 " chunk (lossy) or a VP8L one (RFC 9649)."""
    position = 12  # after RIFF, the length, WEBP
    while position + 8 <= len(content):
        tag, length = content[position : position + 4], int.from_bytes(content[position + 4 : position + 8], "little")
        if tag in (b"VP8 ", b"VP8L"):
            return tag == b"VP8 "
        position += 8 + length + length % 2
    return True
