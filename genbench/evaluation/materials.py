"""From the sides of an evaluation to their features in one extractor: files that a later evaluation reuses."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.errors import InputError, option, place, unknown_name
from genbench.evaluation.sides import Side
from genbench.features import EXTRACTORS, Extractor, load_extractor, load_features, save_features
from genbench.features.published_statistics import UNOFFICIAL, PublishedStatistics
from genbench.files.artifacts import array_sha256
from genbench.metrics import Features

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


class WeightsError(Exception):
    """An extractor's weights are unavailable; the message says which file to put where."""


@dataclass
class Eyes:
    """One extractor, NAME or NAME:PATH, whose network is loaded only if something must be computed with it."""

    spec: str
    weights_root: Path | None
    any_weights: bool
    batch_size: int | None
    device: "torch.device | str"

    @property
    def name(self) -> str:
        return self.spec.partition(":")[0]

    @property
    def dim(self) -> int | None:
        kind = EXTRACTORS.get(self.name.removesuffix(UNOFFICIAL))
        return kind.dim if kind else None

    @cached_property
    def network(self) -> Extractor:
        try:
            return load_extractor(self.spec, self.device, self.weights_root, self.any_weights)
        except InputError as error:
            raise WeightsError(f"{self.name}: {error}") from None

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Name and hash of the weights; published ones are not loaded for this."""
        kind = EXTRACTORS[self.name]
        if kind.weights is not None and ":" not in self.spec and not self.any_weights:
            return {"name": self.name, "sha256": kind.weights.sha256}
        return {"name": self.network.name, "sha256": self.network.sha256}


def check_names(specs: list[str], sides: Mapping[str, Side]) -> None:
    """Raise InputError for a name that is not an extractor's, unless there are existing features of this name."""
    made = {name for side in sides.values() for name in side.made}
    names = [spec.partition(":")[0] for spec in specs]
    for number, name in enumerate(names):
        if name not in EXTRACTORS and name not in made:
            raise unknown_name(option("features"), name, EXTRACTORS)
        if name in names[:number]:
            raise InputError(f"{option('features')}: found {name!r} twice, expected it once")


@dataclass
class Materials:
    """The inputs of metrics in one extractor: files of features, and statistics, each by its side's role."""

    files: dict[str, Path] = field(default_factory=dict)
    statistics: dict[str, PublishedStatistics] = field(default_factory=dict)
    extractor: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.extractor["name"])


def gather(
    eyes: Eyes, sides: Mapping[str, Side], statistics: Mapping[str, PublishedStatistics], folder: Path
) -> Materials:
    """Features of every side that has images or features for this extractor, computed if `folder` does not have them.

    statistics: of the sides whose published statistics this extractor made. Raises WeightsError, and InputError for
    input that is not images, or for features of another network than stated.
    """
    found = Materials(statistics=dict(statistics))
    bare = {}
    for role, side in sides.items():
        made = next((name for name in (eyes.name, f"{eyes.name}{UNOFFICIAL}") if name in side.made), None)
        if made is not None:
            found.files[role] = side.made[made]
        elif side.images is not None and eyes.name in EXTRACTORS:
            found.files[role] = _features(eyes, role, side, folder)
        elif side.bare is not None and side.bare.shape[1] == eyes.dim:
            bare[role] = side
    found.extractor = _extractor(eyes, found)
    for role, side in bare.items():
        assert side.bare is not None
        about = {"extractor": found.extractor, "images_sha256": array_sha256(side.bare)}
        stated = f"{side.name}: features of {eyes.name}, as stated to genbench: they do not say what made them"
        found.files[role] = folder / f"{role}-{eyes.name}-stated.npz"
        save_features(found.files[role], Features(side.bare, None, {**about, "warnings": [stated]}))
    for published in found.statistics.values():
        weights = (published.made_by or {}).get("sha256")
        if weights not in (None, found.extractor["sha256"]):
            raise InputError(
                f"{published.file}: found statistics of weights with SHA-256 {weights}, expected "
                f"{found.extractor['sha256']}, those of {found.name} here"
            )
    return found


def _extractor(eyes: Eyes, found: Materials) -> dict[str, Any]:
    """The extractor that made the features, as stated by their file or by a file of statistics, else as requested."""
    for path in found.files.values():
        about: dict[str, Any] = load_features(path).info["extractor"]
        return about
    made_by = [published.made_by for published in found.statistics.values() if published.made_by]
    return dict(made_by[0]) if made_by else {"name": eyes.name, "sha256": None}


def _features(eyes: Eyes, role: str, side: Side, folder: Path) -> Path:
    """The file of features of a side's images. Reuses an existing one of the same images and the same network."""
    assert side.images is not None
    path = folder / f"{role}-{eyes.name}.npz"
    if path.exists() and _is_of(path, array_sha256(side.images), lambda: eyes.identity):
        log.info("%s: kept from an earlier evaluation", path)
        return path
    from genbench.features.computation import features_of  # and with it torch

    network = eyes.network
    with place(side.name):
        found = features_of(side.images, network, side.info, batch_size=eyes.batch_size, device=eyes.device)
    save_features(path, found)
    return path


def _is_of(path: Path, images_sha256: str, identity: Callable[[], Mapping[str, Any]]) -> bool:
    try:
        info = load_features(path).info
    except InputError as error:
        log.warning("%s", error)
        return False
    made = {key: info["extractor"][key] for key in ("name", "sha256")}
    return bool(info["images_sha256"] == images_sha256 and made == identity())
