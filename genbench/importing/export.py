"""Export our models as files of other projects."""

import inspect
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from genbench.errors import InputError, place, unknown_name
from genbench.files.artifacts import atomic_path
from genbench.files.hub import CONFIG, SCHEDULER, WEIGHTS
from genbench.importing.diffusers_config import PREDICTIONS, SPACINGS
from genbench.importing.diffusers_names import to_official
from genbench.importing.nvlabs_edm import network_arguments
from genbench.importing.nvlabs_edm import to_official as to_nvlabs
from genbench.models import Model
from genbench.models.diffusion import Diffusion
from genbench.models.edm import EDM
from genbench.networks.songunet import SongUNet
from genbench.networks.unet import UNet, attention_sides
from genbench.sampling.checkpoint import load_model

EDM_PRECOND = "NVlabs' EDMPrecond"


def _with_defaults(kind: type, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry's arguments, with the defaults of those that it leaves out."""
    parameters = inspect.signature(kind).parameters.items()
    return {name: p.default for name, p in parameters if p.default is not p.empty} | dict(entry)


def _inexpressible(key: str, found: object, expected: str, who: str = "diffusers") -> InputError:
    return InputError(f"key {key!r}: found {found!r}, which {who} cannot express; expected {expected}")


def _head_dim(options: Mapping[str, Any], attended: set[int]) -> int | None:
    """Return attention_head_dim for levels of these widths: diffusers states the width of a head, not the number."""
    if options["head_channels"]:
        return int(options["head_channels"])
    if options["num_heads"] == 1 or not attended:
        return None
    if len(attended) > 1:
        expected = f"1, or head_channels: attention has widths {', '.join(map(str, sorted(attended)))}"
        raise _inexpressible("num_heads", options["num_heads"], expected)
    return min(attended) // int(options["num_heads"])


def unet_config(unet: UNet, entry: Mapping[str, Any], image_shape: tuple[int, int, int]) -> dict[str, Any]:
    """Return config.json of this network as a UNet2DModel; entry: the network's entry in a suite."""
    options = _with_defaults(UNet, entry)
    if options["patch_size"] != 1:
        raise _inexpressible("patch_size", options["patch_size"], "1")
    if options["resample"] != "conv":
        raise _inexpressible("resample", options["resample"], "conv")
    channels, size = options["channels"], image_shape[1]
    widths = [round(channels * mult) for mult in options["channel_mult"]]
    if widths[0] != channels:
        raise _inexpressible("channel_mult", list(options["channel_mult"]), "1 as the first")
    sides = [size >> level for level in range(len(widths))]
    attending = attention_sides(options["attention_resolutions"], sides)
    down = [side in attending for side in sides]
    up = down
    if options["up_attention_resolutions"] is not None:
        up = [side in options["up_attention_resolutions"] for side in sides]
    if options["up_num_heads"] not in (None, options["num_heads"]):
        raise _inexpressible("up_num_heads", options["up_num_heads"], f"{options['num_heads']}, as num_heads")
    middle, scale_shift = options["middle_attention"], options["scale_shift_norm"]
    if middle == "bare" and not scale_shift:
        raise _inexpressible("middle_attention", middle, "another without scale_shift_norm")
    attended = {width for width, *there in zip(widths, down, up, strict=True) if any(there)}
    order = options["time_embedding"]
    shift = options["frequency_shift"]
    return {
        "_class_name": "UNet2DModel",
        "sample_size": size if image_shape[2] == size else list(image_shape[1:]),
        "in_channels": image_shape[0],
        "out_channels": unet.conv_out.out_channels,
        "center_input_sample": False,
        "time_embedding_type": "positional",
        "freq_shift": (1 if order == "sin-cos" else 0) if shift is None else shift,
        "flip_sin_to_cos": order == "cos-sin",
        "down_block_types": ["AttnDownBlock2D" if there else "DownBlock2D" for there in down],
        "mid_block_type": "UNetMidBlock2D",
        "up_block_types": ["AttnUpBlock2D" if there else "UpBlock2D" for there in reversed(up)],
        "block_out_channels": widths,
        "layers_per_block": options["num_res_blocks"],
        "mid_block_scale_factor": 1,
        "downsample_padding": 1 if options["downsample_padding"] == "symmetric" else 0,
        "downsample_type": "conv",
        "upsample_type": "conv",
        "dropout": options["dropout"],
        "act_fn": "silu",
        "attention_head_dim": _head_dim(options, attended | ({widths[-1]} if middle != "none" else set())),
        "norm_num_groups": options["norm_groups"],
        # With scale_shift, diffusers leaves this normalisation out unless its groups are given.
        "attn_norm_num_groups": options["norm_groups"] if scale_shift and middle == "normed" else None,
        "norm_eps": options["norm_eps"],
        "resnet_time_scale_shift": "scale_shift" if scale_shift else "default",
        "add_attention": middle != "none",
    }


def scheduler_config(model: Diffusion, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return scheduler_config.json of a DDPMScheduler that samples like our method ddpm with its defaults."""
    given = _with_defaults(Diffusion, entry)["schedule"]
    schedule = {"name": given} if isinstance(given, str) else dict(given)
    config: dict[str, Any] = {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": model.schedule.T,
        "trained_betas": None,
        "prediction_type": {ours: theirs for theirs, ours in PREDICTIONS.items()}[model.prediction],
        "variance_type": {"learned": "learned_range", "small": "fixed_small", "large": "fixed_large"}[model.variance],
        "clip_sample": bool(model.clip),
        "clip_sample_range": float(model.clip or 1),
        "thresholding": False,
        "timestep_spacing": {ours: theirs for theirs, ours in SPACINGS.items()}.get(model.spacing, "leading"),
        "steps_offset": 0,
        "rescale_betas_zero_snr": False,
    }
    ends = {key: schedule.get(key, default) for key, default in (("beta_start", 1e-4), ("beta_end", 0.02))}
    if schedule["name"] in ("linear", "scaled_linear", "sigmoid"):
        return config | ends | {"beta_schedule": schedule["name"]}
    if (
        schedule["name"] == "cosine"
        and schedule.get("offset", 0.008) == 0.008
        and schedule.get("max_beta", 0.999) == 0.999
    ):
        return config | ends | {"beta_schedule": "squaredcos_cap_v2"}
    abar = model.schedule.alphas_cumprod
    values = schedule["values"] if schedule["name"] == "betas" else (1 - abar[1:] / abar[:-1]).tolist()
    return config | ends | {"beta_schedule": "linear", "trained_betas": list(values)}


def _write_config(path: Path, config: Mapping[str, Any]) -> None:
    """Write a configuration without the hash of our records, since diffusers warns about every unknown key."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(config, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def diffusers(model: Model, info: Mapping[str, Any], folder: Path) -> None:
    """Write a folder for diffusers' DDPMPipeline.from_pretrained, which draws what method ddpm draws here.

    Raises InputError, naming the key, for a model that diffusers cannot express.
    """
    entry = info["model"]
    plain = isinstance(model, Diffusion) and model.first_stage is None
    if not isinstance(model, Diffusion) or not plain or not isinstance(model.denoiser, UNet):
        network = entry["denoiser"]["class"] if plain else entry["class"]
        raise _inexpressible("class", network, "diffusion.Diffusion with a denoiser unet.UNet")
    if model.num_classes:
        raise _inexpressible("num_classes", model.num_classes, "0: its pipelines of this kind have no labels")
    if model.data_scale != 1:
        raise _inexpressible("data_scale", model.data_scale, "1")
    # With T = 1000, rescaling leaves the index 0 .. 999 unchanged.
    if model.time_input != "index" and not (model.time_input == "rescaled" and model.schedule.T == 1000):
        raise _inexpressible("time_input", model.time_input, "'index'")
    config = unet_config(model.denoiser, entry["denoiser"], tuple(info["image_shape"]))
    scheduler = scheduler_config(model, entry)
    with atomic_path(folder / "unet" / WEIGHTS[0]) as temporary:
        tensors = {name: value.contiguous().clone() for name, value in to_official(model.denoiser).items()}
        save_file(tensors, temporary, {"format": "pt"})
    _write_config(folder / "unet" / CONFIG, config)
    _write_config(folder / "scheduler" / SCHEDULER, scheduler)
    parts = {"scheduler": ["diffusers", "DDPMScheduler"], "unet": ["diffusers", "UNet2DModel"]}
    _write_config(folder / "model_index.json", {"_class_name": "DDPMPipeline", **parts})


def edm(model: Model, info: Mapping[str, Any], path: Path) -> None:
    """Write a safetensors file with the tensors and arguments of NVlabs/edm's EDMPrecond, as format edm reads it.

    Raises InputError, naming the key, for a model that EDMPrecond cannot express.
    """
    entry, (channels, side, width) = info["model"], info["image_shape"]
    if not isinstance(model, EDM) or not isinstance(model.denoiser, SongUNet):
        network = entry["denoiser"]["class"] if isinstance(model, EDM) else entry["class"]
        raise _inexpressible("class", network, "edm.EDM with a denoiser songunet.SongUNet", EDM_PRECOND)
    options = _with_defaults(SongUNet, entry["denoiser"])
    if options["patch_size"] != 1:
        raise _inexpressible("patch_size", options["patch_size"], "1", EDM_PRECOND)
    if width != side:
        raise _inexpressible("image_shape", [channels, side, width], "squares", EDM_PRECOND)
    arguments = {
        "img_resolution": side,
        "img_channels": channels,
        "label_dim": model.num_classes,
        "augment_dim": model.denoiser.augment_embedding.in_features if model.denoiser.augment_embedding else 0,
        "sigma_data": model.sigma_data,
        **network_arguments(options),
    }
    about = {"class": "EDMPrecond", "arguments": arguments}
    tensors = {f"model.{name}": value for name, value in to_nvlabs(model.denoiser, side).items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"edm": json.dumps(about)})


FORMATS: dict[str, Callable[[Model, Mapping[str, Any], Path], None]] = {"diffusers": diffusers, "edm": edm}


def export_checkpoint(format: str, path: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Write the model of `path`, a model.safetensors or a snapshot of genbench, to `out` in another project's format.

    format: a key of FORMATS
    Raises InputError, naming the file, for a model that the format cannot express.
    """
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    model, info = load_model(path)
    with place(path):
        FORMATS[format](model, info, Path(out))
