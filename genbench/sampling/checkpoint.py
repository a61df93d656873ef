"""A trained model on disk: weights, and the description from which the model is built again."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genbench import own_code
from genbench.errors import InputError, place
from genbench.files.weights import WithoutValues, load_tensors, tensors_sha256
from genbench.models import Model, build
from genbench.sampling.averages import averaged


def load_model(
    path: str | os.PathLike[str], device: torch.device | str = "cpu", ema_length: float | None = None
) -> tuple[Model, dict[str, Any]]:
    """Rebuild the model that a checkpoint describes, with its weights, in evaluation mode; and the checkpoint's info.

    Everything that sampling needs (class, networks, schedule, T, parametrisation) is read from the checkpoint.
    ema_length: use the weights averaged over this length of the training instead; the info then has their hash.
    """
    tensors, info = load_tensors(path, device)
    if "model" not in info:
        raise InputError(f"{path}: no model's description in the file; expected a model.safetensors or a snapshot")
    with place(path):
        if ema_length is not None:
            own = averaged(Path(path), info["step"], ema_length)
            tensors |= {name: value.to(device) for name, value in own.items()}
            info |= {"sha256": tensors_sha256(tensors), "ema_length": ema_length}
        return build_with(tensors, info["model"], tuple(info["image_shape"]), device), info


def build_with(
    tensors: Mapping[str, Tensor],
    entry: Mapping[str, Any],
    image_shape: tuple[int, int, int],
    device: torch.device | str,
) -> Model:
    """The model that `entry` describes, of images (C, H, W), with weights that are on `device`, ready for sampling."""
    if any(own_code.references(entry)):  # a user's model may have tensors that are not in the file
        with torch.device(device):
            model = build(entry, image_shape)
    else:
        with torch.device("meta"), WithoutValues():  # no time spent on initial weights
            model = build(entry, image_shape)
    model.load_state_dict(tensors, assign=True)
    if torch.device(device).type == "cpu":  # the faster layout for convolutions there
        model = model.to(memory_format=torch.channels_last)
    return model.eval().requires_grad_(False)
