"""Images as one picture, an npz or a folder, by the name of the output; each holds the record of how they were drawn.

A file that genbench did not write is never overwritten unless the user asks for it.
"""

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from genbench.data import save_samples
from genbench.errors import InputError
from genbench.files.artifacts import atomic_path, read_json, write_json
from genbench.files.npz import read_info, read_npz
from genbench.records.timing import Timing
from genbench.sampling.grids import grid

RECORD = "samples.json"  # in a folder of images
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
    """Write everything beside `out` first: a run that is stopped then leaves no folder with images of two draws."""
    before = _record_in(out)
    temporary = out.with_name(f".{out.name}.tmp{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        for seed, image in zip(seeds, images, strict=True):
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(temporary / _name(seed))
        write_json(temporary / RECORD, record.content())
        out.mkdir(exist_ok=True)
        os.replace(temporary / RECORD, out / RECORD)  # from here on the folder counts as genbench's
        for seed in seeds:
            os.replace(temporary / _name(seed), out / _name(seed))
        for seed in _seeds_of(before):
            if seed not in seeds:
                (out / _name(seed)).unlink(missing_ok=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _name(seed: int) -> str:
    return f"{seed:06}.png"


def _seeds_of(record: dict[str, Any] | None) -> range:
    start, _, stop = str((record or {}).get("seeds", "0:0")).partition(":")
    return range(int(start), int(stop))


def _record_in(out: Path) -> dict[str, Any] | None:
    """The record in a file or folder of images that genbench has drawn; None for any other."""
    try:
        if out.is_dir():
            found = read_json(out / RECORD)
        elif out.suffix.lower() == ".npz":
            found = read_info(out, read_npz(out, ["info"])["info"])
        else:
            with Image.open(out) as picture:
                found = json.loads(picture.info[TEXT])
    except (InputError, OSError, KeyError, ValueError):
        return None
    return found if isinstance(found, dict) and "samples_sha256" in found else None
