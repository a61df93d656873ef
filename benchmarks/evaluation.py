"""Evaluation compared with pytorch-fid, clean-fid, torch-fidelity, prdc and an earlier genbench: features and metrics.

Features: the peers read PNG files with their own code, genbench reads the same images as an array; both use the same
random weights, which are as fast as the published ones. Metrics: of 10,000 x 2,048 random features, correlated and of
full rank, as genbench's pipeline calls them: with the part that depends only on the real images computed each time, and
kept.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.comparison import Comparison, Setting, Work
from benchmarks.preflight import PEAK
from benchmarks.random_inception import random_state, save_clean, save_legacy
from genbench.features import extract, load_extractor, save_features
from genbench.features.evaluation import evaluate_files
from genbench.features.inception import CLEAN_WEIGHTS, DIM, LEGACY_WEIGHTS
from genbench.metrics import METRICS, EvaluationOptions, Features, evaluate_features, know_reference

IMAGES, BATCH_SIZE, SAMPLES = 100, 50, 10_000
ROOT = Path(__file__).parents[1]
# One evaluation in a separate process, by the checkout that is first in PYTHONPATH.


# --- Features ---------------------------------------------------------------------------------------------------------


def random_images(count: int) -> NDArray[np.uint8]:
    """Smooth random colours, 32 x 32."""
    coarse = np.random.default_rng(0).integers(0, 256, size=(count, 4, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BICUBIC)) for image in coarse])


def images_in(folder: Path) -> tuple[NDArray[np.uint8], list[Path]]:
    """Images, and PNG files of them."""
    folder.mkdir(exist_ok=True)
    images, files = random_images(IMAGES), [folder / f"{i:06d}.png" for i in range(IMAGES)]
    for image, path in zip(images, files, strict=True):
        Image.fromarray(image).save(path)
    return images, files


def features(setting: Setting, kind: str, weights: Path, by_peer: Callable[[], NDArray[Any]]) -> Comparison:
    """Inception features of these images by a peer and by genbench, with the weights in the file `weights`."""
    images, _ = images_in(setting.folder / "png")
    extractor = load_extractor(f"inception-{kind}:{weights}", any_weights=True)
    return Comparison(
        theirs=by_peer,
        ours={"fp32": lambda: extract(images, extractor, BATCH_SIZE)[0]},
        rounds=3,
        batch_size=BATCH_SIZE,
        remark=lambda theirs, ours: f"apart by {np.abs(ours - theirs).max() / np.abs(theirs).max():.0e}",
    )


def beside_pytorch_fid(setting: Setting) -> Comparison:
    from pytorch_fid import fid_score, inception

    _, files = images_in(setting.folder / "png")
    state = random_state()
    save_legacy(setting.folder / LEGACY_WEIGHTS.name, state)
    with patch.object(inception, "load_state_dict_from_url", lambda url, progress: state):
        model = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[DIM]])
    options = {"batch_size": BATCH_SIZE, "device": torch.device("cpu"), "num_workers": 0}
    return features(
        setting,
        "legacy",
        setting.folder / LEGACY_WEIGHTS.name,
        lambda: fid_score.get_activations(files, model, **options),
    )


def beside_clean_fid(setting: Setting) -> Comparison:
    from cleanfid import fid
    from cleanfid.inception_torchscript import InceptionV3W

    folder = setting.folder / "png"
    images_in(folder)
    save_clean(setting.folder / CLEAN_WEIGHTS.name, random_state())
    model = InceptionV3W(str(setting.folder), download=False)
    options = {"batch_size": BATCH_SIZE, "device": torch.device("cpu"), "num_workers": 0, "verbose": False}
    return features(
        setting,
        "clean",
        setting.folder / CLEAN_WEIGHTS.name,
        lambda: fid.get_folder_features(str(folder), model=model, mode="clean", **options),
    )


# --- Metrics ----------------------------------------------------------------------------------------------------------


@cache
def random_features(count: int, seed: int) -> Features:
    """Features (count, 2048) of full rank, correlated and not negative, and logits (count, 1008)."""
    mix = np.random.default_rng(0).normal(size=(DIM, DIM)).astype(np.float32) * np.geomspace(1, 0.1, DIM) / DIM**0.5
    random = np.random.default_rng(seed)
    found = np.abs(random.normal(size=(count, DIM)).astype(np.float32) @ mix.astype(np.float32) + 0.3 + 0.01 * seed)
    info = {"extractor": {"name": "inception-clean", "sha256": "0" * 64}, "images_sha256": f"{seed:064x}"}
    return Features(found, 2 * random.normal(size=(count, 1008)).astype(np.float32), info)


def metrics(names: Sequence[str], by_peer: Callable[[Any, Any], Mapping[str, float]], kept: bool = True) -> Comparison:
    """The metrics `names` of two sets of features. by_peer: computes them from both sets, by name."""
    real, fake = (random_features(SAMPLES, seed) for seed in (0, 1))
    chosen, options = [METRICS[name] for name in names], EvaluationOptions()
    known = know_reference(real, None, options, chosen, {})

    def ours(known: dict[str, Any]) -> dict[str, float]:
        found = evaluate_features(real, fake, options, metrics=chosen, known=dict(known))
        return {metric.name: found[metric.key("inception-clean")]["value"] for metric in chosen}

    def apart(theirs: Mapping[str, float], ours: Mapping[str, float]) -> str:
        return f"apart by {max(abs(value / theirs[name] - 1) for name, value in ours.items()):.0e}"

    return Comparison(
        theirs=lambda: by_peer(real.features, fake.features),
        ours={"": lambda: ours({})} | ({"reference kept": lambda: ours(known)} if kept else {}),
        rounds=3,
        remark=apart,
    )


def fd_of_torch_fidelity(setting: Setting) -> Comparison:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    def fid(real: NDArray[Any], fake: NDArray[Any]) -> dict[str, float]:
        sets = (fid_features_to_statistics(torch.from_numpy(found)) for found in (real, fake))
        return {"fid": fid_statistics_to_metric(*sets, verbose=False)["frechet_inception_distance"]}

    return metrics(["fid"], fid)


def fd_of_pytorch_fid(setting: Setting) -> Comparison:
    from pytorch_fid.fid_score import calculate_frechet_distance

    def fid(real: NDArray[Any], fake: NDArray[Any]) -> dict[str, float]:
        sets = [(np.mean(found, axis=0), np.cov(found, rowvar=False)) for found in (real, fake)]
        return {"fid": calculate_frechet_distance(*sets[0], *sets[1])}

    return metrics(["fid"], fid)


def fd_of_clean_fid(setting: Setting) -> Comparison:
    from cleanfid.fid import fid_from_feats

    return metrics(["fid"], lambda real, fake: {"fid": fid_from_feats(real, fake)})


def kid_of_torch_fidelity(setting: Setting) -> Comparison:
    from torch_fidelity.metric_kid import kid_features_to_metric

    def kid(real: NDArray[Any], fake: NDArray[Any]) -> dict[str, float]:
        options = {"kid_subsets": 100, "kid_subset_size": 1000, "verbose": False}
        found = kid_features_to_metric(torch.from_numpy(real), torch.from_numpy(fake), **options)
        return {"kid": found["kernel_inception_distance_mean"]}

    return metrics(["kid"], kid, kept=False)


def kid_of_clean_fid(setting: Setting) -> Comparison:
    from cleanfid.fid import kernel_distance

    def kid(real: NDArray[Any], fake: NDArray[Any]) -> dict[str, float]:
        random = np.random.RandomState(2020)  # it uses the global state, and first draws from its second argument
        with patch.object(np.random, "choice", random.choice):
            return {"kid": kernel_distance(fake, real)}

    return metrics(["kid"], kid, kept=False)


def manifolds_of_prdc(setting: Setting) -> Comparison:
    from prdc import compute_prdc

    return metrics(["density", "coverage"], lambda real, fake: compute_prdc(real, fake, nearest_k=5))


def manifolds_of_torch_fidelity(setting: Setting) -> Comparison:
    from torch_fidelity.metric_prc import prc_features_to_metric

    def precision_recall(real: NDArray[Any], fake: NDArray[Any]) -> dict[str, float]:
        options = {"prc_neighborhood": 3, "prc_batch_size": 10_000, "verbose": False}
        found = prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), **options)
        return {name: found[name] for name in ("precision", "recall")}

    return metrics(["precision", "recall"], precision_recall)


# --- A row ------------------------------------------------------------------------------------------------------------


def row(count: int) -> Callable[[Setting], Comparison]:
    """All metrics of `count` samples against as many training images, with 10,000 test images, from files."""

    def make(setting: Setting) -> Comparison:
        before = setting.earlier()
        paths = [setting.folder / f"{name}-{count}.npz" for name in ("real", "fake", "test")]
        for seed, path in enumerate(paths):
            save_features(path, random_features(SAMPLES if path is paths[2] else count, seed))
        random_features.cache_clear()
        kept = setting.folder / f"statistics-{count}.npz"
        evaluate_files(paths[:1], paths[2:], allow_too_few=True, write_statistics=kept)

        def evaluate(checkout: Path, *more: str) -> dict[str, Any]:
            script, out = str(checkout / "scripts/evaluate.py"), setting.folder / "metrics.json"
            files = [
                part for pair in zip(("--real", "--fake", "--holdout"), map(str, paths), strict=True) for part in pair
            ]
            command = [sys.executable, "-c", PEAK, script, *files, *more, "--out", str(out)]
            environment = os.environ | {"PYTHONPATH": str(checkout)}
            job = subprocess.run(command, env=environment, cwd=checkout, stdout=subprocess.PIPE, check=True)
            metrics = json.loads(out.read_text(encoding="utf-8"))["metrics"]
            values = {key: metric["value"] for key, metric in metrics.items()}
            return {"gigabytes": int(job.stdout.split()[-1]) / 1e6, "values": values}

        def remark(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
            pairs = [(value, ours["values"][key]) for key, value in theirs["values"].items() if key in ours["values"]]
            apart = max(abs(a - b) / abs(a) for a, b in pairs if a)
            return f"{theirs['gigabytes']:.1f} GB before, {ours['gigabytes']:.1f} GB now; apart by {apart:.0e}"

        ours = {"": lambda: evaluate(ROOT), "reference kept": lambda: evaluate(ROOT, "--statistics", str(kept))}
        return Comparison(
            theirs=lambda: evaluate(before),
            ours=ours,
            rounds=3 if count <= SAMPLES else 1,
            warm_up=False,
            remark=remark,
        )

    return make


FD, KID = f"FD from {SAMPLES:,} x {DIM:,} features", "KID, 100 subsets of 1,000, the same ones"
WORKS = (
    Work(
        "features-pytorch-fid",
        f"Inception features of {IMAGES} images",
        "pytorch-fid",
        beside_pytorch_fid,
        before="1.54",
        versions=("pytorch-fid",),
    ),
    Work(
        "features-clean-fid",
        f"Inception features of {IMAGES} images",
        "clean-fid",
        beside_clean_fid,
        before="1.60",
        versions=("clean-fid",),
    ),
    Work("fd-torch-fidelity", FD, "torch-fidelity", fd_of_torch_fidelity, before="1.24", versions=("torch-fidelity",)),
    Work("fd-pytorch-fid", FD, "pytorch-fid", fd_of_pytorch_fid, before="2.5", versions=("pytorch-fid",)),
    Work("fd-clean-fid", FD, "clean-fid", fd_of_clean_fid, before="2.6", versions=("clean-fid",)),
    Work(
        "kid-torch-fidelity", KID, "torch-fidelity", kid_of_torch_fidelity, before="0.66", versions=("torch-fidelity",)
    ),
    Work("kid-clean-fid", KID, "clean-fid", kid_of_clean_fid, before="0.68", versions=("clean-fid",)),
    Work(
        "manifolds-prdc",
        f"precision, recall, density and coverage, {SAMPLES:,}",
        "prdc",
        manifolds_of_prdc,
        before="2.41",
        versions=("prdc",),
    ),
    Work(
        "manifolds-torch-fidelity",
        f"precision, recall, density and coverage, {SAMPLES:,}",
        "torch-fidelity, precision and recall only",
        manifolds_of_torch_fidelity,
        before="1.39",
        versions=("torch-fidelity",),
    ),
    Work("row-10000", "all metrics of a row, 10,000 samples", "an earlier genbench", row(10_000), before="1"),
    Work("row-50000", "all metrics of a row, 50,000 samples", "an earlier genbench", row(50_000), "1", on_request=True),
)
