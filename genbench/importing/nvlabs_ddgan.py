"""Denoising diffusion GANs as their authors' training saves them: netG_{epoch}.pth, or content.pth.

A netG file is the generator's state dict. content.pth, for resuming, also holds the options, the discriminator and
the optimizers. The generator's optimizer holds the average of its weights, in the order of the parameters.
"""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from genbench.errors import InputError, place
from genbench.importing.source import Imported, Path, State, check_shapes
from genbench.importing.states import read_content, state_of
from genbench.models import build
from genbench.networks import biggan, ncsnpp
from genbench.ranges import NotNegative, Positive, Side, StepCount

V = TypeVar("V")
# Options of the authors' training that change the networks or the chain, but no shape.
FIXED = {
    "centered": True,
    "conditional": True,
    "embedding_type": "positional",
    "fir": True,
    "fir_kernel": [1, 3, 3, 1],
    "not_use_tanh": False,
    "progressive": "none",
    "progressive_input": "residual",
    "resblock_type": "biggan",
    "skip_rescale": True,
    "use_geometric": False,
}
UNSEEN = ("centered", "fir_kernel", "not_use_tanh", "skip_rescale", "use_geometric")  # in no tensor's name or shape
_BLOCK = {
    "norm1.style": "GroupNorm_0.style",
    "conv1": "Conv_0",
    "time": "Dense_0",
    "norm2.style": "GroupNorm_1.style",
    "conv2": "Conv_1",
    "skip": "Conv_2",
}
_DISCRIMINATOR_BLOCK = {"conv1": "conv1.0", "time": "dense_t1", "conv2": "conv2.0", "skip": "skip.0"}


def _generator_layers(generator: ncsnpp.Generator) -> Iterator[tuple[str, str]]:
    """Yield (our name, the authors' name) of every layer; theirs are numbered in the order of the forward pass."""
    for i in range(0, len(generator.latent_mlp), 2):
        yield f"latent_mlp.{i}", f"z_transform.{i + 1}"
    layers = ["time_mlp.0", "time_mlp.2", "conv_in"]
    pyramid = 0
    for path in ("down", "middle", "up"):
        for i, block in enumerate(generator.get_submodule(path).children()):
            layers.append(f"{path}.{i}")
            if isinstance(block.attention, biggan.Attention):
                layers.append(f"{path}.{i}.attention")
            if path == "down" and block.resample is not None:
                layers.append(f"pyramid.{pyramid}")
                pyramid += 1
    for number, name in enumerate([*layers, "norm_out", "conv_out"]):
        theirs, module = f"all_modules.{number}", generator.get_submodule(name)
        if isinstance(module, biggan.Block):
            yield from ((f"{name}.{a}", f"{theirs}.{b}") for a, b in _BLOCK.items())
        elif isinstance(module, biggan.Attention):
            yield f"{name}.norm", f"{theirs}.GroupNorm_0"
            yield f"{name}.qkv", f"{theirs}.NIN_0 {theirs}.NIN_1 {theirs}.NIN_2"
            yield f"{name}.out", f"{theirs}.NIN_3"
        elif isinstance(module, biggan.Pyramid):
            yield f"{name}.conv", f"{theirs}.Conv2d_0"
        else:
            yield name, theirs


def _discriminator_layers(discriminator: ncsnpp.Discriminator) -> Iterator[tuple[str, str]]:
    yield from (("time_mlp.0", "t_embed.main.0"), ("time_mlp.2", "t_embed.main.2"), ("conv_in", "start_conv"))
    for i in range(len(discriminator.blocks)):
        yield from ((f"blocks.{i}.{a}", f"conv{i + 1}.{b}") for a, b in _DISCRIMINATOR_BLOCK.items())
    yield from (("conv_out", "final_conv"), ("linear", "end_linear"))


Network = ncsnpp.Generator | ncsnpp.Discriminator


def official_names(network: Network) -> dict[str, list[str]]:
    """Map our parameters of a generator or a discriminator to the authors' tensors that make up each one."""
    layers = _generator_layers(network) if isinstance(network, ncsnpp.Generator) else _discriminator_layers(network)
    ours = network.state_dict()
    return {
        f"{name}.{kind}": [_tensor_name(layer, kind) for layer in theirs.split()]
        for name, theirs in layers
        for kind in ("weight", "bias")
        if f"{name}.{kind}" in ours
    }


def _tensor_name(layer: str, kind: str) -> str:
    if ".NIN_" in layer:  # a 1x1 convolution written as a matrix product
        return f"{layer}.{'W' if kind == 'weight' else 'b'}"
    return f"{layer}.{kind}"


def official_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the authors' names and shapes for a generator or a discriminator, in the order of our state dict."""
    ours, shapes = network.state_dict(), {}
    for name, theirs in official_names(network).items():
        for part, official in zip(ours[name].chunk(len(theirs)), theirs, strict=True):
            shapes[official] = (part.shape[1], part.shape[0]) if official.endswith(".W") else tuple(part.shape)
    return shapes


def from_official(state: Mapping[str, Tensor], network: Network, path: Path, what: str) -> State:
    """Return the authors' tensors under our names and in our shapes; InputError if they do not fit `network`."""
    check_shapes(state, official_shapes(network), path, what)
    ours, tensors = network.state_dict(), {}
    for name, theirs in official_names(network).items():
        parts = [state[official].T if official.endswith(".W") else state[official] for official in theirs]
        tensors[name] = torch.cat(parts).reshape(ours[name].shape)
    return tensors


def _check_blocks(state: State, path: Path) -> None:
    """Raise InputError naming the authors' option if it made blocks that are not built here."""
    kinds = {name.split(".", 2)[2] for name in state if name.startswith("all_modules.") and name.count(".") > 1}
    found = {}
    if "GroupNorm_0.style.weight" in kinds and "GroupNorm_1.weight" in kinds:
        found["resblock_type"] = "biggan_oneadagn"
    if "all_modules.0.W" in state:
        found["embedding_type"] = "fourier"
    for key, value in found.items():
        raise InputError(f"{path}: option {key}: found {value!r}, expected {FIXED[key]!r}, the only one built here")


def _generator_entry(state: State, image_size: int, path: Path) -> dict[str, Any]:
    """Return the generator's entry, from the names and shapes of its tensors."""
    _check_blocks(state, path)
    try:
        channels, latent_layers = state["all_modules.2.weight"].shape[0], 0
        while f"z_transform.{2 * latent_layers + 3}.weight" in state:
            latent_layers += 1
        modules: dict[int, set[str]] = {}
        for name in state:
            if name.startswith("all_modules."):
                _, number, rest = name.split(".", 2)
                modules.setdefault(int(number), set()).add(rest)
        blocks = [number for number in sorted(modules) if "GroupNorm_1.style.weight" in modules[number]]
        levels = 1 + sum("Conv2d_0.weight" in names for names in modules.values())
        # With n = num_res_blocks: n per level down, two in the middle, n + 1 per level up, and one between two levels,
        # both down and up.
        num_res_blocks = (len(blocks) - 3 * levels) // (2 * levels)
        if num_res_blocks < 1 or len(blocks) != 2 * levels * num_res_blocks + 3 * levels:
            raise InputError(
                f"{path}: not the weights of a DDGAN generator that is built here: found {len(blocks)} residual blocks "
                f"and {levels - 1} layers of a pyramid, expected 3 + 2 * num_res_blocks blocks per level"
            )
        first = [blocks[level * (num_res_blocks + 1)] for level in range(levels)]
        return {
            "class": "ncsnpp.Generator",
            "channels": channels,
            "channel_mult": [state[f"all_modules.{number}.Conv_0.weight"].shape[0] // channels for number in first],
            "num_res_blocks": num_res_blocks,
            "attention_resolutions": [
                image_size >> level for level, number in enumerate(first) if "NIN_0.W" in modules[number + 1]
            ],
            "latent_embedding": state["z_transform.1.weight"].shape[0],
            "latent_layers": latent_layers,
        }
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        named = isinstance(error, KeyError) and isinstance(error.args[0], str)
        raise InputError(
            f"{path}: not the weights of a DDGAN generator: "
            f"{f'no {error}' if named else 'no such order of blocks'} among {len(state)} tensors; expected keys such "
            "as all_modules.2.weight, all_modules.3.GroupNorm_0.style.weight and z_transform.1.weight"
        ) from None


def _average(content: Mapping[str, Any], state: State) -> State | None:
    """Return the average of the generator's weights, saved with its optimizer's moments; None without --use_ema."""
    optimizer = content.get("optimizerG") or {}
    moments = optimizer.get("state", {})
    numbers = [number for group in optimizer.get("param_groups", []) for number in group["params"]]
    if len(numbers) != len(state) or not all("ema" in moments.get(number, {}) for number in numbers):
        return None
    return {name: moments[number]["ema"].float() for name, number in zip(state, numbers, strict=True)}


def _check_fixed(options: Mapping[str, Any], path: Path) -> None:
    for key, expected in FIXED.items():
        found = list(options[key]) if isinstance(options.get(key), tuple) else options.get(key, expected)
        if found != expected:
            raise InputError(f"{path}: option {key}: found {found!r}, expected {expected!r}, the only one built here")


def _agreed(key: str, given: V | None, saved: V | None, path: Path) -> V | None:
    """Return the value in the file or the option's; None if there is neither."""
    if given is not None and saved not in (None, given):
        raise InputError(f"{path}: {key}: found {saved} in the file and {given} as an option")
    return saved if given is None else given


def _number(key: str, given: int | None, saved: Any, example: int, path: Path) -> int:
    """Return a number from the file or the option. Raises InputError if there is neither."""
    agreed = _agreed(key, given, saved, path)
    if agreed is None:
        raise InputError(f"{path}: does not say {key}; expected it as an option ({example} for CIFAR-10)")
    return int(agreed)


def _discriminator_entry(state: State) -> dict[str, Any] | None:
    """Return the entry of the authors' discriminator for small images; None for large images: it is not built here."""
    if "start_conv.weight" not in state or "t_embed.main.0.weight" not in state or "conv5.skip.0.weight" in state:
        return None
    channels, time_size = state["start_conv.weight"].shape[0], state["t_embed.main.0.weight"].shape[0]
    return {"class": "ncsnpp.Discriminator", "channels": channels, "time_size": time_size}


def ddgan(
    path: Path,
    *,
    image_size: Side | None = None,
    timesteps: StepCount | None = None,
    beta_min: NotNegative | None = None,
    beta_max: Positive | None = None,
    key: str | None = None,
) -> Imported:
    """A generator that the authors' training made with the options FIXED in genbench/importing/nvlabs_ddgan.py.

    image_size: Side of the images, for a netG file; content.pth states it.
    timesteps: T, for a netG file; content.pth states it.
    beta_min: The same as in the schedule vp, for a netG file whose value is not 0.1; content.pth states it.
    beta_max: The same as in the schedule vp, for a netG file whose value is not 20; content.pth states it.
    key: The state dict to read, if the file holds several.
    """
    content, files = read_content(path)
    options: Mapping[str, Any] = {}
    states: dict[str, State] = {}
    if key is None and isinstance(content, Mapping) and "netG_dict" in content:
        if isinstance(content.get("args"), argparse.Namespace):
            options = vars(content["args"])
        raw, _ = state_of(content["netG_dict"], path)
        average = _average(content, raw)
        states["generator"] = raw if average is None else average
        weights, note = ("raw", "netG_dict") if average is None else ("ema", "the average in the state of optimizerG")
        if "netD_dict" in content:
            states["discriminator"], _ = state_of(content["netD_dict"], path)
    else:
        states["generator"], taken = state_of(content, path, key)
        weights, note = "unknown", "the generator as saved: the average of its weights if trained with --use_ema"
        note += f"; not said by the file and taken to be the authors' defaults: {', '.join(UNSEEN)}"
        note = f"{taken}: {note}" if taken else note
    _check_fixed(options, path)
    size = _number("image_size", image_size, options.get("image_size"), 32, path)
    T = _number("timesteps", timesteps, options.get("num_timesteps"), 4, path)

    given = {"beta_min": beta_min, "beta_max": beta_max}
    agreed = {name: _agreed(name, value, options.get(name), path) for name, value in given.items()}
    betas = {name: float(value) for name, value in agreed.items() if value is not None}
    entry: dict[str, Any] = {
        "class": "ddgan.DDGAN",
        "timesteps": T,
        "schedule": {"name": "vp", **betas},
        "generator": _generator_entry(states["generator"], size, path),
        "discriminator": _discriminator_entry(states.get("discriminator", {})),
        "latent_size": states["generator"]["z_transform.1.weight"].shape[1],
    }
    image_shape = (states["generator"]["all_modules.2.weight"].shape[1], size, size)
    with place(path), torch.device("meta"):
        model = build(entry, image_shape)
    tensors: State = {}
    for name, network in model.named_children():
        assert isinstance(network, Network)
        found = from_official(states[name], network, path, f"the {name} of a DDGAN with as many blocks")
        tensors |= {f"{name}.{key}": value for key, value in found.items()}
    return Imported(entry, image_shape, tensors, files, weights, note)
