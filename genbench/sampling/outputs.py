"""Images as one picture, an npz or a folder, by the name of the output; each holds the record of how they were drawn.

A file that genbench did not write is never overwritten unless the user asks for it. While a folder is written, its
record has a hidden name. So a folder whose writer was killed is recognised: it can be drawn again, but not evaluated.
"""

import json
import math
import os
import shutil
from glob import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from genbench.data import save_samples
from genbench.errors import InputError
from genbench.files.artifacts import array_sha256, atomic_path, read_json, write_json
from genbench.files.npz import read_info, read_npz
from genbench.records.timing import Timing
from genbench.sampling.grids import grid

RECORD = "samples.json"  # in a folder of images
UNFINISHED = ".samples.json"  # the same, while images are removed or added
TEXT = "genbench"  # the text chunk of a picture that holds the record
Kind = Literal["picture", "npz", "folder"]


def kind_of(out: Path) -> Kind:
    """The kind of output that a name stands for. Raises InputError for other suffixes."""
    kinds: dict[str, Kind] = {".png": "picture", ".npz": "npz", "": "folder"}
    if out.suffix.lower() not in kinds and not out.is_dir():
        raise InputError(f"--out: found {str(out)!r}, expected NAME.png, NAME.npz or a folder, a name without a suffix")
    return "folder" if out.is_dir() else kinds[out.suffix.lower()]


def check_free(out: Path) -> None:
    """Raise InputError if there is already something at `out` that genbench did not write."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())) or _record_in(out) is not None:
        return
    raise InputError(f"{out}: it exists, and genbench did not draw it; expected another --out, or --force")


def check_whole(folder: Path, images: NDArray[np.uint8], as_drawn: bool) -> None:
    """Raise InputError if the images of a folder are not those that its record states. A folder without one passes.

    images: all in it (N, H, W, C), in the order of seeds. as_drawn: whether they were read without a conversion.
    """
    if (record := _record_in(folder)) is None:
        return
    if (folder / UNFINISHED).exists():
        raise InputError(f"{folder}: `genbench sample` was stopped while it wrote these images: draw them again")
    if len(images) != (count := len(_seeds_of(record))):
        found, expected = f"{len(images):,} images", f"{count:,}"
    elif as_drawn and (sha256 := array_sha256(images)) != record["samples_sha256"]:
        found, expected = f"images with SHA-256 {sha256}", record["samples_sha256"]
    else:
        return
    raise InputError(
        f"{folder}: found {found}, expected {expected}, as its {RECORD} states: draw them again, or move other images "
        "out of this folder"
    )


def write_images(out: Path, images: NDArray[np.uint8], record: Timing, seeds: range) -> None:
    """Write uint8 (N, H, W, C) and their record: in a picture as its text, in an npz as `info`, in a folder as
    samples.json beside one PNG per seed. PNGs of an earlier draw in the folder are removed."""
    kind = kind_of(out)
    if kind == "npz":
        save_samples(out, images, record.content(), seeds)
    elif kind == "picture":
        text = PngInfo()
        text.add_text(TEXT, json.dumps(record.content()))
        sheet = grid(images, columns=math.ceil(math.sqrt(len(images))))
        with atomic_path(out) as temporary:
            Image.fromarray(sheet).save(temporary, format="PNG", optimize=True, pnginfo=text)
    else:
        _write_folder(out, images, record, seeds)


def _write_folder(out: Path, images: NDArray[np.uint8], record: Timing, seeds: range) -> None:
    """Write everything beside `out` first. A run that is stopped then leaves no folder with images of two draws, and no
    record of images that are not all there. The caller keeps other processes away."""
    for left in out.parent.glob(f".{escape(out.name)}.tmp*"):  # of a process that was killed while it wrote
        shutil.rmtree(left, ignore_errors=True)
    temporary = out.with_name(f".{out.name}.tmp{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        for seed, image in zip(seeds, images, strict=True):
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(temporary / _name(seed))
        write_json(temporary / RECORD, record.content())
        out.mkdir(exist_ok=True)
        before = _seeds_of(_record_in(out))
        if (out / RECORD).exists() and not (out / UNFINISHED).exists():
            os.replace(out / RECORD, out / UNFINISHED)
        for seed in before:
            (out / _name(seed)).unlink(missing_ok=True)
        os.replace(temporary / RECORD, out / UNFINISHED)  # from here on the folder counts as genbench's
        for seed in seeds:
            os.replace(temporary / _name(seed), out / _name(seed))
        os.replace(out / UNFINISHED, out / RECORD)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _name(seed: int) -> str:
    return f"{seed:06}.png"


def _seeds_of(record: dict[str, Any] | None) -> range:
    start, _, stop = str((record or {}).get("seeds", "0:0")).partition(":")
    return range(int(start), int(stop))


def _record_in(out: Path) -> dict[str, Any] | None:
    """The record in a file or folder of images that genbench has drawn, even in part; None for any other."""
    try:
        if out.is_dir():
            found = read_json(out / (UNFINISHED if (out / UNFINISHED).exists() else RECORD))
        elif out.suffix.lower() == ".npz":
            found = read_info(out, read_npz(out, ["info"])["info"])
        else:
            with Image.open(out) as picture:
                found = json.loads(picture.info[TEXT])
    except (InputError, OSError, KeyError, ValueError):
        return None
    return found if isinstance(found, dict) and "samples_sha256" in found else None
