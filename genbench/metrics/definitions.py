"""The metrics in one place: what each is, which way is better, how many images it needs, and whence it comes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from genbench.errors import InputError
from genbench.metrics.frechet import smallest_size
from genbench.metrics.neighbours import NEAR_QUANTILE
from genbench.metrics.scores import CONFIDENT, IMAGES_PER_SPLIT

MANIFOLDS = ("precision", "recall", "density", "coverage")
# Only the official weights' features carry these names: any other network's distance is an FD, not an FID.
INCEPTION = {"inception-clean": "clean", "inception-legacy": "legacy"}
INCEPTION_ONLY = ("fid", "fid_infinity", "inception_score")
INFINITY_RULE = "8 x feature dimension"


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The few knobs of the metrics; the defaults are the literature's.

    nearest_k: the k of the nearest-neighbour manifolds. By default 3 for precision and recall (as in torch-fidelity)
    and 5 for density and coverage; a number is used for all four. fd_infinity_sizes: over how many sizes FD-infinity
    extrapolates, 0 for none; fd_infinity_seed draws them. neighbours: for how many samples the nearest training image
    is kept. Raises InputError on values that make no sense.
    """

    kid_subsets: int = 100
    kid_subset_size: int = 1000
    kid_seed: int = 0
    splits: int = 10
    nearest_k: int | None = None
    fd_infinity_sizes: int = 15
    fd_infinity_seed: int = 0
    neighbours: int = 64

    def __post_init__(self) -> None:
        leasts = {"kid_subsets": 1, "kid_subset_size": 2, "kid_seed": 0, "splits": 1, "nearest_k": 1}
        leasts |= {"fd_infinity_sizes": 10 if self.fd_infinity_sizes else 0, "fd_infinity_seed": 0, "neighbours": 0}
        for key, least in leasts.items():
            value = getattr(self, key)
            if value is not None and value < least:
                raise InputError(f"evaluation options: {key}: found {value}, expected at least {least}")

    @property
    def precision_k(self) -> int:
        return 3 if self.nearest_k is None else self.nearest_k

    @property
    def density_k(self) -> int:
        return 5 if self.nearest_k is None else self.nearest_k


@dataclass(frozen=True)
class MetricInfo:
    """One metric: how a table heads it, what it is, which way is better, how many images it needs, whence it comes.

    optional: left out where there are too few images, instead of an error.
    """

    label: str
    definition: str
    direction: Literal["lower", "higher"] | None
    minimum: Callable[[int, EvaluationOptions], int]  # (feature dimension, options) -> images
    minimum_rule: str
    source: str
    optional: bool = False


def metric_key(metric: str, extractor: str) -> str:
    """The key of results for a metric in an extractor's features: fd_classifier, and fid_clean for FID's network."""
    if extractor in INCEPTION:
        return f"{metric.replace('fd', 'fid')}_{INCEPTION[extractor]}"
    return f"{metric}_{extractor}"


def metric_keys(extractor: str, logits: bool) -> list[str]:
    """The keys of results that an extractor's features give, and with them its logits, if it has some."""
    keys = [metric_key(metric, extractor) for metric in ("fd", "fd_infinity", "kid", *MANIFOLDS, "memorised")]
    if logits and extractor in INCEPTION:
        keys.append(metric_key("inception_score", extractor))
    if logits and extractor == "classifier":
        keys += ["classifier_score", "classifier_confidence", "classifier_confident_share", "classes_found"]
    return keys


def minimum_samples(keys: Sequence[str], dim: int, options: EvaluationOptions | None = None) -> int:
    """The smallest number of real and of generated images for which all of these metrics are defined.

    dim: the number of features, D. Optional metrics don't count beside others. Raises InputError for an unknown key.
    """
    options = options or EvaluationOptions()
    infos = [metric_info(key) for key in keys]
    return max(
        info.minimum(dim, options) for info in infos if not info.optional or all(info.optional for info in infos)
    )


def metric_base(key: str) -> str:
    """The metric of a key of results: `fd` of `fd_classifier`. Raises InputError for an unknown one."""
    parts = key.split("_")
    for length in range(len(parts), 0, -1):
        metric, extractor = "_".join(parts[:length]), "_".join(parts[length:])
        if metric in METRICS and not (extractor and metric in INCEPTION_ONLY and extractor not in INCEPTION.values()):
            return metric
    raise InputError(f"metric {key!r} is unknown; expected one of {', '.join(METRICS)}, or NAME_EXTRACTOR")


def metric_info(key: str) -> MetricInfo:
    """The entry of METRICS for a key of results, such as `fd_classifier`. Raises InputError for an unknown key."""
    return METRICS[metric_base(key)]


METRICS: dict[str, MetricInfo] = {
    "fd": MetricInfo(
        label="FD",
        definition="Frechet distance of Gaussians fitted to the features of real and generated images",
        direction="lower",
        minimum=lambda dim, options: dim + 1,
        minimum_rule="feature dimension + 1",
        source="Heusel et al. 2017, arXiv 1706.08500",
    ),
    "fid": MetricInfo(
        label="FID",
        definition="Frechet distance of Gaussians fitted to the 2,048 features of FID's own Inception network",
        direction="lower",
        minimum=lambda dim, options: dim + 1,
        minimum_rule="feature dimension + 1",
        source="Heusel et al. 2017, arXiv 1706.08500; resize: Parmar et al. 2022, arXiv 2104.11222",
    ),
    "fd_infinity": MetricInfo(
        label="FD∞",
        definition="FD extrapolated, linearly in 1/N, to infinitely many generated images: without its bias",
        direction="lower",
        minimum=lambda dim, options: 2 * smallest_size(dim),
        minimum_rule=INFINITY_RULE,
        source="Chong and Forsyth 2020, arXiv 1911.07023",
        optional=True,
    ),
    "fid_infinity": MetricInfo(
        label="FID∞",
        definition="FID extrapolated, linearly in 1/N, to infinitely many generated images: without its bias",
        direction="lower",
        minimum=lambda dim, options: 2 * smallest_size(dim),
        minimum_rule=INFINITY_RULE,
        source="Chong and Forsyth 2020, arXiv 1911.07023",
        optional=True,
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
    "memorised": MetricInfo(
        label="Memorised",
        definition=f"share of generated images nearer to a training image than all but {NEAR_QUANTILE:.0%} of the test "
        f"images are; {NEAR_QUANTILE:.0%} without memorisation, more with it",
        direction=None,  # below 5 % nothing is better: samples are then unlike both
        minimum=lambda dim, options: round(1 / NEAR_QUANTILE),
        minimum_rule=f"{round(1 / NEAR_QUANTILE)} test images",
        source="after Meehan et al. 2020, arXiv 2004.05675",
        optional=True,
    ),
    "inception_score": MetricInfo(
        label="IS",
        definition="exp E KL(p(y|x) || p(y)) by the 1,008 logits of FID's Inception, mean over shuffled splits",
        direction="higher",
        minimum=lambda dim, options: IMAGES_PER_SPLIT * options.splits,
        minimum_rule=f"{IMAGES_PER_SPLIT} x splits",
        source="Salimans et al. 2016, arXiv 1606.03498",
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
    "object_accuracy": MetricInfo(
        label="Object accuracy",
        definition="share of the objects asked for that are among the k likeliest of their image (k: how many it was "
        "asked for) by a classifier of objects; all images together",
        direction="higher",
        minimum=lambda dim, options: 1,
        minimum_rule="one",
        source="evaluation of iCLEVR, NYCU course on deep learning, 2024",
    ),
    "object_colour_wrong": MetricInfo(
        label="Colour wrong",
        definition="share of the objects asked for in whose place the classifier sees the same shape in another colour",
        direction="lower",
        minimum=lambda dim, options: 1,
        minimum_rule="one",
        source="genbench",
    ),
    "object_shape_wrong": MetricInfo(
        label="Shape wrong",
        definition="share of the objects asked for in whose place the classifier sees another shape in the same colour",
        direction="lower",
        minimum=lambda dim, options: 1,
        minimum_rule="one",
        source="genbench",
    ),
    "object_missing": MetricInfo(
        label="Missing",
        definition="share of the objects asked for in whose place the classifier sees nothing of their shape or colour",
        direction="lower",
        minimum=lambda dim, options: 1,
        minimum_rule="one",
        source="genbench",
    ),
}
