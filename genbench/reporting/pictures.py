"""Sample grids as pictures inside the page, pixel for pixel if small enough; the page's colour shows in the gaps."""

import base64
import io
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from genbench.errors import InputError

COLUMNS = 10  # tiles in a row of grid.png
CAPTIONS = {  # of the pictures that models provide, by name
    "reconstructions": "Held-out images, and below each its reconstruction",
    "interpolation": "From one image to another in each row, by interpolation between their latents",
    "latent_plane": "The first two latent dimensions over a 10×10 grid in [-1, 1], the others 0",
    "denoising": "From noise to images: a sample in each row, seen after every tenth of the way",
    "one_step": "Held-out images with noise of ten levels, and below each its one-step reconstruction",
    "inversion": "Held-out images, one in each row: turned into noise by DDIM inversion, then back into images",
    "refinement": "Images of the first stage, and below each its refinement by the second stage",
    "restoration": "Held-out images, one in each row: degraded step by step, then restored",
    "generation": "From a random degraded image to a sample, one in each row",
}


@dataclass(frozen=True)
class Picture:
    """A PNG as a data URI, its size in pixels, and a remark on how it was made smaller ("" if it was not)."""

    uri: str
    width: int
    height: int
    remark: str = ""


def read_grid(path: Path, image_shape: Sequence[int] | None = None) -> Image.Image:
    """Open a grid.png of images of `image_shape` (C, H, W); the gaps between its tiles become transparent.

    A picture without colour becomes greyscale. Raises InputError, which names the file, if it is not a picture.
    """
    image = open_picture(path)
    red, green, blue = np.moveaxis(np.asarray(image), 2, 0)
    if (red == green).all() and (green == blue).all():
        image = image.convert("L")
    if image_shape:
        _, height, width = image_shape
        gap, rest = divmod(image.width - COLUMNS * width, COLUMNS - 1)
        if gap > 0 and rest == 0:
            tiles = np.arange(image.height)[:, None] % (height + gap) < height
            tiles = tiles & (np.arange(image.width) % (width + gap) < width)
            image.putalpha(Image.fromarray(np.uint8(255) * tiles))
    return image


def open_picture(path: Path) -> Image.Image:
    """A picture in RGB. Raises InputError, which names the file, if it is damaged or not a picture."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error):  # Pillow raises these for damaged files
        raise InputError(f"{path}: damaged, or not a PNG picture") from None


def first_row(grid: Image.Image, image_shape: Sequence[int] | None = None) -> Image.Image:
    """The first row of a grid's tiles, which are square if their shape is unknown."""
    height = image_shape[1] if image_shape else grid.width // COLUMNS
    return grid.crop((0, 0, grid.width, min(height, grid.height)))


def first_tiles(grid: Image.Image, count: int, image_shape: Sequence[int] | None = None) -> Image.Image:
    """The first `count` tiles of a grid's first row, which are square if their shape is unknown."""
    row = first_row(grid, image_shape)
    if count >= COLUMNS:
        return row
    width = image_shape[2] if image_shape else row.height
    gap = max(0, (row.width - COLUMNS * width) // (COLUMNS - 1))
    return row.crop((0, 0, min(row.width, count * (width + gap) - gap), row.height))


def caption(name: str) -> str:
    """What a picture shows; its name if that is unknown."""
    if name.startswith("neighbours-"):
        sampler = name.removeprefix("neighbours-")
        return f"Samples ({sampler}), and below each the training image that is nearest in the headline's features"
    if name.startswith("objects-"):
        _, labels, sampler = name.split("-", 2)
        return f"One image for each label set of {labels} ({sampler})"
    return CAPTIONS.get(name) or name.replace("_", " ").replace("-", " ").capitalize()


def embed(image: Image.Image, most_bytes: int = 1 << 30) -> Picture:
    """Encode as PNG; if larger than `most_bytes`, in 255 colours, and if that is still too large, shrunk as well."""
    data, remarks = encode(image), []
    if len(data) > most_bytes and image.mode in ("RGB", "RGBA"):
        data = encode(reduce_colours(image))
        remarks.append("in 255 colours")
    if len(data) > most_bytes:
        factor = 0.95 * math.sqrt(most_bytes / len(data))
        image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)
        data = encode(reduce_colours(image))
        remarks.append(f"shrunk to {factor:.0%}")
    uri = "data:image/png;base64," + base64.b64encode(data).decode()
    return Picture(uri, image.width, image.height, ", ".join(remarks))


def reduce_colours(image: Image.Image) -> Image.Image:
    """A colour image with a palette of 255 colours and one transparent entry. Greyscale images stay as they are."""
    if image.mode not in ("RGB", "RGBA"):
        return image
    reduced = image.convert("RGB").quantize(255)
    if image.mode == "RGBA":
        reduced.paste(255, mask=image.getchannel("A").point(lambda alpha: 255 - alpha))
        reduced.info["transparency"] = 255
    return reduced


def encode(image: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=6)  # 9 saves one byte in seventy and takes five times as long
    return buffer.getvalue()
