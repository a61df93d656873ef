"""From a suite's entry to its data set: the entry is checked against the signature of the source's function."""

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Union

from genbench.data.cifar import cifar10
from genbench.data.demo import demo
from genbench.data.description import Dataset, Description
from genbench.data.folder import folder
from genbench.data.idx import fashion_mnist, mnist
from genbench.data.image_set import ImageSet
from genbench.errors import InputError


def describe(dataset: Mapping[str, Any], data_root: str | Path) -> Description:
    """What the entry `dataset` will give, without a download or a full decode.

    Raises InputError for an unknown source, an unknown, missing or wrong key, and a `path` that does not exist.
    """
    return open_dataset(dataset, data_root).description


def prepare(dataset: Mapping[str, Any], data_root: str | Path) -> dict[str, ImageSet]:
    """The images of the entry `dataset`: {"train": ..., "test": ...}.

    Official files are looked for in `data_root`, in torchvision's layout or flat, and downloaded into it otherwise.
    Raises InputError as `describe`, and for files that are missing, damaged or not what their checksum says.
    """
    return open_dataset(dataset, data_root).load()


def open_dataset(entry: Any, data_root: str | Path) -> Dataset:
    """Check an entry and describe what it will give: both `describe` and `prepare`, for whoever wants both."""
    if not isinstance(entry, Mapping):
        raise InputError(f"data set: found {entry!r}, expected a mapping with the key 'source'")
    options = dict(entry)
    source = options.pop("source", None)
    if not isinstance(source, str) or source not in SOURCES:
        raise InputError(f"data set: key 'source': found {source!r}, expected one of {', '.join(SOURCES)}")
    name = options.pop("name", source)
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
        raise InputError(
            f"data set: key 'name': found {name!r}, expected letters, digits, '_', '-' and '.' (not first)"
        )
    where = f"data set {name!r}"
    label = options.pop("label", None)
    if not (label is None or (isinstance(label, str) and label)):
        raise InputError(f"{where}: key 'label': found {label!r}, expected a string")
    _check_options(SOURCES[source], options, where)
    try:
        opened = SOURCES[source](Path(data_root), **options)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    default = name if source == "folder" else opened.description.label

    def load() -> dict[str, ImageSet]:
        named = {"dataset": name}
        return {split: replace(image_set, info=image_set.info | named) for split, image_set in opened.load().items()}

    return Dataset(replace(opened.description, name=name, label=label or default), load)


def _check_options(function: Callable[..., Dataset], options: Mapping[str, Any], where: str) -> None:
    """Check the options against the function's keyword-only parameters: all known, none missing, each of its type."""
    parameters = {name: p for name, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY}
    hints = typing.get_type_hints(function)
    for key, value in options.items():
        if key not in parameters:
            expected = ", ".join(("source", "name", "label", *parameters))
            raise InputError(f"{where}: found the unknown key {key!r}, expected keys: {expected}")
        if not _fits(value, hints[key]):
            raise InputError(f"{where}: key {key!r}: found {value!r}, expected {_words(hints[key])}")
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in options:
            raise InputError(f"{where}: key {key!r} is missing, expected {_words(hints[key])}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value from YAML or JSON is of a type: str, int, float, None, a Literal, or a union of them."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, member) for member in typing.get_args(hint))
    if typing.get_origin(hint) is Literal:
        return any(value == member and type(value) is type(member) for member in typing.get_args(hint))
    return type(value) in ((int, float) if hint is float else (hint,))  # by type: True is no integer here


def _words(hint: Any) -> str:
    if typing.get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_words(member) for member in typing.get_args(hint))
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(str, typing.get_args(hint)))
    return {str: "a string", int: "an integer", float: "a number", types.NoneType: "null"}[hint]


SOURCES: dict[str, Callable[..., Dataset]] = {
    "demo": demo,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
    "folder": folder,
}
