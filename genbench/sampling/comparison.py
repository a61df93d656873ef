"""Samples of two networks from the same seeds, image by image: quantised, and in float32. Imports no torch."""

import os

from genbench.data import load_images
from genbench.errors import InputError
from genbench.metrics import psnr
from genbench.records.paired import Paired
from genbench.records.provenance import Provenance

SAME = ("seeds", "options", "condition", "model_sha256")  # equal in samples that are compared image by image


def compare_samples(samples: str | os.PathLike[str], reference: str | os.PathLike[str]) -> Paired:
    """Compare two files of samples, image by image, as a record for paired.json.

    samples: of a quantised network; reference: of the same model in float32, from the same seeds. PSNR is in decibels.
    If nothing was drawn, the record says why. Raises InputError for samples of other seeds, options or models.
    """
    (images, info), (expected, expected_info) = load_images(samples), load_images(reference)
    origin, sha256 = Provenance.collect("numpy", kind="paired"), expected_info.get("samples_sha256")
    if reason := info.get("unavailable"):  # nothing was drawn: the report says why
        return Paired(reference_sha256=sha256, unavailable=reason, provenance=origin)
    for key in SAME:
        if info.get(key) != expected_info.get(key):
            raise InputError(
                f"{samples}: {key}: found {info.get(key)!r}, expected {expected_info.get(key)!r} as of "
                f"{reference}: only samples of the same seeds and model are compared image by image"
            )
    ratios = psnr(images, expected)
    return Paired(
        reference_sha256=sha256,
        psnr=float(ratios.mean()),
        psnr_std=float(ratios.std()),
        psnr_min=float(ratios.min()),
        num_images=len(images),
        identical_images=int((images == expected).all(axis=(1, 2, 3)).sum()),
        provenance=origin,
    )
