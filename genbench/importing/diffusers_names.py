"""Translate tensor names between diffusers' UNet2DModel, in current and older releases, and our U-Net."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from genbench.importing.improved_diffusion import embedded_labels
from genbench.importing.source import Path, State, check_shapes
from genbench.networks.unet import UNet, sinusoidal_embedding
from genbench.networks.unet_blocks import Block

_BLOCK = {
    "norm1": "norm1",
    "conv1": "conv1",
    "embedding": "time_emb_proj",
    "norm2": "norm2",
    "conv2": "conv2",
    "skip": "conv_shortcut",
}
_LABELS = "class_embedding"
_OLD_ATTENTION = {  # first the names in files from before 2023, then those in the oldest
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


def _block_layers(ours: str, resnet: str, attention: str) -> Iterator[tuple[str, list[str]]]:
    yield from ((f"{ours}.{a}", [f"{resnet}.{b}"]) for a, b in _BLOCK.items())
    yield f"{ours}.attention.norm", [f"{attention}.group_norm"]
    yield f"{ours}.attention.qkv", [f"{attention}.to_{letter}" for letter in "qkv"]
    yield f"{ours}.attention.out", [f"{attention}.to_out.0"]


def _layers(unet: UNet) -> Iterator[tuple[str, list[str]]]:
    """Yield our layers, in the order of the forward pass, and the layers of UNet2DModel that make up each one."""
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
    """Map our parameters to the tensors of UNet2DModel that are concatenated, along axis 0, to make each one."""
    ours = unet.state_dict()
    return {
        f"{name}.{kind}": [f"{layer}.{kind}" for layer in theirs]
        for name, theirs in _layers(unet)
        for kind in ("weight", "bias")
        if f"{name}.{kind}" in ours
    }


def to_official(unet: UNet) -> State:
    """Return this network's state dict as that of a UNet2DModel."""
    tensors: State = {}
    ours = unet.state_dict()
    for name, theirs in official_names(unet).items():
        for part, official in zip(ours[name].chunk(len(theirs)), theirs, strict=True):
            # Their linear layers are our 1x1 convolutions.
            tensors[official] = part.flatten(1) if ".attentions." in official and part.ndim == 4 else part
    return tensors


def from_official(
    state: Mapping[str, Tensor], unet: UNet, path: Path, what: str, *, label_layer: str | None = None
) -> State:
    """Return a UNet2DModel's tensors under our names and in our shapes.

    label_layer: the linear layer, in a module around it, that embeds labels of zeros and ones
    Raises InputError if the tensors do not fit `unet`.
    """
    if label_layer is not None:
        state = _without_module(state, label_layer)
    shapes, labels = {name: tuple(value.shape) for name, value in to_official(unet).items()}, unet.label_embedding
    by_time = f"{_LABELS}.linear_1.weight" in state  # class_embed_type "timestep": embedded like times
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
    """Return the tensors of a UNet2DModel inside a module, and the module's layer for labels as `class_embedding`."""
    layer = {f"{label_layer}.{kind}": f"{_LABELS}.{kind}" for kind in ("weight", "bias")}
    inside = [name for name in state if name not in layer]
    prefix = next((name.removesuffix("conv_in.weight") for name in inside if name.endswith("conv_in.weight")), "")
    found = {layer.get(name, name.removeprefix(prefix)): value for name, value in state.items()}
    if f"{_LABELS}.weight" in found and f"{_LABELS}.bias" not in found:  # a layer without bias
        found[f"{_LABELS}.bias"] = torch.zeros(len(found[f"{_LABELS}.weight"]))
    return found


def _embedded_as_times(state: Mapping[str, Tensor], unet: UNet) -> Tensor:
    """Return one row per class: the embedding, for a network that embeds classes like times."""
    assert unet.label_embedding is not None
    classes = torch.arange(unet.label_embedding.in_features, device="cpu")
    x = sinusoidal_embedding(classes, unet.channels, unet.time_order, unet.frequency_shift)
    for name, last in (("linear_1", False), ("linear_2", True)):
        x = F.linear(x, state[f"{_LABELS}.{name}.weight"], state[f"{_LABELS}.{name}.bias"])
        x = x if last else F.silu(x)
    return x


def renamed(state: Mapping[str, Tensor]) -> State:
    """Return a state dict with the current names of attention layers."""
    tensors: State = {}
    for name, value in state.items():
        block, separator, layer = name.rpartition(".attentions.")
        number, _, rest = layer.partition(".")
        old, _, kind = rest.rpartition(".")
        if separator and old in _OLD_ATTENTION:
            name = f"{block}.attentions.{number}.{_OLD_ATTENTION[old]}.{ {'W': 'weight', 'b': 'bias'}.get(kind, kind) }"
            value = value.T if kind == "W" else value  # the weight of a matrix product is transposed
        tensors[name] = value
    return tensors
