"""U-Nets of OpenAI's improved diffusion (Nichol & Dhariwal 2021, arXiv 2102.09672), as their training saves them.

A file is a state dict. The network follows from its names and shapes. The command line's options for the process are
not in it. Their attention stores q, k and v head by head; ours stores q of all heads, then k, then v.
"""

import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from genbench.errors import InputError, option, place
from genbench.importing.source import Imported, Path, State, check_shapes
from genbench.importing.states import read_content, state_of
from genbench.models import build
from genbench.models.diffusion import Diffusion
from genbench.networks.unet import UNet
from genbench.networks.unet_blocks import Attention, Block, Downsample, UpBlock
from genbench.ranges import Count, Side, StepCount

_BLOCK = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "embedding": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "skip": "skip_connection",
}
_RESAMPLING = r"output_blocks\.\d+\.[12]\.in_layers\.0\.weight"  # blocks that change the resolution
_ATTENTION = {"norm": "norm", "qkv": "qkv", "out": "proj_out"}
LABELS = "label_emb.weight"


def embedded_labels(table: Tensor) -> State:
    """Return a UNet's layer for labels that adds row y of a table (classes, width) for class y."""
    return {"label_embedding.weight": table.T.contiguous(), "label_embedding.bias": torch.zeros(table.shape[1])}


def _layers(unet: UNet) -> Iterator[tuple[str, str]]:
    """Yield (our name, the authors' name) of every layer."""

    def block(ours: str, residual: str, attention: str) -> Iterator[tuple[str, str]]:
        yield from ((f"{ours}.{a}", f"{residual}.{b}") for a, b in _BLOCK.items())
        yield from ((f"{ours}.attention.{a}", f"{attention}.{b}") for a, b in _ATTENTION.items())

    yield from (("time_mlp.0", "time_embed.0"), ("time_mlp.2", "time_embed.2"), ("conv_in", "input_blocks.0.0"))
    for i, module in enumerate(unet.down):
        theirs = f"input_blocks.{i + 1}"
        if isinstance(module, Downsample):
            yield f"down.{i}.conv", f"{theirs}.0.op"
        else:
            yield from block(f"down.{i}", f"{theirs}.0", f"{theirs}.1")
    yield from block("middle.0", "middle_block.0", "middle_block.1")
    yield from block("middle.1", "middle_block.2", "")
    number, place = -1, 0
    for i, module in enumerate(unet.up):
        if isinstance(module, UpBlock):  # guided diffusion only: the last part of the block before it
            yield from block(f"up.{i}", f"output_blocks.{number}.{place}", "")
        elif isinstance(module, Block):
            number, place = number + 1, 2 if isinstance(module.attention, Attention) else 1
            yield from block(f"up.{i}", f"output_blocks.{number}.0", f"output_blocks.{number}.1")
        else:
            yield f"up.{i}.conv", f"output_blocks.{number}.{place}.conv"
    yield from (("norm_out", "out.0"), ("conv_out", "out.2"))


def official_names(unet: UNet) -> dict[str, str]:
    """Map the names of our parameters to the authors' names."""
    ours = unet.state_dict()
    return {
        f"{name}.{kind}": f"{theirs}.{kind}"
        for name, theirs in _layers(unet)
        for kind in ("weight", "bias")
        if f"{name}.{kind}" in ours
    }


def official_shapes(unet: UNet) -> dict[str, tuple[int, ...]]:
    """Return the authors' names and shapes. Their attention has one-dimensional convolutions."""
    ours = unet.state_dict()
    shapes = {
        theirs: tuple(ours[name].shape[: 3 if ".attention." in name else 4])
        for name, theirs in official_names(unet).items()
    }
    if unet.label_embedding is not None:  # one row per class
        shapes[LABELS] = tuple(unet.label_embedding.weight.T.shape)
    return shapes


def from_official(
    state: Mapping[str, Tensor], unet: UNet, path: Path, *, heads_first: bool = True, who: str = "improved"
) -> State:
    """Return the authors' tensors under our names and in our order; InputError if they do not fit `unet`.

    heads_first: whether q, k and v of one head are stored together
    who: improved or guided, for the error
    """
    check_shapes(state, official_shapes(unet), path, f"a U-Net of {who} diffusion with as many blocks")
    ours = unet.state_dict()
    tensors: State = {}
    if unet.label_embedding is not None:
        tensors |= embedded_labels(state[LABELS])
    for name, theirs in official_names(unet).items():
        value = state[theirs]
        layer, separator, _ = name.partition(".qkv.")
        if separator and heads_first:  # (heads, 3, C / heads) to (3, heads, C / heads)
            attention = unet.get_submodule(layer)
            assert isinstance(attention, Attention)
            value = value.unflatten(0, (attention.num_heads, 3, -1)).transpose(0, 1)
        tensors[name] = value.reshape(ours[name].shape)
    return tensors


def _levels(state: State, num_res_blocks: int | None) -> list[list[str]]:
    """Return the authors' names of the blocks of each level, on the way down.

    num_res_blocks: blocks per level, if blocks change the resolution: their names do not differ from the others'
    """
    levels: list[list[str]] = [[]]
    number = 1
    while any(name.startswith(f"input_blocks.{number}.") for name in state):
        if f"input_blocks.{number}.0.op.weight" in state or len(levels[-1]) == num_res_blocks:
            levels.append([])
        else:
            levels[-1].append(f"input_blocks.{number}")
        number += 1
    return levels


def denoiser(
    state: State, image_size: int, heads: Mapping[str, int], path: Path, *, who: str = "improved"
) -> dict[str, Any]:
    """Return the network's entry, from the names and shapes of its tensors."""
    resampling = [int(name.split(".")[1]) for name in state if re.fullmatch(_RESAMPLING, name)]
    try:
        channels = state["input_blocks.0.0.weight"].shape[0]
        levels = _levels(state, min(resampling, default=None))
        first = [level[0] for level in levels]
        widths = [state[f"{block}.0.out_layers.3.weight"].shape[0] for block in first]
        attention = [f"{block}.1.qkv.weight" in state for block in first]
        return {
            "class": "unet.UNet",
            "channels": channels,
            "channel_mult": [width // channels if width % channels == 0 else width / channels for width in widths],
            "num_res_blocks": len(levels[0]),
            "attention_resolutions": [image_size >> level for level, there in enumerate(attention) if there],
            **heads,
            "dropout": 0.0,
            "norm_eps": 1e-5,
            "scale_shift_norm": state[f"{first[0]}.0.emb_layers.1.weight"].shape[0] == 2 * widths[0],
            **({"resample": "block"} if resampling else {"downsample_padding": "symmetric"}),
            "time_embedding": "cos-sin",
        }
    except (KeyError, IndexError) as error:
        raise InputError(
            f"{path}: not the weights of a U-Net of {who} diffusion: no {error} among {len(state)} tensors; "
            "expected keys such as input_blocks.0.0.weight and input_blocks.1.0.in_layers.0.weight"
        ) from None


def learns_variance(state: State, path: Path) -> bool:
    """Whether the network also learns the variance. InputError for a network that does not map images to images."""
    if not {"input_blocks.0.0.weight", "out.2.weight"} <= state.keys():
        return False  # `denoiser` raises the error
    channels, out_channels = state["input_blocks.0.0.weight"].shape[1], state["out.2.weight"].shape[0]
    if channels > 4 or out_channels not in (channels, 2 * channels):
        raise InputError(
            f"{path}: found a network from {channels} to {out_channels} channels, expected from those of an image to "
            "as many, or twice as many with a learned variance (a model for super-resolution is not built here)"
        )
    return out_channels == 2 * channels


def classes(state: State) -> dict[str, int]:
    """Return the entry's key for a class-conditional network, trained with the authors' class_cond."""
    return {"num_classes": state[LABELS].shape[0]} if LABELS in state else {}


def named_schedule(name: str, timesteps: int) -> dict[str, Any]:
    """Return the entry of one of their schedules. The linear one ends with about the same noise for any T."""
    ends = {"beta_start": 1e-4 * 1000 / timesteps, "beta_end": 0.02 * 1000 / timesteps}
    return {"name": name, **(ends if name == "linear" else {})}


def imported(
    state: State, entry: dict[str, Any], image_size: int, path: Path, files: Sequence[Path], taken: str, **reading: Any
) -> Imported:
    """Return a model of this entry with the authors' tensors; `reading` goes to `from_official`."""
    image_shape = (state["input_blocks.0.0.weight"].shape[1], image_size, image_size)
    with place(path), torch.device("meta"):
        model = build(entry, image_shape)
    assert isinstance(model, Diffusion)
    found = from_official(state, model.denoiser, path, **reading)
    name = pathlib.Path(path).name
    weights = "ema" if name.startswith("ema_") else "raw" if re.fullmatch(r"model\d+\.pt", name) else "unknown"
    tensors = {f"denoiser.{key}": value for key, value in found.items()}
    weights = "ema" if "ema" in taken else weights
    name = f"{taken} of {name}" if taken else name
    who = reading.get("who", "improved")
    return Imported(entry, image_shape, tensors, files, weights, f"{name}, trained by {who} diffusion")


def improved_diffusion(
    path: Path,
    *,
    image_size: Side,
    timesteps: StepCount,
    schedule: Literal["linear", "cosine"],
    num_heads: Count = 4,
    num_heads_upsample: Count | Literal[-1] = -1,
    sigma_small: bool = False,
    rescale_timesteps: bool = True,
    prediction: Literal["eps", "x0"] = "eps",
    key: str | None = None,
) -> Imported:
    """A model with or without classes; options are those of the authors' command, with their defaults where safe.

    image_size: Side of the images.
    timesteps: The authors' --diffusion_steps; no default, since another value draws noise.
    schedule: The authors' --noise_schedule; no default, since another value draws noise.
    num_heads: Heads of each attention.
    num_heads_upsample: Heads on the way up; -1 means as many as elsewhere.
    sigma_small: Whether the variance of a step is the posterior's instead of beta; only without a learned variance.
    rescale_timesteps: Whether the network receives t rescaled to 1000 steps.
    prediction: What the network predicts: the noise eps, or x0 (the authors' --predict_xstart).
    key: The state dict to read, if the file holds several.
    """
    up = num_heads if num_heads_upsample == -1 else num_heads_upsample
    content, files = read_content(path)
    state, taken = state_of(content, path, key)
    if any(re.fullmatch(_RESAMPLING, name) for name in state):
        raise InputError(
            f"{path}: found blocks that change the resolution, of guided-diffusion's resblock_updown; expected "
            f"convolutions, as improved diffusion has them: {option('format', 'guided-diffusion')} reads it"
        )
    learned_variance = learns_variance(state, path)
    if learned_variance and sigma_small:
        raise InputError(f"{path}: option sigma_small: found true, but this network has learned its variance")
    variance: dict[str, Any] = {} if sigma_small else {"variance": "large"}
    heads = {"num_heads": num_heads} | ({} if up == num_heads else {"up_num_heads": up})
    entry: dict[str, Any] = {
        "class": "diffusion.Diffusion",
        "timesteps": timesteps,
        "schedule": named_schedule(schedule, timesteps),
        "prediction": prediction,
        "time_input": "rescaled" if rescale_timesteps else "index",
        **({"learned_variance": True, "loss": "hybrid"} if learned_variance else variance),
        **classes(state),
        "denoiser": denoiser(state, image_size, heads, path),
    }
    return imported(state, entry, image_size, path, files, taken)
