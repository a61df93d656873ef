"""Files of published weights: found or fetched, verified, and read without running anything in them."""

import os
import pickle
from typing import TYPE_CHECKING, Any

from genbench.artifacts import sha256_file
from genbench.errors import InputError

if TYPE_CHECKING:
    import torch


def load_weights(module: "torch.nn.Module", path: str | os.PathLike[str]) -> str:
    """Load a torch file of tensors into a module that has exactly these; returns the file's SHA-256.

    Raises InputError, naming the file, when it is missing, damaged, or of another network.
    """
    import torch

    try:
        sha256 = sha256_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: not a file of torch weights, or damaged ({_first_line(error)})") from None
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the weights of this network ({_first_line(error)})") from None
    return sha256


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
