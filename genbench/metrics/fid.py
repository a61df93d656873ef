"""FID and other Frechet distances: the distance between two sets of features, with a Gaussian fitted to each.

In the features of FID's own Inception network it is FID; in those of any other network it is an FD, named after it.
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.metrics.checks import MetricWarning, check_features, check_pair, with_progress
from genbench.metrics.fid_changes import changes_of_fd, changes_of_fd_infinity
from genbench.metrics.intervals import changed_without
from genbench.metrics.metric import (
    INCEPTION,
    SPATIAL,
    Features,
    Inputs,
    Metric,
    Reference,
    Statistics,
    Value,
    groups_of,
)
from genbench.metrics.options import EvaluationOptions

PAPER_SAMPLES = 50_000  # FD's bias is of order 1/N: values from a number of images other than the papers' get a note


def feature_statistics(features: NDArray[Any]) -> Statistics:
    """Mean (D,) and covariance (D, D) of features (N, D): rows are samples, divisor N - 1, in float64.

    Raises InputError for fewer than two samples, and for features that are not finite or all the same.
    """
    check_features("features", features, least=2)
    return _statistics(features)


def _statistics(features: NDArray[Any]) -> Statistics:
    mu = features.mean(axis=0, dtype=np.float64)
    sigma = np.zeros((len(mu), len(mu)))
    for start in range(0, len(features), 4096):  # by blocks: 50,000 x 2048 in float64 would take 800 MB
        centred = features[start : start + 4096] - mu
        sigma += centred.T @ centred
    return mu, sigma / (len(features) - 1)


def frechet_distance(mu1: NDArray[Any], sigma1: NDArray[Any], mu2: NDArray[Any], sigma2: NDArray[Any]) -> float:
    """Squared Frechet distance |mu1 - mu2|^2 + Tr(S1 + S2 - 2 (S1 S2)^{1/2}) of two Gaussians.

    S1 S2 has the eigenvalues of the symmetric R^T S2 R, for any R with R R^T = S1. Cholesky's R needs no eigenvectors:
    one symmetric eigenvalue problem in float64 gives the trace of the root, without complex numbers. For a singular S1,
    R comes from its eigenvectors, without those whose eigenvalues are below rounding (D eps lambda_max); nothing is
    added to the matrix. Negative eigenvalues of the product count as zero.
    Shapes: means (D,), covariances (D, D). Raises InputError on other shapes and non-finite values; warns with
    MetricWarning if the negative eigenvalues sum to more than 1e-3 of the trace (not a covariance matrix).
    Source: Dowson and Landau 1982; Heusel et al. 2017 (arXiv 1706.08500), equation 6.
    """
    mu1, sigma1, mu2, sigma2 = (np.asarray(array, dtype=np.float64) for array in (mu1, sigma1, mu2, sigma2))
    if mu1.ndim != 1 or mu2.shape != mu1.shape or not sigma1.shape == sigma2.shape == 2 * mu1.shape:
        shapes = ", ".join(str(array.shape) for array in (mu1, sigma1, mu2, sigma2))
        raise InputError(f"Frechet distance: found shapes {shapes}; expected (D,), (D, D), (D,), (D, D) with one D")
    if not all(np.isfinite(array).all() for array in (mu1, sigma1, mu2, sigma2)):
        raise InputError("Frechet distance: found NaN or infinity in a mean or a covariance; expected finite values")

    return _distance(mu1, sigma1, _root((sigma1 + sigma1.T) / 2), mu2, sigma2)


def _distance(
    mu1: NDArray[Any], sigma1: NDArray[Any], root1: NDArray[Any], mu2: NDArray[Any], sigma2: NDArray[Any]
) -> float:
    trace = _trace_of_root(root1, sigma2)
    distance = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * trace
    return max(float(distance), 0.0)  # equal sets may give -1e-12 by rounding


def _trace_of_root(root: NDArray[np.float64], sigma: NDArray[np.float64]) -> float:
    """Tr (S1 S2)^{1/2} for S1 = root root^T and S2 = sigma."""
    sigma = (sigma + sigma.T) / 2
    if root.shape == sigma.shape and not np.triu(root, 1).any():  # Cholesky's root: LAPACK needs half the products
        from scipy.linalg import lapack

        product, _ = lapack.dsygst(sigma, root, itype=2, lower=1)
        eigenvalues = np.linalg.eigvalsh(product, UPLO="L")
    else:
        eigenvalues = np.linalg.eigvalsh(root.T @ sigma @ root)
    _warn_of_negative(eigenvalues)
    return float(np.sqrt(eigenvalues.clip(min=0)).sum())


def _root(sigma: NDArray[Any]) -> NDArray[Any]:
    """A matrix R (D, rank) with R R^T = sigma: Cholesky's, or from eigenvectors if sigma is singular."""
    root = _cholesky(sigma)
    return _root_by_eigenvectors(sigma) if root is None else root


def _cholesky(sigma: NDArray[Any]) -> NDArray[Any] | None:
    """Cholesky's lower root of sigma, or None if sigma is singular."""
    try:
        return np.linalg.cholesky(sigma)
    except np.linalg.LinAlgError:
        return None


def _root_by_eigenvectors(sigma: NDArray[Any]) -> NDArray[Any]:
    eigenvalues, eigenvectors = np.linalg.eigh(sigma)
    _warn_of_negative(eigenvalues)
    kept = eigenvalues > len(sigma) * np.finfo(np.float64).eps * eigenvalues[-1]
    return eigenvectors[:, kept] * np.sqrt(eigenvalues[kept])


def _warn_of_rank(what: str, sigma: NDArray[Any], cholesky: NDArray[Any] | None) -> None:
    """Warn if a covariance is rank-deficient. cholesky: its root, if it has one.

    The root's pivots, its squared diagonal, are at least the smallest eigenvalue, and rarely much larger. If all are
    above D times the threshold for zero, no eigenvalues are needed.
    """
    dim = len(sigma)
    if cholesky is not None and np.diag(cholesky).min() ** 2 > dim**2 * np.finfo(np.float64).eps * np.trace(sigma):
        return
    rank = int(np.linalg.matrix_rank(sigma, hermitian=True))
    if rank < dim:
        warnings.warn(f"the covariance of the {what} features has rank {rank} of {dim}", MetricWarning, stacklevel=4)


def _warn_of_negative(eigenvalues: NDArray[Any]) -> None:
    negative = -eigenvalues[eigenvalues < 0].sum()
    if negative > 1e-3 * abs(eigenvalues.sum()):
        warnings.warn(
            f"negative eigenvalues weigh {negative:.3g} beside a trace of {eigenvalues.sum():.3g}: "
            "a matrix is not a covariance",
            MetricWarning,
            stacklevel=5,
        )


def fd(real: NDArray[Any], fake: NDArray[Any]) -> float:
    """Frechet distance of Gaussians fitted to real (N, D) and generated (M, D) features.

    Raises InputError below D + 1 samples (their covariance would be singular), for features that are not finite, and
    for real ones that are all the same. Warns with MetricWarning if a covariance is still rank-deficient.
    """
    check_pair(real, fake, least=real.shape[-1] + 1)
    return fd_of(_statistics(real), _statistics(fake))[0]


def fd_of(of_real: Statistics, of_fake: Statistics) -> tuple[float, NDArray[np.float64]]:
    """The distance between two means and covariances, and R with R R^T = S1. Warns as `fd` does."""
    (mu1, sigma1), (mu2, sigma2) = of_real, of_fake
    root1 = _cholesky(sigma1)
    _warn_of_rank("real", sigma1, root1)
    _warn_of_rank("generated", sigma2, _cholesky(sigma2))
    if root1 is None:
        root1 = _root_by_eigenvectors(sigma1)
    return _distance(mu1, sigma1, root1, mu2, sigma2), root1


def fd_and_changes(of_real: Statistics, fake: NDArray[Any]) -> tuple[float, NDArray[np.float64], float]:
    """FD, and `changes_of_fd` for its generated features (N, D). Warns as `fd` does."""
    of_fake = _statistics(fake)
    distance, root = fd_of(of_real, of_fake)
    return distance, *changes_of_fd(of_real, root, of_fake, fake)


def fd_infinity(real: NDArray[Any], fake: NDArray[Any], sizes: int = 15, seed: int = 0) -> float:
    """FD for infinitely many generated samples: the intercept of a line fitted to FD at `sizes` sizes over 1/N.

    FD of N samples is too large by about a constant over N. FDs of subsets give that constant: their sizes are evenly
    spaced from N/10 (or smallest_size(D)) to N, and each consists of the first samples in one random order. The
    reference stays whole and keeps its own part of the bias. real (N, D), fake (M, D). May be slightly negative for
    equal distributions. Takes one pass over the samples and, for each size, a symmetric eigenvalue problem (0.9 s on
    one core at D = 2048). Raises InputError for fewer than 2 smallest_size(D) generated samples, and as `fd` does.
    Source: Chong and Forsyth 2020 (arXiv 1911.07023), algorithm 1.
    """
    check_pair(real, fake, least=real.shape[-1] + 1)
    return _fd_infinity_of(_statistics(real), fake, sizes, seed)


def _subsets(count: int, dim: int, sizes: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A random order of `count` images, and the sizes of the subsets that are its first images."""
    ends = np.linspace(max(smallest_size(dim), count // 10), count, sizes).round().astype(int)
    return np.random.default_rng(seed).permutation(count), ends


def _fd_infinity_of(of_real: Statistics, fake: NDArray[Any], sizes: int, seed: int) -> float:
    (mu, sigma), dim = of_real, fake.shape[-1]
    check_features("generated features", fake, least=2 * smallest_size(dim), constant_is_error=False)
    root, trace = _root(sigma), np.trace(sigma)
    order, ends = _subsets(len(fake), dim, sizes, seed)
    count, mean, scatter = 0, np.zeros(dim), np.zeros((dim, dim))
    distances = []
    for end in with_progress(ends.tolist(), "FD-infinity, size"):
        added = fake[order[count:end]].astype(np.float64)
        shift = added.mean(axis=0) - mean
        mean += shift * len(added) / end
        added -= added.mean(axis=0)
        scatter += added.T @ added + np.outer(shift, shift) * (count * len(added) / end)
        count = end
        covariance = scatter / (count - 1)
        root_trace = _trace_of_root(root, covariance)
        distances.append(np.sum((mu - mean) ** 2) + trace + np.trace(covariance) - 2 * root_trace)
    slope_and_intercept = np.polyfit(1 / ends, distances, 1)
    return float(slope_and_intercept[1])


def smallest_size(dim: int) -> int:
    """The smallest number of samples at which FD is close enough to a line in 1/N: four times the feature dimension."""
    return 4 * dim


def real_statistics(reference: Reference) -> Statistics:
    """Mean and covariance of the real images' features."""
    return feature_statistics(reference.real.features)


def _fd(inputs: Inputs) -> Value:
    """FD, with a note on the effects of the number of images and of the covariances."""
    real, fake = inputs.real.features, inputs.fake.features
    check_pair(real, fake, least=real.shape[1] + 1)
    return inputs.once(_fd_found)[0]


def _fd_found(inputs: Inputs) -> tuple[Value, NDArray[np.float64] | None]:
    return _noted_fd(inputs.reference.once(real_statistics), inputs.fake.features, inputs.groups)


def _noted_fd(
    of_real: Statistics, fake: NDArray[Any], groups: NDArray[np.int64] | None
) -> tuple[Value, NDArray[np.float64] | None]:
    """FD and, with groups, the share of each image in it."""
    n_fake, changes, without = len(fake), None, None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MetricWarning)
        of_fake = _statistics(fake)
        distance, root = fd_of(of_real, of_fake)
    if groups is not None:
        changes, doubled = changes_of_fd(of_real, root, of_fake, fake)
        without = changed_without(distance, changes, groups, doubled)
    notes = [str(warning.message) for warning in caught if issubclass(warning.category, MetricWarning)]
    if n_fake != PAPER_SAMPLES:
        few = "biased upward at so few images" if n_fake < PAPER_SAMPLES else f"more images than {PAPER_SAMPLES:,}"
        notes.append(f"{few}: compare only with values from {n_fake:,}")
    return Value(distance, note="; ".join(notes) or None, without=without), changes


def _fd_against(of_real: Statistics, fake: Features, options: EvaluationOptions) -> Value:
    """FD to published statistics of the real images."""
    _check_against(of_real, fake)
    return _noted_fd(of_real, fake.features, groups_of(fake))[0]


def _check_against(of_real: Statistics, fake: Features) -> None:
    dim = len(of_real[0])
    check_features("generated features", fake.features, least=dim + 1, constant_is_error=False)
    if fake.features.shape[1] != dim:
        raise InputError(f"statistics have {dim} dimensions, generated features {fake.features.shape[1]}")


def _fd_infinity(inputs: Inputs) -> Value:
    """FD-infinity, with a note on the sizes from which it is extrapolated."""
    of_real, changes = inputs.reference.once(real_statistics), inputs.once(_fd_found)[1]
    return _noted_infinity(of_real, inputs.fake.features, inputs.options, changes, inputs.groups)


def _noted_infinity(
    of_real: Statistics,
    fake: NDArray[Any],
    options: EvaluationOptions,
    changes: NDArray[np.float64] | None,
    groups: NDArray[np.int64] | None,
) -> Value:
    sizes, without = options.fd_infinity_sizes, None
    distance = _fd_infinity_of(of_real, fake, sizes, options.fd_infinity_seed)
    if changes is not None and groups is not None:
        subsets = _subsets(len(fake), fake.shape[1], sizes, options.fd_infinity_seed)
        without = changed_without(distance, changes_of_fd_infinity(changes, *subsets), groups)
    return Value(distance, note=f"from {sizes} sizes up to {len(fake):,}", without=without)


def _fd_infinity_against(of_real: Statistics, fake: Features, options: EvaluationOptions) -> Value:
    """FD-infinity to published statistics of the real images."""
    _check_against(of_real, fake)
    groups = groups_of(fake)
    changes = None if groups is None else fd_and_changes(of_real, fake.features)[1]
    return _noted_infinity(of_real, fake.features, options, changes, groups)


def frechet_key(extractor: str) -> str:
    """The key of results for the Frechet distance in an extractor's features: fd_classifier, fid_clean."""
    return next(metric.key(extractor) for metric in (FID, SFID, FD) if metric.is_for(extractor))


FD = Metric(
    name="fd",
    label="FD",
    definition="Frechet distance of Gaussians fitted to the features of real and generated images",
    direction="lower",
    source="Heusel et al. 2017, arXiv 1706.08500",
    compute=_fd,
    besides=(*INCEPTION, SPATIAL),
    minimum=lambda dim, options: dim + 1,
    minimum_rule="feature dimension + 1",
    compared=2,
    overview=True,
    distance=True,
    biased=True,
    everywhere=True,
    of_reference=(real_statistics,),
    against=_fd_against,
)
FID = replace(
    FD,
    name="fid",
    label="FID",
    definition="Frechet distance of Gaussians fitted to the 2,048 features of FID's own Inception network",
    source=f"{FD.source}; resize: Parmar et al. 2022, arXiv 2104.11222",
    extractors=tuple(INCEPTION),
    besides=(),
    compared=1,
)
SFID = replace(
    FD,
    name="sfid",
    label="sFID",
    definition="Frechet distance of Gaussians fitted to 7 channels of a middle layer of FID's own Inception network "
    "(mixed_6/conv), which keep where things are",
    source="Nash et al. 2021, arXiv 2103.03841; channels and order as in OpenAI's guided-diffusion",
    extractors=(SPATIAL,),
    besides=(),
)
FD_INFINITY = Metric(
    name="fd_infinity",
    label="FD∞",
    definition="FD extrapolated, linearly in 1/N, to infinitely many generated images: without its bias",
    direction="lower",
    source="Chong and Forsyth 2020, arXiv 1911.07023",
    compute=_fd_infinity,
    besides=(*INCEPTION, SPATIAL),
    minimum=lambda dim, options: 2 * smallest_size(dim),
    minimum_rule="8 x feature dimension",
    optional=True,
    wanted=lambda options: options.fd_infinity_sizes > 0,
    of_reference=(real_statistics,),
    against=_fd_infinity_against,
    compared=4,
    distance=True,
)
FID_INFINITY = replace(
    FD_INFINITY,
    name="fid_infinity",
    label="FID∞",
    definition="FID extrapolated, linearly in 1/N, to infinitely many generated images: without its bias",
    extractors=tuple(INCEPTION),
    besides=(),
    compared=3,
)
