"""U-Nets of Hugging Face diffusers, as DDPMPipeline or UNet2DModel saves them.

A pipeline's folder has the network in unet/ and its noise schedule in scheduler/; the oldest published ones have all
files side by side. Only JSON and tensors are read: diffusers itself is not needed. The two classes of configuration
below are the schema of what networks/unet.py can express, with diffusers' names and defaults.
"""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from genbench.errors import InputError, place
from genbench.files.artifacts import read_json
from genbench.files.hub import CONFIG, SCHEDULER, WEIGHTS, choose_weights
from genbench.importing.improved_diffusion import embedded_labels
from genbench.importing.source import Imported, Path, State, check_shapes, given_or_said
from genbench.importing.states import read_content, state_of
from genbench.models import build
from genbench.models.diffusion import Diffusion
from genbench.networks.unet import UNet, sinusoidal_embedding
from genbench.networks.unet_blocks import Block
from genbench.ranges import Count, Side, StepCount
from genbench.schema import check_arguments

PREDICTIONS = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}
SCHEDULERS = (  # those of the discrete variance-preserving process; they differ in how they sample
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)
_OURS = ("DDIMScheduler", "DDPMScheduler")  # those that sample as ours of these names
_USUAL = {  # options of sampling, and their values for what the sampler ddpm does by default
    "variance_type": "fixed_small",
    "clip_sample": True,
    "clip_sample_range": 1,
    "thresholding": False,
    "timestep_spacing": "leading",
    "steps_offset": 0,
    "set_alpha_to_one": True,
}
_PASSED_OVER = {"dynamic_thresholding_ratio", "sample_max_value"}  # beside thresholding
_EXAMPLES = {"timesteps": 1000, "schedule": "linear", "prediction": "eps"}  # the published models'
SPACINGS = {"leading": "leading", "linspace": "diffusers-linspace", "trailing": "diffusers-trailing"}
_EMA = {"decay", "optimization_step"}  # EMAModel.save_pretrained adds these to a network's configuration
_MORE_EMA = {"min_decay", "update_after_step", "use_ema_warmup", "inv_gamma", "power"}  # and these, how it averaged
_BLOCK = {
    "norm1": "norm1",
    "conv1": "conv1",
    "embedding": "time_emb_proj",
    "norm2": "norm2",
    "conv2": "conv2",
    "skip": "conv_shortcut",
}
_LABELS = "class_embedding"
_IDENTITY = (
    "a layer of the module around this network makes its class embedding of the labels; expected the file of that "
    "module's weights, and as label_layer the name that its linear layer for labels of zeros and ones has there"
)
_OLD_ATTENTION = {  # names in files from before 2023, and in the oldest
    "query": "to_q",
    "key": "to_k",
    "value": "to_v",
    "proj_attn": "to_out.0",
    "GroupNorm_0": "group_norm",
    "NIN_0": "to_q",
    "NIN_1": "to_k",
    "NIN_2": "to_v",
    "NIN_3": "to_out.0",
}


# --- Configurations ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class UNet2DConfig:
    """What config.json may say of a UNet2DModel for it to be a UNet of ours."""

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
    num_train_timesteps: int | None = None  # only of a learned embedding of times


@dataclass(frozen=True, kw_only=True)
class SchedulerConfig:
    """What scheduler_config.json says of the process; its other keys are options of sampling."""

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
    """What scheduler_config.json says of how its pipeline samples, as far as our samplers can do the same.

    Of "fixed_large_log" diffusers takes the root of a negative number.
    """

    variance_type: Literal["fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range"] | None = None
    clip_sample: bool = True
    clip_sample_range: float = 1.0
    thresholding: bool = False
    sample_max_value: float = 1.0
    timestep_spacing: Literal["leading", "linspace", "trailing"] = "leading"


Config = TypeVar("Config", UNet2DConfig, SchedulerConfig, SamplingConfig)


def _read_config(kind: type[Config], values: Mapping[str, Any], path: Path) -> Config:
    known = {field.name for field in fields(kind)}
    with place(path):
        return kind(**check_arguments(kind, {k: v for k, v in values.items() if k in known}))


def _unexpressed(path: Path, key: str, found: object, expected: str) -> InputError:
    return InputError(f"{path}: key {key!r}: found {found!r}, expected {expected}")


def _read_json_object(path: Path, classes: Sequence[str]) -> dict[str, Any]:
    """A configuration of one of these classes; the oldest do not say of which they are."""
    values = read_json(path, ours=False)
    if not isinstance(values, dict):
        raise InputError(f"{path}: found {type(values).__name__}, expected a JSON object")
    if (found := values.get("_class_name", classes[0])) not in classes:
        raise _unexpressed(path, "_class_name", found, " or ".join(classes))
    return values


# --- Names of tensors -------------------------------------------------------------------------------------------------


def _block_layers(ours: str, resnet: str, attention: str) -> Iterator[tuple[str, list[str]]]:
    yield from ((f"{ours}.{a}", [f"{resnet}.{b}"]) for a, b in _BLOCK.items())
    yield f"{ours}.attention.norm", [f"{attention}.group_norm"]
    yield f"{ours}.attention.qkv", [f"{attention}.to_{letter}" for letter in "qkv"]
    yield f"{ours}.attention.out", [f"{attention}.to_out.0"]


def _layers(unet: UNet) -> Iterator[tuple[str, list[str]]]:
    """Our layers, in the order of the forward pass, and those of UNet2DModel that each is made of."""
    yield from (("time_mlp.0", ["time_embedding.linear_1"]), ("time_mlp.2", ["time_embedding.linear_2"]))
    yield "conv_in", ["conv_in"]
    for path, blocks in (("down", unet.down), ("middle", unet.middle), ("up", unet.up)):
        level = layer = 0
        for i, module in enumerate(blocks):
            theirs = "mid_block" if path == "middle" else f"{path}_blocks.{level}"
            if isinstance(module, Block):
                yield from _block_layers(f"{path}.{i}", f"{theirs}.resnets.{layer}", f"{theirs}.attentions.{layer}")
                layer += 1
            else:  # each level ends with a change of resolution
                yield f"{path}.{i}.conv", [f"{theirs}.{path}samplers.0.conv"]
                level, layer = level + 1, 0
    yield from (("norm_out", ["conv_norm_out"]), ("conv_out", ["conv_out"]))


def official_names(unet: UNet) -> dict[str, list[str]]:
    """Our parameters, and the tensors of UNet2DModel that each is made of, along its first axis."""
    ours = unet.state_dict()
    return {
        f"{name}.{kind}": [f"{layer}.{kind}" for layer in theirs]
        for name, theirs in _layers(unet)
        for kind in ("weight", "bias")
        if f"{name}.{kind}" in ours
    }


def to_official(unet: UNet) -> State:
    """The state dict of the UNet2DModel that is this network."""
    tensors: State = {}
    ours = unet.state_dict()
    for name, theirs in official_names(unet).items():
        for part, official in zip(ours[name].chunk(len(theirs)), theirs, strict=True):
            # A linear layer in theirs is a 1x1 convolution in ours.
            tensors[official] = part.flatten(1) if ".attentions." in official and part.ndim == 4 else part
    return tensors


def from_official(
    state: Mapping[str, Tensor], unet: UNet, path: Path, what: str, *, label_layer: str | None = None
) -> State:
    """The tensors of a UNet2DModel under our names and in our shapes; InputError where they do not fit `unet`.

    label_layer: the linear layer of a module around it which makes its class embedding of labels of zeros and ones.
    """
    if label_layer is not None:
        state = _without_module(state, label_layer)
    shapes, labels = {name: tuple(value.shape) for name, value in to_official(unet).items()}, unet.label_embedding
    by_time = f"{_LABELS}.linear_1.weight" in state  # class_embed_type "timestep": as times are embedded
    if labels is not None:
        embeds = ["time_embedding.linear_1", "time_embedding.linear_2"] if by_time else []
        shapes |= {
            f"{_LABELS}.{name.removeprefix('time_embedding.')}.{kind}": shapes[f"{name}.{kind}"]
            for name in embeds
            for kind in ("weight", "bias")
        } or {f"{_LABELS}.weight": (labels.in_features, labels.out_features)}
    if labels is not None and label_layer is not None:
        shapes |= {f"{_LABELS}.weight": tuple(labels.weight.shape), f"{_LABELS}.bias": (labels.out_features,)}
    check_shapes(state, shapes, path, what)
    ours = unet.state_dict()
    tensors: State = {}
    if label_layer is not None:
        tensors |= {f"label_embedding.{kind}": state[f"{_LABELS}.{kind}"] for kind in ("weight", "bias")}
    elif labels is not None:
        table = _embedded_as_times(state, unet) if by_time else state[f"{_LABELS}.weight"]
        tensors |= embedded_labels(table)
    for name, theirs in official_names(unet).items():
        tensors[name] = torch.cat([state[official] for official in theirs]).reshape(ours[name].shape)
    return tensors


def _without_module(state: Mapping[str, Tensor], label_layer: str) -> State:
    """The tensors of a UNet2DModel inside another module, and `class_embedding`: that module's layer for labels."""
    layer = {f"{label_layer}.{kind}": f"{_LABELS}.{kind}" for kind in ("weight", "bias")}
    inside = [name for name in state if name not in layer]
    prefix = next((name.removesuffix("conv_in.weight") for name in inside if name.endswith("conv_in.weight")), "")
    found = {layer.get(name, name.removeprefix(prefix)): value for name, value in state.items()}
    if f"{_LABELS}.weight" in found and f"{_LABELS}.bias" not in found:  # a layer without one
        found[f"{_LABELS}.bias"] = torch.zeros(len(found[f"{_LABELS}.weight"]))
    return found


def _embedded_as_times(state: Mapping[str, Tensor], unet: UNet) -> Tensor:
    """A row for each class: what a network adds for it whose classes are embedded as times are."""
    assert unet.label_embedding is not None
    classes = torch.arange(unet.label_embedding.in_features, device="cpu")
    x = sinusoidal_embedding(classes, unet.channels, unet.time_order, unet.frequency_shift)
    for name, last in (("linear_1", False), ("linear_2", True)):
        x = F.linear(x, state[f"{_LABELS}.{name}.weight"], state[f"{_LABELS}.{name}.bias"])
        x = x if last else F.silu(x)
    return x


def renamed(state: Mapping[str, Tensor]) -> State:
    """A state dict with today's names of the layers of attention."""
    tensors: State = {}
    for name, value in state.items():
        block, separator, layer = name.rpartition(".attentions.")
        number, _, rest = layer.partition(".")
        old, _, kind = rest.rpartition(".")
        if separator and old in _OLD_ATTENTION:
            name = f"{block}.attentions.{number}.{_OLD_ATTENTION[old]}.{ {'W': 'weight', 'b': 'bias'}.get(kind, kind) }"
            value = value.T if kind == "W" else value  # a matrix product, its weight the other way round
        tensors[name] = value
    return tensors


# --- Entries ----------------------------------------------------------------------------------------------------------


def _denoiser(config: UNet2DConfig, size: int, path: Path) -> dict[str, Any]:
    """The entry of the network for images of `size` rows."""
    widths, channels = config.block_out_channels, (config.block_out_channels or [0])[0]
    for key in ("down_block_types", "up_block_types"):
        if len(getattr(config, key)) != len(widths):
            raise _unexpressed(path, key, list(getattr(config, key)), f"{len(widths)}, as many as block_out_channels")
    if min(widths, default=0) < 1:
        raise _unexpressed(path, "block_out_channels", list(widths), "positive numbers")
    for key in ("layers_per_block", "norm_num_groups"):
        if getattr(config, key) < 1:
            raise _unexpressed(path, key, getattr(config, key), "a positive number")
    if config.time_embedding_dim not in (None, 4 * channels):
        raise _unexpressed(path, "time_embedding_dim", config.time_embedding_dim, f"{4 * channels} or null")
    if config.mid_block_scale_factor != 1:
        raise _unexpressed(path, "mid_block_scale_factor", config.mid_block_scale_factor, "1")

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
        raise _unexpressed(path, "attn_norm_num_groups", groups, f"{config.norm_num_groups} or null")
    head_dim = config.attention_head_dim
    if head_dim is not None and (head_dim < 1 or any(width % head_dim for width in attended)):
        raise _unexpressed(path, "attention_head_dim", head_dim, f"a divisor of {sorted(attended)}, or null")

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


def _process(config: SchedulerConfig, path: Path) -> dict[str, Any]:
    """Times, schedule and parametrisation, as the entry of a Diffusion has them."""
    T, ends = config.num_train_timesteps, {"beta_start": config.beta_start, "beta_end": config.beta_end}
    schedule: dict[str, Any]
    if T < 1:
        raise _unexpressed(path, "num_train_timesteps", T, "a positive number")
    if config.trained_betas is not None:
        schedule = {"name": "betas", "values": [float(beta) for beta in config.trained_betas]}
        if len(config.trained_betas) != T:
            raise _unexpressed(path, "num_train_timesteps", T, f"{len(config.trained_betas)}, as many as trained_betas")
    elif config.beta_schedule == "squaredcos_cap_v2":
        schedule = {"name": "cosine"}
    else:
        schedule = {"name": config.beta_schedule, **ends}
    return {"timesteps": T, "schedule": schedule, "prediction": PREDICTIONS[config.prediction_type]}


def _learns_variance(config: UNet2DConfig, scheduler: Mapping[str, Any] | None, path: Path) -> bool:
    """Whether half of the network's channels place the variance between its bounds, as OpenAI's do."""
    if config.out_channels == config.in_channels:
        return False
    if config.out_channels != 2 * config.in_channels:
        expected = f"{config.in_channels} as in_channels, or twice as many"
        raise _unexpressed(path, "out_channels", config.out_channels, expected)
    if scheduler is not None and scheduler.get("variance_type") != "learned_range":
        raise InputError(
            f"{path}: key 'out_channels': found {config.out_channels}, twice in_channels, with the scheduler's "
            f"variance_type {scheduler.get('variance_type')!r}; expected 'learned_range'"
        )
    return True


def _sampling(scheduler: Mapping[str, Any], learned: bool, path: Path) -> dict[str, Any]:
    """What a sampler does unless a suite says otherwise, as the pipeline's scheduler does it."""
    config = _read_config(SamplingConfig, scheduler, path)
    entry: dict[str, Any] = {}
    if not learned and config.variance_type in ("learned", "learned_range"):
        raise _unexpressed(path, "variance_type", config.variance_type, "a fixed one: the network has not learned any")
    if not learned and config.variance_type == "fixed_large":
        entry["variance"] = "large"
    if config.thresholding and config.sample_max_value != 1:
        raise _unexpressed(path, "sample_max_value", config.sample_max_value, "1, with which thresholding is clipping")
    if not config.thresholding and not config.clip_sample:
        entry["clip"] = False
    elif not config.thresholding and config.clip_sample_range != 1:
        if config.clip_sample_range <= 0:
            raise _unexpressed(path, "clip_sample_range", config.clip_sample_range, "a positive number")
        entry["clip"] = config.clip_sample_range
    if scheduler.get("_class_name", "DDPMScheduler") in _OURS:
        entry["spacing"] = SPACINGS[config.timestep_spacing]
    return entry


# --- Files ------------------------------------------------------------------------------------------------------------


def find_files(path: Path) -> tuple[pathlib.Path, pathlib.Path, pathlib.Path | None]:
    """The files of weights, of the network's configuration and, where there is one, of the scheduler's."""
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
    """Which weights were taken, how their pipeline samples if not as ddpm does here, and what was passed over."""
    parts = [f"{taken} of {weights.name}" if taken else weights.name]
    said = scheduler or {}
    unusual = [f"{key} {said[key]}" for key, usual in _USUAL.items() if said.get(key, usual) != usual]
    kind = said.get("_class_name", _OURS[0])
    if kind not in _OURS:
        unusual.insert(0, kind)
    if unusual:
        parts.append(f"its pipeline samples with {', '.join(unusual)}")
    known = {field.name for field in fields(SchedulerConfig)} | _USUAL.keys() | _PASSED_OVER
    if kind in _OURS and (unknown := [key for key in said if key not in known and not key.startswith("_")]):
        parts.append(f"unknown keys of its scheduler, which diffusers ignores, too: {', '.join(unknown)}")
    if ignored:
        parts.append(f"unknown keys of its configuration, which diffusers ignores, too: {', '.join(ignored)}")
    return "; ".join(parts)


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
    label_layer: Name, in the file of weights, of the linear layer around the network which makes its class embedding
        from labels of zeros and ones; needed only if class_embed_type is "identity".
    key: The state dict to read, if the file of weights holds several.
    """
    weights, config_path, scheduler_path = find_files(path)
    values = _read_json_object(config_path, ["UNet2DModel"])
    for blocks in ("down_block_types", "up_block_types"):  # an old name of the same blocks
        if isinstance(values.get(blocks), list):
            values[blocks] = [str(kind).removeprefix("UNetRes") for kind in values[blocks]]
    config = _read_config(UNet2DConfig, values, config_path)
    size = given_or_said("image_size", image_size, config.sample_size, config_path, "sample_size is null")
    height, width = sides = [size, size] if isinstance(size, int) else [*size, 0][:2]
    if min(sides) < 1 or (not isinstance(size, int) and len(size) != 2):
        side = "sample_size" if image_size is None else "image_size"
        raise _unexpressed(config_path, side, size, "the side of a square, or height and width")

    scheduler: dict[str, Any] | None = None
    process: dict[str, Any] = {"timesteps": None, "schedule": None, "prediction": None}
    if scheduler_path is not None:
        scheduler = _read_json_object(scheduler_path, SCHEDULERS)
        process = _process(_read_config(SchedulerConfig, scheduler, scheduler_path), scheduler_path)
    options = {"timesteps": timesteps, "schedule": schedule, "prediction": prediction}
    entry: dict[str, Any] = {"class": "diffusion.Diffusion"}
    if missing := [name for name, value in options.items() if value is None and process[name] is None]:
        raise InputError(
            f"{weights}: does not say {', '.join(missing)} (found no {SCHEDULER}); expected them as options, such as "
            + ", ".join(f"{name}: {_EXAMPLES[name]}" for name in missing)
        )
    for name, value in options.items():
        entry[name] = given_or_said(name, value, process[name], scheduler_path or weights, f"found no {SCHEDULER}")
    if learned := _learns_variance(config, scheduler, config_path):
        entry |= {"learned_variance": True, "loss": "hybrid"}
    entry |= _sampling(scheduler or {}, learned, scheduler_path or weights)
    if config.class_embed_type or config.num_class_embeds is not None:
        why = "num_class_embeds is null"
        entry["num_classes"] = given_or_said("num_classes", num_classes, config.num_class_embeds, config_path, why)
    identity = config.class_embed_type == "identity"
    if identity and label_layer is None:
        raise InputError(
            f"{config_path}: key 'class_embed_type': found 'identity', and no option label_layer: {_IDENTITY}"
        )
    if label_layer is not None and not identity:
        raise InputError(
            f"{config_path}: option label_layer: found {label_layer!r} beside class_embed_type "
            f"{config.class_embed_type!r}; expected 'identity', or no such option"
        )
    if not config.class_embed_type and config.num_class_embeds is None and num_classes is not None:
        raise InputError(f"{config_path}: option num_classes: found {num_classes}, but this network has no classes")
    entry["denoiser"] = _denoiser(config, height, config_path)

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
