"""What is bitwise the same on this device, and how far apart the rest is."""

import itertools
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.on_gpu.models import IMAGE_SHAPE, PRECISIONS, built, entry, fewer_steps, sampler, trainer
from benchmarks.on_gpu.pieces import Piece, Pieces, Setting
from genbench.files.weights import load_tensors, save_tensors
from genbench.processes.noise import Noise
from genbench.sampling.batch import batch_starts, sample_pixels
from genbench.training.trainer import Trainer

CPU = torch.device("cpu")


def equality(at: Setting) -> Pieces:
    """What is bitwise the same, and how far apart the rest is."""
    yield Piece({"what": "noise, CPU and device"}, lambda: _noise(at))
    for name, precision in itertools.product(at.models, PRECISIONS):
        labels = {"what": "training stopped and resumed", "model": name, "precision": precision}
        yield Piece(labels, lambda name=name, precision=precision: _resumed(at, name, precision))
    for name in at.models:
        yield Piece({"what": "split of seeds", "model": name}, lambda name=name: _split(at, name))
    for name in at.models:
        yield Piece({"what": "samples, CPU and device", "model": name}, lambda name=name: _samples_apart(at, name))


def _noise(at: Setting) -> dict[str, Any]:
    shape = (at.either(64, 4), *IMAGE_SHAPE)
    seeds = torch.arange(shape[0]) * 1_000_003
    here, there = Noise(seeds, key=7), Noise(seeds.to(at.device), key=7)
    bits = torch.equal(here.bits(3072), there.bits(3072).cpu())
    uniform = torch.equal(here.uniform(*shape[1:]), there.uniform(*shape[1:]).cpu())
    cpu, gpu = here.normal(*shape[1:]), there.normal(*shape[1:]).cpu()
    return {
        "bits_equal": bits,
        "uniform_equal": uniform,
        "normal_equal": torch.equal(cpu, gpu),
        "normal_differing_share": float((cpu != gpu).float().mean()),
        "normal_largest_difference": float((cpu - gpu).abs().max()),
    }


def _state(run: Trainer) -> dict[str, torch.Tensor]:
    return {key: value.detach().cpu().clone() for key, value in run.state()[0].items()}


def _resumed(at: Setting, name: str, precision: str) -> dict[str, Any]:
    """Twice `half` steps: at once, at once again, and with a save, a new trainer and a load in the middle."""
    half = at.either(3, 1)
    found = entry(name, at.tiny, precision=precision, batch_size=at.either(64, 4))
    images = at.random_images(at.either(1024, 16))

    def fresh(steps: int) -> Trainer:
        run = trainer(found, images, at.device)
        for _ in range(steps):
            run.advance()
        return run

    whole, again = _state(fresh(2 * half)), _state(fresh(2 * half))
    first, second = fresh(half), fresh(0)
    with tempfile.TemporaryDirectory() as folder:
        save_tensors(Path(folder, "state.safetensors"), *first.state())
        second.restore(*load_tensors(Path(folder, "state.safetensors"), at.device))
    for _ in range(half):
        second.advance()
    resumed = _state(second)

    def equal(other: dict[str, torch.Tensor]) -> bool:
        return all(torch.equal(whole[key], other[key]) for key in whole)

    apart = max(float((whole[key].double() - resumed[key].double()).abs().max()) for key in whole)
    return {"resumed_equal": equal(resumed), "again_equal": equal(again), "largest_difference": apart}


def _split(at: Setting, name: str) -> dict[str, Any]:
    """All batches in order; only those with the middle seeds; and batches of another size."""
    size = at.either(32, 4)
    model = built(entry(name, at.tiny)["model"], at.device, filled=True).eval()
    options = fewer_steps(sampler(name, at.tiny))

    def drawn(seeds: range, size: int) -> torch.Tensor:
        starts = batch_starts(seeds, size)
        batches = [sample_pixels(model, torch.arange(s, s + size, device=at.device), options).cpu() for s in starts]
        offset = seeds.start - starts[0]
        return torch.cat(batches)[offset : offset + len(seeds)].int()

    whole, middle = drawn(range(3 * size), size), drawn(range(size // 2, 2 * size + 1), size)
    halves = drawn(range(3 * size), size // 2)
    return {
        "split_equal": torch.equal(whole[size // 2 : 2 * size + 1], middle),
        "batch_size_grey_levels": int((whole - halves).abs().max()),
        "batch_size_differing_share": float((whole != halves).float().mean()),
    }


def _samples_apart(at: Setting, name: str) -> dict[str, Any]:
    """A few images in float32, with a fifth of the steps."""
    seeds, options = torch.arange(at.either(8, 2)), fewer_steps(sampler(name, at.tiny))
    drawn = []
    for device in (CPU, at.device):
        model = built(entry(name, at.tiny)["model"], device, filled=True).eval()
        drawn.append(sample_pixels(model, seeds.to(device), options).cpu().int())
    apart = (drawn[0] - drawn[1]).abs()
    return {
        "grey_levels": int(apart.max()),
        "differing_share": float((apart > 0).float().mean()),
        "spread": float(drawn[0].float().std()),
        "options": options,
    }
