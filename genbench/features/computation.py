"""From images to features, after checks that they are images; and from a file of images to a file of features."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.data import load_images, load_labels
from genbench.data.as_found import read_images
from genbench.data.samples import is_written_here
from genbench.errors import place, reader_has
from genbench.features.extraction import Extractor, extract
from genbench.features.extractors import load_extractor
from genbench.features.files import save_features
from genbench.features.guards import check_images, drawn_here
from genbench.features.published_statistics import write_published
from genbench.files.artifacts import array_sha256
from genbench.machine import provenance
from genbench.machine.devices import device_label
from genbench.metrics import Features

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".txz", ".tbz2")


def extract_features(
    images: str | os.PathLike[str],
    extractor: str,
    out: str | os.PathLike[str] | None,
    *,
    batch_size: int | None = None,
    weights_root: Path | None = None,
    any_weights: bool = False,
    device: torch.device | str = "cpu",
    statistics: str | os.PathLike[str] | None = None,
) -> Features:
    """Compute the features of a prepared data set, of samples, or of a folder or archive of images; write and return
    them.

    extractor, weights_root, any_weights: as in `load_extractor`; extractor is NAME or NAME:PATH.
    batch_size: images per batch; by default the extractor's. out: the file of features; if no image was drawn, it
    states why. statistics: a file for their mean and covariance, as pytorch-fid and clean-fid read them.
    Raises InputError, naming the file, if it does not contain images, for a size that the extractor does not take, and
    for weights that are missing or damaged.
    """
    device = torch.device(device)
    ours = is_array(images) and is_written_here(images)
    pixels, images_info = load_images(images) if ours else _read_as_found(Path(images))
    labels = load_labels(images) if is_array(images) else None
    if reason := images_info.get("unavailable"):  # nothing was drawn: the report states why
        name = extractor.partition(":")[0]
        info = {"extractor": {"name": name, "sha256": None}, "images_sha256": None, "unavailable": reason}
        found = Features(np.empty((0, 0), np.float32), None, info)
        if out is not None:
            save_features(out, found)
        return found
    network = load_extractor(extractor, device, weights_root, any_weights)
    with place(images):
        found = features_of(pixels, network, images_info, labels=labels, batch_size=batch_size, device=device)
        if out is not None:
            save_features(out, found)
        if statistics is not None:
            write_published(statistics, found)
    return found


def _read_as_found(path: Path) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    with reader_has("none"):  # features are those of unchanged images
        return read_images(path)


def is_array(path: str | os.PathLike[str]) -> bool:
    """Whether a path is one file of arrays, as genbench writes it, rather than image files."""
    return not (Path(path).is_dir() or Path(path).suffix.lower() in ARCHIVES)


def features_of(
    pixels: NDArray[np.uint8],
    network: Extractor,
    images_info: Mapping[str, Any],
    *,
    labels: NDArray[np.int64] | None = None,
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
) -> Features:
    """The features of images (N, H, W, C), with information about the features and the images.

    images_info: of their file, which states whether genbench drew them. labels: the class (N,) of each. Raises
    InputError if these are not images, and for a size that the extractor does not take.
    """
    device = torch.device(device)
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
    if labels is not None and drawn_here(images_info):  # requested classes; those of a data set are true classes
        info["drawn_by_class"] = True
    return Features(features, logits, info, labels=labels)
