"""Mean and covariance of features, in the format that others publish and read: a reference without its images.

TTUR, pytorch-fid, clean-fid and EDM write an npz with `mu` and `sigma`. OpenAI's reference batches also contain those
of the spatial features, `mu_s` and `sigma_s`, and images. Such a file does not state which network and which resize
made it: the user must state this, by the name of an extractor. Files that genbench writes have the same keys and state
it.
"""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError, place
from genbench.features.extractors import EXTRACTORS
from genbench.files.artifacts import atomic_path, sha256_file
from genbench.files.npz import read_info, read_npz
from genbench.metrics import Features, Statistics, feature_statistics

log = logging.getLogger(__name__)

PAIRS = (("mu", "sigma"), ("mu_s", "sigma_s"))
ASYMMETRY = 1e-4  # of the largest element: files in float32 have 1e-7
NEGATIVE = 1e-3  # of the trace: the largest sum of negative eigenvalues, as in the distance itself
UNOFFICIAL = "-unofficial"


@dataclass(frozen=True, eq=False)
class PublishedStatistics:
    """The statistics of one kind of features in a file: mu (D,) and sigma (D, D), float64.

    sha256: of the file. made_by, num_images: the extractor, {"name", "sha256"}, and the number of images, if genbench
    wrote the file.
    """

    mu: NDArray[np.float64]
    sigma: NDArray[np.float64]
    file: str
    sha256: str
    made_by: dict[str, Any] | None = None
    num_images: int | None = None

    @property
    def dim(self) -> int:
        return len(self.mu)

    @property
    def pair(self) -> Statistics:
        return self.mu, self.sigma

    def note(self, extractor: str, relation: str = "against") -> str:
        """The note for a number: the file with its hash, the extractor, and whether the file itself states it.

        relation: of the number to the file, "of" for statistics of generated images.
        """
        says = "as it states" if self.made_by else "as stated to genbench: the file does not say"
        return f"{relation} the statistics in {self.file} (SHA-256 {self.sha256[:12]}), made by {extractor}, {says}"

    def about(self) -> dict[str, Any]:
        """The statistics' description in a record."""
        return {"file": self.file, "sha256": self.sha256, "dim": self.dim} | (
            {} if self.num_images is None else {"num_images": self.num_images}
        )


def has_statistics(keys: list[str]) -> bool:
    """Whether an npz with these keys contains statistics."""
    return any(set(pair) <= set(keys) for pair in PAIRS)


def read_published(path: str | os.PathLike[str]) -> list[PublishedStatistics]:
    """The statistics in an npz: `mu` and `sigma`, and `mu_s` and `sigma_s`, if it has them.

    Raises InputError, naming the file and the key, if it is missing or damaged, contains objects or neither pair, or if
    a pair is not a mean and its covariance: other shapes, not finite, not symmetric, or negative variances.
    """
    arrays = read_npz(path, [*(key for pair in PAIRS for key in pair), "info"])
    about = read_info(path, arrays["info"]).get("statistics", {}) if "info" in arrays else {}
    pairs = [pair for pair in PAIRS if any(key in arrays for key in pair)]
    if not pairs:
        raise InputError(f"{path}: found none of the keys mu and sigma, mu_s and sigma_s; expected statistics for FID")
    digest, found = sha256_file(path), []
    for pair in pairs:
        for key in pair:
            if key not in arrays:
                raise InputError(f"{path}: key {key!r} is missing; expected both {pair[0]} and {pair[1]}")
        with place(path):
            mu, sigma = check_statistics(arrays[pair[0]], arrays[pair[1]], pair)
        made_by, number = (about.get("extractor"), about.get("num_images")) if pair == PAIRS[0] else (None, None)
        found.append(PublishedStatistics(mu, sigma, Path(path).name, digest, made_by, number))
    return found


def check_statistics(mu: NDArray[Any], sigma: NDArray[Any], names: tuple[str, str] = PAIRS[0]) -> Statistics:
    """A mean (D,) and a covariance (D, D) in float64, exactly symmetric. Raises InputError for other arrays."""
    for key, array in zip(names, (mu, sigma), strict=True):
        if array.dtype.kind not in "fiu":
            raise InputError(f"{key}: found {array.dtype}, expected numbers")
    mu, sigma = (np.asarray(array, dtype=np.float64) for array in (mu, sigma))
    if mu.ndim != 1 or len(mu) == 0:
        raise InputError(f"{names[0]}: found shape {mu.shape}, expected (D,)")
    if sigma.shape != 2 * mu.shape:
        raise InputError(f"{names[1]}: found shape {sigma.shape}, expected {2 * mu.shape}, as {names[0]} has {len(mu)}")
    for key, array in zip(names, (mu, sigma), strict=True):
        if not np.isfinite(array).all():
            raise InputError(f"{key}: found NaN or infinity, expected finite values")
    largest, asymmetry = float(np.abs(sigma).max()), float(np.abs(sigma - sigma.T).max())
    if asymmetry > ASYMMETRY * largest:
        raise InputError(
            f"{names[1]}: found elements that differ by {asymmetry:.3g} from their mirror image, expected a symmetric "
            "covariance matrix"
        )
    sigma = (sigma + sigma.T) / 2
    shift = NEGATIVE * float(np.trace(sigma)) / len(mu)
    try:
        if shift < 0:
            raise np.linalg.LinAlgError
        np.linalg.cholesky(sigma + (shift + np.finfo(np.float64).tiny) * np.eye(len(mu)))
    except np.linalg.LinAlgError:
        raise InputError(
            f"{names[1]}: found negative eigenvalues, expected a covariance matrix (positive semi-definite)"
        ) from None
    return mu, sigma


def choose_published(found: list[PublishedStatistics], extractor: str) -> PublishedStatistics | None:
    """The statistics of an extractor's dimension. Raises InputError if they state that another extractor made them."""
    dim = EXTRACTORS[extractor.removesuffix(UNOFFICIAL)].dim
    for statistics in found:
        if statistics.dim == dim:
            if statistics.made_by and str(statistics.made_by["name"]).removesuffix(
                UNOFFICIAL
            ) != extractor.removesuffix(UNOFFICIAL):
                raise InputError(
                    f"{statistics.file}: found statistics that {statistics.made_by['name']} made, expected "
                    f"{extractor}'s"
                )
            return statistics
    return None


def published_for(path: str | os.PathLike[str], extractor: str) -> PublishedStatistics:
    """The statistics in a file that, as the user states, an extractor made. Raises InputError as `read_published` does,
    and if there are none of this extractor's dimension."""
    found = read_published(path)
    chosen = choose_published(found, extractor)
    if chosen is None:
        dim = EXTRACTORS[extractor.removesuffix(UNOFFICIAL)].dim
        dims = " and ".join(str(statistics.dim) for statistics in found)
        raise InputError(f"{path}: found statistics of {dims} dimensions, expected {dim}, as features of {extractor}")
    return chosen


def write_published(path: str | os.PathLike[str], features: Features) -> None:
    """Write the mean and covariance of features in pytorch-fid's format: an npz with `mu` and `sigma`.

    pytorch-fid and clean-fid read these keys; a third, `info`, states what made them. Raises InputError for fewer than
    two images, and for features that are all the same.
    """
    mu, sigma = feature_statistics(features.features)
    made = {key: features.info["extractor"][key] for key in ("name", "sha256")}
    about = {"extractor": made, "num_images": len(features.features), "images_sha256": features.info["images_sha256"]}
    if len(features.features) <= len(mu):
        log.warning(
            "%s: %d images span no %d dimensions: the covariance is singular, and FID against it says little",
            path,
            len(features.features),
            len(mu),
        )
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, mu=mu, sigma=sigma, info=np.array(json.dumps({"statistics": about})))
