"""What the numbers of a table mean: arrays of features in, numbers out. No network and no torch here.

A metric compares the features of real and of generated images, or looks at the logits that a classifier gives to
the generated ones. Every function takes the real set first. The name FID is kept for Inception features: the
same distance in any other feature space is a Frechet distance, FD, named after the extractor of the features.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError

log = logging.getLogger(__name__)
Item = TypeVar("Item")

MANIFOLDS = ("precision", "recall", "density", "coverage")
CONFIDENT = 0.8  # a max-softmax above this counts as a confident decision
IMAGES_PER_SPLIT = 10  # fewer than this say nothing about a split's marginal p(y)
HEADLINE_SAMPLES = 10_000  # FD's bias is of the order 1/N: below this its value is marked
SECONDS_BETWEEN_LOGS = 10.0


class MetricWarning(UserWarning):
    """A metric was computed, and there is something that its reader should know."""


@dataclass(frozen=True)
class Features:
    """What an extractor makes of a set of images.

    features: (N, D) float32. logits: (N, K) float32, or None when the extractor does not classify.
    info: where they come from; `info["extractor"]["name"]` is the extractor's name.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    info: dict[str, Any]

    @property
    def extractor(self) -> str:
        return str(self.info["extractor"]["name"])


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


# --- Frechet distance -------------------------------------------------------------------------------------------------


def feature_statistics(features: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (D,) and covariance (D, D) of features (N, D): rows are samples, divisor N - 1, in float64.

    Raises InputError for fewer than two samples, and for features that are not finite or all the same.
    """
    _check_features("features", features, least=2)
    mu = features.mean(axis=0, dtype=np.float64)
    sigma = np.zeros((len(mu), len(mu)))
    for start in range(0, len(features), 4096):  # by blocks: 50,000 x 2048 in float64 would take 800 MB
        centred = features[start : start + 4096] - mu
        sigma += centred.T @ centred
    return mu, sigma / (len(features) - 1)


def frechet_distance(mu1: NDArray[Any], sigma1: NDArray[Any], mu2: NDArray[Any], sigma2: NDArray[Any]) -> float:
    """Squared Frechet distance |mu1 - mu2|^2 + Tr(S1 + S2 - 2 (S1 S2)^{1/2}) of two Gaussians.

    S1 S2 has the eigenvalues of the symmetric R^T S2 R, for any R with R R^T = S1. Cholesky's needs no eigenvectors, so
    one symmetric eigenvalue problem in float64 gives the trace of the root; nothing becomes complex, and nothing is
    added to a singular matrix, for which R comes from its eigenvectors (those below rounding, D eps lambda_max, left
    out). Negative eigenvalues of the product count as zero.
    Shapes: means (D,), covariances (D, D). Raises InputError on other shapes and non-finite values; warns with
    MetricWarning when the negative eigenvalues weigh more than 1e-3 of the trace (not a covariance matrix).
    Source: Dowson and Landau 1982; Heusel et al. 2017 (arXiv 1706.08500), equation 6.
    """
    mu1, sigma1, mu2, sigma2 = (np.asarray(array, dtype=np.float64) for array in (mu1, sigma1, mu2, sigma2))
    if mu1.ndim != 1 or mu2.shape != mu1.shape or not sigma1.shape == sigma2.shape == 2 * mu1.shape:
        shapes = ", ".join(str(array.shape) for array in (mu1, sigma1, mu2, sigma2))
        raise InputError(f"Frechet distance: found shapes {shapes}; expected (D,), (D, D), (D,), (D, D) with one D")
    if not all(np.isfinite(array).all() for array in (mu1, sigma1, mu2, sigma2)):
        raise InputError("Frechet distance: found NaN or infinity in a mean or a covariance; expected finite values")

    root = _root((sigma1 + sigma1.T) / 2)
    product_eigenvalues = np.linalg.eigvalsh(root.T @ ((sigma2 + sigma2.T) / 2) @ root)
    _warn_of_negative(product_eigenvalues)
    trace_of_root = np.sqrt(product_eigenvalues.clip(min=0)).sum()
    distance = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * trace_of_root
    return max(float(distance), 0.0)  # equal sets: rounding may leave -1e-12


def _root(sigma: NDArray[Any]) -> NDArray[Any]:
    """A matrix R (D, rank) with R R^T = sigma: Cholesky's, or by eigenvectors where sigma is singular."""
    try:
        return np.linalg.cholesky(sigma)
    except np.linalg.LinAlgError:
        eigenvalues, eigenvectors = np.linalg.eigh(sigma)
        _warn_of_negative(eigenvalues)
        kept = eigenvalues > len(sigma) * np.finfo(np.float64).eps * eigenvalues[-1]
        return eigenvectors[:, kept] * np.sqrt(eigenvalues[kept])


def _warn_of_negative(eigenvalues: NDArray[np.float64]) -> None:
    negative = -eigenvalues[eigenvalues < 0].sum()
    if negative > 1e-3 * abs(eigenvalues.sum()):
        warnings.warn(
            f"negative eigenvalues weigh {negative:.3g} beside a trace of {eigenvalues.sum():.3g}: "
            "a matrix is not a covariance",
            MetricWarning,
            stacklevel=4,
        )


def fd(real: NDArray[Any], fake: NDArray[Any]) -> float:
    """Frechet distance of Gaussians fitted to real (N, D) and generated (M, D) features.

    Raises InputError below D + 1 samples (a covariance of fewer is singular), and for features that are not finite
    or all the same; warns with MetricWarning when a covariance is rank-deficient all the same.
    """
    _check_pair(real, fake, least=real.shape[-1] + 1)
    (mu1, sigma1), (mu2, sigma2) = feature_statistics(real), feature_statistics(fake)
    for what, sigma in {"real": sigma1, "generated": sigma2}.items():
        rank = int(np.linalg.matrix_rank(sigma, hermitian=True))
        if rank < len(sigma):
            warnings.warn(
                f"the covariance of the {what} features has rank {rank} of {len(sigma)}", MetricWarning, stacklevel=2
            )
    return frechet_distance(mu1, sigma1, mu2, sigma2)


# --- Kernel distance --------------------------------------------------------------------------------------------------


def kid(
    real: NDArray[Any], fake: NDArray[Any], subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation over random subsets of the unbiased MMD^2 with the kernel (x.y / D + 1)^3.

    real (N, D), fake (M, D); the raw value, which tables show times 1000. Slightly negative values are right for equal
    distributions. Raises InputError when a set is smaller than a subset, or its features are not finite or constant.
    Source: Binkowski et al. 2018 (arXiv 1801.01401), section 4.
    """
    _check_pair(real, fake, least=subset_size)
    random = np.random.RandomState(seed)  # the generator, and so the subsets, of torch-fidelity
    n = subset_size

    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        base = x @ y.T / x.shape[1] + 1
        return base * base * base

    values = []
    for _ in _with_progress(range(subsets), "KID, subset"):
        x = real[random.choice(len(real), n, replace=False)].astype(np.float64)
        y = fake[random.choice(len(fake), n, replace=False)].astype(np.float64)
        xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
        within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (n * (n - 1))
        values.append(within - 2 * xy.sum() / (n * n))
    return float(np.mean(values)), float(np.std(values))


# --- Nearest-neighbour manifolds --------------------------------------------------------------------------------------


def precision_recall_density_coverage(
    real: NDArray[Any], fake: NDArray[Any], precision_k: int = 3, density_k: int = 5
) -> dict[str, float]:
    """Fidelity and variety, from balls around every sample that reach to its k-th nearest neighbour in its own set.

    precision: share of generated samples inside the ball of some real one. recall: share of real samples inside the
    ball of some generated one (both with k = precision_k). density: how many real balls a generated sample lies in,
    over k. coverage: share of real samples whose ball holds a generated one (both with k = density_k).
    real (N, D), fake (M, D); float32 distances, by blocks of rows, so that 50,000 x 50,000 needs little memory.
    Raises InputError for k samples or fewer, and for features that are not finite or constant.
    Sources: Kynkaanniemi et al. 2019 (arXiv 1904.06991); Naeem et al. 2020 (arXiv 2002.09797).
    """
    _check_pair(real, fake, least=max(precision_k, density_k) + 1)
    # Distances are what they were after a shift, and their float32 error is smaller around the origin.
    centre = real.mean(axis=0, dtype=np.float64)
    real, fake = ((features - centre).astype(np.float32) for features in (real, fake))
    precision_radii, density_radii = _squared_radii(real, (precision_k, density_k), "real")
    (recall_radii,) = _squared_radii(fake, (precision_k,), "generated")

    precise = np.zeros(len(fake), dtype=bool)
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    balls = 0
    for rows in _with_progress(_row_blocks(len(fake), len(real)), "distances from generated to real images, block"):
        squared = _squared_distances(fake[rows], real)  # (rows, N)
        precise[rows] = (squared <= precision_radii).any(axis=1)
        recalled |= (squared <= recall_radii[rows, None]).any(axis=0)
        inside = squared <= density_radii
        balls += int(np.count_nonzero(inside))
        covered |= inside.any(axis=0)
    return {
        "precision": float(precise.mean()),
        "recall": float(recalled.mean()),
        "density": balls / (density_k * len(fake)),
        "coverage": float(covered.mean()),
    }


def _squared_radii(points: NDArray[np.float32], ks: tuple[int, ...], what: str) -> NDArray[np.float32]:
    """Squared distance (len(ks), N) from every point (N, D) to its k-th nearest other point."""
    radii = np.empty((len(ks), len(points)), dtype=np.float32)
    order = [k - 1 for k in ks]
    for rows in _with_progress(_row_blocks(len(points), len(points)), f"neighbours of {what} images, block"):
        squared = _squared_distances(points[rows], points)
        squared[np.arange(len(squared)), np.arange(rows.start, rows.stop)] = np.inf  # a point is not its own neighbour
        squared.partition(order, axis=1)
        radii[:, rows] = squared[:, order].T
    return radii


def _squared_distances(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared Euclidean distances (len(x), len(y)) as |x|^2 + |y|^2 - 2 x.y, in place: one matrix product."""
    squared = x @ y.T
    squared *= -2
    squared += np.einsum("nd,nd->n", x, x)[:, None]
    squared += np.einsum("nd,nd->n", y, y)
    return np.maximum(squared, 0, out=squared)


def _row_blocks(rows: int, columns: int, elements: int = 1 << 24) -> list[slice]:
    """Slices over the rows of a (rows, columns) matrix, of about `elements` entries (64 MB in float32) each."""
    step = max(1, elements // columns)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


# --- What a classifier says -------------------------------------------------------------------------------------------


def inception_score(logits: NDArray[Any], splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """Mean and standard deviation over splits of exp E_x KL(p(y|x) || p(y)), between 1 and the number of classes.

    logits (N, K) of any classifier; only those of Inception give what papers call IS. Samples are shuffled first, since
    sets sorted by class break the splits. Raises InputError below 10 samples a split and on non-finite logits.
    Source: Salimans et al. 2016 (arXiv 1606.03498), section 4.
    """
    _check_features("logits", logits, least=IMAGES_PER_SPLIT * splits, constant_is_error=False)
    n = len(logits)
    log_p = _log_softmax(logits)[np.random.RandomState(seed).permutation(n)]  # the order of torch-fidelity
    scores = []
    for i in range(splits):
        log_p_y_x = log_p[i * n // splits : (i + 1) * n // splits]
        p_y_x = np.exp(log_p_y_x)
        p_y = p_y_x.mean(axis=0)
        p_y = p_y[p_y > 0]  # 0 log 0 = 0
        # E_x KL = E_x sum_y p(y|x) log p(y|x) - sum_y p(y) log p(y)
        scores.append(np.exp((p_y_x * log_p_y_x).sum(axis=1).mean() - (p_y * np.log(p_y)).sum()))
    return float(np.mean(scores)), float(np.std(scores))


def classifier_confidence(logits: NDArray[Any]) -> tuple[float, float]:
    """Median of the largest softmax probability of each sample, and the share of samples where it is above 0.8.

    logits (N, K). Raises InputError on non-finite logits.
    """
    _check_features("logits", logits, least=1, constant_is_error=False)
    confidence = np.exp(_log_softmax(logits).max(axis=1))
    return float(np.median(confidence)), float((confidence > CONFIDENT).mean())


def class_histogram(logits: NDArray[Any]) -> NDArray[np.int64]:
    """How many samples a classifier assigns to each class: (K,) counts of the argmax of logits (N, K)."""
    _check_features("logits", logits, least=1, constant_is_error=False)
    return np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]).astype(np.int64)


def _log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True).astype(np.float64)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


# --- All of them ------------------------------------------------------------------------------------------------------


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


def evaluate_features(
    real: Features, fake: Features, options: EvaluationOptions | None = None, allow_too_few: bool = False
) -> dict[str, dict[str, Any]]:
    """Every metric that the features allow: {key: {"value", "std", "n_real", "n_fake", "note"}}.

    The keys are those of `metric_keys`. `std` is None where a metric has none, `note` a sentence or None.
    A metric that needs more images than there are raises InputError; `allow_too_few` leaves it out instead.
    Raises InputError, too, when the two sets do not fit each other, and for features not finite or constant.
    """
    options = options or EvaluationOptions()
    if real.extractor != fake.extractor:
        raise InputError(f"real features come from {real.extractor!r}, generated ones from {fake.extractor!r}")
    name, dim = real.extractor, real.features.shape[1]
    n_real, n_fake = len(real.features), len(fake.features)
    keys = metric_keys(name, real.logits is not None and fake.logits is not None)
    enough = {key for key in keys if min(n_real, n_fake) >= minimum_samples([key], dim, options)}
    if len(enough) < len(keys) and not allow_too_few:
        least = minimum_samples(keys, dim, options)
        strictest = next(metric_info(key) for key in keys if minimum_samples([key], dim, options) == least)
        raise InputError(
            f"{name} features: found {n_real} real and {n_fake} generated images, expected at least {least} "
            f"of both ({strictest.label} needs {strictest.minimum_rule})"
        )
    results: dict[str, dict[str, Any]] = {}

    def record(key: str, value: float, std: float | None = None, note: str | None = None) -> None:
        results[key] = {"value": value, "std": std, "n_real": n_real, "n_fake": n_fake, "note": note}
        log.info("%s: %.6g%s", key, value, "" if std is None else f" +- {std:.2g}")

    log.info("%d generated against %d real images, %d-d features of %s", n_fake, n_real, dim, name)
    if (key := f"fd_{name}") in enough:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MetricWarning)
            distance = fd(real.features, fake.features)
        notes = [str(warning.message) for warning in caught if issubclass(warning.category, MetricWarning)]
        if n_fake < HEADLINE_SAMPLES:
            notes.append(f"biased upward at so few images: compare only with values from {n_fake}")
        record(key, distance, note="; ".join(notes) or None)

    if (key := f"kid_{name}") in enough:
        mean, std = kid(real.features, fake.features, options.kid_subsets, options.kid_subset_size, options.kid_seed)
        record(key, mean, std, f"{options.kid_subsets} subsets of {options.kid_subset_size}")

    if {f"{base}_{name}" for base in MANIFOLDS} <= enough:
        ks = options.precision_k, options.density_k
        values = precision_recall_density_coverage(real.features, fake.features, *ks)
        for base, value in values.items():
            record(f"{base}_{name}", value, note=f"k = {ks[0] if base in ('precision', 'recall') else ks[1]}")

    if "classes_found" in enough and real.logits is not None and fake.logits is not None:
        if "classifier_score" in enough:
            (real_score, _), (score, std) = (inception_score(x, options.splits) for x in (real.logits, fake.logits))
            record("classifier_score", score, std, f"{options.splits} splits; the real images have {real_score:.4g}")
        (real_median, real_share), (median, share) = map(classifier_confidence, (real.logits, fake.logits))
        record("classifier_confidence", median, note=f"the real images have {real_median:.4g}")
        record("classifier_confident_share", share, note=f"the real images have {real_share:.4g}")
        counts = class_histogram(fake.logits)
        record("classes_found", float(np.count_nonzero(counts)), note=f"of {len(counts)}")
    return results


def metric_info(key: str) -> "MetricInfo":
    """The entry of METRICS for a key of results, such as `fd_classifier`. Raises InputError for an unknown key."""
    for name in (key, key.partition("_")[0]):
        if name in METRICS:
            return METRICS[name]
    raise InputError(f"metric {key!r} is unknown; expected one of {', '.join(METRICS)}, or NAME_EXTRACTOR")


def _check_pair(real: NDArray[Any], fake: NDArray[Any], least: int) -> None:
    for what, features in {"real features": real, "generated features": fake}.items():
        _check_features(what, features, least)
    if real.shape[1] != fake.shape[1]:
        raise InputError(f"real features have {real.shape[1]} dimensions, generated ones {fake.shape[1]}")


def _check_features(what: str, features: NDArray[Any], least: int, constant_is_error: bool = True) -> None:
    if features.ndim != 2 or features.shape[1] == 0:
        raise InputError(f"{what}: found shape {features.shape}, expected (N, D)")
    if len(features) < least:
        raise InputError(f"{what}: found {len(features)} samples, expected at least {least}")
    if not np.isfinite(features).all():
        raise InputError(f"{what}: found NaN or infinity, expected finite values")
    if constant_is_error and len(features) > 1 and (features == features[0]).all():
        raise InputError(f"{what}: all {len(features)} samples are the same, expected samples that differ")


def _with_progress(items: Sequence[Item], what: str) -> Iterator[Item]:
    """Yield the items, and log every ten seconds how far that is: nobody should think that it hangs."""
    last = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - last > SECONDS_BETWEEN_LOGS:
            last = time.monotonic()
            log.info("%s %d of %d", what, done, len(items))
        yield item


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
