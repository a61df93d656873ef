"""All metrics that a pair of feature sets allows, each with its notes for the reader."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from genbench.errors import InputError
from genbench.metrics.collection import built_in, by_name
from genbench.metrics.metric import Features, Inputs, Known, Metric, Reference, Statistics
from genbench.metrics.options import EvaluationOptions

log = logging.getLogger(__name__)


def wanted_metrics(
    real: Features,
    fake: Features,
    holdout: Features | None,
    options: EvaluationOptions,
    metrics: Iterable[Metric] | None = None,
) -> dict[str, Metric]:
    """The metrics for these features and options, by key, whatever the number of images.

    metrics: all to choose from; by default those of genbench.
    """
    logits = real.logits is not None and fake.logits is not None
    labels = real.labels is not None and fake.labels is not None and bool(fake.info.get("drawn_by_class"))
    candidates = by_name(built_in().values() if metrics is None else metrics).values()
    return {
        metric.key(fake.extractor): metric
        for metric in candidates
        if metric.is_for(fake.extractor, logits, holdout is not None, labels) and metric.wanted(options)
    }


def evaluate_features(
    real: Features,
    fake: Features,
    options: EvaluationOptions | None = None,
    allow_too_few: bool = False,
    holdout: Features | None = None,
    metrics: Iterable[Metric] | None = None,
    known: Known | None = None,
) -> dict[str, dict[str, Any]]:
    """Every metric that the features allow: {key: {"value", "std", "n_real", "n_fake", "note"}}.

    The keys are those of `metric_keys`. `std` is None if a metric has none; `note` is a sentence or None.
    holdout: the features of test images, if the real images are training images. They add `memorised`, which contains
        "neighbours", the nearest training images of the first samples: {"index", "distance"}.
    metrics: all to choose from; by default those of genbench. A metric that is not genbench's also has "about", what a
        reader must know about it, as in MetricInfo.
    known: what is already known about `real` and `holdout`, as returned by `know_reference`; new results are added.
    Raises InputError if a metric needs more images than there are; `allow_too_few` leaves it out instead, as is always
    done with optional ones. Also raises InputError if the sets do not fit each other, for features that are not finite,
    and for constant real features.
    """
    options = options or EvaluationOptions()
    if real.extractor != fake.extractor or (holdout is not None and holdout.extractor != real.extractor):
        of_holdout = "" if holdout is None else f", of test images from {holdout.extractor!r}"
        raise InputError(
            f"real features come from {real.extractor!r}, generated ones from {fake.extractor!r}{of_holdout}"
        )
    inputs = Inputs(Reference(real, holdout, options, {} if known is None else known), fake)
    wanted = wanted_metrics(real, fake, holdout, options, metrics)
    if not allow_too_few:
        check_numbers(inputs, wanted.values())
    n_real, n_fake, dim = len(real.features), len(fake.features), real.features.shape[1]
    log.info("%d generated against %d real images, %d-d features of %s", n_fake, n_real, dim, real.extractor)
    possible = {key: metric for key, metric in wanted.items() if enough(metric, inputs)}
    inputs = replace(inputs, wanted=frozenset(metric.name for metric in possible.values()))
    results = {}
    for key, metric in possible.items():
        found = metric.compute(inputs)
        results[key] = found.record(n_real, n_fake)
        if built_in().get(metric.name) is not metric:
            results[key]["about"] = metric.about()
        log.info("%s: %.6g%s", key, found.value, "" if found.std is None else f" +- {found.std:.2g}")
    return results


def evaluate_against(
    statistics: Statistics,
    fake: Features,
    options: EvaluationOptions | None = None,
    metrics: Iterable[Metric] | None = None,
) -> dict[str, dict[str, Any]]:
    """The metrics that need only the mean and covariance of real features, as in `evaluate_features`: FD, not KID.

    Leaves out metrics that need more generated images than there are: `possible_against` names all. Raises InputError
    if dimensions differ, and for features that are not finite.
    """
    options = options or EvaluationOptions()
    results = {}
    for key, metric in possible_against(fake, options, metrics).items():
        if metric.against is not None and len(fake.features) >= metric.minimum(len(statistics[0]), options):
            found = metric.against(statistics, fake, options)
            results[key] = found.record(None, len(fake.features))
            log.info("%s: %.6g%s", key, found.value, "" if found.std is None else f" +- {found.std:.2g}")
    return results


def possible_against(
    fake: Features, options: EvaluationOptions, metrics: Iterable[Metric] | None = None
) -> dict[str, Metric]:
    """The metrics of these features that need only statistics, by key, whatever the number of images."""
    wanted = wanted_metrics(fake, fake, None, options, metrics)
    return {key: metric for key, metric in wanted.items() if metric.against is not None}


def know_reference(
    real: Features, holdout: Features | None, options: EvaluationOptions, metrics: Iterable[Metric] | None, known: Known
) -> Known:
    """Add to `known` what the metrics of later rows need from only real and test images, and return it."""
    inputs = Inputs(Reference(real, holdout, options, known), real)
    for metric in wanted_metrics(real, real, holdout, options, metrics).values():
        for compute in metric.of_reference if enough(metric, inputs) else ():
            inputs.reference.once(compute)
    return known


def enough(metric: Metric, inputs: Inputs) -> bool:
    """Whether there are enough images of every kind that a metric uses."""
    sets = [inputs.real, inputs.fake]
    if inputs.holdout is not None and "holdout" in metric.needs:
        sets.append(inputs.holdout)
    minimum = metric.minimum(inputs.real.features.shape[1], inputs.options)
    return min(len(features.features) for features in sets) >= minimum and metric.applies(inputs)


def check_numbers(inputs: Inputs, metrics: Iterable[Metric]) -> None:
    """Raise InputError, naming the strictest metric, if there are too few images for one that is not optional."""
    needed = [metric for metric in metrics if not metric.optional]
    if all(enough(metric, inputs) for metric in needed):
        return
    real, fake, dim = len(inputs.real.features), len(inputs.fake.features), inputs.real.features.shape[1]
    images, which = f"{real} real and {fake} generated images", "both"
    if inputs.holdout is not None and any("holdout" in metric.needs for metric in needed):
        images, which = f"{real} real, {fake} generated and {len(inputs.holdout.features)} test images", "each"
    strictest = max(needed, key=lambda metric: metric.minimum(dim, inputs.options))
    raise InputError(
        f"{inputs.real.extractor} features: found {images}, expected at least "
        f"{strictest.minimum(dim, inputs.options)} of {which} ({strictest.label} needs {strictest.minimum_rule})"
    )


def evaluate_draws(
    real: Features,
    fake: Features,
    draws: int,
    options: EvaluationOptions | None = None,
    allow_too_few: bool = False,
    holdout: Features | None = None,
    metrics: Iterable[Metric] | None = None,
    known: Known | None = None,
) -> dict[str, dict[str, Any]]:
    """`evaluate_features` of each of `draws` equal parts of `fake`, which are draws of one model with different seeds.

    `value` is the mean over the draws, "values" lists them, and "draw_std" is their standard deviation (N - 1 in the
    denominator). "interval" and "without" are those of the mean, `n_fake` is that of one draw, and all else is that of
    the first draw. Also raises InputError if the samples can't be split evenly.
    """
    chosen, known = None if metrics is None else list(metrics), {} if known is None else known
    return over_draws(
        [
            evaluate_features(real, part, options, allow_too_few, holdout, chosen, known)
            for part in deal_out(fake, draws)
        ]
    )


def deal_out(fake: Features, draws: int) -> list[Features]:
    """Split `fake` into its draws, which are equal parts. Raises InputError if the samples can't be split evenly."""
    count, rest = divmod(len(fake.features), draws)
    if rest:
        raise InputError(f"found {len(fake.features)} generated images, expected a multiple of the {draws} draws")

    def part(draw: int) -> Features:
        x = slice(draw * count, (draw + 1) * count)
        logits = None if fake.logits is None else fake.logits[x]
        labels = None if fake.labels is None else fake.labels[x]
        return Features(fake.features[x], logits, fake.info, labels=labels)

    return [part(draw) for draw in range(draws)]


def over_draws(parts: Sequence[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The metrics of several draws as one: the first's, with the mean, "values" and "draw_std" over all.

    The interval of the mean is that for independent numbers (Zou and Donner 2008, doi 10.1002/sim.3095). "without" is
    the mean over draws of the numbers without each group.
    """
    results = parts[0]
    for key, result in results.items() if len(parts) > 1 else ():
        values = [found[key]["value"] for found in parts]
        mean = float(np.mean(values))
        if "interval" in result:
            ends = np.array([found[key]["interval"] for found in parts])
            low, high = np.sqrt(np.square(ends - np.array(values)[:, None]).sum(axis=0)) / len(parts)
            result["interval"] = [float(mean - low), float(mean + high)]
        if "without" in result:
            result["without"] = np.mean([found[key]["without"] for found in parts], axis=0).tolist()
        result |= {"value": mean, "values": values, "draw_std": float(np.std(values, ddof=1))}
    return results
