"""Tune all recipes of a suite of equal compute in the same way: five learning rates per family, at the smallest budget.

    uv run tools/tune_equal.py mnist-equal

A trial trains on 4,000 images from the training split. Its score is the FD-classifier of 1,000 samples by its first
sampler against 1,000 other images of that split, in features of a classifier trained on the 4,000: no test image is
used. Finished trials are kept in results/tuning/SUITE and not repeated; `--models` shares the work among processes. At
the end the trials are printed as the table of docs/equal.md.
"""

import argparse
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genbench import api
from genbench.data import ImageSet, open_dataset
from genbench.errors import InputError
from genbench.features import class_features
from genbench.features.class_training import save_classifier, train_classifier
from genbench.features.extraction import extract
from genbench.files.artifacts import read_json, write_json
from genbench.machine.command_line import run
from genbench.metrics import fd

RATES = (2e-4, 6e-4, 2e-3, 6e-3, 2e-2)
TRAINING, HELD_OUT, SAMPLES = 4000, 1000, 1000


def cut(split: ImageSet) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """5,000 images (N, H, W, C) of a split and their labels, always the same ones."""
    chosen = np.random.default_rng(0).permutation(len(split.images))[: TRAINING + HELD_OUT]
    return split.images[chosen], split.labels[chosen]


def smallest(models: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The entry of the smallest budget that all series have, by the name of the series."""
    budgets: dict[str, dict[float, str]] = {}
    for name, entry in models.items():
        if "series" in entry:
            budgets.setdefault(entry["series"], {})[entry["training"]["flops"]] = name
    shared = set[float].intersection(*map(set, budgets.values())) if budgets else set[float]()
    if not shared:
        raise InputError("models: found no budget that all series share; expected a suite of equal compute")
    return {series: of_budget[min(shared)] for series, of_budget in budgets.items()}


def trial(suite: Mapping[str, Any], name: str, rate: float, images: Any, labels: Any, classifier: Path) -> float:
    """FD-classifier of one recipe with this learning rate."""
    entry = suite["models"][name]
    optimizer = {**entry["training"]["optimizer"], "lr": rate}
    seen = slice(TRAINING)
    model = api.train(suite, name, images=images[seen], labels=labels[seen], device="cpu", optimizer=optimizer)
    options = next(iter(entry["samplers"].values()))
    samples = api.sample(model, range(SAMPLES), batch_size=entry["sample_batch_size"], **options)
    extractor = class_features.load(str(classifier), "cpu")
    real, fake = (extract(found, extractor)[0] for found in (images[TRAINING:], samples))
    return fd(real, fake)


def table(found: Mapping[str, Mapping[float, float]]) -> str:
    """The trials in Markdown, the best of each family in bold."""
    lines = ["| family | " + " | ".join(f"lr {rate:.0e}" for rate in RATES) + " |", "|---|" + "--:|" * len(RATES)]
    for series, of_rate in found.items():
        best = min(of_rate.values(), default=math.nan)
        cells = [f"**{of_rate[r]:.1f}**" if of_rate[r] == best else f"{of_rate[r]:.1f}" for r in RATES if r in of_rate]
        lines.append(f"| {series} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", help="name or file of a suite of equal compute")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="only these labels of families")
    parser.add_argument("--data-root", default="resources/downloads", metavar="DIR", help="where raw data sets are")
    args = parser.parse_args()

    torch.set_num_threads(1)
    suite = api.load_suite(args.suite)
    images, labels = cut(open_dataset(suite["dataset"], Path(args.data_root)).load()["train"])
    chosen = {series: name for series, name in smallest(suite["models"]).items() if series in (args.models or [series])}
    folder = Path("results/tuning") / suite["name"]
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[float, float]] = {series: {} for series in chosen}
    with tempfile.TemporaryDirectory() as temporary:
        classifier = Path(temporary) / "classifier.safetensors"
        network = train_classifier(images[:TRAINING], labels[:TRAINING], len(np.unique(labels)))
        save_classifier(classifier, network, {"test_accuracy": None})
        for series, name in chosen.items():
            for rate in RATES:
                path = folder / f"{name}-{rate:.0e}.json"
                if not path.exists():
                    score = trial(suite, name, rate, images, labels, classifier)
                    write_json(path, {"series": series, "rate": rate, "fd_classifier": score})
                found[series][rate] = read_json(path)["fd_classifier"]
    print(table(found))


if __name__ == "__main__":
    run(main)
