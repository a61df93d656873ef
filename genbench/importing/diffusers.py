"""U-Nets of Hugging Face diffusers, as DDPMPipeline or UNet2DModel saves them.

A pipeline's folder has the network in unet/ and its noise schedule in scheduler/. The oldest published ones have all
files in one folder. Only JSON and tensors are read: diffusers itself is not needed.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal

import torch

from genbench.errors import InputError, place
from genbench.files.hub import CONFIG, SCHEDULER, WEIGHTS, choose_weights
from genbench.importing.diffusers_config import (
    OURS,
    SCHEDULERS,
    SchedulerConfig,
    UNet2DConfig,
    denoiser_entry,
    learns_variance,
    process_entry,
    read_config,
    read_object,
    sampling_entry,
    unexpressed,
)
from genbench.importing.diffusers_names import from_official, renamed
from genbench.importing.source import Imported, Path, given_or_said
from genbench.importing.states import read_content, state_of
from genbench.models import build
from genbench.models.diffusion import Diffusion
from genbench.ranges import Count, Side, StepCount

_USUAL = {  # sampling options whose values match the defaults of our sampler ddpm
    "variance_type": "fixed_small",
    "clip_sample": True,
    "clip_sample_range": 1,
    "thresholding": False,
    "timestep_spacing": "leading",
    "steps_offset": 0,
    "set_alpha_to_one": True,
}
_PASSED_OVER = {"dynamic_thresholding_ratio", "sample_max_value"}  # known keys that only matter with thresholding
_EXAMPLES = {"timesteps": 1000, "schedule": "linear", "prediction": "eps"}  # of the published models
_EMA = {"decay", "optimization_step"}  # EMAModel.save_pretrained adds these to a network's configuration
_MORE_EMA = {"min_decay", "update_after_step", "use_ema_warmup", "inv_gamma", "power"}  # and these, on how it averaged
_IDENTITY = (
    "a layer of the module around this network makes its class embedding of the labels; expected the file of that "
    "module's weights, and as label_layer the name that its linear layer for labels of zeros and ones has there"
)


def find_files(path: Path) -> tuple[pathlib.Path, pathlib.Path, pathlib.Path | None]:
    """Find the files of the weights, the network's configuration and, if there is one, the scheduler's."""
    given = pathlib.Path(path)
    if not given.exists():
        raise InputError(f"{path}: no such file or folder")
    if given.is_dir():
        folder = given / "unet" if (given / "unet").is_dir() else given
        names = sorted(file.name for file in folder.iterdir())
        if (chosen := choose_weights(names, folder)) is None:
            found = f" among {', '.join(names[:8])}" if names else ""
            raise InputError(f"{folder}: found no weights{found}, expected {' or '.join(WEIGHTS)}")
        weights = folder / chosen
    else:
        folder, weights = given.parent, given
    schedulers = [folder / SCHEDULER, folder / "scheduler" / SCHEDULER, folder.parent / "scheduler" / SCHEDULER]
    return weights, folder / CONFIG, next((file for file in schedulers if file.exists()), None)


def _note(weights: pathlib.Path, taken: str, scheduler: Mapping[str, Any] | None, ignored: Sequence[str]) -> str:
    """State which weights were taken, how their pipeline samples if not like ddpm here, and which keys were ignored."""
    parts = [f"{taken} of {weights.name}" if taken else weights.name]
    said = scheduler or {}
    unusual = [f"{key} {said[key]}" for key, usual in _USUAL.items() if said.get(key, usual) != usual]
    kind = said.get("_class_name", OURS[0])
    if kind not in OURS:
        unusual.insert(0, kind)
    if unusual:
        parts.append(f"its pipeline samples with {', '.join(unusual)}")
    known = {field.name for field in fields(SchedulerConfig)} | _USUAL.keys() | _PASSED_OVER
    if kind in OURS and (unknown := [key for key in said if key not in known and not key.startswith("_")]):
        parts.append(f"unknown keys of its scheduler, which diffusers ignores, too: {', '.join(unknown)}")
    if ignored:
        parts.append(f"unknown keys of its configuration, which diffusers ignores, too: {', '.join(ignored)}")
    return "; ".join(parts)


def _classes(config: UNet2DConfig, num_classes: int | None, label_layer: str | None, path: Path) -> dict[str, Any]:
    """Return the entry's key for the number of classes. Raises InputError for options that do not fit."""
    entry: dict[str, Any] = {}
    if config.class_embed_type or config.num_class_embeds is not None:
        why = "num_class_embeds is null"
        entry["num_classes"] = given_or_said("num_classes", num_classes, config.num_class_embeds, path, why)
    identity = config.class_embed_type == "identity"
    if identity and label_layer is None:
        raise InputError(f"{path}: key 'class_embed_type': found 'identity', and no option label_layer: {_IDENTITY}")
    if label_layer is not None and not identity:
        raise InputError(
            f"{path}: option label_layer: found {label_layer!r} beside class_embed_type "
            f"{config.class_embed_type!r}; expected 'identity', or no such option"
        )
    if not config.class_embed_type and config.num_class_embeds is None and num_classes is not None:
        raise InputError(f"{path}: option num_classes: found {num_classes}, but this network has no classes")
    return entry


def diffusers(
    path: Path,
    *,
    timesteps: StepCount | None = None,
    schedule: str | Mapping[str, Any] | None = None,
    prediction: Literal["eps", "v", "x0"] | None = None,
    image_size: Side | Sequence[Side] | None = None,
    num_classes: Count | None = None,
    label_layer: str | None = None,
    key: str | None = None,
) -> Imported:
    """A pipeline's folder, a network's folder, or a file of weights with config.json beside it.

    timesteps: T, needed only if there is no scheduler's configuration.
    schedule: The same as in an entry of Diffusion; needed only if there is no scheduler's configuration.
    prediction: The same as in an entry of Diffusion; needed only if there is no scheduler's configuration.
    image_size: Side of the images, or height and width, needed only if the network's configuration does not state
        sample_size.
    num_classes: How many classes there are, needed only if num_class_embeds is null and classes are embedded like times
        (class_embed_type "timestep") or by a layer around the network ("identity").
    label_layer: Name, in the file of weights, of the linear layer around the network that embeds labels of zeros and
        ones; needed only if class_embed_type is "identity".
    key: The state dict to read, if the file of weights holds several.
    """
    weights, config_path, scheduler_path = find_files(path)
    values = read_object(config_path, ["UNet2DModel"])
    for blocks in ("down_block_types", "up_block_types"):  # older files name the same blocks UNetRes...
        if isinstance(values.get(blocks), list):
            values[blocks] = [str(kind).removeprefix("UNetRes") for kind in values[blocks]]
    config = read_config(UNet2DConfig, values, config_path)
    size = given_or_said("image_size", image_size, config.sample_size, config_path, "sample_size is null")
    height, width = sides = [size, size] if isinstance(size, int) else [*size, 0][:2]
    if min(sides) < 1 or (not isinstance(size, int) and len(size) != 2):
        side = "sample_size" if image_size is None else "image_size"
        raise unexpressed(config_path, side, size, "the side of a square, or height and width")

    scheduler: dict[str, Any] | None = None
    process: dict[str, Any] = {"timesteps": None, "schedule": None, "prediction": None}
    if scheduler_path is not None:
        scheduler = read_object(scheduler_path, SCHEDULERS)
        process = process_entry(read_config(SchedulerConfig, scheduler, scheduler_path), scheduler_path)
    options = {"timesteps": timesteps, "schedule": schedule, "prediction": prediction}
    entry: dict[str, Any] = {"class": "diffusion.Diffusion"}
    if missing := [name for name, value in options.items() if value is None and process[name] is None]:
        raise InputError(
            f"{weights}: does not say {', '.join(missing)} (found no {SCHEDULER}); expected them as options, such as "
            + ", ".join(f"{name}: {_EXAMPLES[name]}" for name in missing)
        )
    for name, value in options.items():
        entry[name] = given_or_said(name, value, process[name], scheduler_path or weights, f"found no {SCHEDULER}")
    if learned := learns_variance(config, scheduler, config_path):
        entry |= {"learned_variance": True, "loss": "hybrid"}
    entry |= sampling_entry(scheduler or {}, learned, scheduler_path or weights)
    entry |= _classes(config, num_classes, label_layer, config_path)
    entry["denoiser"] = denoiser_entry(config, height, config_path)

    image_shape = (config.in_channels, height, width)
    with place(config_path), torch.device("meta"):
        model = build(entry, image_shape)
    assert isinstance(model, Diffusion)
    content, weight_files = read_content(weights)
    state, taken = state_of(content, weights, key)
    what = f"the UNet2DModel of {config_path.name}"
    found = from_official(renamed(state), model.denoiser, weights, what, label_layer=label_layer)
    tensors = {f"denoiser.{name}": value for name, value in found.items()}
    files: list[str | os.PathLike[str]] = [*weight_files, config_path, *([scheduler_path] if scheduler_path else [])]
    known = {field.name for field in fields(UNet2DConfig)}
    ignored = [key for key in values if key not in known and not key.startswith("_") and key not in _EMA | _MORE_EMA]
    kind = "ema" if values.keys() >= _EMA else "unknown"
    return Imported(entry, image_shape, tensors, files, kind, _note(weights, taken, scheduler, ignored))
