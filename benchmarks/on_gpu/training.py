"""Training: images per second, peak memory, share of the peak; torch.compile and CUDA graphs once each."""

import itertools
import time
from typing import Any

import torch

from benchmarks.on_gpu.models import (
    IMAGE_SHAPE,
    PRECISIONS,
    built,
    entry,
    iteration_flops,
    peak_flops,
    peak_memory,
    reset_peak_memory,
    trainer,
)
from benchmarks.on_gpu.pieces import Piece, Pieces, Setting, float32_mode, repeated
from genbench.machine.devices import synchronise
from genbench.models import Batch
from genbench.processes.noise import Noise


def training(at: Setting) -> Pieces:
    """Images per second, peak memory and share of the peak; torch.compile and CUDA graphs once each."""
    for precision in PRECISIONS:
        yield Piece({"what": "matrix product", "precision": precision}, lambda p=precision: _products(at, p))
    for precision, name in itertools.product(PRECISIONS, at.models):
        labels = {"what": "training", "model": name, "precision": precision}
        yield Piece(labels, lambda name=name, precision=precision: _training(at, name, precision))
    once = (("not deterministic", "ddpm", _free), ("CUDA graph", "dcgan-64", _graph), ("compiled", "ddpm", _compiled))
    for how, name, measure in once:
        if name in at.models:
            labels = {"what": f"training, {how}", "model": name, "precision": "bf16"}
            yield Piece(labels, lambda name=name, measure=measure: measure(at, name))


def _products(at: Setting, precision: str) -> dict[str, Any]:
    """The FLOP/s of matrix products here: the peak in practice, besides the maker's figure."""
    side = at.either(8192, 128)
    a, b = (torch.randn(side, side, device=at.device) for _ in range(2))
    if precision == "bf16":
        a, b = a.bfloat16(), b.bfloat16()
    with float32_mode(tf32=precision == "tf32"):
        count, took = repeated(lambda: a @ b, at.device, at.either(0.5, 0.05), warm_up=3, at_least=10)
    return {"flops_per_second": 2 * side**3 * count / took, "peak_flops": peak_flops(at.device, precision)}


def _training(at: Setting, name: str, precision: str, **recipe: Any) -> dict[str, Any]:
    found = entry(name, at.tiny, precision=precision, **recipe)
    reset_peak_memory(at.device)
    run = trainer(found, at.random_images(at.either(50_000, 64)), at.device)
    started = time.perf_counter()
    run.advance()
    synchronise(at.device)
    first = time.perf_counter() - started
    period = found["model"].get("r1_every", 1)
    group = at.either(period if period > 1 else 5, 1)
    count, took = repeated(run.advance, at.device, at.either(4, 0.02), at.either(3, 1), group)
    flops, peak = iteration_flops(name, at.tiny), peak_flops(at.device, precision)
    rate = flops * count / took
    return {
        "images_per_second": count * found["training"]["batch_size"] / took,
        "batch_size": found["training"]["batch_size"],
        "iterations": count,
        "first_iteration_seconds": first,
        "flops_per_iteration": flops,
        "flops_per_second": rate,
        "share_of_peak": rate / peak if peak else None,
        "peak_memory_bytes": peak_memory(at.device),
    }


def _free(at: Setting, name: str) -> dict[str, Any]:
    """The cost of bitwise reproducible training: the same training with the fastest kernels that cuDNN finds."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = True
    try:
        return _training(at, name, "bf16")
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=True)
        torch.backends.cudnn.benchmark = before[1]


def _compiled(at: Setting, name: str) -> dict[str, Any]:
    if at.tiny:
        return {"reason": "torch.compile takes minutes on a CPU; it is measured at full size only"}
    return _training(at, name, "bf16", compile=True)


def _graph(at: Setting, name: str) -> dict[str, Any]:
    """A whole iteration, recorded once as a CUDA graph and replayed: this shows the cost of starting kernels singly.

    Only the seeds and the images would change between iterations, so a trainer could copy them in.
    """
    if at.device.type != "cuda":
        return {"reason": "CUDA graphs need a CUDA device"}
    found = entry(name, at.tiny)
    size, model = found["training"]["batch_size"], built(found["model"], at.device).train()
    x0 = torch.rand(size, *IMAGE_SHAPE, device=at.device).contiguous(memory_format=torch.channels_last)
    y, seeds = torch.zeros(size, dtype=torch.int64, device=at.device), torch.arange(size, device=at.device)
    optimizers = {
        key: torch.optim.Adam(part.parameters(), fused=True, capturable=True) for key, part in model.named_children()
    }

    def step() -> None:
        losses = model.losses(Batch(x0, y, Noise(seeds)), 0)
        while True:
            with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
                item = next(losses, None)
            if item is None:
                return
            key, loss = item
            loss.backward(inputs=list(model.get_submodule(key).parameters()))
            optimizers[key].step()
            optimizers[key].zero_grad(set_to_none=True)

    plain, took_plain = repeated(step, at.device, 2, 3, 5)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    count, took = repeated(graph.replay, at.device, 2, 3, 5)
    return {
        "images_per_second": count * size / took,
        "without_graph": plain * size / took_plain,
        "batch_size": size,
    }
