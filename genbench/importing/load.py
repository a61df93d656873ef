"""Open a trained model: a file of genbench, or another project's checkpoint as it is."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from genbench.errors import InputError, place
from genbench.files.hub import CONFIG
from genbench.files.weights import tensors_sha256
from genbench.importing import FORMATS, read_checkpoint
from genbench.models import Model
from genbench.sampling.checkpoint import build_with, load_model

OURS = "model.safetensors"
DIFFUSERS = ("model_index.json", CONFIG, f"unet/{CONFIG}")  # every folder of diffusers has one of them


def open_model(
    path: str | os.PathLike[str],
    format: str | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    device: torch.device | str = "cpu",
) -> tuple[Model, dict[str, Any]]:
    """Return a model in evaluation mode, and its info: at least `model` (its entry), `image_shape` and `sha256`.

    path: a model.safetensors, a snapshot, the folder of a run, or another project's checkpoint
    format: a key of FORMATS, for another project's checkpoint; not needed for a folder of diffusers
    options: what such a checkpoint does not state
    Raises InputError, naming the file, if it is missing, damaged, or of another format.
    """
    path = Path(path)
    if format is None:
        if _is_ours(path / OURS):
            path = path / OURS
        elif not _is_ours(path):
            format = _format_of(path)
    if format is None:
        if options:
            raise InputError(f"{path}: found the options {', '.join(options)}, expected them only for other formats")
        return load_model(path, device)
    imported = read_checkpoint(format, path, **(options or {}))
    tensors = {name: tensor.to(device) for name, tensor in imported.tensors.items()}
    with place(path):
        model = build_with(tensors, imported.model, imported.image_shape, device)
    known = {"model": imported.model, "image_shape": imported.image_shape, "weights": imported.weights}
    return model, known | {"sha256": tensors_sha256(imported.tensors), "note": imported.note}


def _is_ours(path: Path) -> bool:
    """Whether the file has readable genbench metadata; False for a damaged file."""
    try:
        with safe_open(path, framework="pt") as file:
            return "genbench" in (file.metadata() or {})
    except Exception:  # safetensors raises many kinds of errors
        return False


def _format_of(path: Path) -> str | None:
    """Infer the format of another project's checkpoint from file names; None for what is read as a genbench file."""
    beside = path if path.is_dir() else path.parent
    if any((beside / name).is_file() for name in DIFFUSERS):
        return "diffusers"
    if path.is_dir():
        raise InputError(f"{path}: found neither {OURS} of a run nor {CONFIG} of diffusers; expected a file of weights")
    if path.suffix in (".safetensors", "") or not path.exists():
        return None
    raise InputError(f"{path}: not a file of genbench's; expected its format, one of: {', '.join(FORMATS)}")
