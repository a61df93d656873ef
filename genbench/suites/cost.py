"""What a model costs, found on the meta device: FLOPs, memory and evaluations, before anything is trained."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from genbench.errors import InputError
from genbench.models import Batch, Model
from genbench.processes.noise import Noise, StillNoise
from genbench.sampling.batch import CallCounter
from genbench.training.recipe import TrainConfig

META = torch.device("meta")


class FlopCounter(TorchDispatchMode):
    """Adds up the FLOPs of convolutions and matrix products, by torch's own formulas: two a multiplication.

    torch's FlopCounterMode also follows modules, and fails on a loss that differentiates twice.
    """

    total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if (formula := flop_registry.get(function._overloadpacket)) is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


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


def sampling_costs(model: Model, samplers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """NFE and FLOPs of drawing one image with `model`, which is on the meta device, for each sampler's options.

    The network is computed there, once for each shape; what lies between its calls, a thousand times perhaps, runs on
    the CPU, where a small operation is some fifty times cheaper than on the meta device.
    """
    model.eval()
    network = model.get_submodule(model.network)
    with torch.no_grad(), _each_shape_once(network) as flops:

        def cost(options: Mapping[str, Any], device: torch.device) -> dict[str, int]:
            flops.clear()
            noise = StillNoise(torch.zeros(1, dtype=torch.int64, device=device))
            counter = _NoiseCounter(noise)
            with counter.on(model):
                images = model.sample(noise, _stand_in(model, options, device), **options)
            if tuple(images.shape) != (1, *model.image_shape):
                raise InputError(f"sample returned shape {tuple(images.shape)}, expected {(1, *model.image_shape)}")
            first = flops[0] if flops else 0
            return {
                "nfe": counter.calls,
                "flops_per_nfe": first,
                "flops_per_image": sum(flops),
                "stochastic": counter.calls > 0 and noise.draws > counter.at_start,
            }

        try:
            with _on_cpu_but(network, model):
                return {name: cost(options, torch.device("cpu")) for name, options in samplers.items()}
        except RuntimeError:  # sampling uses the network's tensors beside calling it
            return {name: cost(options, META) for name, options in samplers.items()}
