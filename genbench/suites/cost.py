"""What a model costs, found on the meta device: FLOPs, memory and evaluations, before anything is trained."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from genbench.errors import InputError
from genbench.models import Batch, Model
from genbench.models.diffusion import Diffusion
from genbench.processes.noise import Noise, StillNoise
from genbench.sampling.batch import CallCounter
from genbench.schema import defaults, divided
from genbench.training.recipe import TrainConfig

META = torch.device("meta")
# Samplers of processes/samplers.py that look once at each of their times, whichever these are. (Heun's may look twice.)
ONE_LOOK = ("ddpm", "ddim", "dpm-solver++")


class FlopCounter(TorchDispatchMode):
    """Adds up the FLOPs of convolutions and matrix products, by torch's own formulas: two a multiplication.

    torch's FlopCounterMode also follows modules, and fails on a loss that differentiates twice. On the meta device an
    operation is a function of shapes, and torch computes many of these in Python: each is asked once, and remembered.
    """

    total = 0
    _known: ClassVar[dict[tuple[Any, ...], tuple[Any, int]]] = {}  # by operation and arguments: its answer, and FLOPs

    @classmethod
    def _should_skip_dynamo(cls) -> bool:  # nothing is compiled here, and torch's compiler takes a second to import
        return False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        key = None
        if _makes_new_tensors(function):
            with contextlib.suppress(_OtherTensorError):
                key = (function, _shapes(args), _shapes(tuple(kwargs.items())))
        if key in self._known:
            outputs, flops = self._known[key]
            self.total += flops
            return _empty(outputs)
        result = function(*args, **kwargs)
        formula = flop_registry.get(function._overloadpacket)
        flops = 0 if formula is None else formula(*args, **kwargs, out_val=result)
        self.total += flops
        if key is not None:
            with contextlib.suppress(_OtherTensorError):
                self._known[key] = _shapes(result), flops
        return result


class _OtherTensorError(Exception):
    """A tensor that is not on the meta device, or has no strides."""


@cache
def _makes_new_tensors(function: Any) -> bool:
    """Whether an operation writes into none of its arguments, and returns a view of none."""
    schema = function._schema
    silent = function._overloadpacket is torch.ops.aten._unsafe_view  # whose schema does not say so
    return not silent and all(part.alias_info is None for part in (*schema.arguments, *schema.returns))


def _shapes(value: Any) -> Any:
    """A value with (shape, strides, dtype) in place of each tensor; raises _OtherTensorError for one not on meta."""
    if isinstance(value, Tensor):
        if value.device != META or value.layout != torch.strided:
            raise _OtherTensorError
        return torch.Size, value.shape, value.stride(), value.dtype
    if isinstance(value, (list, tuple)):
        return tuple(map(_shapes, value))
    return type(value), value  # 1, 1.0 and True are equal, and give other types


def _empty(shapes: Any) -> Any:
    """New tensors on the meta device from what `_shapes` made of an operation's answer."""
    if shapes[:1] == (torch.Size,):
        _, size, stride, dtype = shapes
        return torch.empty_strided(size, stride, dtype=dtype, device=META)
    if shapes[:1] == (type(None),):
        return None
    return tuple(map(_empty, shapes))


def _meta_noise(size: int) -> Noise:
    return Noise(torch.empty(size, dtype=torch.int64, device=META))


def training_cost(model: Model, config: TrainConfig) -> dict[str, int]:
    """FLOPs of one training iteration, and bytes of memory: weights, gradients, Adam's moments, the average, and
    what autograd keeps of one micro-batch (an upper bound; the allocator adds some, and reuses some)."""
    size = config.batch_size // config.accumulate
    kept: dict[int, int] = {}
    peak = 0

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()  # the storage's own address: views of one tensor count once
        return tensor

    model.train()
    learning = {name for name, part in model.named_children() if any(p.requires_grad for p in part.parameters())}
    x0 = torch.empty(size, *model.image_shape, device=META)
    with (
        FlopCounter() as counter,
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        # A step at which every submodule moves: n_critic - 1 for a GAN, found by trying.
        for step in range(64):
            before = counter.total
            batch = Batch(x0, torch.empty(size, dtype=torch.int64, device=META), _meta_noise(size))
            names = set()
            for name, loss in model.losses(batch, step):
                loss.backward(inputs=list(model.get_submodule(name).parameters()))
                names.add(name)
                peak = max(peak, sum(kept.values()))
                kept.clear()
            if names == learning:
                break
        flops = counter.total - before
    weights = 4 * sum(p.numel() for p in model.parameters())
    model.zero_grad(set_to_none=True)
    return {"flops": flops * config.accumulate, "memory_bytes": weights * (5 if config.ema_decay else 4) + peak}


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
def _each_shape_once(module: torch.nn.Module) -> Iterator[list[int]]:
    """Let `module`, on the meta device, compute once for each shape of input; afterwards, and for inputs that are not
    on the meta device, zeros stand for its answers. Yields its FLOPs by call."""
    forward, answers, flops = module.forward, {}, []

    def remembered(*inputs: Any) -> Any:
        key = tuple((*value.shape, value.device) for value in inputs if isinstance(value, Tensor))
        if key not in answers:
            with FlopCounter() as counter:
                output = forward(*(value.to(META) if isinstance(value, Tensor) else value for value in inputs))
            answers[key] = torch.zeros_like(output, device=inputs[0].device), counter
        output, counter = answers[key]
        flops.append(counter.total)
        return output

    module.forward = remembered
    try:
        yield flops
    finally:
        del module.forward


@contextlib.contextmanager
def _on_cpu_but(network: torch.nn.Module, model: Model) -> Iterator[None]:
    """Zeros on the CPU for all tensors of `model`, which is on the meta device, outside `network`."""
    kept = []
    for module in set(model.modules()) - set(network.modules()):
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


def sampling_costs(model: Model, samplers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """NFE and FLOPs of drawing one image with `model`, which is on the meta device, for each sampler's options.

    The network is computed there, once for each shape; what lies between its calls, for as many of a sampler's times as
    differ in cost, runs on the CPU, where a small operation is some fifty times cheaper than on the meta device.
    """
    model.eval()
    network = model.get_submodule(model.network)
    with torch.no_grad(), _each_shape_once(network) as flops:

        def cost(options: Mapping[str, Any], device: torch.device) -> dict[str, int]:
            flops.clear()
            noise = StillNoise(torch.zeros(1, dtype=torch.int64, device=device))
            counter = _NoiseCounter(noise)
            with counter.on(model), _few_times(model, options) as shortened:
                images = model.sample(noise, _stand_in(model, options, device), **options)
            if tuple(images.shape) != (1, *model.image_shape):
                raise InputError(f"sample returned shape {tuple(images.shape)}, expected {(1, *model.image_shape)}")
            first = flops[0] if flops else 0
            times = math.prod(shortened)
            return {
                "nfe": int(counter.calls * times),
                "flops_per_nfe": first,
                "flops_per_image": int(sum(flops) * times),
                "stochastic": counter.calls > 0 and noise.draws > counter.at_start,
            }

        try:
            with _on_cpu_but(network, model):
                return {name: cost(options, torch.device("cpu")) for name, options in samplers.items()}
        except RuntimeError:  # sampling uses the network's tensors beside calling it
            return {name: cost(options, META) for name, options in samplers.items()}
