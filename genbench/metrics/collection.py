"""The table of all metrics, collected from the entries in the files of this package. A new metric is a new file."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from genbench import own_code
from genbench.errors import InputError
from genbench.metrics.metric import INCEPTION, Metric
from genbench.metrics.options import EvaluationOptions

# The order in tables and records; the entries of other files follow, file by file.
FIRST = ("fid", "kid", "precision_recall", "memorisation", "inception_score", "classifier_scores", "object_accuracy")


@cache
def built_in() -> Mapping[str, Metric]:
    """The metrics of this package by name, in the order of FIRST and, within a file, of its entries."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [importlib.import_module(f"{__package__}.{name}") for name in [*FIRST, *names]]
    return by_name(entry for module in modules for entry in vars(module).values() if isinstance(entry, Metric))


def by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """Metrics by name, each once. Raises InputError if two have the same name."""
    found: dict[str, Metric] = {}
    for metric in metrics:
        if found.setdefault(metric.name, metric) is not metric:
            raise InputError(f"metrics: found two with the name {metric.name!r}, expected different names")
    return found


def load_metric(reference: str) -> Metric:
    """The user's own metric that `PATH.py:NAME#HASH` names, as `own_code.allow` returns it.

    Raises InputError as `own_code.load` does, and if the object of this name is not a Metric.
    """
    found = own_code.load(reference)
    if not isinstance(found, Metric):
        raise InputError(f"metric {reference}: found {type(found).__name__}, expected a genbench.metrics.Metric")
    return found


def metric_info(key: str) -> Metric:
    """The metric of a key of results: `fd` for `fd_classifier`. Raises InputError for an unknown key."""
    parts = key.split("_")
    for length in range(len(parts), 0, -1):
        name, ending = "_".join(parts[:length]), "_".join(parts[length:])
        if name in built_in() and built_in()[name].may_end(ending):
            return built_in()[name]
    raise InputError(f"metric {key!r} is unknown; expected one of {', '.join(built_in())}, or NAME_EXTRACTOR")


def metric_keys(extractor: str, logits: bool) -> list[str]:
    """The keys of results from an extractor's features and, if it has any, its logits."""
    return [metric.key(extractor) for metric in built_in().values() if metric.is_for(extractor, logits)]


def extractor_of(key: str, names: Iterable[str]) -> str:
    """The extractor of `names` with which a key of results is measured; "" if the key does not name it."""
    for name in names:
        named = key.endswith(f"_{INCEPTION.get(name, name)}")
        if named or any(metric.key(name) == key for metric in built_in().values() if metric.is_for(name)):
            return name
    return ""


def minimum_samples(keys: Sequence[str], dim: int, options: EvaluationOptions | None = None) -> int:
    """The smallest number of real and of generated images for which all of these metrics are defined.

    dim: the number of features, D. Optional metrics count only if there are no others. Raises InputError for an unknown
        key.
    """
    options = options or EvaluationOptions()
    metrics = [metric_info(key) for key in keys]
    needed = [metric for metric in metrics if not metric.optional] or metrics
    return max(metric.minimum(dim, options) for metric in needed)
