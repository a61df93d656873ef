"""The cost of drawing an image, computed on the meta device before any training: FLOPs and network evaluations."""

import contextlib
import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from genbench.errors import InputError
from genbench.models import Model
from genbench.models.diffusion import Diffusion
from genbench.processes.noise import Noise, StillNoise
from genbench.sampling.batch import CallCounter
from genbench.schema import defaults, divided
from genbench.training.flops import META, FlopCounter

# Samplers with one network evaluation per time. (Heun's may have two, PNDM's five.)
ONE_LOOK = ("ddpm", "ddim", "dpm-solver++", "dpm-solver++3m", "sde-dpm-solver++", "unipc")
# Memory for drawing, measured with one thread: a processor's convolutions copy their inputs and outputs into other
# memory layouts. With both numbers, eight entries of demo and cifar10 took 0.6 to 1 times their estimate.
KERNELS = 2.4
BETWEEN = 6  # float32 copies of the images beside the network's tensors: x_t, x0_hat, noise, and sums of these


class MemoryCounter(FlopCounter):
    """Also records the peak number of bytes of live tensors, without those of a module: `peak`."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self._weights = {part.untyped_storage()._cdata for part in (*module.parameters(), *module.buffers())}
        self._views: dict[int, int] = {}  # number of tensors on each storage, by its address

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(function, types, args, kwargs)
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, Tensor):
                self._see(tensor)
        return result

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        address, size = storage._cdata, storage.nbytes()
        if address in self._weights:
            return
        if address not in self._views:
            self.alive += size
            self.peak = max(self.peak, self.alive)
        self._views[address] = self._views.get(address, 0) + 1
        weakref.finalize(tensor, self._forget, address, size)

    def _forget(self, address: int, size: int) -> None:
        self._views[address] -= 1
        if not self._views[address]:
            del self._views[address]
            self.alive -= size


class _NoiseCounter(CallCounter):
    """Counts the calls, and the draws of noise before the first call."""

    def __init__(self, noise: Noise) -> None:
        self.noise, self.at_start = noise, 0

    def _count(self, *_: Any) -> None:
        if not self.calls:
            self.at_start = self.noise.draws
        super()._count()


def _stand_in(model: Model, options: Mapping[str, Any], device: torch.device) -> Tensor | None:
    """Zeros for the one image or label that `model` needs with these options, if any."""
    kind = model.condition(options)
    if kind == "nothing":
        return None
    if kind == "images":
        return torch.zeros(1, *model.image_shape, device=device)
    return torch.zeros(1, dtype=torch.int64, device=device)


@contextlib.contextmanager
def _each_shape_once(module: torch.nn.Module) -> Iterator[list[MemoryCounter]]:
    """Let `module`, on the meta device, run only once for each shape of input; its outputs are replaced by zeros.

    Yields a list that gets a counter of FLOPs and memory for each call."""
    forward, answers, calls = module.forward, {}, []

    def remembered(*inputs: Any) -> Any:
        key = tuple((*value.shape, value.device) for value in inputs if isinstance(value, Tensor))
        if key not in answers:
            with MemoryCounter(module) as counter:
                output = forward(*(value.to(META) if isinstance(value, Tensor) else value for value in inputs))
            answers[key] = torch.zeros_like(output, device=inputs[0].device), counter
        output, counter = answers[key]
        calls.append(counter)
        return output

    module.forward = remembered
    try:
        yield calls
    finally:
        del module.forward


@contextlib.contextmanager
def _on_cpu_but(networks: Sequence[torch.nn.Module], model: Model) -> Iterator[None]:
    """Replace all tensors of `model`, which is on the meta device, by zeros on the CPU, except those of `networks`."""
    kept = []
    for module in set(model.modules()).difference(*(network.modules() for network in networks)):
        dictionaries: tuple[Any, ...] = (module._parameters, module._buffers)
        for tensors in dictionaries:
            for name, value in tensors.items():
                if value is not None:
                    kept.append((tensors, name, value))
                    tensors[name] = torch.zeros_like(value, device="cpu")
    try:
        yield
    finally:
        for tensors, name, value in kept:
            tensors[name] = value


@contextlib.contextmanager
def _few_times(model: Model, options: Mapping[str, Any]) -> Iterator[list[Fraction]]:
    """Let `model` visit only the first two of a sampler's times and the last, if each costs the same (ONE_LOOK).

    Yields a list that contains, after sampling, the ratio of all times to the visited times.
    """
    shortened: list[Fraction] = []
    if not isinstance(model, Diffusion) or not type(model).__module__.startswith("genbench.models."):
        yield shortened
        return
    _, of_walk, _ = divided(options, model.sample, model.walk)
    if (defaults(model.walk) | of_walk)["method"] not in ONE_LOOK:
        yield shortened
        return
    timesteps = model.timesteps

    def few(*arguments: Any) -> list[int]:
        times = timesteps(*arguments)
        chosen = [*times[:2], times[-1]] if len(times) > 3 else times
        shortened.append(Fraction(len(times), len(chosen)))
        return chosen

    model.timesteps = few  # type: ignore[assignment,method-assign]
    try:
        yield shortened
    finally:
        del model.timesteps  # the instance's own


def sampling_costs(model: Model, samplers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int | None]]:
    """NFE, FLOPs and bytes of drawing one image with `model`, which is on the meta device, for each sampler's options.

    NFE and FLOPs of an image are None for a sampler that adapts its steps to the network's outputs.

    The network runs on the meta device, once for each shape. So does the network of a first stage, whose FLOPs count
    but not its evaluations. The sampler's own operations run on the CPU, where a small operation is about fifty times
    faster than on the meta device, and only at as many times as differ in cost.
    """
    model.eval()
    network = model.get_submodule(model.network)
    first = model.get_submodule(model.first_stage) if model.first_stage else None
    stage = first.get_submodule(first.network) if isinstance(first, Model) else torch.nn.Module()
    with torch.no_grad(), _each_shape_once(network) as calls, _each_shape_once(stage) as before:

        def cost(options: Mapping[str, Any], device: torch.device) -> dict[str, int | None]:
            calls.clear()
            before.clear()
            noise = StillNoise(torch.zeros(1, dtype=torch.int64, device=device))
            counter = _NoiseCounter(noise)
            with counter.on(model), _few_times(model, options) as shortened:
                images = model.sample(noise, _stand_in(model, options, device), **options)
            if not isinstance(images, torch.Tensor) or not images.is_floating_point():
                found = images.dtype if isinstance(images, torch.Tensor) else type(images).__name__
                raise InputError(f"sample returned {found}, expected a tensor of floating-point numbers, -1 to 1")
            if tuple(images.shape) != (1, *model.image_shape):
                raise InputError(f"sample returned shape {tuple(images.shape)}, expected {(1, *model.image_shape)}")
            flops = [call.total for call in calls]
            times, adaptive = math.prod(shortened), model.adaptive(options)
            return {
                "nfe": None if adaptive else int(counter.calls * times),
                "flops_per_nfe": flops[0] if flops else 0,
                "flops_per_image": None if adaptive else int(sum(flops) * times) + sum(call.total for call in before),
                "memory_per_image": int(KERNELS * max((call.peak for call in (*calls, *before)), default=0))
                + BETWEEN * images.nbytes,
                "stochastic": counter.calls > 0 and noise.draws > counter.at_start,
            }

        try:
            with _on_cpu_but([network, stage], model):
                return {name: cost(options, torch.device("cpu")) for name, options in samplers.items()}
        except RuntimeError:  # sampling uses the network's tensors directly
            return {name: cost(options, META) for name, options in samplers.items()}
