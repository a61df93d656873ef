"""The evaluators that are trained on the data set: trained, tested on its test images, and saved."""

import logging
import os
import shutil
import time
from typing import Any, Literal

import torch

from genbench.data import ImageSet, load_image_set
from genbench.data.objects import COLOURS
from genbench.errors import InputError, option, place
from genbench.features.class_training import accuracy, save_classifier, train_classifier
from genbench.features.packaged_classifiers import packaged_classifier
from genbench.files.artifacts import atomic_path
from genbench.machine import provenance
from genbench.machine.devices import device_label
from genbench.metrics import count_objects, wilson_interval

log = logging.getLogger(__name__)


def make_classifier(
    train: str | os.PathLike[str],
    test: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    epochs: int = 10,
    seed: int = 0,
    min_accuracy: float | None = None,
    own: bool = False,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Train the classifier of a data set's classes, and write it to `out`; returns the info stored with its weights.

    If genbench contains one that was trained on these images with this recipe, that one is written, unless `own`.
    train, test: prepared splits. min_accuracy: a share of the test images. Raises InputError below it, and for images
    with several labels or splits that do not fit each other.
    """
    device = torch.device(device)
    images, held_out = _load(train, test, epochs)
    if images.multi_label:
        raise InputError(
            f"{train}: found images with several labels, expected one class each; use another extractor than "
            "'classifier', and train_object_classifier.py"
        )
    _check_fit(train, test, images, held_out)
    recipe = {"epochs": epochs, "seed": seed}
    data_sha256 = {"train": images.info["sha256"], "test": held_out.info["sha256"]}
    what = f"{train}: the classifier reaches a test accuracy"
    if not own and (packaged := packaged_classifier(data_sha256, recipe)):
        path, info = packaged
        log.info(
            "classifier: not trained: %s was trained on these images; test accuracy %.4f", path, info["test_accuracy"]
        )
        _check_reached(what, info["test_accuracy"], min_accuracy, "classifier")
        with atomic_path(out) as temporary:
            shutil.copyfile(path, temporary)
        return info
    started = time.perf_counter()
    classifier = train_classifier(
        images.images, images.labels, len(images.class_names), epochs=epochs, seed=seed, device=device
    )
    seconds = time.perf_counter() - started
    test_accuracy = accuracy(classifier, held_out.images, held_out.labels)
    log.info("classifier: test accuracy %.4f after %d epochs, %.0f s", test_accuracy, epochs, seconds)
    _check_reached(what, test_accuracy, min_accuracy, "classifier")
    info = {
        "test_accuracy": test_accuracy,
        "class_names": list(images.class_names),
        "training": recipe | {"seconds": seconds, "device": device_label(device)},
        "data_sha256": data_sha256,
        "provenance": provenance.collect("torch", "numpy", "safetensors"),
    }
    save_classifier(out, classifier, info)
    return info


def make_object_classifier(
    train: str | os.PathLike[str],
    test: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    epochs: int = 4,
    seed: int = 0,
    precision: Literal["fp32", "bf16"] = "fp32",
    min_accuracy: float | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Train the classifier of a data set's objects, and write it to `out`; returns the info stored with its weights.

    train, test: prepared splits of different scenes. precision: fp32, or bf16, which is faster on hardware that has it.
    min_accuracy: a share of the objects of the test images. Raises InputError below it, and for images without objects
    or splits that do not fit each other.
    """
    # This imports torchvision, which a classifier of classes does not need.
    from genbench.features.object_training import (
        check_multi_hot,
        object_scores,
        save_object_classifier,
        train_object_classifier,
    )

    device = torch.device(device)
    images, held_out = _load(train, test, epochs)
    _check_fit(train, test, images, held_out)
    for path, data in ((train, images), (test, held_out)):
        with place(path):
            check_multi_hot(data.images, data.labels)
    started = time.perf_counter()
    network = train_object_classifier(
        images.images, images.labels, epochs=epochs, seed=seed, precision=precision, device=device
    )
    seconds = time.perf_counter() - started
    counts = count_objects(object_scores(network, held_out.images), held_out.labels, len(COLOURS))
    low, high = wilson_interval(counts.hits, counts.objects)
    log.info(
        f"top-k accuracy {counts.accuracy:.4f} ({counts.hits} of {counts.objects} objects, 95 % interval {low:.4f} to "
        f"{high:.4f}) on {len(held_out.images)} held-out images after {epochs} epochs, {seconds:.0f} s"
    )
    what = f"{train}: the classifier of objects reaches an accuracy"
    _check_reached(what, counts.accuracy, min_accuracy, "objects: classifier")
    info = {
        "accuracy": counts.accuracy,
        "interval": [low, high],
        "counts": counts._asdict(),
        "class_names": list(images.class_names),
        "image_size": images.images.shape[1],
        "training": {"epochs": epochs, "seed": seed, "seconds": seconds, "device": device_label(device)}
        | {"precision": precision},
        "data_sha256": {"train": images.info["sha256"], "test": held_out.info["sha256"]},
        "provenance": provenance.collect("torch", "torchvision", "numpy", "safetensors"),
    }
    save_object_classifier(out, network, info)
    return info


def _load(train: str | os.PathLike[str], test: str | os.PathLike[str], epochs: int) -> tuple[ImageSet, ImageSet]:
    if epochs < 1:
        raise InputError(f"{option('epochs')}: found {epochs}, expected at least 1")
    return load_image_set(train), load_image_set(test)


def _check_fit(
    train: str | os.PathLike[str], test: str | os.PathLike[str], images: ImageSet, held_out: ImageSet
) -> None:
    if images.class_names != held_out.class_names or images.images.shape[1:] != held_out.images.shape[1:]:
        raise InputError(f"{train} and {test}: expected the same classes and size of images")


def _check_reached(what: str, found: float, expected: float | None, key: str) -> None:
    if expected is not None and found < expected:
        raise InputError(
            f"{what} of {found:.4f}, expected at least {expected}; train longer ({option('epochs')}) or accept less "
            f"({option('min_accuracy')}); in a suite, epochs and min_accuracy of evaluation: {key}"
        )
