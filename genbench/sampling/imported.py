"""Samples drawn by other programs, written as the same files as samples drawn here. Imports no torch."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.data import load_image_set, save_samples
from genbench.data.given import given_samples
from genbench.errors import InputError, reader_has
from genbench.files.artifacts import write_json
from genbench.records.provenance import Provenance
from genbench.records.timing import Timing
from genbench.sampling.grids import blank, grid, save_png


def import_samples(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    limit: int,
    like: str | os.PathLike[str],
    timing: str | os.PathLike[str],
    sheet: str | os.PathLike[str],
    hand_in: bool = False,
    refused: str | None = None,
    check: Callable[[NDArray[np.uint8]], Any] | None = None,
    **options: Any,
) -> Timing:
    """Take `limit` of the images at `path` into the pipeline; returns the record that is written as `timing`.

    path: an .npz, a folder or an archive, see `given_samples`. out: samples.npz. like: a prepared data set, whose
    images have the expected shape. sheet: a PNG of the first 100. options: how `given_samples` converts them. check:
    what else they must pass. Raises InputError as `given_samples` does; for a hand_in, the record states the reason
    instead, or `refused`, the reason why it is refused, and there are no images.
    """
    height, width, channels = load_image_set(like).images.shape[1:]
    reason = refused
    if reason is None:
        try:
            with reader_has("card" if hand_in else "flags"):
                images, info = given_samples(Path(path), limit, (channels, height, width), **options)
                if check is not None:
                    check(images)
        except InputError as error:
            if not hand_in:
                raise
            reason = str(error)
    if reason is not None:
        record = Timing(unavailable=reason, given=True, source=Path(path).name)
        save_png(sheet, blank(height, width))
        write_json(timing, record.content())
        save_samples(out, np.empty((0, height, width, channels), np.uint8), record.content())
        return record
    record = Timing(
        num_samples=len(images),
        seconds_per_50k=None,  # unknown: they were not drawn here
        images_per_second=None,
        given=True,
        **info,
        provenance=Provenance.collect("numpy", "pillow", kind="given"),
    )
    save_png(sheet, grid(images[:100], columns=10))
    write_json(timing, record.content())
    save_samples(out, images, record.content())
    return record
