"""The same features in every program's metrics: the second part of docs/peers.md."""

import contextlib
import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import prdc
import torch
from cleanfid import fid as clean_fid
from numpy.typing import NDArray
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from genbench.metrics import fd, inception_score, kid, precision_recall_density_coverage

Features = NDArray[Any]
Sets = dict[str, tuple[Features, Features]]
COUNT, DIM, SUBSET, K = 600, 32, 300, 5
QUIET = {"verbose": False}
PRC = {"prc_neighborhood": K, "prc_batch_size": 10_000, "save_cpu_ram": True, **QUIET}
KID = {"kid_subsets": 100, "kid_subset_size": SUBSET, "kid_degree": 3, "kid_gamma": None, "kid_coef0": 1, **QUIET}


class AsFeatures(torch.nn.Module):
    """Replaces Inception: its inputs are already features."""

    num_features = DIM

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(len(x), -1)[:, :DIM]


def make_sets() -> Sets:
    """Real and generated features, real first."""
    random = np.random.default_rng(0)
    real = random.normal(size=(COUNT, DIM))
    fake = random.normal(0.2, 0.8, size=(COUNT, DIM))
    sixfold = np.repeat(real[:100], 6, axis=0)
    return {
        "two sets": (real, fake),
        "the same, sides exchanged": (fake, real),
        "the same, rows in reverse order": (real, fake[::-1].copy()),
        "exact copies": (real, real.copy()),
        "exact copies, each row six times": (sixfold, sixfold.copy()),
        "generated rows all alike": (real, np.repeat(fake[:1], COUNT, axis=0)),
        "200 generated rows": (real, fake[:200]),
        "20 generated rows, fewer than features": (real, fake[:20]),
        "the two sets in float32": (real.astype(np.float32), fake.astype(np.float32)),
    }


def gaussian(features: Features) -> tuple[Features, Features]:
    return features.mean(axis=0), np.cov(features, rowvar=False)


def torch_fidelity_fid(real: Features, fake: Features) -> str:
    statistics = [fid_features_to_statistics(torch.from_numpy(features)) for features in (fake, real)]
    return number(fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"])


def torchmetrics_fid(real: Features, fake: Features) -> str:
    metric = FrechetInceptionDistance(feature=AsFeatures(), input_img_size=(DIM, 1, 1), normalize=False)
    metric.set_dtype(torch.float64)
    for features, is_real in ((real, True), (fake, False)):
        metric.update(torch.from_numpy(features), real=is_real)
    return number(metric.compute())


def torch_fidelity_kid(first: Features, second: Features) -> str:
    found = kid_features_to_metric(torch.from_numpy(first), torch.from_numpy(second), rng_seed=2020, **KID)
    return number(found["kernel_inception_distance_mean"])


def torchmetrics_kid(real: Features, fake: Features) -> str:
    metric = KernelInceptionDistance(feature=AsFeatures(), subset_size=SUBSET)
    for features, is_real in ((real, True), (fake, False)):
        metric.update(torch.from_numpy(features), real=is_real)
    torch.manual_seed(0)
    return number(metric.compute()[0])


def clean_fid_kid(real: Features, fake: Features) -> str:
    np.random.seed(0)  # noqa: NPY002 - clean-fid draws from it
    return number(clean_fid.kernel_distance(real, fake, max_subset_size=SUBSET))


def torch_fidelity_pr(real: Features, fake: Features) -> str:
    found = prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), **PRC)
    return f"{found['precision']:.3f}, {found['recall']:.3f}"


def prdc_all(real: Features, fake: Features) -> str:
    found = prdc.compute_prdc(real, fake, nearest_k=K)
    return ", ".join(f"{found[name]:.3f}" for name in ("precision", "recall", "density", "coverage"))


def genbench_all(real: Features, fake: Features) -> str:
    found = precision_recall_density_coverage(real, fake, K)
    return ", ".join(f"{found[name]:.3f}" for name in ("precision", "recall", "density", "coverage"))


def torchmetrics_score(real: Features, fake: Features) -> str:
    metric = InceptionScore(feature=AsFeatures())
    metric.update(torch.from_numpy(fake))
    torch.manual_seed(0)
    return number(metric.compute()[0])


def torch_fidelity_score(real: Features, fake: Features) -> str:
    found = isc_features_to_metric(torch.from_numpy(fake), splits=10, shuffle=True, rng_seed=2020)
    return number(found["inception_score_mean"])


def number(value: Any) -> str:
    return f"{float(value):.5g}"


Metric = Callable[[Features, Features], str]
METRICS: dict[str, dict[str, Metric]] = {
    "FD": {
        "genbench": lambda real, fake: number(fd(real, fake)),
        "pytorch-fid": lambda real, fake: number(calculate_frechet_distance(*gaussian(fake), *gaussian(real))),
        "clean-fid": lambda real, fake: number(clean_fid.frechet_distance(*gaussian(fake), *gaussian(real))),
        "torch-fidelity": torch_fidelity_fid,
        "torchmetrics": torchmetrics_fid,
    },
    "KID": {
        "genbench": lambda real, fake: number(kid(real, fake, 100, SUBSET)[0]),
        "torch-fidelity, `input1` real": torch_fidelity_kid,
        "torch-fidelity, `input1` generated": lambda real, fake: torch_fidelity_kid(fake, real),
        "clean-fid, after a seed": clean_fid_kid,
        "torchmetrics, after a seed": torchmetrics_kid,
    },
    "precision, recall, density, coverage": {
        "genbench": genbench_all,
        "prdc": prdc_all,
        "torch-fidelity (precision, recall)": torch_fidelity_pr,
    },
    "Inception score": {
        "genbench": lambda real, fake: number(inception_score(fake)[0]),
        "torch-fidelity": torch_fidelity_score,
        "torchmetrics, after a seed": torchmetrics_score,
    },
}


def answer(metric: Metric, real: Features, fake: Features) -> str:
    """The number, or the program's error message."""
    quiet = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        warnings.simplefilter("ignore")
        try:
            return metric(real, fake)
        except Exception as error:  # programs can raise anything
            return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
