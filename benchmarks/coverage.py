"""How often the 95 % intervals of one set of features contain the mean over redraws, and their cost, by simulation.

    python -m benchmarks.coverage
    python -m benchmarks.coverage --features resources/mnist/features/train-classifier.npz
    python -m benchmarks.coverage --cost

Generated features are drawn again and again from a distribution that is equal to, near or apart from that of the real
ones: by default Gaussian, without and with a ReLU. With --features, a file of real images' features, both sets are
parts of it, and noise is added to the generated ones. The real features are drawn only once.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from genbench.metrics import METRICS, EvaluationOptions, Features, evaluate_features
from genbench.metrics.intervals import deviation, groups_of

Array = NDArray[np.float32]
Draw = Callable[[np.random.Generator, int], Array]
INFO = {"extractor": {"name": "classifier"}, "images_sha256": "fake"}
HELD_OUT = {**INFO, "images_sha256": "test"}
CLASSES = 10
COSTLY = ("fd", "fd_infinity", "kid", "precision", "classifier_score")


def gaussian(dim: int, apart: float, relu: bool) -> Draw:
    """Features of `dim` dimensions with decreasing variances; apart: their distance from those at 0."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(dim, dim)))[0]
    scales = np.exp(-4 * np.arange(dim) / dim)

    def draw(random: np.random.Generator, count: int) -> Array:
        found = (random.normal(size=(count, dim)) * (1 + 0.3 * apart) + 0.3 * apart) * scales @ rotation
        return np.asarray(np.maximum(found, 0) if relu else found, dtype=np.float32)

    return draw


def of_file(features: Array, kept: float, noise: float) -> Draw:
    """A share `kept` of given features, drawn without repeats, with noise of so many standard deviations on each."""
    chosen = features[: round(kept * len(features))]

    def draw(random: np.random.Generator, count: int) -> Array:
        found = chosen[random.permutation(len(chosen))[:count]]
        return np.asarray(found + noise * features.std(axis=0) * random.normal(size=found.shape), dtype=np.float32)

    return draw


def as_features(found: Array, info: dict[str, object] = INFO) -> Features:
    """The features of a classifier whose logits are some of the features."""
    return Features(found, 3 * found[:, :CLASSES] / found.std(), dict(info))


def covered(real: Draw, fake: Draw, num_real: int, num_fake: int, trials: int) -> dict[str, tuple[float, float]]:
    """By metric: the share of redraws whose interval contains their mean, and its width relative to the right one."""
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
    """The name of each pair of distributions, and its results."""
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


def cost(count: int, dim: int, rounds: int) -> dict[str, float]:
    """By metric: the CPU time with intervals over that without, as medians of some rounds, in turn."""
    random, draw = np.random.default_rng(0), gaussian(dim, 0.2, True)
    real, fake = as_features(draw(random, count)), as_features(draw(random, count))
    found: dict[str, list[list[float]]] = {}
    options, known = EvaluationOptions(), dict[str, tuple[NDArray[np.float64], ...]]()
    evaluate_features(real, fake, options, True, known=known)  # computes what depends only on the real images
    chosen = [[METRICS[name]] for name in COSTLY] + [list(METRICS.values())]
    for _ in range(rounds):
        for metrics in chosen:
            times = []
            for without in (groups_of, lambda count, labels=None: None):
                with mock.patch("genbench.metrics.intervals.groups_of", without):
                    start = time.process_time()
                    evaluate_features(real, fake, options, True, metrics=metrics, known=known)
                    times.append(time.process_time() - start)
            found.setdefault(metrics[0].name if len(metrics) == 1 else "all together", []).append(times)
    medians = {name: np.median(times, axis=0) for name, times in found.items()}
    return {name: float(with_them / without) for name, (with_them, without) in medians.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300, help="redraws of each kind")
    parser.add_argument("--features", type=Path, metavar="FILE.npz", help="of real images, from extract_features.py")
    parser.add_argument("--cost", action="store_true", help="measure what intervals cost instead")
    args = parser.parse_args()
    if args.cost:
        for count, dim in ((2000, 128), (10_000, 128), (5000, 1024)):
            ratios = ", ".join(f"{name} {ratio:.2f}" for name, ratio in cost(count, dim, rounds=3).items())
            print(f"{count:,} images, {dim} features: time with intervals over time without: {ratios}", flush=True)
        return
    for number, (name, found) in enumerate(rows(args.trials, args.features)):
        if not number:
            print("| drawn | " + " | ".join(found) + " |\n| --- |" + " --- |" * len(found), flush=True)
        cells = " | ".join(f"{share:.0%} ({width:.2f})" for share, width in found.values())
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
