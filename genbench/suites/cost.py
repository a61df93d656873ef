"""What drawing an image costs, found on the meta device: FLOPs and evaluations, before anything is trained."""

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

# Samplers that look once at each of their times, whichever these are. (Heun's may look twice, PNDM's five times.)
ONE_LOOK = ("ddpm", "ddim", "dpm-solver++", "dpm-solver++3m", "sde-dpm-solver++", "unipc")
# What drawing takes, as measured with one thread: the convolutions of a processor copy what they read and write into
# layouts of their own. With both numbers, eight entries of demo and cifar10 took 0.6 to 1 times their estimate.
KERNELS = 2.4
BETWEEN = 6  # float32 copies of the images beside the network's tensors: x_t, x0_hat, noise, and sums of these


class MemoryCounter(FlopCounter):
    """Follows, too, how many bytes of tensors are alive at once, beside those of a module: `peak`."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self._weights = {part.untyped_storage()._cdata for part in (*module.parameters(), *module.buffers())}
        self._views: dict[int, int] = {}  # by address of a storage: how many tensors look at it

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
    """Counts the calls, and how often noise was drawn before the first."""

    def __init__(self, noise: Noise) -> None:
        self.noise, self.at_start = noise, 0

    def _count(self, *_: Any) -> None:
        if not self.calls:
            self.at_start = self.noise.draws
        super()._count()


def _stand_in(model: Model, options: Mapping[str, Any], device: torch.device) -> Tensor | None:
    """Zeros for the one image or label that `model` wants to be given with these options, if any."""
    kind = model.condition(options)
    if kind == "nothing":
        return None
    if kind == "images":
        return torch.zeros(1, *model.image_shape, device=device)
    return torch.zeros(1, dtype=torch.int64, device=device)


@contextlib.contextmanager
def _each_shape_once(module: torch.nn.Module) -> Iterator[list[MemoryCounter]]:
    """Let `module`, on the meta device, compute once for each shape of input; afterwards, and for inputs that are not
    on the meta device, zeros stand for its answers. Yields by call what its FLOPs and its memory are."""
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
    """Zeros on the CPU for all tensors of `model`, which is on the meta device, outside `networks`."""
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
    """Let `model` visit the first two of a sampler's times and the last, where each costs the same by ONE_LOOK.

    What is yielded lists, once it has sampled, by how much that was shortened.
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

    NFE and FLOPs of an image are None for a sampler that adapts to what the network answers.

    The network is computed there, once for each shape, and so is that of a first stage, whose FLOPs count but not its
    evaluations; what lies between its calls, for as many of a sampler's times as differ in cost, runs on the CPU, where
    a small operation is some fifty times cheaper than on the meta device.
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
        except RuntimeError:  # sampling uses the network's tensors beside calling it
            return {name: cost(options, META) for name, options in samplers.items()}
