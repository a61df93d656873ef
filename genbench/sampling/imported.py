"""Samples that were drawn elsewhere, as the files that drawing them here would have written. Imports no torch."""

import os
from pathlib import Path
from typing import Any

from genbench.data import load_image_set, save_samples
from genbench.data.given import given_samples
from genbench.files.artifacts import write_json
from genbench.records.provenance import Provenance
from genbench.records.timing import Timing
from genbench.sampling.grids import grid, save_png


def import_samples(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    limit: int,
    like: str | os.PathLike[str],
    timing: str | os.PathLike[str],
    sheet: str | os.PathLike[str],
    **options: Any,
) -> Timing:
    """Take `limit` of the images at `path` into the pipeline; returns the record that is written as `timing`.

    path: an .npz, a folder or an archive, see `given_samples`. out: samples.npz. like: a prepared data set, whose
    images have the shape that is expected. sheet: a PNG of the first 100. options: how `given_samples` converts
    them. Raises InputError as it does.
    """
    height, width, channels = load_image_set(like).images.shape[1:]
    images, info = given_samples(Path(path), limit, (channels, height, width), **options)
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
