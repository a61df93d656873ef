"""All metrics that a pair of feature sets allows, with what a reader should know of each."""

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.metrics.checks import MetricWarning
from genbench.metrics.definitions import MANIFOLDS, EvaluationOptions, metric_info, metric_keys, minimum_samples
from genbench.metrics.frechet import fd
from genbench.metrics.kernel import kid
from genbench.metrics.neighbours import precision_recall_density_coverage
from genbench.metrics.scores import class_histogram, classifier_confidence, inception_score

log = logging.getLogger(__name__)

HEADLINE_SAMPLES = 10_000  # FD's bias is of the order 1/N: below this its value is marked


@dataclass(frozen=True)
class Features:
    """What an extractor makes of a set of images.

    features: (N, D) float32. logits: (N, K) float32, or None when the extractor does not classify.
    info: where they come from; `info["extractor"]["name"]` is the extractor's name.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    info: dict[str, Any]

    @property
    def extractor(self) -> str:
        return str(self.info["extractor"]["name"])


def evaluate_features(
    real: Features, fake: Features, options: EvaluationOptions | None = None, allow_too_few: bool = False
) -> dict[str, dict[str, Any]]:
    """Every metric that the features allow: {key: {"value", "std", "n_real", "n_fake", "note"}}.

    The keys are those of `metric_keys`. `std` is None where a metric has none, `note` a sentence or None.
    A metric that needs more images than there are raises InputError; `allow_too_few` leaves it out instead.
    Raises InputError, too, when the two sets do not fit each other, and for features not finite or constant.
    """
    options = options or EvaluationOptions()
    if real.extractor != fake.extractor:
        raise InputError(f"real features come from {real.extractor!r}, generated ones from {fake.extractor!r}")
    name, dim = real.extractor, real.features.shape[1]
    n_real, n_fake = len(real.features), len(fake.features)
    keys = metric_keys(name, real.logits is not None and fake.logits is not None)
    enough = {key for key in keys if min(n_real, n_fake) >= minimum_samples([key], dim, options)}
    if len(enough) < len(keys) and not allow_too_few:
        least = minimum_samples(keys, dim, options)
        strictest = next(metric_info(key) for key in keys if minimum_samples([key], dim, options) == least)
        raise InputError(
            f"{name} features: found {n_real} real and {n_fake} generated images, expected at least {least} "
            f"of both ({strictest.label} needs {strictest.minimum_rule})"
        )
    results: dict[str, dict[str, Any]] = {}

    def record(key: str, value: float, std: float | None = None, note: str | None = None) -> None:
        results[key] = {"value": value, "std": std, "n_real": n_real, "n_fake": n_fake, "note": note}
        log.info("%s: %.6g%s", key, value, "" if std is None else f" +- {std:.2g}")

    log.info("%d generated against %d real images, %d-d features of %s", n_fake, n_real, dim, name)
    if (key := f"fd_{name}") in enough:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MetricWarning)
            distance = fd(real.features, fake.features)
        notes = [str(warning.message) for warning in caught if issubclass(warning.category, MetricWarning)]
        if n_fake < HEADLINE_SAMPLES:
            notes.append(f"biased upward at so few images: compare only with values from {n_fake}")
        record(key, distance, note="; ".join(notes) or None)

    if (key := f"kid_{name}") in enough:
        mean, std = kid(real.features, fake.features, options.kid_subsets, options.kid_subset_size, options.kid_seed)
        record(key, mean, std, f"{options.kid_subsets} subsets of {options.kid_subset_size}")

    if {f"{base}_{name}" for base in MANIFOLDS} <= enough:
        ks = options.precision_k, options.density_k
        values = precision_recall_density_coverage(real.features, fake.features, *ks)
        for base, value in values.items():
            record(f"{base}_{name}", value, note=f"k = {ks[0] if base in ('precision', 'recall') else ks[1]}")

    if "classes_found" in enough and real.logits is not None and fake.logits is not None:
        if "classifier_score" in enough:
            (real_score, _), (score, std) = (inception_score(x, options.splits) for x in (real.logits, fake.logits))
            record("classifier_score", score, std, f"{options.splits} splits; the real images have {real_score:.4g}")
        (real_median, real_share), (median, share) = map(classifier_confidence, (real.logits, fake.logits))
        record("classifier_confidence", median, note=f"the real images have {real_median:.4g}")
        record("classifier_confident_share", share, note=f"the real images have {real_share:.4g}")
        counts = class_histogram(fake.logits)
        record("classes_found", float(np.count_nonzero(counts)), note=f"of {len(counts)}")
    return results
