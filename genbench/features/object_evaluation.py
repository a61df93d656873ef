"""How many of the objects that a conditional model was asked for do its samples show, by a classifier of objects?"""

import logging
import os
from pathlib import Path

import torch

from genbench.data import load_images
from genbench.data.objects import COLOURS, OBJECTS, labels_path, multi_hot, read_labels
from genbench.errors import InputError, option, place
from genbench.features.guards import check_images, drawn_here
from genbench.features.object_training import load_object_classifier, object_scores
from genbench.files.artifacts import array_sha256, sha256_file
from genbench.machine.devices import device_label
from genbench.metrics import object_accuracy
from genbench.records.metrics import Metric
from genbench.records.objects import Evaluator, LabelFile, Objects
from genbench.records.provenance import Provenance

log = logging.getLogger(__name__)


def evaluate_objects(
    evaluator: str | os.PathLike[str],
    samples: str | os.PathLike[str],
    labels: str,
    *,
    draws: int = 1,
    device: torch.device | str = "cpu",
) -> Objects:
    """The accuracy of the objects that samples show, and what is wrong with the others, as a record for accuracy.json.

    evaluator: what `make_object_classifier` wrote, or the course's .pth. samples: an image for each label set, in
    order. labels: a JSON file of label sets, or one of the names test and new_test. draws: how many draws with other
    seeds the samples hold in turn. Where nothing was drawn, the record says why. Raises InputError, naming the file,
    for another number or size of images, and for a classifier of other objects.
    """
    if draws < 1:
        raise InputError(f"{option('draws')}: found {draws}, expected at least 1")
    labels_file = labels_path(labels, Path())
    sets = read_labels(labels_file).sets
    images, images_info = load_images(samples)
    if reason := images_info.get("unavailable"):  # nothing was drawn: the report says why
        return Objects(metrics={}, evaluator=Evaluator(), unavailable=reason)
    expected = draws * len(sets)
    if len(images) != expected:
        raise InputError(
            f"{samples}: found {len(images)} images, expected {expected}: one for each of the {len(sets)} "
            f"label sets of {labels_file} in {draws} draws ({option('draws')})"
        )
    network, info = load_object_classifier(evaluator, device)
    if tuple(info["class_names"]) != OBJECTS:
        raise InputError(f"{evaluator}: a classifier of other objects than the 24 of {labels_file}")
    size = info["image_size"]
    if images.shape[1:] != (size, size, 3):
        raise InputError(
            f"{samples}: found images of shape (H, W, C) = {images.shape[1:]}, expected {(size, size, 3)}, "
            f"what {evaluator} was trained on"
        )
    with place(samples):
        stats, warnings = check_images(images, drawn_here(images_info))
    metrics = object_accuracy(object_scores(network, images), multi_hot(sets), len(COLOURS), draws)
    found, ceiling = metrics["object_accuracy"], info["accuracy"]
    real = "unknown" if ceiling is None else f"{ceiling:.4f}"
    log.info("object accuracy %.4f (%s); the evaluator's own on real images: %s", found["value"], found["note"], real)
    return Objects(
        metrics={key: Metric(**metric) for key, metric in metrics.items()},
        evaluator=Evaluator(sha256=info["sha256"], accuracy=ceiling, interval=info.get("interval")),
        labels=LabelFile(name=labels_file.name, sha256=sha256_file(labels_file)),
        samples_sha256=array_sha256(images),
        num_fake=len(sets),
        image_stats=stats,
        warnings=warnings,
        options={"draws": draws},
        device=device_label(torch.device(device)),
        provenance=Provenance.collect("torch", "torchvision", "numpy", kind="objects"),
    )
