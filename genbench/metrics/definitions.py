"""The metrics in one place: what each is, which way is better, how many images it needs, and whence it comes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from genbench.errors import InputError
from genbench.metrics.scores import CONFIDENT, IMAGES_PER_SPLIT

MANIFOLDS = ("precision", "recall", "density", "coverage")


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The few knobs of the metrics; the defaults are the literature's.

    nearest_k: the k of the nearest-neighbour manifolds. By default 3 for precision and recall (as in torch-fidelity)
    and 5 for density and coverage; a number is used for all four. Raises InputError on values that make no sense.
    """

    kid_subsets: int = 100
    kid_subset_size: int = 1000
    kid_seed: int = 0
    splits: int = 10
    nearest_k: int | None = None

    def __post_init__(self) -> None:
        for key, least in {"kid_subsets": 1, "kid_subset_size": 2, "kid_seed": 0, "splits": 1, "nearest_k": 1}.items():
            value = getattr(self, key)
            if value is not None and value < least:
                raise InputError(f"evaluation options: {key}: found {value}, expected at least {least}")

    @property
    def precision_k(self) -> int:
        return 3 if self.nearest_k is None else self.nearest_k

    @property
    def density_k(self) -> int:
        return 5 if self.nearest_k is None else self.nearest_k


def metric_keys(extractor: str, logits: bool) -> list[str]:
    """The keys of results that an extractor's features give, and with them its logits, if it has some."""
    keys = [f"{base}_{extractor}" for base in ("fd", "kid", *MANIFOLDS)]
    if extractor == "classifier" and logits:
        keys += ["classifier_score", "classifier_confidence", "classifier_confident_share", "classes_found"]
    return keys


def minimum_samples(keys: Sequence[str], dim: int, options: EvaluationOptions | None = None) -> int:
    """The smallest number of real and of generated images for which all of these metrics are defined.

    dim: the number of features, D. Raises InputError for an unknown key.
    """
    options = options or EvaluationOptions()
    return max(metric_info(key).minimum(dim, options) for key in keys)


def metric_info(key: str) -> "MetricInfo":
    """The entry of METRICS for a key of results, such as `fd_classifier`. Raises InputError for an unknown key."""
    for name in (key, key.partition("_")[0]):
        if name in METRICS:
            return METRICS[name]
    raise InputError(f"metric {key!r} is unknown; expected one of {', '.join(METRICS)}, or NAME_EXTRACTOR")


@dataclass(frozen=True)
class MetricInfo:
    """One metric: how a table heads it, what it is, which way is better, how many images it needs, whence it comes."""

    label: str
    definition: str
    direction: Literal["lower", "higher"] | None
    minimum: Callable[[int, EvaluationOptions], int]  # (feature dimension, options) -> images
    minimum_rule: str
    source: str


METRICS: dict[str, MetricInfo] = {
    "fd": MetricInfo(
        label="FD",
        definition="Frechet distance of Gaussians fitted to the features of real and generated images",
        direction="lower",
        minimum=lambda dim, options: dim + 1,
        minimum_rule="feature dimension + 1",
        source="Heusel et al. 2017, arXiv 1706.08500",
    ),
    "kid": MetricInfo(
        label="KID",
        definition="unbiased squared maximum mean discrepancy with the kernel (x.y/d + 1)^3, mean over random subsets",
        direction="lower",
        minimum=lambda dim, options: options.kid_subset_size,
        minimum_rule="kid_subset_size",
        source="Binkowski et al. 2018, arXiv 1801.01401",
    ),
    "precision": MetricInfo(
        label="Precision",
        definition="share of generated images inside the manifold of the real ones",
        direction="higher",
        minimum=lambda dim, options: max(options.precision_k, options.density_k) + 1,
        minimum_rule="k + 1 neighbours",
        source="Kynkaanniemi et al. 2019, arXiv 1904.06991",
    ),
    "recall": MetricInfo(
        label="Recall",
        definition="share of real images inside the manifold of the generated ones",
        direction="higher",
        minimum=lambda dim, options: max(options.precision_k, options.density_k) + 1,
        minimum_rule="k + 1 neighbours",
        source="Kynkaanniemi et al. 2019, arXiv 1904.06991",
    ),
    "density": MetricInfo(
        label="Density",
        definition="mean number of real neighbourhoods that a generated image lies in, divided by k",
        direction="higher",
        minimum=lambda dim, options: max(options.precision_k, options.density_k) + 1,
        minimum_rule="k + 1 neighbours",
        source="Naeem et al. 2020, arXiv 2002.09797",
    ),
    "coverage": MetricInfo(
        label="Coverage",
        definition="share of real images whose neighbourhood holds a generated one",
        direction="higher",
        minimum=lambda dim, options: max(options.precision_k, options.density_k) + 1,
        minimum_rule="k + 1 neighbours",
        source="Naeem et al. 2020, arXiv 2002.09797",
    ),
    "classifier_score": MetricInfo(
        label="Classifier score",
        definition="exp E KL(p(y|x) || p(y)), the formula of the Inception score, by a classifier of this data set",
        direction="higher",
        minimum=lambda dim, options: IMAGES_PER_SPLIT * options.splits,
        minimum_rule=f"{IMAGES_PER_SPLIT} x splits",
        source="Salimans et al. 2016, arXiv 1606.03498",
    ),
    "classifier_confidence": MetricInfo(
        label="Confidence",
        definition="median over generated images of the classifier's largest softmax probability",
        direction="higher",
        minimum=lambda dim, options: 1,
        minimum_rule="one",
        source="genbench",
    ),
    "classifier_confident_share": MetricInfo(
        label="Confident share",
        definition=f"share of generated images to which the classifier gives some class more than {CONFIDENT}",
        direction="higher",
        minimum=lambda dim, options: 1,
        minimum_rule="one",
        source="genbench",
    ),
    "classes_found": MetricInfo(
        label="Classes found",
        definition="number of classes that the classifier gives to at least one generated image",
        direction="higher",
        minimum=lambda dim, options: 1,
        minimum_rule="one",
        source="genbench",
    ),
}
