"""The keys that an entry gives to a function or class, from its signature and docstring."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Sequence
from typing import Any

# Constructor arguments that the program fills in: from the data set, or from the model that a network is part of.
FILLED = (
    "image_shape",
    "latent_size",
    "out_features",
    "in_channels",
    "out_channels",
    "num_classes",
    "augment_size",
    "num_times",
)


def meanings(docstring: str, names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """A docstring without its lines `key: Meaning.`, and the meanings by key; continuation lines are indented."""
    rest, found, key = [], {}, ""
    for line in docstring.splitlines():
        start, colon, text = line.partition(": ")
        if colon and start in names:
            key = start
            found[key] = [text]
        elif key and line.startswith("    "):
            found[key].append(line)
        else:
            key = ""
            rest.append(line)
    text = re.sub(r"\s*Raises InputError[^.]*\.", "", "\n".join(rest))
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    meaning = {key: " ".join(" ".join(lines).split()) for key, lines in found.items()}
    return "\n\n".join(filter(None, paragraphs)), meaning


def parameters(function: Callable[..., Any], filled: tuple[str, ...] = ()) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters that a suite gives."""
    found = inspect.signature(function).parameters
    return {name: p for name, p in found.items() if p.kind is p.KEYWORD_ONLY and name not in filled}


def default_of(parameter: inspect.Parameter) -> Any:
    """The default of a parameter; a dataclass may make it with a factory, which the signature does not show."""
    return {} if type(parameter.default).__name__ == "_HAS_DEFAULT_FACTORY_CLASS" else parameter.default


def classes(package: Any, base: type) -> dict[str, type]:
    """The classes of a package that an entry can name, by dotted path."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        for name, value in vars(loaded).items():
            own = inspect.isclass(value) and value.__module__ == loaded.__name__ and not name.startswith("_")
            if own and issubclass(value, base) and "image_shape" in inspect.signature(value).parameters:
                found[f"{module.name}.{name}"] = value
    return found
