"""Weights averaged over a length of the training that a sampler chooses: see genbench/processes/averages.py."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genbench.errors import InputError
from genbench.files.weights import load_tensors
from genbench.processes.averages import coefficients
from genbench.ranges import LONGEST_AVERAGE


def ema_length_of(sampler: Mapping[str, Any]) -> tuple[dict[str, Any], float | None]:
    """A sampler's options without `ema_length`, and its value; None is the average in the file. Raises InputError."""
    options = dict(sampler)
    length = options.pop("ema_length", None)
    number = isinstance(length, int | float) and not isinstance(length, bool)
    if length is not None and not (number and 0 < length <= LONGEST_AVERAGE):
        raise InputError(f"key 'ema_length': found {length!r}, expected a number above 0, at most {LONGEST_AVERAGE}")
    return options, length


def averaged(path: Path, step: int, length: float) -> dict[str, Tensor]:
    """The weights of the model at `path` from its training up to `step`, averaged over `length`: by name, on the CPU.

    Raises InputError if the training kept no averages.
    """
    folder = path.parent if path.parent.name == "snapshots" else path.parent / "snapshots"
    files = {int(file.stem.removeprefix("averages-")): file for file in folder.glob("averages-*.safetensors")}
    if step not in files:
        raise InputError(
            f"key 'ema_length': found {length}, but {folder} has averages after {sorted(files) or 'no'} steps; "
            f"expected a training with ema_lengths, which keeps them after {step}"
        )
    lengths = load_tensors(files[step])[1]["ema_lengths"]
    kept = [(at, name) for at in sorted(files) if at <= step for name in lengths]
    shares = coefficients([at for at, _ in kept], [float(name) for _, name in kept], step, length)
    total: dict[str, Tensor] = {}
    tensors: dict[str, Tensor] = {}
    for share, (at, name) in zip(shares, kept, strict=True):
        if name == lengths[0]:  # the next file: only one is in memory at a time
            tensors, _ = load_tensors(files[at])
        for key, value in tensors.items():
            if key.startswith(f"{name}:"):
                part = total.setdefault(key.removeprefix(f"{name}:"), torch.zeros_like(value, dtype=torch.float64))
                part.add_(value, alpha=float(share))
    return {name: value.float() for name, value in total.items()}
