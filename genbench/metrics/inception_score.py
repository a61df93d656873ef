"""The Inception score: whether generated images are of classes that can be told, and of many of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.metrics.checks import check_features
from genbench.metrics.metric import INCEPTION, Features, Inputs, Metric, Statistics, Value
from genbench.metrics.options import EvaluationOptions

IMAGES_PER_SPLIT = 10  # fewer than this say nothing about a split's marginal p(y)


def inception_score(logits: NDArray[Any], splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """Mean and standard deviation over splits of exp E_x KL(p(y|x) || p(y)), between 1 and the number of classes.

    logits (N, K) of any classifier; only those of Inception give what papers call IS. Samples are shuffled first, since
    sets sorted by class break the splits. Raises InputError below 10 samples a split and on non-finite logits.
    Source: Salimans et al. 2016 (arXiv 1606.03498), section 4.
    """
    check_features("logits", logits, least=IMAGES_PER_SPLIT * splits, constant_is_error=False)
    n = len(logits)
    order = np.random.RandomState(seed).permutation(n)  # as torch-fidelity's
    scores = []
    for i in range(splits):
        log_p_y_x = log_softmax(logits[order[i * n // splits : (i + 1) * n // splits]])
        p_y_x = np.exp(log_p_y_x)
        p_y = p_y_x.mean(axis=0)
        p_y = p_y[p_y > 0]  # 0 log 0 = 0
        # E_x KL = E_x sum_y p(y|x) log p(y|x) - sum_y p(y) log p(y)
        scores.append(np.exp((p_y_x * log_p_y_x).sum(axis=1).mean() - (p_y * np.log(p_y)).sum()))
    return float(np.mean(scores)), float(np.std(scores))


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """The logarithm of the softmax probabilities (N, K) of logits (N, K), in float64."""
    shifted = logits - logits.max(axis=1, keepdims=True).astype(np.float64)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _score(inputs: Inputs) -> Value:
    """The score, with that of the real images beside it."""
    splits = inputs.options.splits
    (real_score, _), (score, std) = (inception_score(logits, splits) for logits in inputs.logits)
    return Value(score, std, f"{splits} splits; the real images have {real_score:.4g}")


def _score_only(of_real: Statistics, fake: Features, options: EvaluationOptions) -> Value:
    """The score where no real images are, which it does not need."""
    if fake.logits is None:
        raise InputError(f"{fake.extractor} features: found no logits, expected an extractor that classifies")
    score, std = inception_score(fake.logits, options.splits)
    return Value(score, std, f"{options.splits} splits")


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
