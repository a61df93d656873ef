"""What a classifier says of generated images: scores from logits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.checks import check_features

CONFIDENT = 0.8  # a max-softmax above this counts as a confident decision
IMAGES_PER_SPLIT = 10  # fewer than this say nothing about a split's marginal p(y)


def inception_score(logits: NDArray[Any], splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """Mean and standard deviation over splits of exp E_x KL(p(y|x) || p(y)), between 1 and the number of classes.

    logits (N, K) of any classifier; only those of Inception give what papers call IS. Samples are shuffled first, since
    sets sorted by class break the splits. Raises InputError below 10 samples a split and on non-finite logits.
    Source: Salimans et al. 2016 (arXiv 1606.03498), section 4.
    """
    check_features("logits", logits, least=IMAGES_PER_SPLIT * splits, constant_is_error=False)
    n = len(logits)
    log_p = _log_softmax(logits)[np.random.RandomState(seed).permutation(n)]  # the order of torch-fidelity
    scores = []
    for i in range(splits):
        log_p_y_x = log_p[i * n // splits : (i + 1) * n // splits]
        p_y_x = np.exp(log_p_y_x)
        p_y = p_y_x.mean(axis=0)
        p_y = p_y[p_y > 0]  # 0 log 0 = 0
        # E_x KL = E_x sum_y p(y|x) log p(y|x) - sum_y p(y) log p(y)
        scores.append(np.exp((p_y_x * log_p_y_x).sum(axis=1).mean() - (p_y * np.log(p_y)).sum()))
    return float(np.mean(scores)), float(np.std(scores))


def classifier_confidence(logits: NDArray[Any]) -> tuple[float, float]:
    """Median of the largest softmax probability of each sample, and the share of samples where it is above 0.8.

    logits (N, K). Raises InputError on non-finite logits.
    """
    check_features("logits", logits, least=1, constant_is_error=False)
    confidence = np.exp(_log_softmax(logits).max(axis=1))
    return float(np.median(confidence)), float((confidence > CONFIDENT).mean())


def class_histogram(logits: NDArray[Any]) -> NDArray[np.int64]:
    """How many samples a classifier assigns to each class: (K,) counts of the argmax of logits (N, K)."""
    check_features("logits", logits, least=1, constant_is_error=False)
    return np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]).astype(np.int64)


def _log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True).astype(np.float64)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
