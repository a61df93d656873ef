"""A suite's part `evaluation`, checked: extractors, metrics, objects, and whether there will be images enough."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from genbench.data import Description
from genbench.data.objects import labels_path, parse_labels, read_labels
from genbench.errors import InputError, place, unknown_name
from genbench.features import EXTRACTORS
from genbench.files.downloads import existing_path
from genbench.metrics import METRICS, EvaluationOptions, frechet_key, load_metric, metric_info, minimum_samples
from genbench.metrics.collection import by_name
from genbench.schema import check_arguments
from genbench.suites.runs import has_test_images


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
    """How many images each metric of the user's own needs, by its key in the features of each extractor.

    Raises InputError for one that has the name of another, or that no extractor's features allow.
    """
    own = [load_metric(name) for name in evaluation.get("metrics", ())]
    by_name([*METRICS.values(), *own])
    needed: dict[str, int] = {}
    for metric in own:
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


def suiting_extractors() -> str:
    """What a suite says for images without labels: the extractors that are installed, the most used first."""
    names = ["inception-clean", "inception-legacy", "dinov2", "efficientnet"]
    first, *others = [name for name in names if all(map(find_spec, EXTRACTORS[name].packages))] or names
    return f"evaluation: {{extractors: [{first}], headline: {frechet_key(first)}}}" + (
        f", or likewise {', '.join(f'{name} ({frechet_key(name)})' for name in others)}" if others else ""
    )


def check_evaluation(suite: Mapping[str, Any], data: Description, data_root: Path) -> None:
    """Check extractors, options, and that there will be as many samples as the metrics need."""
    evaluation = suite["evaluation"]
    for name in evaluation["extractors"]:
        if name not in EXTRACTORS:
            raise unknown_name("evaluation: extractors", name, EXTRACTORS)
        if missing := [package for package in EXTRACTORS[name].packages if find_spec(package) is None]:
            raise InputError(
                f"evaluation: extractors: found {name!r}, whose package {missing[0]} is not installed; "
                f"expected it from pip install 'genbench[{name}]'"
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
    keys = [*accuracies, *(key for name in evaluation["extractors"] for key in EXTRACTORS[name].metrics), *own]
    if evaluation["headline"] not in keys:
        raise unknown_name("evaluation: headline", evaluation["headline"], keys)
    needed = max(
        minimum_samples(EXTRACTORS[name].metrics, EXTRACTORS[name].dim, options) for name in evaluation["extractors"]
    )
    needed = max([needed, *own.values()])
    for kind in EXTRACTORS.values():
        if evaluation["headline"] in kind.metrics:
            needed = max(needed, minimum_samples([evaluation["headline"]], kind.dim, options))
    for key in ("num_samples", "snapshot_samples"):
        if suite[key] < needed:
            raise InputError(
                f"{key}: found {suite[key]}, expected at least {needed} for the metrics of "
                f"{', '.join(evaluation['extractors'])} (evaluation: options can lower this)"
            )
