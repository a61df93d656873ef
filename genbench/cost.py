"""What a model costs, found on the meta device: FLOPs, memory and evaluations, before anything is trained."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from genbench.errors import InputError
from genbench.generation import CallCounter
from genbench.models import Batch, Model, count_parameters
from genbench.noise import Noise
from genbench.recipe import TrainConfig

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
            if names == set(count_parameters(model)):
                break
        flops = counter.total - before
    weights = 4 * sum(p.numel() for p in model.parameters())
    model.zero_grad(set_to_none=True)
    return {"flops": flops * config.accumulate, "memory_bytes": weights * (5 if config.ema_decay else 4) + peak}


@contextlib.contextmanager
def _each_shape_once(module: torch.nn.Module) -> Iterator[list[int]]:
    """Let `module` compute once for each shape of input and answer from memory afterwards; yields its FLOPs by call."""
    forward, answers, flops = module.forward, {}, []

    def remembered(*inputs: Any) -> Any:
        key = tuple(tuple(value.shape) for value in inputs if isinstance(value, Tensor))
        if key not in answers:
            with FlopCounter() as counter:
                answers[key] = forward(*inputs), counter
        output, counter = answers[key]
        flops.append(counter.total)
        return output

    module.forward = remembered
    try:
        yield flops
    finally:
        del module.forward


def sampling_cost(model: Model, options: Mapping[str, Any]) -> dict[str, int]:
    """NFE and FLOPs of drawing one image. A network called with one shape a thousand times is computed once."""
    model.eval()
    network = model.get_submodule(model.network)
    with torch.no_grad(), _each_shape_once(network) as flops, CallCounter().on(model) as counter:
        images = model.sample(_meta_noise(1), **options)
    if tuple(images.shape) != (1, *model.image_shape):
        raise InputError(f"sample returned shape {tuple(images.shape)}, expected {(1, *model.image_shape)}")
    return {"nfe": counter.calls, "flops_per_nfe": flops[0] if flops else 0, "flops_per_image": sum(flops)}
