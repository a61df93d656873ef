"""The cost of a training iteration, found on the meta device: FLOPs and memory, before anything is trained."""

import contextlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import conv_flop_count, flop_registry

from genbench.errors import InputError
from genbench.models import Batch, Model
from genbench.processes.noise import Noise
from genbench.training.recipe import TrainConfig

META = torch.device("meta")
MOST_STEPS = 64  # tried until every submodule has been updated


def _of_backward(*arguments: Any, out_val: Any) -> int:
    """The FLOPs of a convolution's gradients: each of the two costs as much as the convolution.

    torch's own formula counts the weights' gradient of a grouped convolution once for each group.
    """
    gradient, x, weight = (tensor.shape for tensor in arguments[:3])
    transposed, of_input_and_weight = arguments[7], arguments[10][:2]
    return sum(of_input_and_weight) * int(conv_flop_count(x, weight, gradient, transposed))


FORMULAS = {**flop_registry, torch.ops.aten.convolution_backward: _of_backward}


class FlopCounter(TorchDispatchMode):
    """Adds up the FLOPs of convolutions and matrix products, by `FORMULAS`: two per multiplication.

    torch's FlopCounterMode also follows modules, and fails on a loss that differentiates twice. On the meta device the
    result of an operation depends only on shapes, and torch computes many results in Python, so each is cached.
    """

    total = 0
    _known: ClassVar[dict[tuple[Any, ...], tuple[Any, int]]] = {}  # by operation and arguments: result and FLOPs

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
        formula = FORMULAS.get(function._overloadpacket)
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
    """Whether an operation neither writes into one of its arguments nor returns a view of one."""
    schema = function._schema
    silent = function._overloadpacket is torch.ops.aten._unsafe_view  # whose schema does not say so
    return not silent and all(part.alias_info is None for part in (*schema.arguments, *schema.returns))


def _shapes(value: Any) -> Any:
    """A value with (shape, strides, dtype) instead of each tensor; raises _OtherTensorError for one not on meta."""
    if isinstance(value, Tensor):
        if value.device != META or value.layout != torch.strided:
            raise _OtherTensorError
        return torch.Size, value.shape, value.stride(), value.dtype
    if isinstance(value, (list, tuple)):
        return tuple(map(_shapes, value))
    return type(value), value  # 1, 1.0 and True are equal, but give results of different types


def _empty(shapes: Any) -> Any:
    """New tensors on the meta device from the `_shapes` of an operation's result."""
    if shapes[:1] == (torch.Size,):
        _, size, stride, dtype = shapes
        return torch.empty_strided(size, stride, dtype=dtype, device=META)
    if shapes and isinstance(shapes[0], type):  # None, or a number
        return shapes[1]
    return tuple(map(_empty, shapes))


def _meta_noise(size: int) -> Noise:
    return Noise(torch.empty(size, dtype=torch.int64, device=META))


def _pairs(losses: Any) -> Iterator[tuple[str, Tensor]]:
    """The losses of a model; raises InputError if they are something else, as in a user's model."""
    expected = 'expected pairs, such as `yield "generator", loss`: the name of the part to train, and its loss'
    if not isinstance(losses, Iterable) or isinstance(losses, Tensor):
        raise InputError(f"losses: found {type(losses).__name__}, {expected}")
    for pair in losses:
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)):
            raise InputError(f"losses: found {type(pair).__name__}, {expected}")
        name, loss = pair
        if not isinstance(loss, Tensor):
            raise InputError(f"losses: {name}: found {type(loss).__name__}, expected a tensor with a gradient")
        yield name, loss


def training_cost(model: Model, config: TrainConfig) -> dict[str, int]:
    """FLOPs of one training iteration, and bytes of memory: weights, gradients, Adam's moments, the average, and
    what autograd keeps of one micro-batch (an upper bound; the allocator adds some, and reuses some).

    The FLOPs are those of the forward and backward pass, two per multiplication, averaged over iterations that stand
    for all (`typical_steps`): a critic is updated more often than its generator, and a penalty may be lazy.
    """
    size = config.batch_size // config.accumulate
    kept: dict[int, torch.UntypedStorage] = {}
    peak = 0

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage  # by its address: views count once; kept alive: the address is not reused
        return tensor

    model.train()
    learning = {name for name, part in model.named_children() if any(p.requires_grad for p in part.parameters())}
    x0 = torch.empty(size, *model.image_shape, device=META)
    stated = model.typical_steps
    flops: dict[int, int] = {}
    moved: set[str] = set()
    with (
        FlopCounter() as counter,
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        for step in stated or range(MOST_STEPS):
            before = counter.total
            batch = Batch(x0, torch.empty(size, dtype=torch.int64, device=META), _meta_noise(size))
            for name, loss in _pairs(model.losses(batch, step)):
                loss.backward(inputs=list(model.get_submodule(name).parameters()))
                moved.add(name)
                peak = max(peak, sum(storage.nbytes() for storage in kept.values()))
                kept.clear()
            flops[step] = counter.total - before
            if not stated and moved >= learning:
                break
    shares = stated or dict.fromkeys(flops, Fraction(1, len(flops)))
    weights = 4 * sum(p.numel() for p in model.parameters())
    model.zero_grad(set_to_none=True)
    return {
        "flops": int(config.accumulate * sum(shares[step] * number for step, number in flops.items())),
        "memory_bytes": weights * (4 + bool(config.ema_decay) + len(config.ema_lengths)) + peak,
    }
