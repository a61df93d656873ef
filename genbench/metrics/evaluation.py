"""All metrics that a pair of feature sets allows, with what a reader should know of each."""

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.metrics.checks import MetricWarning
from genbench.metrics.definitions import (
    MANIFOLDS,
    EvaluationOptions,
    metric_base,
    metric_info,
    metric_key,
    metric_keys,
    minimum_samples,
)
from genbench.metrics.frechet import fd, fd_infinity
from genbench.metrics.kernel import kid
from genbench.metrics.neighbours import memorised, nearest, precision_recall_density_coverage
from genbench.metrics.scores import class_histogram, classifier_confidence, inception_score

log = logging.getLogger(__name__)

PAPER_SAMPLES = 50_000  # FD's bias is of the order 1/N: values of another number than the papers' are marked


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


def wanted_keys(real: Features, fake: Features, holdout: Features | None, options: EvaluationOptions) -> list[str]:
    """The keys of the metrics that these features and options ask for, however many images there are."""
    keys = metric_keys(fake.extractor, real.logits is not None and fake.logits is not None)
    unwanted = {"memorised"} if holdout is None else set()
    if options.fd_infinity_sizes == 0:
        unwanted |= {"fd_infinity", "fid_infinity"}
    return [key for key in keys if metric_base(key) not in unwanted]


def evaluate_features(
    real: Features,
    fake: Features,
    options: EvaluationOptions | None = None,
    allow_too_few: bool = False,
    holdout: Features | None = None,
) -> dict[str, dict[str, Any]]:
    """Every metric that the features allow: {key: {"value", "std", "n_real", "n_fake", "note"}}.

    The keys are those of `metric_keys`. `std` is None where a metric has none, `note` a sentence or None. holdout: the
    features of test images, when real ones are training images: with them comes `memorised`, and in it "neighbours",
    the nearest training images of the first samples, {"index", "distance"}.
    A metric that needs more images than there are raises InputError; `allow_too_few` leaves it out instead, as optional
    ones always are. Raises InputError, too, when the sets do not fit each other, and for features not finite or
    constant.
    """
    options = options or EvaluationOptions()
    if real.extractor != fake.extractor or (holdout is not None and holdout.extractor != real.extractor):
        of_holdout = "" if holdout is None else f", of test images from {holdout.extractor!r}"
        raise InputError(
            f"real features come from {real.extractor!r}, generated ones from {fake.extractor!r}{of_holdout}"
        )
    name, dim = real.extractor, real.features.shape[1]
    n_real, n_fake = len(real.features), len(fake.features)
    keys, memorised_key = wanted_keys(real, fake, holdout, options), metric_key("memorised", name)
    enough = {key for key in keys if min(n_real, n_fake) >= minimum_samples([key], dim, options)}
    if holdout is not None and len(holdout.features) < minimum_samples([memorised_key], dim, options):
        enough.discard(memorised_key)
    needed = [key for key in keys if not metric_info(key).optional]
    if not enough.issuperset(needed) and not allow_too_few:
        least = minimum_samples(needed, dim, options)
        strictest = next(metric_info(key) for key in needed if minimum_samples([key], dim, options) == least)
        raise InputError(
            f"{name} features: found {n_real} real and {n_fake} generated images, expected at least {least} "
            f"of both ({strictest.label} needs {strictest.minimum_rule})"
        )
    results: dict[str, dict[str, Any]] = {}

    def record(key: str, value: float, std: float | None = None, note: str | None = None) -> None:
        results[key] = {"value": value, "std": std, "n_real": n_real, "n_fake": n_fake, "note": note}
        log.info("%s: %.6g%s", key, value, "" if std is None else f" +- {std:.2g}")

    log.info("%d generated against %d real images, %d-d features of %s", n_fake, n_real, dim, name)
    if (key := metric_key("fd", name)) in enough:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MetricWarning)
            distance = fd(real.features, fake.features)
        notes = [str(warning.message) for warning in caught if issubclass(warning.category, MetricWarning)]
        if n_fake != PAPER_SAMPLES:
            few = "biased upward at so few images" if n_fake < PAPER_SAMPLES else f"more images than {PAPER_SAMPLES:,}"
            notes.append(f"{few}: compare only with values from {n_fake:,}")
        record(key, distance, note="; ".join(notes) or None)

    if (key := metric_key("fd_infinity", name)) in enough:
        sizes, seed = options.fd_infinity_sizes, options.fd_infinity_seed
        record(key, fd_infinity(real.features, fake.features, sizes, seed), note=f"from {sizes} sizes up to {n_fake:,}")

    if (key := metric_key("kid", name)) in enough:
        mean, std = kid(real.features, fake.features, options.kid_subsets, options.kid_subset_size, options.kid_seed)
        record(key, mean, std, f"{options.kid_subsets} subsets of {options.kid_subset_size}")

    if {metric_key(metric, name) for metric in MANIFOLDS} <= enough:
        ks = options.precision_k, options.density_k
        values = precision_recall_density_coverage(real.features, fake.features, *ks)
        for metric, value in values.items():
            k = ks[0] if metric in ("precision", "recall") else ks[1]
            record(metric_key(metric, name), value, note=f"k = {k}")

    if memorised_key in enough and holdout is not None:
        if holdout.info.get("images_sha256", "") == real.info.get("images_sha256"):
            raise InputError("test images: found the training images themselves, expected others")
        distances, indices = nearest(real.features, fake.features)
        share, near_half = memorised(distances, nearest(real.features, holdout.features)[0])
        record(
            memorised_key,
            share,
            note=f"against {len(holdout.features):,} test images",
        )
        first = slice(options.neighbours)
        results[memorised_key]["nearer_than_median"] = near_half
        results[memorised_key]["neighbours"] = {"index": indices[first].tolist(), "distance": distances[first].tolist()}

    if (key := metric_key("inception_score", name)) in enough and real.logits is not None and fake.logits is not None:
        (real_score, _), (score, std) = (inception_score(x, options.splits) for x in (real.logits, fake.logits))
        record(key, score, std, f"{options.splits} splits; the real images have {real_score:.4g}")

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


def evaluate_draws(
    real: Features,
    fake: Features,
    draws: int,
    options: EvaluationOptions | None = None,
    allow_too_few: bool = False,
    holdout: Features | None = None,
) -> dict[str, dict[str, Any]]:
    """`evaluate_features` of each of `draws` equal parts of `fake`, which are draws with other seeds of one model.

    `value` is the mean over the draws, "values" lists them, and "draw_std" is the standard deviation between them
    (N - 1 in the denominator); `n_fake` is of one draw, and the rest that of the first. Raises InputError, too, when
    the samples can't be dealt out.
    """
    count, rest = divmod(len(fake.features), draws)
    if rest:
        raise InputError(f"found {len(fake.features)} generated images, expected a multiple of the {draws} draws")

    def part(draw: int) -> Features:
        of_draw = slice(draw * count, (draw + 1) * count)
        return Features(fake.features[of_draw], None if fake.logits is None else fake.logits[of_draw], fake.info)

    parts = [evaluate_features(real, part(draw), options, allow_too_few, holdout) for draw in range(draws)]
    results = parts[0]
    if draws > 1:
        for key, result in results.items():
            values = [found[key]["value"] for found in parts]
            result |= {"value": float(np.mean(values)), "values": values, "draw_std": float(np.std(values, ddof=1))}
    return results
