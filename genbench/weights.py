"""Tensors on disk: safetensors with JSON beside them in the file, hashed, written whole or not at all. No pickle."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from genbench.artifacts import atomic_path
from genbench.errors import InputError


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names and bytes: the same weights give the same hash, whatever file they are in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().contiguous().cpu()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], info: Mapping[str, Any]) -> str:
    """Write tensors and JSON-able `info`, atomically, with a hash that `load_tensors` checks; returns that hash."""
    # safetensors refuses tensors that share memory; a clone of a CPU tensor is cheap beside the write.
    tensors = {name: value.detach().contiguous().cpu().clone() for name, value in tensors.items()}
    sha256 = tensors_sha256(tensors)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"genbench": json.dumps({**info, "sha256": sha256})})
    return sha256


def load_tensors(
    path: str | os.PathLike[str], device: torch.device | str = "cpu"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and `info` of a file that `save_tensors` wrote.

    Raises InputError, naming the file, when it is missing, truncated, altered, or not ours.
    """
    repair = f"delete it and run again (rm '{path}')"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error}); {repair}") from None
    if "genbench" not in metadata:
        raise InputError(f"{path}: a safetensors file without genbench's metadata; expected one written by genbench")
    info = json.loads(metadata["genbench"])
    if (found := tensors_sha256(tensors)) != info["sha256"]:
        raise InputError(f"{path}: damaged: SHA-256 of the weights is {found}, expected {info['sha256']}; {repair}")
    return {name: value.to(device) for name, value in tensors.items()}, info
