"""Sums of tensors over ranks by torch.distributed, with NCCL on GPUs and gloo on CPUs: N ranks train as one rank does.

Each rank holds the whole model and a slice of every micro-batch, and weights the mean loss of its slice by its share of
the images. Gradients, losses and metrics are then sums over ranks.

With the same N, results are bitwise equal each time on the same kind of machine. With different N, losses and weights
agree up to rounding, since sums are taken in another order. Two things differ by more than that. Batch normalisation
takes its statistics from each rank's slice, unless `training: sync_batch_norm` asks for those of all ranks. Dropout
drops other units, since its random numbers belong to a tensor and not to an image.
"""

import os
import socket
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from genbench.errors import InputError
from genbench.machine.ranks import Ranks

BUCKET_BYTES = 25 * 2**20  # large enough for the network's full speed, small enough to be sent during backward
TIMEOUT = timedelta(hours=1)  # of one exchange: rank 0 may be writing, or fitting a density, while the others wait


def connect(team: Ranks, device: torch.device) -> None:
    """Connect the ranks to exchange tensors. Does nothing for one rank.

    Raises InputError if two ranks would compute on one GPU.
    """
    if team.size == 1:
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    if backend == "nccl":
        gpus = team.gather(f"{socket.gethostname()}: {torch.cuda.get_device_properties(device).uuid}")
        if shared := [gpu for gpu in gpus if gpus.count(gpu) > 1]:
            raise InputError(f"found {gpus.count(shared[0])} ranks on one GPU ({shared[0]}), expected a GPU for each")
    host = team.share(socket.gethostname())
    if team.local_size == team.size:  # on one machine its name is not needed
        host = "127.0.0.1"
        if sys.platform == "linux":
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    common: dict[str, Any] = {"world_size": team.size, "timeout": TIMEOUT}
    store = TCPStore(host, 0, is_master=True, wait_for_workers=False, **common) if team.first else None
    port = team.share(store.port if store is not None else 0)
    if store is None:
        store = TCPStore(host, port, is_master=False, **common)
    dist.init_process_group(backend, store=store, rank=team.rank, **common)


def disconnect() -> None:
    """Close the connections that `connect` opened."""
    if dist.is_initialized():
        dist.destroy_process_group()


def add_up(tensor: Tensor) -> Tensor:
    """The sum of a tensor over ranks, in place."""
    dist.all_reduce(tensor)
    return tensor


@torch.no_grad()
def copy_from_first(module: nn.Module) -> None:
    """Give every rank the weights and buffers of rank 0: those computed on another machine may differ."""
    for tensor in [*module.parameters(), *module.buffers()]:
        packed = tensor.detach().contiguous()
        dist.broadcast(packed, src=0)
        tensor.copy_(packed)


# --- Gradients --------------------------------------------------------------------------------------------------------


class GradientSum:
    """The gradients of some parameters, and a loss, summed over ranks in flat buckets.

    Autograd reaches the last layers first, so buckets go from the last parameters to the first. Each bucket is sent as
    soon as backward has filled it and all before it, while backward goes on. The order is the same on every rank.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._buckets: list[list[nn.Parameter]] = []
        room = 0
        for parameter in reversed(parameters):
            size = parameter.numel() * parameter.element_size()
            if size > room:
                self._buckets.append([])
                room = max(BUCKET_BYTES, size)
            self._buckets[-1].append(parameter)
            room -= size
        self._bucket_of = {id(p): number for number, bucket in enumerate(self._buckets) for p in bucket}
        for parameter in parameters:
            parameter.register_post_accumulate_grad_hook(self._filled)
        self._loss: Tensor | None = None
        self._missing: list[int] = []
        self._sent: list[tuple[list[Tensor], Tensor, Any]] = []  # gradients, their bucket, and the pending operation

    def expect(self, loss: Tensor) -> None:
        """Announce that the next backward completes the gradients. `loss`, a float32 scalar, is summed with them."""
        self._loss, self._sent = loss, []
        self._missing = [len(bucket) for bucket in self._buckets]

    def _filled(self, parameter: Tensor) -> None:
        if self._loss is None:  # a micro-batch before the last
            return
        self._missing[self._bucket_of[id(parameter)]] -= 1
        while len(self._sent) < len(self._buckets) and self._missing[len(self._sent)] == 0:
            self._send()

    def _send(self) -> None:
        gradients = [p.grad for p in self._buckets[len(self._sent)] if p.grad is not None]
        parts = [gradient.reshape(-1) for gradient in gradients]
        if not self._sent:
            assert self._loss is not None
            parts.append(self._loss.reshape(-1))
        flat = torch.cat(parts) if parts else torch.zeros(0)
        work = dist.all_reduce(flat, async_op=True) if parts else None
        self._sent.append((gradients, flat, work))

    @torch.no_grad()
    def finish(self) -> Tensor:
        """Wait until every gradient is the sum; return the summed loss."""
        while len(self._sent) < len(self._buckets):  # buckets of parameters that this loss does not reach
            self._send()
        loss = None
        for gradients, flat, work in self._sent:
            if work is not None:
                work.wait()
            parts = flat.split([*(g.numel() for g in gradients), flat.numel() - sum(g.numel() for g in gradients)])
            for gradient, part in zip(gradients, parts, strict=False):
                gradient.copy_(part.view(gradient.shape))
            loss = parts[-1][0] if loss is None else loss
        self._loss, self._sent = None, []
        assert loss is not None
        return loss


# --- Batch normalisation ----------------------------------------------------------------------------------------------


class _Sum(torch.autograd.Function):
    """The sum over ranks, whose gradient is the sum over ranks too: it can be differentiated any number of times."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return add_up(x.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the statistics of all ranks' images together, in float32.

    torch's SyncBatchNorm does not run on CPUs and cannot be differentiated twice, which gradient penalties need.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.float()
        sums = torch.cat([x.sum((0, 2, 3)), x.new_tensor([x.numel() / x.shape[1]])])
        sums = _Sum.apply(sums)
        count = sums[-1].detach()
        mean = (sums[:-1] / count)[None, :, None, None]
        variance = _Sum.apply((x - mean).square().sum((0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            self.running_mean.lerp_(mean.flatten(), self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalised = (x - mean) * scale[None, :, None, None] + self.bias[None, :, None, None]
        return normalised.to(input.dtype)


def synchronise_batch_norm(module: nn.Module) -> None:
    """Give every BatchNorm2d in `module` the statistics of all ranks. Names and weights stay as they are."""
    for part in module.modules():
        if type(part) is nn.BatchNorm2d:
            part.__class__ = SynchronisedBatchNorm
