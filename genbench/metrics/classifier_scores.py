"""Metrics by a classifier of the data set: its score, its confidence, and the classes that it finds."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import check_features
from genbench.metrics.inception_score import INCEPTION_SCORE, log_softmax
from genbench.metrics.intervals import GROUPS, mean_without
from genbench.metrics.metric import Inputs, Metric, Value

CONFIDENT = 0.8  # a largest softmax probability above this is a confident decision


def classifier_confidence(logits: NDArray[Any]) -> tuple[float, float]:
    """Median of the largest softmax probability of each sample, and the share of samples where it is above 0.8.

    logits (N, K). Raises InputError on non-finite logits.
    """
    check_features("logits", logits, least=1, constant_is_error=False)
    confidence = _largest(logits)
    return float(np.median(confidence)), float((confidence > CONFIDENT).mean())


def _largest(logits: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.exp(log_softmax(logits).max(axis=1)))


def class_histogram(logits: NDArray[Any]) -> NDArray[np.int64]:
    """How many samples a classifier assigns to each class: (K,) counts of the argmax of logits (N, K)."""
    check_features("logits", logits, least=1, constant_is_error=False)
    return np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]).astype(np.int64)


def _confidences(inputs: Inputs) -> list[tuple[float, float]]:
    """Median and confident share of real images, then of generated ones."""
    return [classifier_confidence(logits) for logits in inputs.logits]


def _confidence(inputs: Inputs) -> Value:
    (real_median, _), (median, _) = inputs.once(_confidences)
    groups, without = inputs.groups, None
    if groups is not None:
        found = inputs.once(_of_fakes)
        without = np.array([np.median(found[groups != group]) for group in range(GROUPS)])
    return Value(median, note=f"the real images have {real_median:.4g}", without=without)


def _confident_share(inputs: Inputs) -> Value:
    (_, real_share), (_, share) = inputs.once(_confidences)
    groups, note = inputs.groups, f"the real images have {real_share:.4g}"
    if groups is None:
        return Value(share, note=note)
    confident = inputs.once(_of_fakes) > CONFIDENT
    return Value(share, note=note, without=mean_without(confident, groups), share_of=len(confident))


def _of_fakes(inputs: Inputs) -> NDArray[np.float64]:
    """The largest softmax probability of each generated image."""
    return _largest(inputs.logits[1])


def _classes_found(inputs: Inputs) -> Value:
    counts = class_histogram(inputs.logits[1])
    return Value(float(np.count_nonzero(counts)), note=f"of {len(counts)}")


SCORE = replace(
    INCEPTION_SCORE,
    name="classifier_score",
    label="Classifier score",
    definition="exp E KL(p(y|x) || p(y)), the formula of the Inception score, by a classifier of this data set",
    extractors=("classifier",),
    of_imagenet=False,
)
CONFIDENCE = Metric(
    name="classifier_confidence",
    label="Confidence",
    definition="median over generated images of the classifier's largest softmax probability",
    direction="higher",
    source="genbench",
    compute=_confidence,
    needs=("logits",),
    extractors=("classifier",),
    compared=None,
    printed="proportion",
)
CONFIDENT_SHARE = replace(
    CONFIDENCE,
    name="classifier_confident_share",
    label="Confident share",
    definition=f"share of generated images to which the classifier gives some class more than {CONFIDENT}",
    compute=_confident_share,
)
CLASSES_FOUND = replace(
    CONFIDENCE,
    name="classes_found",
    label="Classes found",
    definition="number of classes that the classifier gives to at least one generated image",
    compute=_classes_found,
    printed="count",
)
