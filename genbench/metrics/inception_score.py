"""The Inception score: whether generated images show recognisable classes, and many of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.metrics.checks import check_features
from genbench.metrics.intervals import GROUPS
from genbench.metrics.metric import INCEPTION, Features, Inputs, Metric, Statistics, Value, groups_of
from genbench.metrics.options import EvaluationOptions

SEED = 2020  # torch-fidelity's
IMAGES_PER_SPLIT = 10  # with fewer images, a split's marginal p(y) is meaningless


def inception_score(logits: NDArray[Any], splits: int = 10, seed: int = SEED) -> tuple[float, float]:
    """Mean and standard deviation over splits of exp E_x KL(p(y|x) || p(y)), between 1 and the number of classes.

    logits (N, K) of any classifier; only those of Inception give the IS of papers. Samples are shuffled first, since
    splits of a set sorted by class would be wrong. Raises InputError below 10 samples per split and on non-finite
    logits.
    Source: Salimans et al. 2016 (arXiv 1606.03498), section 4.
    """
    return _score_of(logits, splits, seed, None)[:2]


def _score_of(
    logits: NDArray[Any], splits: int, seed: int, groups: NDArray[np.int64] | None
) -> tuple[float, float, NDArray[np.float64] | None]:
    """The score, its standard deviation between splits, and the score without each group of images."""
    check_features("logits", logits, least=IMAGES_PER_SPLIT * splits, constant_is_error=False)
    n = len(logits)
    order = np.random.RandomState(seed).permutation(n)
    scores, without = [], np.zeros(GROUPS)
    for i in range(splits):
        split = order[i * n // splits : (i + 1) * n // splits]
        log_p_y_x = log_softmax(logits[split])
        p_y_x = np.exp(log_p_y_x)
        p_y = p_y_x.mean(axis=0)
        p_y = p_y[p_y > 0]  # 0 log 0 = 0
        # E_x KL = E_x sum_y p(y|x) log p(y|x) - sum_y p(y) log p(y)
        scores.append(np.exp((p_y_x * log_p_y_x).sum(axis=1).mean() - (p_y * np.log(p_y)).sum()))
        if groups is not None:
            without += _without(p_y_x, log_p_y_x, groups[split]) / splits
    return float(np.mean(scores)), float(np.std(scores)), None if groups is None else without


def _without(p_y_x: NDArray[Any], log_p_y_x: NDArray[Any], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """The score of one split without each group of its images, from sums of p(y|x) and of its entropy."""
    entropies = (p_y_x * log_p_y_x).sum(axis=1)
    sums = np.bincount(groups, entropies, GROUPS)
    classes, sizes = np.zeros((GROUPS, p_y_x.shape[1])), np.bincount(groups, minlength=GROUPS)
    np.add.at(classes, groups, p_y_x)
    left = (len(groups) - sizes).clip(min=1)
    p_y = (classes.sum(axis=0) - classes).clip(min=0) / left[:, None]
    of_p_y = np.sum(p_y * np.log(np.where(p_y > 0, p_y, 1)), axis=1)
    return np.asarray(np.exp((sums.sum() - sums) / left - of_p_y))


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """The logarithm of the softmax probabilities (N, K) of logits (N, K), in float64."""
    shifted = logits - logits.max(axis=1, keepdims=True).astype(np.float64)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _score(inputs: Inputs) -> Value:
    """The score, with the real images' score in its note."""
    splits = inputs.options.splits
    real_logits, logits = inputs.logits
    real_score, _ = inception_score(real_logits, splits)
    score, std, without = _score_of(logits, splits, SEED, inputs.groups)
    return Value(score, std, f"{splits} splits; the real images have {real_score:.4g}", without=without)


def _score_only(of_real: Statistics, fake: Features, options: EvaluationOptions) -> Value:
    """The score without real images, which it does not need."""
    if fake.logits is None:
        raise InputError(f"{fake.extractor} features: found no logits, expected an extractor that classifies")
    score, std, without = _score_of(fake.logits, options.splits, SEED, groups_of(fake))
    return Value(score, std, f"{options.splits} splits", without=without)


INCEPTION_SCORE = Metric(
    name="inception_score",
    label="IS",
    definition="exp E KL(p(y|x) || p(y)) by the 1,008 logits of FID's Inception, mean over shuffled splits",
    direction="higher",
    source="Salimans et al. 2016, arXiv 1606.03498",
    compute=_score,
    needs=("logits",),
    extractors=tuple(INCEPTION),
    minimum=lambda dim, options: IMAGES_PER_SPLIT * options.splits,
    minimum_rule=f"{IMAGES_PER_SPLIT} x splits",
    against=_score_only,
    compared=5,
    overview=True,
    of_imagenet=True,
)
