"""Pairs of image folders for which programs for FID give different results: the first part of docs/peers.md."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COUNT = 24  # images per folder: differences show at any number, and Inception takes 0.1 s per image
Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """Two folders, and how programs are run on them.

    title: describes the generated images. write: makes the folders of the real and of the generated images.
    batch_size, float64: for the programs that have these options.
    """

    title: str
    write: Callable[[Path, Path], None]
    batch_size: int = COUNT
    float64: bool = False


def pictures(seed: int, size: int = 32, count: int = COUNT) -> Images:
    """Smooth random colours (N, size, size, 3), with another mean for each seed."""
    random = np.random.default_rng(seed)
    coarse = np.clip(random.normal(110 + 15 * seed, 60, size=(count, 6, 6, 3)), 0, 255).astype(np.uint8)
    return np.stack([resized(image, size) for image in coarse])


def resized(image: Images, size: int) -> Images:
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))


def save(folder: Path, images: Images, suffix: str = ".png", **options: object) -> None:
    """Each image as a file, named by its number from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03d}{suffix}", **options)


def pair(size: int = 32) -> Callable[[Path, Path], None]:
    """Real and generated images of one size."""

    def write(real: Path, fake: Path) -> None:
        save(real, pictures(0, size))
        save(fake, pictures(1, size))

    return write


def beside(write_fake: Callable[[Path, Images], None]) -> Callable[[Path, Path], None]:
    """Real images as PNG, and the generated ones as `write_fake` writes them."""

    def write(real: Path, fake: Path) -> None:
        save(real, pictures(0))
        fake.mkdir(parents=True)
        write_fake(fake, pictures(1))

    return write


def grey(folder: Path, images: Images) -> None:
    save(folder, images[..., 1])


def sixteen_bits(folder: Path, images: Images) -> None:
    save(folder, images[..., 1].astype(np.uint16) * 257)


def transparent(folder: Path, images: Images) -> None:
    alpha = np.broadcast_to(np.linspace(0, 255, 32, dtype=np.uint8)[:, None, None], (len(images), 32, 32, 1))
    save(folder, np.concatenate([images, alpha], axis=3))


def turned(folder: Path, images: Images) -> None:
    """Each image turned by 90 degrees, with the EXIF tag by which viewers turn it back."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn clockwise to show
    save(folder, np.rot90(images, axes=(1, 2)).copy(), ".png", exif=exif)


def suffixes(folder: Path, images: Images) -> None:
    quarter = len(images) // 4
    for part, suffix in enumerate((".png", ".PNG", ".bmp", ".webp")):
        lossless = {"lossless": True} if suffix == ".webp" else {}
        for number in range(part * quarter, (part + 1) * quarter):
            Image.fromarray(images[number]).save(folder / f"{number:03d}{suffix}", **lossless)


def sub_folders(folder: Path, images: Images) -> None:
    half = len(images) // 2
    save(folder, images[:half])
    save(folder / "more", images[half:])


def mixed_sizes(folder: Path, images: Images) -> None:
    for number, image in enumerate(images):
        Image.fromarray(resized(image, 48) if number % 2 else image).save(folder / f"{number:03d}.png")


def jpeg(folder: Path, images: Images) -> None:
    save(folder, images, ".jpg", quality=75)


def reversed_order(folder: Path, images: Images) -> None:
    save(folder, images[::-1])


def constant(folder: Path, images: Images) -> None:
    save(folder, np.full_like(images, 128))


def copies(real: Path, fake: Path) -> None:
    for folder in (real, fake):
        save(folder, pictures(0))


CASES = (
    Case("32 pixels, PNG", pair()),
    Case("64 pixels", pair(64)),
    Case("299 pixels", pair(299)),
    Case("512 pixels", pair(512)),
    Case("grey", beside(grey)),
    Case("16 bits, grey", beside(sixteen_bits)),
    Case("transparent", beside(transparent)),
    Case("turned, with EXIF's orientation", beside(turned)),
    Case("suffixes .png, .PNG, .bmp, .webp", beside(suffixes)),
    Case("half of them in a sub-folder", beside(sub_folders)),
    Case("half of them of 48 pixels", beside(mixed_sizes)),
    Case("JPEG, quality 75", beside(jpeg)),
    Case("file names in reverse order", beside(reversed_order)),
    Case("batches of 1", pair(), batch_size=1),
    Case("in float64", pair(), float64=True),
    Case("exact copies of the real images", copies),
    Case("all of one colour", beside(constant)),
)
