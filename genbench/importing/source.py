"""The result of reading another project's checkpoint, and checks that several formats share."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from genbench.errors import InputError
from genbench.files.substitutes import substitute_at

Path = str | os.PathLike[str]
State = dict[str, Tensor]


@dataclass(frozen=True)
class Imported:
    """A model's entry as in a suite, its image shape (C, H, W) and its weights under our names.

    weights: "ema", "raw", or "unknown" if the file does not say
    note: which of the file's weights were taken
    """

    model: dict[str, Any]
    image_shape: tuple[int, int, int]
    tensors: State
    files: Sequence[Path]
    weights: str
    note: str


def load_safetensors_file(path: Path) -> State:
    """Read the tensors of a safetensors file."""
    try:
        return load_file(path, device="cpu")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (SafetensorError, OSError, RuntimeError) as error:
        if found := substitute_at(path):
            raise InputError(f"{path}: found {found}") from None
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None


def check_shapes(state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], path: Path, what: str) -> None:
    """Raise InputError listing missing and unexpected tensors and those of a wrong shape, if there are any."""

    def listed(names: Sequence[str]) -> str:
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    problems = []
    if missing := [name for name in expected if name not in state]:
        problems.append(f"missing {listed(missing)}")
    if unexpected := [name for name in state if name not in expected]:
        problems.append(f"unexpected {listed(unexpected)}")
    for name in [name for name in expected if name in state and tuple(state[name].shape) != expected[name]][:3]:
        problems.append(f"{name}: found shape {tuple(state[name].shape)}, expected {expected[name]}")
    if problems:
        raise InputError(f"{path}: not the weights of {what}: {'; '.join(problems)}")


def given_or_said(key: str, given: Any, said: Any, file: Path, why: str) -> Any:
    """Return the value from the file or from the option. Raises InputError if both are given, or neither."""
    if given is not None and said is not None:
        raise InputError(f"{file}: {key}: found {said!r} in the file and {given!r} as an option; expected one of them")
    if given is None and said is None:
        raise InputError(f"{file}: does not say {key} ({why}); expected it as an option")
    return said if given is None else given
