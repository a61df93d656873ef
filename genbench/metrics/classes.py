"""Does a sample show the requested class, and is each class as varied as its real images?"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import MetricWarning, check_pair
from genbench.metrics.fid import fd_and_changes, feature_statistics
from genbench.metrics.intervals import changed_without, mean_without
from genbench.metrics.metric import Inputs, Metric, Value
from genbench.metrics.object_accuracy import wilson_interval


def class_accuracy(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """The share of images for which the largest of a classifier's logits (N, K) is that of the label (N,)."""
    return float((logits.argmax(axis=1) == labels).mean())


def class_distances(
    real: NDArray[Any], real_labels: NDArray[Any], fake: NDArray[Any], fake_labels: NDArray[Any]
) -> dict[int, float]:
    """The Frechet distance between each class's real and generated features, (N, D) and (M, D), by class.

    Covers classes of which both sets have more than D images. Labels: (N,) and (M,).
    """
    return {y: found[0] for y, found in _by_class(real, real_labels, fake, fake_labels).items()}


def _by_class(
    real: NDArray[Any], real_labels: NDArray[Any], fake: NDArray[Any], fake_labels: NDArray[Any]
) -> dict[int, tuple[float, NDArray[np.float64], float]]:
    """The `fd_and_changes` of each class."""
    dim, shared = real.shape[1], np.intersect1d(real_labels, fake_labels).tolist()
    parts = {y: (real[real_labels == y], fake[fake_labels == y]) for y in shared}
    enough = {y: sets for y, sets in parts.items() if min(map(len, sets)) > dim}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MetricWarning)  # about rank: a class has few images
        for sets in enough.values():
            check_pair(*sets, least=dim + 1)
        return {y: fd_and_changes(feature_statistics(of_real), of_fake) for y, (of_real, of_fake) in enough.items()}


def _accuracy(inputs: Inputs) -> Value:
    (real_logits, logits), (real_labels, labels) = inputs.logits, inputs.labels
    share, ceiling = class_accuracy(logits, labels), class_accuracy(real_logits, real_labels)
    low, high = interval = wilson_interval(round(share * len(labels)), len(labels))
    note = f"95 % interval {low:.3f} to {high:.3f}; the real images have {ceiling:.4g}"
    groups, right = inputs.groups, logits.argmax(axis=1) == labels
    without = None if groups is None else mean_without(right, groups)
    return Value(share, note=note, interval=interval, without=without)


def _each_has_enough(inputs: Inputs) -> bool:
    (real, fake), least = inputs.labels, inputs.real.features.shape[1] + 1
    return all(np.count_nonzero(found == y) >= least for y in np.unique(fake) for found in (real, fake))


def _distance(inputs: Inputs) -> Value:
    real_labels, labels = inputs.labels
    each = _by_class(inputs.real.features, real_labels, inputs.fake.features, labels)
    found = {y: distance for y, (distance, _, _) in each.items()}
    listed = ", ".join(f"{y}: {value:.4g}" for y, value in found.items())
    note = f"by class {listed}; biased upward, as FD is, by the number of images of a class"
    value, without = float(np.mean(list(found.values()))), None
    if inputs.groups is not None:
        changes = np.zeros(len(labels))
        for y, (_, of_class, _) in each.items():
            changes[labels == y] = of_class / len(each)
        doubled = sum(of_class for _, _, of_class in each.values()) / len(each) ** 2
        without = changed_without(value, changes, inputs.groups, doubled)
    return Value(value, note=note, without=without, more={"per_class": {str(y): v for y, v in found.items()}})


ACCURACY = Metric(
    name="class_accuracy",
    label="Class accuracy",
    definition="share of the images, each asked for by its class, that a classifier of this data set gives that class",
    direction="higher",
    source="Shmelkov et al. 2018, arXiv 1807.09499: GAN-test",
    compute=_accuracy,
    needs=("logits", "labels"),
    extractors=("classifier",),
    compared=0,
    overview=True,
    printed="proportion",
    everywhere=True,
)
DISTANCE = Metric(
    name="class_fd",
    label="FD by class",
    definition="mean over the classes of the Frechet distance between a class's real images and those asked for by it",
    direction="lower",
    source="Miyato and Koyama 2018, arXiv 1802.05637: intra FID",
    compute=_distance,
    needs=("features", "labels"),
    minimum=lambda dim, options: dim + 1,
    minimum_rule="feature dimension + 1, of each class",
    applies=_each_has_enough,
    optional=True,
    compared=3,
    distance=True,
    biased=True,
)
