"""Tables of suites, and of the models, samplers, extractors, metrics and data sets that a suite can name."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from genbench.machine.checkout import ROOT

Row = Mapping[str, Any]  # by the heading of its column


def list_names(kind: str) -> list[Row]:
    """The rows of one of KINDS, in the order of the documents."""
    return list(KINDS[kind]())


def _suites() -> Iterator[Row]:
    from genbench.suites.load import load_suite
    from genbench.suites.runs import draws

    for path in sorted((ROOT / "suites").glob("*.yaml")):
        suite = load_suite(path)
        of_text = "kind" in suite
        yield {
            "suite": suite["name"],
            "title": suite["title"],
            "data set": suite["text"]["label"] if of_text else suite["dataset"]["source"],
            "models": len(suite["models"]),
            "rows": len(suite["models"] if of_text else list(draws(suite))),
            "images per row": "none" if of_text else suite["num_samples"],
        }


def _classes() -> Iterator[tuple[str, Any]]:
    """Every family that is trained here, by its dotted path."""
    from genbench import models

    for module in pkgutil.iter_modules(models.__path__):
        loaded = importlib.import_module(f"{models.__name__}.{module.name}")
        for name, value in vars(loaded).items():
            own = inspect.isclass(value) and issubclass(value, models.Model) and value.__module__ == loaded.__name__
            if own and "image_shape" in inspect.signature(value).parameters:  # has this parameter if it can be trained
                yield f"{module.name}.{name}", value


def _models() -> Iterator[Row]:
    for path, model in _classes():
        needs = " or ".join(model.needs) or "nothing"
        yield {
            "class": path,
            "family": model.family,
            "paper": model.paper,
            "may be given": needs if model.first_stage is None else f"a trained {model.first_stage}, {needs}",
        }


def _samplers() -> Iterator[Row]:
    for path, model in _classes():
        for name, function in vars(model).get("methods", {}).items():  # without those of its base class
            parameters = inspect.signature(function).parameters.values()
            options = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
            yield {"method": name, "of": path, "options": ", ".join(options), "what it is": _first_line(function)}


def _extractors() -> Iterator[Row]:
    from genbench.features import EXTRACTORS

    for name, found in EXTRACTORS.items():
        extra = f"come with a package: the extra {name}" if found.packages else "trained on the data set"
        yield {
            "extractor": name,
            "features": found.dim,
            "weights": "downloaded, verified" if found.weights else extra,
            "metrics": ", ".join(found.metrics),
        }


def _metrics() -> Iterator[Row]:
    from genbench.metrics import METRICS

    for key, metric in METRICS.items():
        yield {
            "metric": key,
            "name": metric.label,
            "better": metric.direction or "-",
            "images needed": metric.minimum_rule,
            "definition": metric.definition,
        }


def _datasets() -> Iterator[Row]:
    from genbench.data.datasets import SOURCES

    for name, function in SOURCES.items():
        keys = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        yield {"source": name, "keys": ", ".join(keys), "what it is": _first_line(function)}


def _first_line(function: Callable[..., Any]) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())


KINDS: Mapping[str, Callable[[], Iterator[Row]]] = {
    "suites": _suites,
    "models": _models,
    "samplers": _samplers,
    "extractors": _extractors,
    "metrics": _metrics,
    "datasets": _datasets,
}
