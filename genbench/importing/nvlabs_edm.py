"""Models of EDM (Karras et al. 2022, arXiv 2206.00364), with the tensor names of NVlabs/edm.

The published files are pickles that run code when they are read, so they are not read here. A user who trusts one can
convert it to a safetensors file in NVlabs' repository: docs/checkpoints.md has the commands.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from genbench.errors import InputError, place
from genbench.importing.source import Imported, Path, State, check_shapes, load_safetensors_file
from genbench.models import build
from genbench.models.edm import EDM
from genbench.networks import unet_blocks
from genbench.networks.songunet import SongUNet
from genbench.networks.unet import UNet

Network = SongUNet | UNet
_BLOCK = {
    "norm1": "norm0",
    "conv1": "conv0",
    "time": "affine",  # of SongUNet
    "embedding": "affine",  # of UNet
    "norm2": "norm1",
    "conv2": "conv1",
    "skip": "skip",
    "attention.norm": "norm2",
    "attention.qkv": "qkv",
    "attention.out": "proj",
}


def _sides(blocks: nn.ModuleList, side: int) -> Iterator[tuple[int, str]]:
    """Yield, for each block on the way down or up, the side of its output and its name at this side."""
    number = 0
    for block in blocks:
        if isinstance(block, unet_blocks.DownBlock) or block.resample == "down":
            side, number = side // 2, 0
            yield side, "down"
        elif isinstance(block, unet_blocks.UpBlock) or block.resample == "up":
            side, number = side * 2, 0
            yield side, "up"
        else:
            yield side, f"block{number}"
            number += 1


def _layers(network: Network, side: int) -> Iterator[tuple[str, str]]:
    """Yield (our name, NVlabs' name) of every layer that may exist; side: of the images."""

    def block(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
        yield from ((f"{ours}.{a}", f"{theirs}.{b}") for a, b in _BLOCK.items())

    yield from (("time_mlp.0", "map_layer0"), ("time_mlp.2", "map_layer1"), ("label_embedding", "map_label"))
    yield "conv_in", f"enc.{side}x{side}_conv"
    down = list(_sides(network.down, side))
    for i, (at, name) in enumerate(down):
        yield from block(f"down.{i}", f"enc.{at}x{at}_{name}")
    lowest = down[-1][0]
    for i in range(2):
        yield from block(f"middle.{i}", f"dec.{lowest}x{lowest}_in{i}")
    for i, (at, name) in enumerate(_sides(network.up, lowest)):
        yield from block(f"up.{i}", f"dec.{at}x{at}_{name}")
    if isinstance(network, UNet):
        yield from (("norm_out", "out_norm"), ("conv_out", "out_conv"))
        return
    yield "augment_embedding", "map_augment"
    for i in range(len(network.pyramid)):
        at = side >> (i + 1)
        yield f"pyramid.{i}.conv", f"enc.{at}x{at}_aux_residual"
    for i in range(len(network.outputs)):
        at = side >> (len(network.outputs) - 1 - i)
        yield from ((f"outputs.{i}.0", f"dec.{at}x{at}_aux_norm"), (f"outputs.{i}.2", f"dec.{at}x{at}_aux_conv"))


def official_names(network: Network, side: int) -> dict[str, str]:
    """Map our names to NVlabs', for images of this side. A UNet's label_embedding.bias has no counterpart."""
    ours = network.state_dict()
    names = {
        f"{name}.{kind}": f"{theirs}.{kind}"
        for name, theirs in _layers(network, side)
        for kind in ("weight", "bias")
        if f"{name}.{kind}" in ours
    }
    if isinstance(network, UNet):
        names.pop("label_embedding.bias", None)
    elif "embedding.frequencies" in ours:
        names["embedding.frequencies"] = "map_noise.freqs"
    return names


def official_shapes(network: Network, side: int) -> dict[str, tuple[int, ...]]:
    """Return NVlabs' names and shapes, without the filters, which are constants."""
    ours = network.state_dict()
    return {theirs: tuple(ours[name].shape) for name, theirs in official_names(network, side).items()}


def _heads(network: Network, name: str) -> int | None:
    """Return the number of heads if the tensor belongs to a layer qkv; None for any other tensor."""
    layer, separator, _ = name.partition(".qkv.")
    if not separator:
        return None
    attention = network.get_submodule(layer)
    return attention.num_heads if isinstance(attention, unet_blocks.Attention) else 1


def from_official(state: Mapping[str, Tensor], network: Network, side: int, path: Path) -> State:
    """Return NVlabs' tensors under our names and in our order; InputError if they do not fit `network`."""
    state = {name: value for name, value in state.items() if not name.endswith(".resample_filter")}
    check_shapes(state, official_shapes(network, side), path, "the network of EDM that its arguments describe")
    tensors: State = {}
    for name, theirs in official_names(network, side).items():
        value = state[theirs]
        if heads := _heads(network, name):  # (heads, C / heads, 3) to (3, heads, C / heads)
            value = value.unflatten(0, (heads, -1, 3)).movedim(2, 0).flatten(0, 2)
        tensors[name] = value
    if isinstance(network, UNet) and network.label_embedding is not None:
        tensors["label_embedding.bias"] = torch.zeros(network.label_embedding.out_features)
    return tensors


def to_official(network: SongUNet, side: int) -> State:
    """Return our network's state dict in NVlabs' form, for images of this side, with the filters."""
    ours, state = network.state_dict(), {}
    for name, theirs in official_names(network, side).items():
        value = ours[name]
        if heads := _heads(network, name):  # (3, heads, C / heads) to (heads, C / heads, 3)
            value = value.unflatten(0, (3, heads, -1)).movedim(0, 2).flatten(0, 2)
        state[theirs] = value.clone(memory_format=torch.contiguous_format)
    down = [at for at, name in _sides(network.down, side) if name == "down"]
    up = [at for at, name in _sides(network.up, side >> len(down)) if name == "up"]
    blocks = [f"enc.{at}x{at}_down" for at in down] + [f"dec.{at}x{at}_up" for at in up]
    filtered = [f"{block}.{layer}" for block in blocks for layer in ("conv0", "skip")]
    filtered += [f"enc.{at}x{at}_aux_residual" for at in down if network.pyramid]
    filtered += [f"dec.{at}x{at}_aux_up" for at in up if network.decoder == "skip"]
    taps = torch.tensor(network.taps, dtype=torch.float32)
    return state | {
        f"{name}.resample_filter": torch.outer(taps, taps)[None, None] / taps.sum() ** 2 for name in filtered
    }


# Arguments of NVlabs' two networks and their defaults.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "SongUNet": {
        "model_channels": 128,
        "channel_mult": [1, 2, 2, 2],
        "channel_mult_emb": 4,
        "num_blocks": 4,
        "attn_resolutions": [16],
        "dropout": 0.10,
        "embedding_type": "positional",
        "channel_mult_noise": 1,
        "encoder_type": "standard",
        "decoder_type": "standard",
        "resample_filter": [1, 1],
    },
    "DhariwalUNet": {
        "model_channels": 192,
        "channel_mult": [1, 2, 3, 4],
        "channel_mult_emb": 4,
        "num_blocks": 3,
        "attn_resolutions": [32, 16, 8],
        "dropout": 0.10,
    },
}
_KEYS = {
    "model_channels": "channels",
    "channel_mult": "channel_mult",
    "num_blocks": "num_res_blocks",
    "attn_resolutions": "attention_resolutions",
    "dropout": "dropout",
    "embedding_type": "embedding",
    "encoder_type": "encoder",
    "decoder_type": "decoder",
    "resample_filter": "resample_filter",
}
_AS_ADM = {
    "head_channels": 64,
    "norm_eps": 1e-5,
    "scale_shift_norm": True,
    "resample": "block",
    "time_embedding": "cos-sin",
}


def denoiser(arguments: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the entry of the network that NVlabs' EDMPrecond builds from these arguments.

    Raises InputError, naming the file and the argument, for a network that is not built here.
    """
    kind = arguments.get("model_type", "DhariwalUNet")
    if kind not in DEFAULTS:
        raise InputError(f"{path}: argument model_type: found {kind!r}, expected one of {', '.join(DEFAULTS)}")
    found = {key: arguments.get(key, default) for key, default in DEFAULTS[kind].items()}
    sides = [arguments["img_resolution"] >> level for level in range(len(found["channel_mult"]))]
    found["attn_resolutions"] = [side for side in sides if side in found["attn_resolutions"]]
    only: dict[str, Any] = {"channel_mult_emb": 4}
    if kind == "SongUNet":
        only["channel_mult_noise"] = 2 if found["embedding_type"] == "fourier" else 1
        if found["encoder_type"] == "skip":
            only["encoder_type"] = "residual"
    for key, expected in only.items():
        if found[key] != expected:
            raise InputError(f"{path}: argument {key}: found {found[key]!r}, expected {expected!r}")
    widths = [found["model_channels"] * mult for mult in found["channel_mult"]]
    if kind == "DhariwalUNet" and (min(widths) < 128 or found["channel_mult"][0] != 1):
        raise InputError(
            f"{path}: arguments model_channels and channel_mult: found the widths {widths} of a DhariwalUNet, expected "
            "model_channels first and at least 128, where all normalisations have 32 groups"
        )
    entry = {_KEYS[key]: value for key, value in found.items() if key in _KEYS}
    return {"class": "songunet.SongUNet", **entry} if kind == "SongUNet" else {"class": "unet.UNet", **entry, **_AS_ADM}


def network_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with which NVlabs' EDMPrecond builds a SongUNet of these options."""
    found = {theirs: options[ours] for theirs, ours in _KEYS.items()}
    if found["attn_resolutions"] is None:
        found["attn_resolutions"] = [16]
    noise = options["embedding_mult"] or (2 if options["embedding"] == "fourier" else 1)
    return {"model_type": "SongUNet", "channel_mult_noise": noise, **found}


# Arguments of NVlabs' EDMPrecond besides those of its network. A value is the only one allowed; None allows any.
PRECONDITIONING: Mapping[str, Any] = {
    "img_resolution": None,
    "img_channels": None,
    "label_dim": None,
    "sigma_data": None,
    "model_type": None,
    "augment_dim": None,
    "sigma_min": 0,
    "sigma_max": float("inf"),
    "use_fp16": None,  # precision is a key of the samplers here
    "label_dropout": None,  # used only in training
}
_REMEDY = "expected a file that the lines in docs/checkpoints.md wrote in NVlabs' repository"


def _description(path: Path) -> dict[str, Any]:
    """Read the arguments of EDMPrecond from a file's metadata."""
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("edm")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # safetensors raises many kinds of errors
        why = (
            "NVlabs' own files are pickles, which run code when they are read" if str(path).endswith(".pkl") else error
        )
        raise InputError(f"{path}: not a readable safetensors file ({why}); {_REMEDY}") from None
    if text is None:
        raise InputError(f"{path}: found no 'edm' in its metadata, which says what the network is; {_REMEDY}")
    try:
        content = json.loads(text)
        kind, arguments = content["class"], dict(content["arguments"])
        int(arguments["img_resolution"]), int(arguments["img_channels"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: found 'edm' in its metadata without {error}; {_REMEDY}") from None
    if kind != "EDMPrecond":
        raise InputError(f"{path}: found {kind}, the preconditioning of a baseline, expected EDMPrecond")
    known = {*PRECONDITIONING, *DEFAULTS["SongUNet"]}
    if unknown := [key for key in arguments if key not in known]:
        raise InputError(f"{path}: argument {unknown[0]}: not one of EDMPrecond that is known here")
    for key, expected in PRECONDITIONING.items():
        if expected is not None and arguments.get(key, expected) != expected:
            raise InputError(f"{path}: argument {key}: found {arguments[key]}, expected {expected}")
    return arguments


def edm(path: Path) -> Imported:
    """A model of NVlabs/edm, from a safetensors file with its tensors and the arguments of EDMPrecond.

    The layer for augmentation is left out: sampling does not use it.
    """
    arguments = _description(path)
    state = {name.removeprefix("model."): value.float() for name, value in load_safetensors_file(path).items()}
    augmented = state.pop("map_augment.weight", None) is not None
    side, classes = int(arguments["img_resolution"]), int(arguments.get("label_dim", 0))
    entry: dict[str, Any] = {
        "class": "edm.EDM",
        "sigma_data": float(arguments.get("sigma_data", 0.5)),
        **({"num_classes": classes} if classes else {}),
        "denoiser": denoiser(arguments, path),
    }
    image_shape = (int(arguments["img_channels"]), side, side)
    with place(path), torch.device("meta"):
        model = build(entry, image_shape)
    assert isinstance(model, EDM)
    found = from_official(state, model.denoiser, side, path)
    tensors = {f"denoiser.{name}": value for name, value in found.items()}
    note = "EDM's average of the weights" + (", without the layer for augmentation" if augmented else "")
    return Imported(entry, image_shape, tensors, [path], "ema", note)
