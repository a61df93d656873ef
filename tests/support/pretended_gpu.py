"""A pretended GPU: tensors that claim to be on another device, but are computed on the CPU.

As on a GPU, an operation refuses tensors of two devices, which finds tensors that were left on the CPU; on a pretended
Apple GPU it also refuses float64. Speed, memory, CUDA's kernels and its streams are not pretended. Between ranks, gloo
replaces NCCL.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from genbench import tensors as tensors_module

GPU = torch.device("lazy", 0)  # a device type that nothing else here uses, and for which autograd needs no driver
ATEN = torch.ops.aten
BETWEEN_DEVICES = {ATEN.copy_, ATEN._to_copy, ATEN.index, ATEN.index_put_, ATEN._index_put_impl_}  # accept both


class Elsewhere(Tensor):
    """A tensor on GPU; `here` has its values on the CPU."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> "Elsewhere":
        found = Tensor._make_wrapper_subclass(
            cls, here.shape, here.stride(), here.storage_offset(), dtype=here.dtype, layout=here.layout, device=GPU
        )
        found.here = here
        return found

    def tolist(self) -> Any:
        return self.here.tolist()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Elsewhere({self.here})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class PretendedGPU(TorchDispatchMode):
    """Within this context, tensors can be made on GPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = list(tensors_of((*args, *kwargs.values())))
    there = any(isinstance(tensor, Elsewhere) for tensor in tensors)
    behind = [tensor for tensor in tensors if not isinstance(tensor, Elsewhere) and tensor.dim()]
    if there and behind and func.overloadpacket not in BETWEEN_DEVICES:
        raise RuntimeError(f"{func}: found tensors of two devices, {[(tuple(t.shape), t.device) for t in tensors]}")
    device = kwargs.get("device")
    if device is not None:
        there = torch.device(device).type == GPU.type
        kwargs = kwargs | {"device": torch.device("cpu")}
    if func.overloadpacket is ATEN._efficientzerotensor:  # without memory, and not recognised in a wrapper
        func = ATEN.zeros.default
    with torch.no_grad():
        found = func(*changed(args, unwrap), **{key: changed(value, unwrap) for key, value in kwargs.items()})
    if there and GPU.type == tensors_module.APPLE:
        refuse_float64(func, [*tensors, *tensors_of((found,))])
    if isinstance(found, Tensor) and (alias := func._schema.returns[0].alias_info) and alias.is_write:  # in place
        return kwargs.get("out", args[0])
    return changed(found, Elsewhere) if there else found


def tensors_of(values: Any) -> Iterator[Tensor]:
    """The tensors among an operation's arguments, which are values and lists of values."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif type(value) in (list, tuple):
            yield from tensors_of(value)


def changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """A value with its tensors changed. torch's tree_map took half the time of these tests."""
    if isinstance(value, Tensor):
        return change(value)
    return type(value)([changed(part, change) for part in value]) if type(value) in (list, tuple) else value


def refuse_float64(func: Any, tensors: list[Tensor]) -> None:
    """Raise TypeError like an Apple GPU, even for a copy to the CPU: torch might convert before it copies."""
    if any(tensor.dtype == torch.float64 and tensor.dim() for tensor in tensors):
        raise TypeError(f"{func}: found float64, which an Apple GPU does not have: {[tuple(t.shape) for t in tensors]}")


def unwrap(tensor: Tensor) -> Tensor:
    return tensor.here if isinstance(tensor, Elsewhere) else tensor


def like_nccl(collective: Callable[..., Any]) -> Callable[..., Any]:
    """Return a collective that accepts only tensors on GPU."""

    def run(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(tensor, Elsewhere):
            raise RuntimeError(f"found a tensor on {tensor.device}, where NCCL takes none")
        return collective(tensor.here, *args, **kwargs)

    return run


@contextmanager
def pretended_gpu(apple: bool = False) -> Iterator[torch.device]:
    """A device to which modules and tensors can be moved. It has fused optimizers, and no autocast.

    apple: whether genbench regards it as an Apple GPU.
    """
    autocast, future = torch.autocast, torch.__future__
    swap, fused = future.get_swap_module_params_on_conversion(), optimizer._get_fused_kernels_supported_devices

    def elsewhere_none(kind: str, *of: Any, **how: Any) -> Any:
        return nullcontext() if kind == GPU.type else autocast(kind, *of, **how)

    def without_gradients(mode: bool = True) -> Any:  # views of inference tensors are not wrapped
        return torch.no_grad() if mode else nullcontext()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimizer, "_get_fused_kernels_supported_devices", lambda: [*fused(), GPU.type])
        patch.setattr(torch, "autocast", elsewhere_none)
        patch.setattr(torch, "inference_mode", without_gradients)
        if apple:
            patch.setattr(tensors_module, "APPLE", GPU.type)
        patch.setattr(dist, "all_reduce", like_nccl(dist.all_reduce))
        patch.setattr(dist, "broadcast", like_nccl(dist.broadcast))
        future.set_swap_module_params_on_conversion(True)  # a parameter and its `here` move together
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor makes its tensors on the CPU, and then moves them
        try:
            with PretendedGPU():
                yield GPU
        finally:
            torch._C._set_only_lift_cpu_tensors(False)
            future.set_swap_module_params_on_conversion(swap)
