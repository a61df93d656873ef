"""U-Nets of lucidrains' denoising-diffusion-pytorch: the file of its Trainer, or a state dict of network or process.

The Trainer's file also holds the process: its betas, and its loss weights, which show what the network predicts. A
state dict of the network has neither. Most differences between releases show in names and shapes. The others follow
from the release: the Trainer has saved it since December 2022; otherwise it is an option.
"""

import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from genbench.errors import InputError, place
from genbench.importing.source import Imported, Path, State, check_shapes, given_or_said
from genbench.importing.states import read_content, state_of
from genbench.models import build
from genbench.models.diffusion import Diffusion
from genbench.networks.lucidrains import ChannelNorm, LinearAttention, UNet
from genbench.processes.schedule import SCHEDULES
from genbench.ranges import Count, Side, StepCount
from genbench.schema import choose

_BLOCK = {
    "conv1": "block1.proj",
    "norm1": "block1.norm",
    "embedding": "mlp.1",
    "conv2": "block2.proj",
    "norm2": "block2.norm",
    "skip": "res_conv",
}
# By first release: what no name or shape shows, valid until the next key. 1.7.1 and 1.7.2, of one day, are not built.
_RELEASES: dict[tuple[int, ...], dict[str, Any]] = {
    (0, 22): {"attention_norm": "layer"},
    (0, 26): {"attention_norm": "layer", "similarity": 16.0},
    (0, 26, 4): {"attention_norm": "layer", "similarity": 16.0, "mean_values": True},
    (0, 27, 4): {"attention_norm": "layer", "similarity": 10.0, "mean_values": True, "standardised": True},
    (0, 28): {"attention_norm": "layer", "mean_values": True, "standardised": True},
    (1, 7, 1): {},
    (1, 7, 3): {"mean_values": True},
    (1, 7, 4): {},
}
_EARLIER = "layouts before release 0.22 are not built here"


# --- Names of tensors -------------------------------------------------------------------------------------------------


def _layers(unet: UNet, nested: bool) -> Iterator[tuple[str, str]]:
    """Yield (our name, the library's name) of every layer; nested: the normalisation wraps the attention."""

    def attention(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
        inner, outer = (f"{theirs}.fn.fn", f"{theirs}.fn") if nested else (theirs, theirs)
        linear = isinstance(unet.get_submodule(ours), LinearAttention)
        yield from ((ours, inner), (f"{ours}.norm", f"{outer}.norm"), (f"{ours}.qkv", f"{inner}.to_qkv"))
        yield f"{ours}.out", f"{inner}.to_out{'.0' if linear else ''}"
        yield f"{ours}.norm_out", f"{inner}.to_out.1"

    blocks = {"middle.0": "mid_block1", "middle.2": "mid_block2", "last": "final_res_block"}
    yield from (("time_mlp.0", "time_mlp.1"), ("time_mlp.2", "time_mlp.3"))
    yield from (("conv_in", "init_conv"), ("conv_out", "final_conv"))
    yield from attention("middle.1", "mid_attn")
    for path, levels in (("down", unet.down), ("up", unet.up)):
        for i in range(len(levels)):
            blocks |= {f"{path}.{i}.block1": f"{path}s.{i}.0", f"{path}.{i}.block2": f"{path}s.{i}.1"}
            yield from attention(f"{path}.{i}.attention", f"{path}s.{i}.2")
            yield from ((f"{path}.{i}.resample{part}", f"{path}s.{i}.3{part}") for part in ("", ".1"))
    for ours, theirs in blocks.items():
        yield from ((f"{ours}.{a}", f"{theirs}.{b}") for a, b in _BLOCK.items())


def official_names(unet: UNet, nested: bool) -> dict[str, str]:
    """Map the names of our parameters to the library's names."""
    names, layers = {}, dict(_layers(unet, nested))
    for name in unet.state_dict():
        layer, _, kind = name.rpartition(".")
        if isinstance(unet.get_submodule(layer), ChannelNorm):
            kind = {"weight": "g", "bias": "b"}[kind]
        names[name] = f"{layers[layer]}.{ {'memory': 'mem_kv'}.get(kind, kind) }"
    return names


# --- Which network, which release -------------------------------------------------------------------------------------


def _release(version: str | None, state: State, path: Path) -> dict[str, Any]:
    """Return the keys that depend on the release, for networks whose normalisation wraps the attention: before 1.8."""
    if version is None:
        raise InputError(
            f"{path}: does not say version, and before 1.8 the releases differ in what no tensor shows; expected it as "
            "an option, such as version: 0.27.4 (the release of denoising-diffusion-pytorch that trained it)"
        )
    if not re.fullmatch(r"\d+(\.\d+)*[a-z]?", version):
        raise InputError(f"{path}: version: found {version!r}, expected a release such as 0.27.4")
    number = tuple(int(part) for part in re.findall(r"\d+", version))
    if "downs.0.3.1.weight" in state and number < (0, 28):
        number = (0, 32)  # in November 2022, after 0.32, the library counted from 0.1 again
    if number < (0, 22):
        raise InputError(f"{path}: version: found {version}, expected at least 0.22: {_EARLIER}")
    if (1, 7, 1) <= number < (1, 7, 3):
        raise InputError(
            f"{path}: version: found {version}, which is not built here; expected another than 1.7.1, 1.7.2"
        )
    chosen: dict[str, Any] = dict(_RELEASES[max(first for first in _RELEASES if first <= number)])
    if "mid_attn.fn.norm.b" in state:
        chosen["attention_norm"] = "layer-bias"
    return chosen


def _denoiser(state: State, version: str | None, num_heads: int, norm_groups: int, path: Path) -> dict[str, Any]:
    """Return the network's entry, from the names and shapes of its tensors and from the release."""
    try:
        channels, first = state["time_mlp.1.weight"].shape[1], state["init_conv.weight"].shape[0]
        levels = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("downs."))
        nested = "mid_attn.fn.fn.to_qkv.weight" in state
        resample = [f"downs.{i}.3.{'' if f'downs.{i}.3.weight' in state else '1.'}weight" for i in range(levels)]
        inner = "mid_attn.fn.fn" if nested else "mid_attn"
        memory = state.get(f"{inner}.mem_kv")
        heads = num_heads if memory is None else memory.shape[1]
        entry = {
            "class": "lucidrains.UNet",
            "channels": channels,
            "channel_mult": [state[name].shape[0] // channels for name in resample],
            "full_attention": [f"downs.{i}.2.to_out.weight" in state for i in range(levels)],
            "num_heads": heads,
            "head_channels": state[f"{inner}.to_qkv.weight"].shape[0] // (3 * heads),
            "memory": 0 if memory is None else memory.shape[2],
            "norm_groups": 0 if "mid_block1.block1.norm.g" in state else norm_groups,
            "downsample": "strided" if levels > 1 and state[resample[0]].shape[2] == 4 else "folded",
        }
    except (KeyError, ValueError, IndexError) as error:
        named = error if isinstance(error, KeyError) else "'downs.0.0.block1.proj.weight'"
        raise InputError(
            f"{path}: not the weights of a U-Net of denoising-diffusion-pytorch: no {named} among {len(state)} tensors "
            f"({_EARLIER})"
        ) from None
    return (
        entry
        | ({"first_channels": first} if first != channels else {})
        | (_release(version, state, path) if nested else {})
    )


def _check_channels(state: State, path: Path) -> tuple[int, bool]:
    """Return the number of image channels, and whether the variance is learned. InputError for other networks."""
    if "time_mlp.0.weights" in state:
        raise InputError(
            f"{path}: found time_mlp.0.weights, of learned_sinusoidal_cond or random_fourier_features; expected a "
            "network whose embedding of time is fixed"
        )
    if not {"init_conv.weight", "final_conv.weight"} <= state.keys():
        raise InputError(
            f"{path}: not the weights of a U-Net of denoising-diffusion-pytorch: found neither init_conv.weight nor "
            f"final_conv.weight among {len(state)} tensors ({_EARLIER})"
        )
    channels, out_channels = state["init_conv.weight"].shape[1], state["final_conv.weight"].shape[0]
    if channels in (2, 6) and out_channels in (channels // 2, channels):
        raise InputError(
            f"{path}: found a first layer of {channels} channels, of self_condition: true; expected a network that is "
            "given x_t only: self-conditioning is not built here"
        )
    if channels not in (1, 3) or out_channels not in (channels, 2 * channels):
        raise InputError(
            f"{path}: found a network from {channels} to {out_channels} channels, expected from 1 or 3 to as many, or "
            "twice as many with a learned variance"
        )
    return channels, out_channels == 2 * channels


# --- The file ---------------------------------------------------------------------------------------------------------


def _chosen(content: Any, path: Path, key: str | None) -> tuple[State, State, str, str]:
    """Return the network's tensors, those of its process, their key in the file, and the kind of weights."""
    if key is None and isinstance(content, Mapping) and "model" in content and "step" in content:
        if "ema" not in content:
            raise InputError(
                f"{path}: found no 'ema' beside 'model' in a file of the Trainer, expected the average of the weights; "
                "the option key: model takes those of the last step"
            )
        key = "ema"
    state, taken = state_of(content, path, key)
    prefixes = [name.removesuffix("init_conv.weight") for name in state if name.endswith("init_conv.weight")]
    averaged = [prefix for prefix in prefixes if "ema_model." in prefix]
    prefix = (averaged or prefixes or [""])[0]
    around = re.sub(r"[^.]+\.$", "", prefix)

    def within(start: str) -> State:
        return {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}

    last = taken.rpartition(".")[2]
    kind = "ema" if averaged or last == "ema" else "raw" if last == "model" or "online_model." in prefix else "unknown"
    return within(prefix), within(around), ".".join(part for part in (taken, prefix.removesuffix(".")) if part), kind


def _schedule(betas: Tensor) -> dict[str, Any]:
    """Return the schedule with these betas: by name if it is one of the library's, or else the betas themselves."""
    T = len(betas)
    for name in ("linear", "cosine", "sigmoid"):
        entry = _named_schedule(name, T)
        abar = choose(SCHEDULES, entry)(T).alphas_cumprod
        if torch.allclose(1 - abar[1:] / abar[:-1], betas.double(), rtol=1e-4, atol=1e-7):
            return entry
    return {"name": "betas", "values": [float(beta) for beta in betas]}


def _named_schedule(name: str, T: int) -> dict[str, Any]:
    if name == "linear":  # theirs ends with about the same noise for any T
        return {"name": "linear", "beta_start": 1e-4 * 1000 / T, "beta_end": 0.02 * 1000 / T}
    return {"name": {"sigmoid": "sigmoid_abar"}.get(name, name)}


def _prediction(process: State) -> str | None:
    """Return what the network predicts, from the loss weights saved since 1.5; None if they do not show it.

    At low signal-to-noise ratios the weights are 1 (eps), snr (x0) or snr / (snr + 1) (v), even if
    min_snr_loss_weight clips them elsewhere.
    """
    if "loss_weight" not in process or "alphas_cumprod" not in process:
        return None
    abar, weight = process["alphas_cumprod"].double(), process["loss_weight"].double()
    t = int((abar - 1 / 3).abs().argmin())  # where snr is about a half
    snr = abar[t] / (1 - abar[t])
    expected = {"eps": 1.0, "x0": float(snr), "v": float(snr / (snr + 1))}
    found = [name for name, value in expected.items() if abs(float(weight[t]) - value) < 0.01]
    return found[0] if len(found) == 1 else None


def lucidrains(
    path: Path,
    *,
    image_size: Side | Sequence[Side],
    timesteps: StepCount | None = None,
    schedule: Literal["linear", "cosine", "sigmoid"] | None = None,
    prediction: Literal["eps", "v", "x0"] | None = None,
    version: str | None = None,
    num_heads: Count = 4,
    norm_groups: Count = 8,
    key: str | None = None,
) -> Imported:
    """A file of the library's Trainer, whose average is used, or a state dict of its Unet or GaussianDiffusion.

    image_size: Side of the images, or height and width.
    timesteps: T, needed only if the file holds a network without its process.
    schedule: The library's beta_schedule, needed only if the file holds a network without its process.
    prediction: The library's objective, needed only if the file does not show it, as before 1.5.
    version: The release that trained it, needed for networks from before 1.8 if the file does not state it.
    num_heads: The library's attn_heads, needed only if the tensors do not show it, as before 1.9.
    norm_groups: The library's resnet_block_groups, for networks from before 2.0.
    key: The state dict to read; `model` reads the weights of the last step instead of the average.
    """
    sides = [image_size, image_size] if isinstance(image_size, int) else list(image_size)
    if len(sides) != 2:
        raise InputError(f"{path}: option image_size: found {image_size}, expected a side, or height and width")
    content, files = read_content(path)
    saved = content.get("version") if isinstance(content, Mapping) else None
    state, process, taken, kind = _chosen(content, path, key)
    image_channels, learned_variance = _check_channels(state, path)
    betas, without = process.get("betas"), "its process is not in the file"
    said = None if betas is None else len(betas)
    T = given_or_said("timesteps", timesteps, said, path, without)
    given = None if schedule is None else _named_schedule(schedule, T)
    named = None if betas is None else _schedule(betas)
    denoiser = _denoiser(state, version or (saved if isinstance(saved, str) else None), num_heads, norm_groups, path)
    entry: dict[str, Any] = {
        "class": "diffusion.Diffusion",
        "timesteps": T,
        "schedule": given_or_said("schedule", given, named, path, without),
        "prediction": given_or_said("prediction", prediction, _prediction(process), path, "the library's objective"),
        "spacing": "lucidrains",
        **({"learned_variance": True, "loss": "hybrid"} if learned_variance else {}),
        "denoiser": denoiser,
    }
    image_shape = (image_channels, sides[0], sides[1])
    with place(path), torch.device("meta"):
        model = build(entry, image_shape)
    assert isinstance(model, Diffusion)
    unet = model.denoiser
    assert isinstance(unet, UNet)
    names, ours = official_names(unet, nested="mid_attn.fn.fn.to_qkv.weight" in state), unet.state_dict()
    what = "a U-Net of denoising-diffusion-pytorch with as many levels"
    check_shapes(state, {theirs: tuple(ours[name].shape) for name, theirs in names.items()}, path, what)
    tensors = {f"denoiser.{name}": state[theirs] for name, theirs in names.items()}
    where = f"{taken} of {pathlib.Path(path).name}" if taken else pathlib.Path(path).name
    by = f", release {saved}" if isinstance(saved, str) else ""
    return Imported(entry, image_shape, tensors, files, kind, f"{where}, trained by denoising-diffusion-pytorch{by}")
