"""Turn diffusers' configurations of a network, its process and its sampling into an entry of a suite.

The classes below are the schema of what networks/unet.py can express, with diffusers' names and defaults.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from genbench.errors import InputError, place
from genbench.files.artifacts import read_json
from genbench.importing.source import Path
from genbench.schema import check_arguments

PREDICTIONS = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}
SCHEDULERS = (  # all of the discrete variance-preserving process; they differ in how they sample
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)
OURS = ("DDIMScheduler", "DDPMScheduler")  # they sample like our samplers of the same names
SPACINGS = {"leading": "leading", "linspace": "diffusers-linspace", "trailing": "diffusers-trailing"}


@dataclass(frozen=True, kw_only=True)
class UNet2DConfig:
    """The values that config.json of a UNet2DModel may have if our UNet is to express it."""

    sample_size: int | Sequence[int] | None = None
    in_channels: int = 3
    out_channels: int = 3
    center_input_sample: Literal[False] = False
    time_embedding_type: Literal["positional"] = "positional"
    time_embedding_dim: int | None = None
    freq_shift: float = 0
    flip_sin_to_cos: bool = True
    down_block_types: Sequence[Literal["DownBlock2D", "AttnDownBlock2D"]] = (
        "DownBlock2D",
        "AttnDownBlock2D",
        "AttnDownBlock2D",
        "AttnDownBlock2D",
    )
    mid_block_type: Literal["UNetMidBlock2D"] = "UNetMidBlock2D"
    up_block_types: Sequence[Literal["UpBlock2D", "AttnUpBlock2D"]] = (
        "AttnUpBlock2D",
        "AttnUpBlock2D",
        "AttnUpBlock2D",
        "UpBlock2D",
    )
    block_out_channels: Sequence[int] = (224, 448, 672, 896)
    layers_per_block: int = 2
    mid_block_scale_factor: float = 1
    downsample_padding: Literal[0, 1] = 1
    downsample_type: Literal["conv"] = "conv"
    upsample_type: Literal["conv"] = "conv"
    dropout: float = 0.0
    act_fn: Literal["silu", "swish"] = "silu"
    attention_head_dim: int | None = 8
    norm_num_groups: int = 32
    attn_norm_num_groups: int | None = None
    norm_eps: float = 1e-5
    resnet_time_scale_shift: Literal["default", "scale_shift"] = "default"
    add_attention: bool = True
    class_embed_type: Literal["timestep", "identity"] | None = None
    num_class_embeds: int | None = None
    num_train_timesteps: int | None = None  # used only by a learned embedding of times


@dataclass(frozen=True, kw_only=True)
class SchedulerConfig:
    """The keys of scheduler_config.json that describe the process; the others are sampling options."""

    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    beta_schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"] = "linear"
    trained_betas: Sequence[float] | None = None
    prediction_type: Literal["epsilon", "v_prediction", "sample"] = "epsilon"
    predict_epsilon: Literal[True] | None = True  # an older prediction_type
    rescale_betas_zero_snr: Literal[False] = False


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """The sampling options of scheduler_config.json that our samplers can follow.

    "fixed_large_log" is missing because diffusers takes the root of a negative number for it.
    """

    variance_type: Literal["fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range"] | None = None
    clip_sample: bool = True
    clip_sample_range: float = 1.0
    thresholding: bool = False
    sample_max_value: float = 1.0
    timestep_spacing: Literal["leading", "linspace", "trailing"] = "leading"


Config = TypeVar("Config", UNet2DConfig, SchedulerConfig, SamplingConfig)


def read_config(kind: type[Config], values: Mapping[str, Any], path: Path) -> Config:
    known = {field.name for field in fields(kind)}
    with place(path):
        return kind(**check_arguments(kind, {k: v for k, v in values.items() if k in known}))


def unexpressed(path: Path, key: str, found: object, expected: str) -> InputError:
    return InputError(f"{path}: key {key!r}: found {found!r}, expected {expected}")


def read_object(path: Path, classes: Sequence[str]) -> dict[str, Any]:
    """Read a configuration of one of these classes. The oldest files do not name their class: it is then the first."""
    values = read_json(path, ours=False)
    if not isinstance(values, dict):
        raise InputError(f"{path}: found {type(values).__name__}, expected a JSON object")
    if (found := values.get("_class_name", classes[0])) not in classes:
        raise unexpressed(path, "_class_name", found, " or ".join(classes))
    return values


def denoiser_entry(config: UNet2DConfig, size: int, path: Path) -> dict[str, Any]:
    """Return the network's entry for images of `size` rows."""
    widths, channels = config.block_out_channels, (config.block_out_channels or [0])[0]
    for key in ("down_block_types", "up_block_types"):
        if len(getattr(config, key)) != len(widths):
            raise unexpressed(path, key, list(getattr(config, key)), f"{len(widths)}, as many as block_out_channels")
    if min(widths, default=0) < 1:
        raise unexpressed(path, "block_out_channels", list(widths), "positive numbers")
    for key in ("layers_per_block", "norm_num_groups"):
        if getattr(config, key) < 1:
            raise unexpressed(path, key, getattr(config, key), "a positive number")
    if config.time_embedding_dim not in (None, 4 * channels):
        raise unexpressed(path, "time_embedding_dim", config.time_embedding_dim, f"{4 * channels} or null")
    if config.mid_block_scale_factor != 1:
        raise unexpressed(path, "mid_block_scale_factor", config.mid_block_scale_factor, "1")

    down = [kind == "AttnDownBlock2D" for kind in config.down_block_types]
    up = [kind == "AttnUpBlock2D" for kind in reversed(config.up_block_types)]
    attended = {width for width, *there in zip(widths, down, up, strict=True) if any(there)}
    attended |= {widths[-1]} if config.add_attention else set()
    scale_shift, groups = config.resnet_time_scale_shift == "scale_shift", config.attn_norm_num_groups
    if not config.add_attention:
        middle = "none"
    elif groups is None and scale_shift:
        middle = "bare"
    elif groups in (None, config.norm_num_groups):
        middle = "normed"
    else:
        raise unexpressed(path, "attn_norm_num_groups", groups, f"{config.norm_num_groups} or null")
    head_dim = config.attention_head_dim
    if head_dim is not None and (head_dim < 1 or any(width % head_dim for width in attended)):
        raise unexpressed(path, "attention_head_dim", head_dim, f"a divisor of {sorted(attended)}, or null")

    order, shift = ("cos-sin", 0) if config.flip_sin_to_cos else ("sin-cos", 1)
    resolutions = [size >> level for level in range(len(widths))]
    entry: dict[str, Any] = {
        "class": "unet.UNet",
        "channels": channels,
        "channel_mult": [width // channels if width % channels == 0 else width / channels for width in widths],
        "num_res_blocks": config.layers_per_block,
        "attention_resolutions": [side for side, there in zip(resolutions, down, strict=True) if there],
    }
    if up != down:
        entry["up_attention_resolutions"] = [side for side, there in zip(resolutions, up, strict=True) if there]
    if middle != "normed":
        entry["middle_attention"] = middle
    entry |= {
        **({"num_heads": 1} if head_dim is None else {"head_channels": head_dim}),
        "dropout": config.dropout,
        "norm_groups": config.norm_num_groups,
        "norm_eps": config.norm_eps,
        "scale_shift_norm": scale_shift,
        "downsample_padding": "symmetric" if config.downsample_padding else "asymmetric",
        "time_embedding": order,
    }
    return entry if config.freq_shift == shift else entry | {"frequency_shift": config.freq_shift}


def process_entry(config: SchedulerConfig, path: Path) -> dict[str, Any]:
    """Return the number of times, the schedule and the prediction as keys of a Diffusion's entry."""
    T, ends = config.num_train_timesteps, {"beta_start": config.beta_start, "beta_end": config.beta_end}
    schedule: dict[str, Any]
    if T < 1:
        raise unexpressed(path, "num_train_timesteps", T, "a positive number")
    if config.trained_betas is not None:
        schedule = {"name": "betas", "values": [float(beta) for beta in config.trained_betas]}
        if len(config.trained_betas) != T:
            raise unexpressed(path, "num_train_timesteps", T, f"{len(config.trained_betas)}, as many as trained_betas")
    elif config.beta_schedule == "squaredcos_cap_v2":
        schedule = {"name": "cosine"}
    else:
        schedule = {"name": config.beta_schedule, **ends}
    return {"timesteps": T, "schedule": schedule, "prediction": PREDICTIONS[config.prediction_type]}


def learns_variance(config: UNet2DConfig, scheduler: Mapping[str, Any] | None, path: Path) -> bool:
    """Whether half of the output channels interpolate the variance between its bounds, as in OpenAI's networks."""
    if config.out_channels == config.in_channels:
        return False
    if config.out_channels != 2 * config.in_channels:
        expected = f"{config.in_channels} as in_channels, or twice as many"
        raise unexpressed(path, "out_channels", config.out_channels, expected)
    if scheduler is not None and scheduler.get("variance_type") != "learned_range":
        raise InputError(
            f"{path}: key 'out_channels': found {config.out_channels}, twice in_channels, with the scheduler's "
            f"variance_type {scheduler.get('variance_type')!r}; expected 'learned_range'"
        )
    return True


def sampling_entry(scheduler: Mapping[str, Any], learned: bool, path: Path) -> dict[str, Any]:
    """Return the samplers' defaults in a Diffusion's entry, so that they follow the pipeline's scheduler."""
    config = read_config(SamplingConfig, scheduler, path)
    entry: dict[str, Any] = {}
    if not learned and config.variance_type in ("learned", "learned_range"):
        raise unexpressed(path, "variance_type", config.variance_type, "a fixed one: the network has not learned any")
    if not learned and config.variance_type == "fixed_large":
        entry["variance"] = "large"
    if config.thresholding and config.sample_max_value != 1:
        raise unexpressed(path, "sample_max_value", config.sample_max_value, "1, with which thresholding is clipping")
    if not config.thresholding and not config.clip_sample:
        entry["clip"] = False
    elif not config.thresholding and config.clip_sample_range != 1:
        if config.clip_sample_range <= 0:
            raise unexpressed(path, "clip_sample_range", config.clip_sample_range, "a positive number")
        entry["clip"] = config.clip_sample_range
    if scheduler.get("_class_name", "DDPMScheduler") in OURS:
        entry["spacing"] = SPACINGS[config.timestep_spacing]
    return entry
