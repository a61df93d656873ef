"""Tensors on disk: safetensors files with JSON metadata, hashed, written whole or not at all, never pickled.

Files of other programs are pickles; only tensors and plain values are read from them.
"""

import argparse
import errno
import hashlib
import json
import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from genbench.errors import InputError
from genbench.files.artifacts import atomic_path, repair, repair_if_ours
from genbench.files.substitutes import substitute_at

_AS_TENSORS = "; of weights, write torch.save({name: torch.from_numpy(x) for name, x in numpy.load(FILE).items()}, NEW)"


class WithoutValues(TorchFunctionMode):
    """Networks built in this context, on the device meta, draw no normal numbers: their weights come from a file.

    To draw them on meta, torch 2.15 would import its compiler, which takes a second at every job's start.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is nn.init.normal_:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return function(*args, **kwargs)


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
    text = json.dumps({**info, "sha256": sha256})
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, {"genbench": text, "info_sha256": hashlib.sha256(text.encode()).hexdigest()})
        except SafetensorError as error:  # its form of the system's error, such as a full disk
            number = re.search(r"\(os error (\d+)\)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error), str(path)) from None
    return sha256


def load_tensors(
    path: str | os.PathLike[str], device: torch.device | str = "cpu"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and `info` of a file that `save_tensors` wrote.

    Raises InputError, naming the file, if it is missing, truncated, altered, or not written by genbench.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # a damaged file can make safetensors raise anything
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a readable safetensors file ({reason}){repair_if_ours(path)}") from None
    if not {"genbench", "info_sha256"} <= metadata.keys():
        raise InputError(
            f"{path}: a safetensors file without genbench's metadata, or damaged; expected one written by genbench"
            f"{repair_if_ours(path)}"
        )
    text = metadata["genbench"]
    if (found := hashlib.sha256(text.encode()).hexdigest()) != metadata["info_sha256"]:
        expected = metadata["info_sha256"]
        raise InputError(f"{path}: damaged: SHA-256 of the description is {found}, expected {expected}{repair(path)}")
    info = json.loads(text)
    if (found := tensors_sha256(tensors)) != info["sha256"]:
        raise InputError(f"{path}: damaged: SHA-256 of the weights is {found}, expected {info['sha256']}{repair(path)}")
    return {name: value.to(device) for name, value in tensors.items()}, info


def load_torch_file(path: str | os.PathLike[str]) -> Any:
    """What torch.save wrote: tensors and plain values, on the CPU. A file that would run code is refused.

    Raises InputError, naming the file, if it is missing or anything else.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)  # a Namespace: a training's options
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # bytes that are no pickle can raise anything
        if found := substitute_at(path) or _arrays(path):
            raise InputError(f"{path}: found {found}") from None
        raise InputError(f"{path}: not a PyTorch file of tensors and plain values{_reason(error)}") from None


def _arrays(path: str | os.PathLike[str]) -> str | None:
    """For an error: what a file of NumPy arrays is, and how to make a checkpoint of it; None for other files."""
    try:
        with open(path, "rb") as file:
            if file.read(6) == b"\x93NUMPY":
                return "an array of NumPy (.npy), expected a PyTorch file of tensors by name"
        with zipfile.ZipFile(path) as members:
            names = members.namelist()
    except (OSError, zipfile.BadZipFile):
        return None
    if not names or not all(name.endswith(".npy") for name in names):
        return None
    keys = ", ".join(name.removesuffix(".npy") for name in names[:5]) + (", ..." if len(names) > 5 else "")
    return f"arrays of NumPy (an npz of {keys}), expected a PyTorch file{_AS_TENSORS}"


def _reason(error: Exception) -> str:
    """Why torch.load refuses a file, without the colours and without the advice to read the file unsafely."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
    if found := re.search(r"GLOBAL ([\w.]+)", text):
        name, what, remedy = found[1], "an object", "the state dict only, torch.save(model.state_dict(), FILE)"
        if name.startswith("numpy"):
            array = name.endswith("_reconstruct")
            what = "a NumPy array" if array else "a NumPy number"
            remedy = "it as a tensor, torch.from_numpy(x)" if array else "it as a plain number, float(x) or int(x)"
        return f": found {what} ({name}), which only code can make; where the file was written, save {remedy}"
    reason = text.rpartition("WeightsUnpickler error: ")[2].partition(" Please file")[0].partition(" Check the doc")[0]
    return f", or damaged ({reason[:200] or type(error).__name__})"
