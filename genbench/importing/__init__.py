"""Import other projects' checkpoints: each becomes a model.safetensors that can be sampled like one trained here.

A format is a function that reads a file or folder. Its keyword-only parameters supply what the file does not state.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from genbench.errors import InputError, place
from genbench.files import weights
from genbench.files.artifacts import sha256_file, write_json
from genbench.files.hub import pretrained_path
from genbench.importing.diffusers import diffusers
from genbench.importing.foreign import function, onnx, torch_export
from genbench.importing.guided_diffusion import guided_diffusion
from genbench.importing.improved_diffusion import improved_diffusion
from genbench.importing.lucidrains import lucidrains
from genbench.importing.nvlabs_ddgan import ddgan
from genbench.importing.nvlabs_edm import edm
from genbench.importing.pytorch_dcgan import dcgan
from genbench.importing.source import Imported
from genbench.importing.state_dict import state_dict
from genbench.machine import provenance
from genbench.models import build
from genbench.records.training import Training
from genbench.schema import check_arguments, find_function

FORMATS: dict[str, Callable[..., Imported]] = {
    "callable": function,
    "dcgan": dcgan,
    "ddgan": ddgan,
    "diffusers": diffusers,
    "edm": edm,
    "guided-diffusion": guided_diffusion,
    "improved-diffusion": improved_diffusion,
    "lucidrains": lucidrains,
    "onnx": onnx,
    "state-dict": state_dict,
    "torch-export": torch_export,
}


def choose_format(format: str, options: Mapping[str, Any]) -> Callable[[Path], Imported]:
    """Return the function of a format, with its options checked and bound."""
    read = find_function(FORMATS, format, "format", takes=["path"])
    with place(f"format {format}"):
        return partial(read, **check_arguments(read, options))


def read_checkpoint(format: str, path: str | os.PathLike[str], **options: Any) -> Imported:
    """Read the checkpoint at `path`: a model's description and its weights.

    format: a key of FORMATS, or FILE.py:NAME#HASH of the user's own code
    options: the keyword-only arguments of the format's function
    Raises InputError, naming the file, if it is of another format or needs an option that is not given.
    """
    imported = choose_format(format, options)(Path(path))
    if not isinstance(imported, Imported):  # only the user's own code can
        raise InputError(f"format {format}: returned {type(imported).__name__}, expected genbench.importing.Imported")
    with place(path):
        with torch.device("meta"):
            model = build(imported.model, imported.image_shape)
        try:
            model.load_state_dict(imported.tensors, assign=True)  # a last check that no tensor is missing
        except RuntimeError as error:
            raise InputError(f"the weights do not fit the model: {' '.join(str(error).split())[:500]}") from None
    return imported


def import_checkpoint(
    format: str,
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    source: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Write the weights of `path` to `out` as a genbench model; returns the info written with them.

    source: where `path` was fetched from, for the record
    The other arguments and the errors are those of `read_checkpoint`.
    """
    imported = read_checkpoint(format, path, **options)
    origin = f", from {source}" if source else ""
    info = {
        "model": imported.model,
        "image_shape": imported.image_shape,
        "weights": imported.weights,
        "training": None,
        "step": None,
        "seed": None,
        "data_sha256": None,
        "imported": {
            "format": format,
            "options": options,
            "source": source,
            "files": [{"name": Path(file).name, "sha256": sha256_file(file)} for file in imported.files],
            "note": f"{imported.note}{origin}; how it was trained, and on what, is unknown",
        },
        "provenance": provenance.collect("torch", "numpy", "safetensors", kind="imported"),
    }
    return {**info, "sha256": weights.save_tensors(out, imported.tensors, info)}


def import_pretrained(
    format: str,
    out: str | os.PathLike[str],
    *,
    path: str | os.PathLike[str] | None = None,
    hub: str | None = None,
    data_root: str | os.PathLike[str] = "resources/downloads",
    options: Mapping[str, Any] | None = None,
    record: str | os.PathLike[str] | None = None,
    hand_in: bool = False,
) -> dict[str, Any]:
    """Write a checkpoint on this machine, or one on the model hub, to `out` as a genbench model; returns its info.

    path, hub: one of the two; hub is OWNER/NAME@COMMIT, and its missing files are downloaded into data_root
    options: what the checkpoint does not state
    record: path of a JSON file to write, which states the origin of the weights for the report
    hand_in: write a model that draws nothing and states the reason, instead of raising InputError
    Raises InputError as `import_checkpoint` does, and if a download fails.
    """
    if (path is None) == (hub is None):
        raise InputError(f"path and hub: found {path} and {hub}, expected one of them")
    if hub is not None:
        name, _, revision = hub.partition("@")
        path = pretrained_path({"format": format, "hub": name, "revision": revision}, Path(data_root))
    assert path is not None
    try:
        info = import_checkpoint(format, path, out, source=hub, **(options or {}))
    except InputError as error:
        if not hand_in:
            raise
        info = _write_refused(out, str(error))
    if record:
        keys = ("weights", "imported", "provenance")
        write_json(record, Training(**{key: info[key] for key in keys}, model_sha256=info["sha256"]).content())
    return info


def _write_refused(out: str | os.PathLike[str], reason: str) -> dict[str, Any]:
    """Write a model that draws nothing and states the reason; returns its info."""
    info = {
        "model": {"class": "foreign.Refused", "reason": reason},
        "image_shape": (1, 1, 1),
        "weights": "unknown",
        "imported": {"note": f"not used: {reason}"},
        "provenance": provenance.collect("torch", "numpy", "safetensors", kind="imported"),
    }
    return {**info, "sha256": weights.save_tensors(out, {}, info)}
