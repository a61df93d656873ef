"""Inception's features of 10,000 images, with random weights as fast as the published ones; and FD from features."""

import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.on_gpu.models import peak_memory, reset_peak_memory
from benchmarks.on_gpu.pieces import Piece, Pieces, Setting


def features(at: Setting) -> Pieces:
    """Inception with random weights, as fast as the published ones; and FD from features."""
    count, found = at.either(10_000, 4), {}

    def inception(size: int) -> dict[str, Any]:
        from benchmarks.random_inception import random_state, save_legacy
        from genbench.features.extraction import extract
        from genbench.features.inception import load_legacy

        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
            path = Path(folder, "weights.pth")
            save_legacy(path, random_state())
            extractor = load_legacy(str(path), at.device)
        images = at.random_images(count)
        extract(images[:size], extractor, size, at.device)  # a warm-up
        reset_peak_memory(at.device)
        started = time.perf_counter()
        found["real"] = extract(images, extractor, size, at.device)[0]
        took = time.perf_counter() - started
        memory = peak_memory(at.device)
        return {"images_per_second": count / took, "images": count, "seconds": took, "peak_memory_bytes": memory}

    for size in (at.either(50, 2), at.either(500, 4)):
        yield Piece({"what": "Inception features", "batch_size": size}, lambda size=size: inception(size))

    def distance() -> dict[str, Any]:
        from genbench.metrics.fid import feature_statistics, frechet_distance

        dim = at.either(2048, 64)
        random = np.random.default_rng(0)
        mix = random.normal(size=(dim, dim)) * np.geomspace(1, 0.01, dim)
        sets = [
            (random.normal(size=(at.either(10_000, 200), dim)) @ mix + shift).astype(np.float32) for shift in (0, 0.1)
        ]
        started = time.perf_counter()
        value = frechet_distance(*feature_statistics(sets[0]), *feature_statistics(sets[1]))
        return {"seconds": time.perf_counter() - started, "fd": value, "dim": dim, "images": len(sets[0])}

    yield Piece({"what": "FD from features, on the CPU"}, distance)
