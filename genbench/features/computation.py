"""From a file of images to a file of their features, after a look at whether they are images."""

import os
from pathlib import Path

import numpy as np
import torch

from genbench.data import load_images
from genbench.errors import place
from genbench.features.extraction import extract
from genbench.features.extractors import load_extractor
from genbench.features.files import save_features
from genbench.features.guards import check_images, drawn_here
from genbench.files.artifacts import array_sha256
from genbench.machine import provenance
from genbench.machine.devices import device_label
from genbench.metrics import Features


def extract_features(
    images: str | os.PathLike[str],
    extractor: str,
    out: str | os.PathLike[str],
    *,
    batch_size: int | None = None,
    weights_root: Path | None = None,
    any_weights: bool = False,
    device: torch.device | str = "cpu",
) -> Features:
    """Compute the features of a prepared data set or of samples, write them to `out`, and return them.

    extractor: NAME or NAME:PATH, as for `load_extractor`, which also says what weights_root and any_weights are.
    batch_size: images at a time; by default the extractor's. Where no image was drawn, the file says why. Raises
    InputError, naming the file, for what are no images, for another size than the extractor takes, and for weights that
    are missing or damaged.
    """
    device = torch.device(device)
    pixels, images_info = load_images(images)
    if reason := images_info.get("unavailable"):  # nothing was drawn: the report says why
        name = extractor.partition(":")[0]
        info = {"extractor": {"name": name, "sha256": None}, "images_sha256": None, "unavailable": reason}
        found = Features(np.empty((0, 0), np.float32), None, info)
        save_features(out, found)
        return found
    network = load_extractor(extractor, device, weights_root, any_weights)
    with place(images):
        stats, warnings = check_images(pixels, drawn_here(images_info))
        features, logits = extract(pixels, network, batch_size, device)
    info = {
        "extractor": {"name": network.name, "dim": network.dim, "sha256": network.sha256, **network.info},
        "images_sha256": array_sha256(pixels),
        "num_images": len(pixels),
        "image_stats": stats,
        "warnings": warnings,
        "batch_size": batch_size or network.batch_size,
        "device": device_label(device),
        "provenance": provenance.collect("torch", "numpy"),
    }
    found = Features(features, logits, info)
    save_features(out, found)
    return found
