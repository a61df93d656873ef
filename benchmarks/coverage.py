"""How often the 95 % intervals of one set of features hold the mean over redraws, and what they cost: by simulation.

    python -m benchmarks.coverage
    python -m benchmarks.coverage --features resources/mnist/features/classifier-train.npz

Real and generated features are drawn again and again from the same two distributions, by default from two that are
alike, near or apart: Gaussian ones, and Gaussian ones behind a ReLU. With --features, a file of real images' features,
both sets are parts of it, and generated ones of some classes only, or blurred by noise. The real ones stay as they are.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genbench.metrics import EvaluationOptions, Features, evaluate_features
from genbench.metrics.intervals import deviation

Array = NDArray[np.float32]
Draw = Callable[[np.random.Generator, int], Array]
INFO = {"extractor": {"name": "classifier"}, "images_sha256": "fake"}
HELD_OUT = {**INFO, "images_sha256": "test"}
CLASSES = 10


def gaussian(dim: int, apart: float, relu: bool) -> Draw:
    """Features of `dim` dimensions with falling variances; apart: how far they are from those at 0."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(dim, dim)))[0]
    scales = np.exp(-4 * np.arange(dim) / dim)

    def draw(random: np.random.Generator, count: int) -> Array:
        found = (random.normal(size=(count, dim)) * (1 + 0.3 * apart) + 0.3 * apart) * scales @ rotation
        return np.asarray(np.maximum(found, 0) if relu else found, dtype=np.float32)

    return draw


def of_file(features: Array, kept: float, noise: float) -> Draw:
    """A share of given features, drawn without repeats, and noise of so many standard deviations on each."""
    chosen = features[: round(kept * len(features))]

    def draw(random: np.random.Generator, count: int) -> Array:
        found = chosen[random.permutation(len(chosen))[:count]]
        return np.asarray(found + noise * features.std(axis=0) * random.normal(size=found.shape), dtype=np.float32)

    return draw


def as_features(found: Array, info: dict[str, object] = INFO) -> Features:
    """Features as a classifier's, whose logits are some of them."""
    return Features(found, 3 * found[:, :CLASSES] / found.std(), dict(info))


def covered(real: Draw, fake: Draw, num_real: int, num_fake: int, trials: int) -> dict[str, tuple[float, float]]:
    """By metric: the share of redraws whose interval holds their mean, and its width to what it should be."""
    random = np.random.default_rng(1)
    options = EvaluationOptions(kid_subset_size=min(1000, num_fake // 2), kid_subsets=20)
    reference, held_out = as_features(real(random, num_real)), as_features(real(random, num_real // 4), HELD_OUT)
    known: dict[str, tuple[NDArray[np.float64], ...]] = {}
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    for _ in range(trials):
        drawn = as_features(fake(random, num_fake))
        metrics = evaluate_features(reference, drawn, options, True, held_out, known=known)
        for key, metric in metrics.items():
            if "without" in metric:
                one = (metric["value"], *metric["interval"], deviation(np.array(metric["without"])))
                found.setdefault(key.removesuffix("_classifier"), []).append(one)
    results = {}
    for key, rows in found.items():
        value, low, high, error = np.array(rows).T
        holds = (low <= value.mean()) & (value.mean() <= high)
        spread = value.std(ddof=1)
        results[key] = float(holds.mean()), float(np.sqrt(np.mean(error**2)) / spread) if spread else float("nan")
    return results


def rows(trials: int, path: Path | None) -> Iterator[tuple[str, dict[str, tuple[float, float]]]]:
    """What was drawn, and what came of it."""
    if path:
        features = np.load(path)["features"]
        features = features[np.random.default_rng(0).permutation(len(features))]
        for name, kept, noise in (("equal", 1, 0), ("near", 1, 0.3), ("apart", 1, 1)):
            drawn = of_file(features, kept, noise)
            for count in (500, 2000):
                name_of = f"{path.stem}, {features.shape[1]} features, {count} images, {name}"
                yield name_of, covered(of_file(features, 1, 0), drawn, 4000, count, trials)
        return
    for dim, count in ((16, 400), (64, 400), (64, 1000)):
        for relu in (False, True):
            for name, apart in (("equal", 0), ("near", 0.2), ("apart", 1)):
                drawn = gaussian(dim, apart, relu)
                what = f"{'ReLU' if relu else 'Gaussian'}, {dim} features, {count} images, {name}"
                yield what, covered(gaussian(dim, 0, relu), drawn, 1000, count, trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300, help="redraws of each kind")
    parser.add_argument("--features", type=Path, metavar="FILE.npz", help="of real images, from extract_features.py")
    args = parser.parse_args()
    for number, (name, found) in enumerate(rows(args.trials, args.features)):
        if not number:
            print("| drawn | " + " | ".join(found) + " |\n| --- |" + " --- |" * len(found), flush=True)
        cells = " | ".join(f"{share:.0%} ({width:.2f})" for share, width in found.values())
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
