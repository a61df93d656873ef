"""Faster inference: the network of a trained model in fewer bits (Krishnamoorthi 2018, arXiv 1806.08342).

bf16, fp16: convolutions and linear layers in half precision, by autocast. int8-weights: only their weights are
stored in eight bits. int8-static: they also compute in eight bits, and the ranges of their inputs and outputs are fixed
beforehand. In a diffusion model these ranges change with t (Shang et al. 2023, arXiv 2211.15736), so they are measured
at all times t. Everything between these layers stays in float32.
"""

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genbench.errors import InputError, unknown_name
from genbench.files.weights import save_tensors
from genbench.machine.extras import install
from genbench.models import Model
from genbench.processes.noise import Noise

LAYERS = (nn.Conv2d, nn.Linear)  # quantised to int8: they have nearly all weights and FLOPs of a U-Net
HALF_LAYERS = (*LAYERS, nn.ConvTranspose2d)  # in half precision
CALIBRATION_IMAGES = 64
CALIBRATION_KEY = 1  # of their noise, which therefore differs from that of all samples (key 0)


class UnavailableError(Exception):
    """This machine or installation lacks something that a scheme needs; the message says what."""


Calibrate = Callable[[], None]  # runs the network on its inputs while sampling
Scheme = Callable[[nn.Module, torch.device, Calibrate], nn.Module]  # from a float32 network to its replacement


def layers(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """The layers of these kinds, each with its parent and its name there. A subclass is not one of them, since it may
    compute something else with its weights, such as standardise them first."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) in kinds:
                yield parent, name, child


class Autocast(nn.Module):
    """A network under autocast. Its layers hold their weights as autocast would convert them at each call: half the
    bytes, and bitwise the same results. Those in `float32_parts` of a module, the names of the parts that it computes
    without autocast, stay in float32."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network, dtype
        named = ((module, name) for module in network.modules() for name in getattr(module, "float32_parts", ()))
        float32 = {layer for module, name in named for layer in module.get_submodule(name).modules()}
        for _, _, layer in layers(network, HALF_LAYERS):
            if layer not in float32:
                layer.to(dtype)

    def forward(self, *inputs: Tensor) -> Tensor:
        with torch.autocast(inputs[0].device.type, self.dtype):
            output: Tensor = self.network(*inputs)
        return output


def bf16(network: nn.Module, device: torch.device, calibrate: Calibrate) -> nn.Module:
    """Autocast to bfloat16: float32's range with 8 bits of precision."""
    if device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise UnavailableError("this processor does not compute in bfloat16")
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UnavailableError("this GPU does not compute in bfloat16")
    return Autocast(network, torch.bfloat16)


def fp16(network: nn.Module, device: torch.device, calibrate: Calibrate) -> nn.Module:
    """Autocast to float16: 11 bits of precision, up to 65504."""
    if device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_fp16_supported():
        # PyTorch would emulate it, at a tenth of float32's speed or less.
        raise UnavailableError("this processor does not compute in float16")
    return Autocast(network, torch.float16)


def in_half(layer: nn.Module) -> bool:
    """Whether bf16 and fp16 compute it in half precision: a subclass, too, by autocast."""
    return isinstance(layer, HALF_LAYERS)


def in_int8(layer: nn.Module) -> bool:
    """Whether int8-static quantises it: not a transposed convolution, nor a subclass."""
    return type(layer) in LAYERS


def stored_in_int8(layer: nn.Module) -> bool:
    """Whether int8-weights quantises it: not a layer with one input channel per group, either, which torchao 0.18
    cannot convert (findings/torchao-one-input-channel.sh)."""
    return in_int8(layer) and layer.get_parameter("weight").shape[1] > 1


def int8_weights(network: nn.Module, device: torch.device, calibrate: Calibrate) -> nn.Module:
    """Weights in int8 with a float32 scale for each output channel (and place in a kernel), by torchao; they become
    float32 again at each call. Transposed convolutions and layers with one input channel per group stay in float32."""
    try:
        from torchao.quantization import IntxWeightOnlyConfig, quantize_
    except ImportError:
        raise UnavailableError(f"torchao is not installed ({install('quantisation')})") from None
    quantize_(network, IntxWeightOnlyConfig(torch.int8), filter_fn=lambda layer, name: stored_in_int8(layer))
    return network


def int8_static(network: nn.Module, device: torch.device, calibrate: Calibrate) -> nn.Module:
    """Weights in int8 with a scale for each output channel; inputs and outputs in uint8, each with one scale and zero
    point, from histograms over `calibrate`. By PyTorch's own integer kernels, which are for CPUs. Transposed
    convolutions stay in float32."""
    try:
        from torch.ao import quantization as ao
    except ImportError:
        raise UnavailableError("this version of PyTorch has no torch.ao.quantization") from None
    if device.type != "cpu" or "x86" not in torch.backends.quantized.supported_engines:
        where = "this GPU" if device.type == "cuda" else "this processor"
        raise UnavailableError(f"PyTorch has no int8 convolutions for {where}")
    torch.backends.quantized.engine = "x86"
    # The two recipes differ: without VNNI, sums of products would overflow, so "x86" uses only seven bits.
    qconfig = ao.get_default_qconfig("onednn" if torch.cpu._is_vnni_supported() else "x86")
    with warnings.catch_warnings():
        # All of torch.ao is deprecated; its successor, torchao's pt2e, needs minutes of C++ compilation for a U-Net.
        warnings.filterwarnings("ignore", "torch.ao.quantization is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", r"(?s).*torch\.quantize_per_tensor", UserWarning)
        warnings.filterwarnings("ignore", "Please use quant_min and quant_max", UserWarning)  # about "x86"'s seven bits
        for parent, name, layer in layers(network, LAYERS):
            layer.qconfig = qconfig
            wrapper = ao.QuantWrapper(layer)
            wrapper.qconfig = qconfig
            setattr(parent, name, wrapper)
        ao.prepare(network, inplace=True)
        calibrate()
        ao.convert(network, inplace=True)
    return network


SCHEMES: dict[str, Scheme] = {"bf16": bf16, "fp16": fp16, "int8-weights": int8_weights, "int8-static": int8_static}
LIBRARIES = {"bf16": "torch", "fp16": "torch", "int8-weights": "torchao", "int8-static": "torch"}
# By scheme: which layers it converts, of which a network needs one, and which others it leaves out.
NEEDS: dict[str, tuple[Callable[[nn.Module], bool], str]] = {
    "bf16": (in_half, ""),
    "fp16": (in_half, ""),
    "int8-weights": (stored_in_int8, ", other than transposed ones, subclasses and those with one input channel"),
    "int8-static": (in_int8, ", other than transposed ones and subclasses"),
}


def scheme_of(sampler: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """A sampler's options without `precision` and `quantisation`, and the scheme that these name; None is float32.

    Raises InputError for a precision other than fp32 and bf16, and for bf16 together with a scheme.
    """
    options = dict(sampler)
    precision, scheme = options.pop("precision", "fp32"), options.pop("quantisation", None)
    expected = ("fp32", "bf16") if scheme is None else ("fp32",)
    if precision not in expected:
        beside = "" if scheme is None else f" beside quantisation: {scheme}"
        raise InputError(f"key 'precision': found {precision!r}{beside}, expected {' or '.join(expected)}")
    return options, "bf16" if precision == "bf16" else scheme


def check_scheme(model: Model, scheme: Any) -> None:
    """Raise InputError for an unknown scheme, or a network with nothing that it converts."""
    if scheme not in SCHEMES:
        raise unknown_name("quantisation", scheme, SCHEMES)
    for module in model.get_submodule(model.network).modules():
        for name in getattr(module, "float32_parts", ()):
            if name not in dict(module.named_modules()):
                known = [part for part, _ in module.named_modules() if part]
                raise unknown_name(f"{type(module).__name__}: float32_parts", name, known)
    converts, exceptions = NEEDS[scheme]
    if not any(map(converts, model.get_submodule(model.network).modules())):
        raise InputError(
            f"quantisation: {scheme}: the {model.network} has no convolutions or linear layers{exceptions}"
        )


def quantise(
    model: Model, scheme: str, device: torch.device, options: Mapping[str, Any], y: Tensor | None = None
) -> dict[str, Any]:
    """Replace the model's network with the quantised one; returns the record of it for timing.json.

    options, y: the sampler's options and condition; y is for CALIBRATION_IMAGES seeds from 0. Raises UnavailableError,
    after which the model must not be used.
    """
    parent_name, _, name = model.network.rpartition(".")
    network = model.get_submodule(model.network)
    calibration: dict[str, Any] = {}

    def calibrate() -> None:
        started, inputs = time.perf_counter(), 0

        def count(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            nonlocal inputs
            inputs += len(given[0])

        handle = network.register_forward_pre_hook(count)
        with torch.inference_mode():
            seeds = torch.arange(CALIBRATION_IMAGES, device=device)
            model.calibrate(Noise(seeds, key=CALIBRATION_KEY), y, **options)
        handle.remove()
        calibration.update(images=CALIBRATION_IMAGES, inputs=inputs, seconds=time.perf_counter() - started)

    before = file_bytes(network)
    started = time.perf_counter()
    with torch.no_grad():
        quantised = SCHEMES[scheme](network, device, calibrate)
    seconds = time.perf_counter() - started
    setattr(model.get_submodule(parent_name), name, quantised)
    library = LIBRARIES[scheme]
    return {
        "scheme": scheme,
        "library": f"{library} {metadata.version(library)}",
        "network_bytes": file_bytes(quantised),
        "network_bytes_fp32": before,
        "conversion_seconds": seconds - calibration.get("seconds", 0.0),
        "calibration": calibration or None,
    }


def file_bytes(network: nn.Module) -> int:
    """The size of a file with the network's weights and all other tensors that it computes with."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.safetensors")
        save_tensors(path, dict(plain_tensors("", network.state_dict())), {})
        return path.stat().st_size


def plain_tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """A state dict as ordinary tensors: quantised ones as their integers, scales and zeros."""
    if isinstance(value, Mapping | tuple):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, part in items:
            yield from plain_tensors(f"{name}.{key}" if name else str(key), part)
    elif not isinstance(value, Tensor):
        return  # such as the name of a data type
    elif hasattr(value, "__tensor_flatten__"):  # torchao's
        for key in value.__tensor_flatten__()[0]:
            yield from plain_tensors(f"{name}.{key}", getattr(value, key))
    elif value.is_quantized:
        yield f"{name}.int", value.int_repr()
        if value.qscheme() == torch.per_channel_affine:
            yield f"{name}.scale", value.q_per_channel_scales()
            yield f"{name}.zero", value.q_per_channel_zero_points().to(torch.int8)
        else:
            yield f"{name}.scale", torch.tensor(value.q_scale())
            yield f"{name}.zero", torch.tensor(value.q_zero_point())
    else:
        yield name, value
