"""Check a suite's key `evaluation`: extractors, metrics, statistics, objects, and whether there are enough images."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from genbench import own_code
from genbench.data import Description
from genbench.data.objects import labels_path, parse_labels, read_labels
from genbench.errors import InputError, place, unknown_name
from genbench.features import EXTRACTORS
from genbench.features.published_statistics import published_for
from genbench.files.downloads import existing_path
from genbench.machine.extras import install
from genbench.metrics import (
    METRICS,
    EvaluationOptions,
    Features,
    Inputs,
    Metric,
    Reference,
    Value,
    frechet_key,
    idle_options,
    load_metric,
    metric_info,
)
from genbench.metrics.collection import by_name
from genbench.ranges import SMALLEST_SIDE
from genbench.schema import check_arguments
from genbench.suites.figures import check_figures
from genbench.suites.keys import Classifier
from genbench.suites.runs import has_test_images

SMALLEST = {"kid_subset_size": 2, "splits": 1, "nearest_k": 1}  # options that determine how many images are needed


def check_objects(objects: Mapping[str, Any], data: Description, data_root: Path) -> None:
    """Check the files of label sets, and that the data set's labels are these objects."""
    if not data.multi_label:
        raise InputError(f"found it for {data.name!r}, expected a data set whose images have several labels")
    for name in objects["labels"].values():
        read_labels(labels_path(name, data_root))
    if "shown" in objects:
        with place("shown"):
            parse_labels(objects["shown"])
    if "evaluator" in objects:
        existing_path(objects["evaluator"], data_root)


def check_metrics(evaluation: Mapping[str, Any], options: EvaluationOptions, holdout: bool) -> dict[str, int]:
    """How many images each of the user's own metrics needs, by its key for each extractor.

    Raises InputError for a metric that has the name of another, or that fits no extractor.
    """
    own = [load_metric(name) for name in evaluation.get("metrics", ())]
    by_name([*METRICS.values(), *own])
    needed: dict[str, int] = {}
    for metric in own:
        check_metric(metric, options)
        found = {
            metric.key(name): 1 if metric.optional else metric.minimum(kind.dim, options)
            for name, kind in EXTRACTORS.items()
            if name in evaluation["extractors"]
            and metric.is_for(name, any("logits" in metric_info(key).needs for key in kind.metrics), holdout)
        }
        if not found:
            raise InputError(
                f"{metric.name}: found no extractor that it is for, of {', '.join(evaluation['extractors'])}; "
                f"it needs {', '.join(metric.needs)}"
            )
        needed |= found
    return needed


def check_metric(metric: Metric, options: EvaluationOptions) -> None:
    """Check a user's own metric: its plain values, and that it gives a finite number for random features.

    Raises InputError, which names the line of the user's file if the metric fails there.
    """
    for key, known in (("direction", ("lower", "higher", None)), ("printed", ("significant", "proportion", "count"))):
        if getattr(metric, key) not in known:
            raise unknown_name(f"{metric.name}: {key}", getattr(metric, key), [str(word) for word in known])
    if not callable(metric.compute):
        raise InputError(f"{metric.name}: compute: found {metric.compute!r}, expected a function of its inputs")
    if "objects" in metric.needs:
        return
    name = next((name for name in metric.extractors if name in EXTRACTORS), "classifier")
    dim = EXTRACTORS[name].dim
    real, holdout, fake = (_random_features(name, dim, seed, metric.minimum(dim, options)) for seed in range(3))
    inputs = Inputs(Reference(real, holdout, options), fake)
    try:
        if not metric.applies(inputs):
            return
        found = metric.compute(inputs)
    except Exception as error:
        said = own_code.located(error) or f"{type(error).__name__}: {error}"
        raise InputError(f"{metric.name}: it fails for random features: {said}") from error
    if not isinstance(found, Value) or not math.isfinite(found.value):
        shown = f"Value({found.value})" if isinstance(found, Value) else type(found).__name__
        raise InputError(
            f"{metric.name}: compute returned {shown}, expected a genbench.metrics.Value of a finite number"
        )


def _random_features(extractor: str, dim: int, seed: int, minimum: int) -> Features:
    """Features, logits and labels as those of images in ten classes."""
    random, count = np.random.default_rng(seed), max(64, minimum)
    features, logits = (random.random((count, size), np.float32) for size in (dim, 10))
    return Features(features, logits, {"extractor": {"name": extractor}}, labels=np.arange(count) % 10)


def check_published(evaluation: Mapping[str, Any], data_root: Path) -> dict[str, int]:
    """How many images the distance to each file of published statistics needs, by its key.

    Raises InputError for a file that is missing or does not contain statistics, and for an extractor that the suite
    does not have, or whose weights are trained here, because no statistics of these can be published.
    """
    needed = {}
    for name, path in evaluation.get("statistics", {}).items():
        with place(name):
            if name not in evaluation["extractors"]:
                raise InputError(
                    f"found statistics of it, but evaluation: extractors has only {', '.join(evaluation['extractors'])}"
                )
            if EXTRACTORS[name].weights is None and not EXTRACTORS[name].packages:
                raise InputError("found statistics of it, but its weights are trained here; expected published ones")
            dim = published_for(existing_path(path, data_root), name).dim
            needed[f"{frechet_key(name)}_published"] = dim + 1
    return needed


def suiting_extractors() -> str:
    """What to write in a suite for images without labels: the installed extractors, the most common first."""
    names = ["inception-clean", "inception-legacy", "dinov2", "efficientnet"]
    first, *others = [name for name in names if all(map(find_spec, EXTRACTORS[name].packages))] or names
    return f"evaluation: {{extractors: [{first}], headline: {frechet_key(first)}}}" + (
        f", or likewise {', '.join(f'{name} ({frechet_key(name)})' for name in others)}" if others else ""
    )


def check_evaluation(suite: Mapping[str, Any], data: Description, data_root: Path) -> None:
    """Check extractors, options, and that there will be enough samples for the metrics."""
    evaluation = suite["evaluation"]
    for name in evaluation["extractors"]:
        if name not in EXTRACTORS:
            raise unknown_name("evaluation: extractors", name, EXTRACTORS)
        if missing := [package for package in EXTRACTORS[name].packages if find_spec(package) is None]:
            raise InputError(
                f"evaluation: extractors: found {name!r}, whose package {missing[0]} is not installed; "
                f"expected it from: {install(name)}"
            )
    if "classifier" in evaluation["extractors"] and (data.num_classes < 2 or data.multi_label):
        raise InputError(
            "evaluation: extractors: found 'classifier' (the default), which needs one label of at least two classes; "
            + (
                "images of the data set have several at once: expected 'objects'"
                if data.multi_label
                else f"the data set has {data.num_classes}: write {suiting_extractors()}"
            )
        )
    side = min(data.image_shape[1:])
    if "classifier" in evaluation["extractors"] and side < SMALLEST_SIDE:
        raise InputError(
            f"evaluation: extractors: found 'classifier' (the default) for images with a side of {side} pixels, "
            f"expected at least {SMALLEST_SIDE}: enlarge the images in the data set, or write {suiting_extractors()}"
        )
    if "objects" in evaluation["extractors"] and not data.multi_label:
        raise InputError(
            "evaluation: extractors: found 'objects', which needs a data set whose images have several labels"
        )
    objects = evaluation.get("objects")
    if objects:
        with place("evaluation", "objects"):
            check_objects(objects, data, data_root)
    with place("evaluation", "options"):
        check_arguments(EvaluationOptions, evaluation["options"])
    options = EvaluationOptions(**evaluation["options"])
    accuracies = [f"object_accuracy_{name}" for name in objects["labels"]] if objects else []
    with place("evaluation", "metrics"):
        own = check_metrics(evaluation, options, holdout=has_test_images(suite))
    with place("evaluation", "statistics"):
        own |= check_published(evaluation, data_root)
    by_class = [] if data.num_classes < 2 or data.multi_label else metrics_by_class(evaluation["extractors"])
    kept = kept_metrics(evaluation, by_class)
    check_idle_options(evaluation, kept)
    asked = [key for key in by_class if metric_info(key).name not in evaluation.get("without", ())]
    keys = [*accuracies, *kept, *own]
    if evaluation["headline"] not in [*keys, *asked]:
        raise unknown_name("evaluation: headline", evaluation["headline"], [*keys, *asked])
    if evaluation["headline"] in asked and not any(map(may_have_classes, suite["models"].values())):
        raise InputError(
            f"evaluation: headline: found {evaluation['headline']!r}, which is of models that draw by class, and no "
            "model of the suite has num_classes"
        )
    for key in suite.get("expect", {}):
        if key not in [*keys, *asked]:
            raise unknown_name("expect", key, [*keys, *asked])
    for name, entry in suite["models"].items():
        with place("models", name, "published"):
            check_figures(entry, keys)
    check_numbers(suite, data, options, kept, own)


def check_idle_options(evaluation: Mapping[str, Any], kept: Iterable[str]) -> None:
    """Refuse options that no metric of the suite uses, and a recipe of the classifier without the classifier.

    kept: the keys of genbench's metrics. It is unknown which options a user's own metrics use."""
    names = {metric_info(key).name for key in kept}
    idle = {} if "metrics" in evaluation else idle_options(evaluation["options"], names)
    for option, readers in idle.items():
        raise InputError(
            f"evaluation: options: key {option!r}: found {evaluation['options'][option]!r}, which does nothing without "
            f"the metric {' or '.join(readers)}"
        )
    if "classifier" not in evaluation["extractors"] and evaluation["classifier"] != Classifier.complete(
        {}, "classifier"
    ):
        raise InputError("evaluation: classifier: found it without the extractor 'classifier', where it does nothing")


def metrics_by_class(extractors: Iterable[str]) -> list[str]:
    """The keys of metrics for samples drawn by class, in the features of these extractors."""
    return [
        metric.key(name)
        for name in extractors
        for metric in METRICS.values()
        if "labels" in metric.needs
        and metric.is_for(
            name, any("logits" in metric_info(key).needs for key in EXTRACTORS[name].metrics), labels=True
        )
    ]


def may_have_classes(entry: Mapping[str, Any]) -> bool:
    """Whether an entry's samples may be drawn by class: it has num_classes, or is a checkpoint that may have them."""
    return "pretrained" in entry or bool(entry.get("model", {}).get("num_classes"))


def kept_metrics(evaluation: Mapping[str, Any], by_class: Iterable[str] = ()) -> dict[str, int]:
    """The number of features, D, of each of genbench's metrics in the suite, by key.

    by_class: keys of further metrics that the suite may leave out. Raises InputError if a name in `without` is not that
    of any metric.
    """
    found = {key: EXTRACTORS[name].dim for name in evaluation["extractors"] for key in EXTRACTORS[name].metrics}
    without = evaluation.get("without", ())
    names = {metric_info(key).name for key in (*found, *by_class)}
    for name in without:
        if name not in names:
            raise unknown_name("evaluation: without", name, names)
    return {key: dim for key, dim in found.items() if metric_info(key).name not in without}


def check_numbers(
    suite: Mapping[str, Any],
    data: Description,
    options: EvaluationOptions,
    kept: Mapping[str, int],
    own: dict[str, int],
) -> None:
    """Check that there will be enough images, generated and real, for each metric that is not optional.

    kept: genbench's metrics with their D, by key. own: the user's metrics with the number of images that they need.
    """
    headline = suite["evaluation"]["headline"]
    asked = {key: dim for key, dim in kept.items() if not metric_info(key).optional or key == headline}
    needed = {key: metric_info(key).minimum(dim, options) for key, dim in asked.items()} | dict(own)
    counts = {key: suite[key] for key in ("num_samples", "snapshot_samples")}
    counts["dataset: real images to train on"] = data.num_train
    for where, count in counts.items():
        short = {} if count is None else {key: least for key, least in needed.items() if count < least}
        if short:
            metrics = ", ".join(f"{key} ({least})" for key, least in short.items())
            raise InputError(
                f"{where}: found {count}, expected at least {max(short.values())} for the metrics: {metrics}; "
                + "; ".join(_ways_out(count, options, {key: asked[key] for key in short if key in asked}, headline))
            )


def _ways_out(count: int, options: EvaluationOptions, short: Mapping[str, int], headline: str) -> Iterator[str]:
    """Remedies if metrics, `short` by their keys with their D, need more than `count` images."""
    for name, least in SMALLEST.items():
        smaller = replace(options, **{name: least})
        lowered = [key for key, dim in short.items() if metric_info(key).minimum(dim, smaller) <= count]
        if lowered:
            yield f"evaluation: options: {name} lowers it for {', '.join(lowered)}"
    if names := dict.fromkeys(metric_info(key).name for key in short):
        other = ", with another headline" if headline in short else ""
        yield f"evaluation: without: [{', '.join(names)}] leaves them out{other}"
    else:
        yield "expected more images, or the metric removed from evaluation: metrics, or evaluation: statistics"
