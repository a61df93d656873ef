"""Read any file of tensors as any genbench model: the entry describes the model and how to rename the tensors.

states.py first removes what wrappers add to names (DataParallel's `module.`, torch.compile's `_orig_mod.`). If a file
has several state dicts, the option `key` chooses one (Lightning's is `state_dict`).
"""

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from genbench.errors import InputError, place
from genbench.importing.source import Imported, Path, State
from genbench.importing.states import read_content, state_of
from genbench.models import build
from genbench.ranges import Side


def renamed(state: State, rename: Mapping[str, str | None], path: Path) -> State:
    """Rename tensors by applying the regular expressions of `rename` in order; null leaves a tensor out.

    Raises InputError for an invalid expression, for one that matches no name, and for two tensors of one name.
    """
    names: dict[str, str | None] = {name: name for name in state}
    for pattern, replacement in rename.items():
        matched = False
        for original, name in names.items():
            if name is None:
                continue
            try:
                found = re.search(pattern, name)
                new = re.sub(pattern, replacement, name) if found and replacement is not None else None
            except (re.error, IndexError) as error:
                raise InputError(
                    f"option rename: {pattern!r}: {replacement!r}: not a regular expression: {error}"
                ) from None
            if found:
                matched, names[original] = True, new
        if not matched:
            left = ", ".join(list(state)[:4])
            raise InputError(f"{path}: option rename: {pattern!r}: found no tensor of such a name; it has {left}, ...")
    tensors: State = {}
    for original, name in names.items():
        if name in tensors:
            raise InputError(
                f"{path}: option rename: found two tensors {name!r}, one of them {original!r}; expected one"
            )
        if name is not None:
            tensors[name] = state[original]
    return tensors


def _check(found: State, expected: State, path: Path, what: str) -> None:
    """Raise InputError listing every tensor that is missing, left over or of another shape, with the shapes."""

    def shape(tensors: State, name: str) -> tuple[int, ...]:
        return tuple(tensors[name].shape)

    missing = [f"{name} {shape(expected, name)}" for name in expected if name not in found]
    left = [f"{name} {shape(found, name)}" for name in found if name not in expected]
    other = [
        f"{name}: found {shape(found, name)}, expected {shape(expected, name)}"
        for name in expected
        if name in found and shape(found, name) != shape(expected, name)
    ]
    kinds = {"missing": missing, "left over": left, "of another shape": other}
    if problems := [f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names]:
        raise InputError(f"{path}: not the weights of {what}: {'; '.join(problems)}")


def state_dict(
    path: Path,
    *,
    model: Mapping[str, Any],
    image_shape: Sequence[Side],
    rename: Mapping[str, str | None] | None = None,
    absent: Sequence[str] = (),
    averaged: bool | None = None,
    key: str | None = None,
) -> Imported:
    """The weights of any genbench model, from a file of tensors with any names.

    model: The same as in an entry that is trained here, with its `class`.
    image_shape: Channels, height and width of the images.
    rename: Regular expressions, in order, and the replacements of their matches in the tensors' names: \\1 is the first
        group, as in Python's re.sub; null leaves the tensor out.
    absent: Regular expressions of names that the file may lack: these tensors stay as the entry builds them.
    averaged: Whether the weights are a moving average, for the table; unknown if not given.
    key: The state dict to read, if the file holds several.
    """
    if len(image_shape) != 3:
        raise InputError(f"option image_shape: found {list(image_shape)}, expected channels, height and width")
    shape = (image_shape[0], image_shape[1], image_shape[2])
    with place("model"), torch.device("cpu"):
        expected = build(model, shape).state_dict()
    content, files = read_content(path)
    state, taken = state_of(content, path, key)
    found = renamed(state, rename or {}, path)
    built = [name for name in expected if name not in found and any(re.search(pattern, name) for pattern in absent)]
    found |= {name: expected[name] for name in built}
    _check(found, expected, path, f"a {model['class']} for images of shape (C, H, W) = {shape}")
    tensors = {name: found[name].to(value.dtype) for name, value in expected.items()}
    name = pathlib.Path(path).name
    weights = {True: "ema", False: "raw", None: "ema" if "ema" in taken else "unknown"}[averaged]
    note = f"{taken} of {name}" if taken else name
    note += f"; not in the file and as the entry builds them: {', '.join(built)}" if built else ""
    return Imported(dict(model), shape, tensors, files, weights, note)
