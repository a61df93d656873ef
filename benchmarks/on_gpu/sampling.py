"""Sampling: from noise to uint8 in the machine's memory, up to 50,000 images."""

import itertools
from typing import Any

import torch

from benchmarks.on_gpu.models import (
    IMAGE_SHAPE,
    built,
    entry,
    fewer_steps,
    peak_memory,
    reset_peak_memory,
    sampler,
)
from benchmarks.on_gpu.pieces import Piece, Pieces, Setting, float32_mode, repeated
from genbench.models import Model
from genbench.processes.noise import Noise
from genbench.sampling.batch import sample_pixels


def sampling(at: Setting) -> Pieces:
    """Images per second from noise to uint8 in the machine's memory: up to 50,000 images, as far as time allows."""
    yield Piece({"what": "noise"}, lambda: _noise_speed(at))
    # bf16 first: the goals for 50,000 images are in bf16. fp32 is a suite's default.
    for precision, name in itertools.product(("bf16", "fp32", "tf32"), at.models):
        labels = {"what": "sampling", "model": name, "precision": precision}
        yield Piece(labels, lambda name=name, precision=precision: _sampling(at, name, precision))


def _noise_speed(at: Setting) -> dict[str, Any]:
    """Noise from seeds compared with torch.randn: milliseconds for a batch of images, and for one image."""
    found: dict[str, Any] = {}
    for size in (at.either(500, 8), 1):
        noise = Noise(torch.arange(size, device=at.device))
        draws = {
            "normal": lambda noise=noise: noise.normal(*IMAGE_SHAPE),
            "randn": lambda size=size: torch.randn(size, *IMAGE_SHAPE, device=at.device),
        }
        for key, draw in draws.items():
            count, took = repeated(draw, at.device, at.either(0.3, 0.02), warm_up=3, at_least=10)
            found[f"{key}_{size}_ms"] = 1000 * took / count
    return found


def _sampling(at: Setting, name: str, precision: str) -> dict[str, Any]:
    size, options = at.either({"ddgan": 200}.get(name, 500), 4), sampler(name, at.tiny)
    reset_peak_memory(at.device)
    model = drawing(built(entry(name, at.tiny)["model"], at.device, filled=True), precision)
    seconds = at.either({"ddgan": 33 if precision == "bf16" else 5}.get(name, 5), 0.02)
    images, starts = at.either(50_000, 8), itertools.count(0, size)

    def batch() -> None:
        start = next(starts)
        sample_pixels(model, torch.arange(start, start + size, device=at.device), options).cpu()

    with float32_mode(tf32=precision == "tf32"):
        for _ in range(2):  # a warm-up with few steps: the same kernels
            sample_pixels(model, torch.arange(size, device=at.device), fewer_steps(options))
        count, took = repeated(batch, at.device, seconds, warm_up=0, at_most=-(-images // size))
        single, took_single = repeated(
            lambda: sample_pixels(model, torch.arange(1, device=at.device), options).cpu(), at.device, at.either(0.2, 0)
        )
    return {
        "images_per_second": count * size / took,
        "images": count * size,
        "seconds": took,
        "seconds_per_50k": 50_000 * took / (count * size),
        "extrapolated": count * size < 50_000,
        "one_image_seconds": took_single / single,
        "batch_size": size,
        "options": options,
        "peak_memory_bytes": peak_memory(at.device),
    }


def drawing(model: Model, precision: str) -> Model:
    """A model, ready for sampling in this precision."""
    model = model.eval()
    if precision == "bf16":
        from genbench.sampling.quantisation import Autocast  # the scheme bf16, even if it is emulated

        with torch.no_grad():
            setattr(model, model.network, Autocast(model.get_submodule(model.network), torch.bfloat16))
    return model
