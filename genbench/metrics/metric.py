"""A metric's entry: its meaning, its requirements, its computation, and its appearance in tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError
from genbench.metrics import intervals
from genbench.metrics.options import EvaluationOptions

Found = TypeVar("Found")
Arrays = tuple[NDArray[Any], ...]
Kept = TypeVar("Kept", bound=Arrays)
Statistics = tuple[NDArray[np.float64], NDArray[np.float64]]  # mean (D,) and covariance (D, D) of features
Known = dict[str, Arrays]  # by the name of the function that computed them
# Only features of the official weights have these names: any other network's distance is an FD, not an FID.
INCEPTION = {"inception-clean": "clean", "inception-legacy": "legacy", "inception-tensorflow": "tensorflow"}
SPATIAL = "inception-spatial"  # features of the same network that keep spatial positions: only for sFID
LAST = 100  # in the comparison


@dataclass(frozen=True)
class Features:
    """An extractor's output for a set of images.

    features: (N, D) float32. logits: (N, K) float32, or None if the extractor does not classify. labels: (N,) int64,
    the class of each image, or its requested class; None if images do not have one class each.
    info: the source of the arrays; `info["extractor"]["name"]` is the extractor's name. sha256: of the arrays, if read
    from a file.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    info: dict[str, Any]
    sha256: str | None = None
    labels: NDArray[np.int64] | None = None

    @property
    def extractor(self) -> str:
        return str(self.info["extractor"]["name"])


@dataclass(frozen=True)
class Reference:
    """Real images, and test images or None. What metrics compute from only these is the same for every row of a table.

    known: what has already been computed.
    """

    real: Features
    holdout: Features | None
    options: EvaluationOptions
    known: Known = field(default_factory=dict)

    def once(self, compute: Callable[["Reference"], Kept]) -> Kept:
        """`compute(self)`, computed only if it is not yet known."""
        name = f"{compute.__module__}.{compute.__qualname__}"
        if name not in self.known:
            self.known[name] = compute(self)
        return cast(Kept, self.known[name])


@dataclass(frozen=True)
class Inputs:
    """The inputs of a metric: features of real and of generated images, features of test images or None, and options.

    wanted: names of all metrics that will be computed from these inputs and may share their work.
    """

    reference: Reference
    fake: Features
    wanted: frozenset[str] = frozenset()
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def real(self) -> Features:
        return self.reference.real

    @property
    def holdout(self) -> Features | None:
        return self.reference.holdout

    @property
    def options(self) -> EvaluationOptions:
        return self.reference.options

    @property
    def labels(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The labels of real and of generated images (N,), for metrics that need "labels"."""
        if self.real.labels is None or self.fake.labels is None:
            raise InputError(f"{self.real.extractor} features: found no labels, expected those of a model with classes")
        return self.real.labels, self.fake.labels

    @property
    def logits(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The logits of real and of generated images (N, K), for metrics that need "logits"."""
        if self.real.logits is None or self.fake.logits is None:
            raise InputError(f"{self.real.extractor} features: found no logits, expected an extractor that classifies")
        return self.real.logits, self.fake.logits

    @property
    def groups(self) -> NDArray[np.int64] | None:
        """The group of each generated image (N,), used for intervals: see `intervals.groups_of`."""
        return self.once(_groups)

    def once(self, compute: Callable[["Inputs"], Found]) -> Found:
        """`compute(self)`, computed once and kept for all metrics."""
        if compute not in self._kept:
            self._kept[compute] = compute(self)
        found: Found = self._kept[compute]
        return found


def _groups(inputs: Inputs) -> NDArray[np.int64] | None:
    return groups_of(inputs.fake)


def groups_of(fake: Features) -> NDArray[np.int64] | None:
    """The group of each generated image; class by class, if images were drawn by class."""
    return intervals.groups_of(len(fake.features), fake.labels if fake.info.get("drawn_by_class") else None)


@dataclass(frozen=True)
class Value:
    """One number, with the other values of its record.

    std: a standard deviation within the computation. note: a sentence. interval: of confidence, [low, high].
    without: the number without each group of `Inputs.groups`; it gives the interval if `interval` is None.
    share_of: for a share, the number of images of which it is a share; its interval then lies within 0 and 1.
    more: further keys of the record.
    """

    value: float
    std: float | None = None
    note: str | None = None
    interval: tuple[float, float] | None = None
    without: NDArray[np.float64] | None = None
    share_of: int | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def record(self, n_real: int | None, n_fake: int) -> dict[str, Any]:
        """The number as a record contains it, with the numbers of images from which it was computed."""
        found: dict[str, Any] = {"value": self.value, "std": self.std, "n_real": n_real, "n_fake": n_fake}
        if self.interval is not None:
            found["interval"] = list(self.interval)
        elif self.without is not None and self.share_of is not None:
            found["interval"] = list(intervals.share_interval(self.value, self.without, self.share_of))
        elif self.without is not None:
            found["interval"] = list(intervals.interval(self.value, self.without))
        if self.without is not None:
            found["without"] = [float(f"{number:.9g}") for number in self.without]
        return {**found, "note": self.note, **self.more}


@dataclass(frozen=True, kw_only=True)
class MetricInfo:
    """What a reader of a metric must know, in plain values. Records of a user's own metric contain it.

    name: start of the key of results. label: its heading. direction: which way is better, or None.
    compared: its position in the comparison, the smallest number first; None shows it only with its model.
    overview: whether the page on all suites shows it. highlight: whether the summary of a suite shows it, too.
    printed: with three significant digits, three digits after the point, or as a count. power: tables show it times ten
    to this power. distance: whether it is a distance of features, which its label names. biased: whether its value
    depends on the number of images. everywhere: whether the comparison shows it in all features, not only the
    headline's. per_labels: whether its key ends with the requested file of label sets. of_imagenet: whether it means
    little for other images.
    """

    name: str
    label: str
    definition: str
    direction: Literal["lower", "higher"] | None
    source: str = ""
    compared: int | None = LAST
    overview: bool = False
    highlight: bool = False
    printed: Literal["significant", "proportion", "count"] = "significant"
    power: int = 0
    distance: bool = False
    biased: bool = False
    everywhere: bool = False
    per_labels: bool = False
    of_imagenet: bool = False

    def about(self) -> dict[str, Any]:
        """These values as a record holds them."""
        return {known.name: getattr(self, known.name) for known in fields(MetricInfo)}


@dataclass(frozen=True, kw_only=True)
class Metric(MetricInfo):
    """A metric: all that evaluation, tables and documents know about it.

    compute: from Inputs to its Value; metrics by the classifier of objects take its counts (see object_accuracy.py).
    needs: its inputs: "features" (real and generated), "logits", "holdout" (features of test images), "labels" (classes
    of real images, and requested classes of generated ones), or "objects" for metrics by the classifier of objects.
    extractors: the only extractors that have it, () for all; besides: those that do not. minimum: how many images it
    needs, from (feature dimension, options); minimum_rule: the same in words. optional: with too few images it is left
    out, without an error.
    wanted: whether options ask for it. applies: whether the images allow it, apart from their number. of_reference:
    what it computes from only real and test images, which a file can keep for the next row. against: its computation
    from only the statistics of the real images, such as published ones: (statistics, features of generated images,
    options); None if these are not enough.
    """

    compute: Callable[[Any], Value]
    needs: tuple[Literal["features", "logits", "holdout", "labels", "objects"], ...] = ("features",)
    extractors: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()
    minimum: Callable[[int, EvaluationOptions], int] = lambda dim, options: 1
    minimum_rule: str = "one"
    optional: bool = False
    wanted: Callable[[EvaluationOptions], bool] = lambda options: True
    applies: Callable[[Inputs], bool] = lambda inputs: True
    of_reference: tuple[Callable[[Reference], Arrays], ...] = ()
    against: Callable[[Statistics, Features, EvaluationOptions], Value] | None = None

    def is_for(self, extractor: str, logits: bool = True, holdout: bool = True, labels: bool = False) -> bool:
        """Whether an extractor's features give this metric, with or without logits, test images and labels."""
        kinds = {"features": True, "logits": logits, "holdout": holdout, "labels": labels}
        there = {kind for kind, is_there in kinds.items() if is_there}
        named = extractor not in self.besides and (not self.extractors or extractor in self.extractors)
        return named and there.issuperset(self.needs)

    def key(self, extractor: str) -> str:
        """Its key of results, such as `fd_classifier`; the key of a metric for one extractor does not name it."""
        return self.name if len(self.extractors) == 1 else f"{self.name}_{INCEPTION.get(extractor, extractor)}"

    def may_end(self, ending: str) -> bool:
        """Whether a key may be its name followed by `ending`, which stands for an extractor."""
        return not ending or not self.extractors or ending in {INCEPTION.get(name, name) for name in self.extractors}
