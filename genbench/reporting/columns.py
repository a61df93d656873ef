"""The columns of the tables: each quantity's name, definition, better direction and number format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genbench.errors import InputError
from genbench.metrics import METRICS, MetricInfo, metric_info
from genbench.reporting.numerals import Number, count, duration, memory, proportion, significant, superscript

PRINTED: dict[str, Callable[[Number], str]] = {"significant": significant, "proportion": proportion, "count": count}
NONE: Mapping[str, MetricInfo] = {}
FEATURES = {  # the name of each extractor in labels
    "classifier": "classifier",
    "objects": "objects",
    "efficientnet": "EfficientNet",
    "dinov2": "DINOv2",
    "clean": "clean",
    "legacy": "legacy",
    "tensorflow": "tensorflow",
}
INCEPTION = ("clean", "legacy", "tensorflow")  # resizes before FID's own network
STAND_INS = {
    "classifier": "features of a classifier of this data set, a stand-in for Inception's: no FID",
    "objects": "features of a classifier of this data set's objects, a stand-in for Inception's: no FID",
    "efficientnet": "features of EfficientNet-Lite0 on ImageNet, a stand-in for Inception's: no FID",
}
UNKNOWN = "its record does not say what it measures"
UNOFFICIAL = "features of weights that are not the published ones: no FID"
PEERS = {"clean": "clean-fid", "legacy": "pytorch-fid", "tensorflow": "torch-fidelity"}  # by kind of resize
GREYSCALE = "features learned from colour photographs; greyscale images are outside their domain"
OTHER_CLASSES = "counts classes of ImageNet, which these images do not show: no measure of their quality"


@dataclass(frozen=True)
class Column:
    """One quantity of the tidy table. Values are printed by `text` after multiplication with `scale`.

    info: for a metric, its MetricInfo. notes: sentences that hold for all its numbers. doubtful: it means so little
    on this data set that it is shown in grey, without a best number. group: the heading over several columns.
    """

    key: str
    label: str
    definition: str
    direction: str | None = None
    text: Callable[[Number], str] = significant
    scale: Number = 1
    source: str = ""
    info: MetricInfo | None = None
    notes: tuple[str, ...] = ()
    doubtful: bool = False
    group: str = "Quality"

    @property
    def metric(self) -> str:
        """The name of the metric; "" for other quantities."""
        return self.info.name if self.info else ""

    @property
    def distance(self) -> bool:
        """Whether it is a distance between features, which plots show on a logarithmic axis."""
        return bool(self.info and self.info.distance)


SAMPLING, TRAINING = "Sampling", "Training"
TIME = Column(
    "seconds_per_50k",
    "Time for 50k",
    "time from noise to 50,000 images (uint8, on the device), without input and output: from the median of several "
    "batches, drawn after warm-up with nothing else running",
    "lower",
    duration,
    group=SAMPLING,
)
PER_IMAGE = Column(
    "seconds_per_image",
    "Time per image",
    "the time for 50,000 images divided by their number: in batches, not the latency of a single one",
    "lower",
    duration,
    group=SAMPLING,
)
RATE = Column(
    "images_per_second",
    "Images/s",
    "images sampled in a second, timed in the same way",
    "higher",
    count,
    group=SAMPLING,
)
NFE = Column(
    "nfe",
    "NFE",
    "number of function evaluations: how often a network is called to draw a batch of images, counted while sampling",
    text=count,
    group=SAMPLING,
)
FLOPS = Column(
    "flops_per_image",
    "FLOPs per image",
    "floating-point operations to draw one image: of matrix products and convolutions, by the networks' shapes",
    text=count,
    group=SAMPLING,
)
MEMORY = Column(
    "peak_memory_bytes",
    "Peak memory",
    "most GPU memory held while sampling; it is not measured on CPUs",
    text=memory,
    group=SAMPLING,
)
PARAMETERS = Column(
    "parameters",
    "Parameters",
    "weights of all networks of a model, with those that only training needs, such as a discriminator",
    text=count,
    group=TRAINING,
)
TRAINING_TIME = Column(
    "training_seconds",
    "Training time",
    "wall-clock time of training; a first stage has its own row",
    text=duration,
    group=TRAINING,
)
IMAGES_SEEN = Column(
    "images_seen", "Images seen", "training images processed: steps times batch size", text=count, group=TRAINING
)
COSTS = [TIME, PER_IMAGE, NFE, FLOPS, MEMORY, PARAMETERS, TRAINING_TIME, IMAGES_SEEN]
SPEEDS = (TIME, PER_IMAGE, RATE)  # of the device
BITS_PER_DIM = Column(
    "bits_per_dim",
    "Bits/dim",
    "variational bound on the negative log-likelihood of held-out images, in bits for each value of a pixel",
    "lower",
    source="Nichol and Dhariwal 2021, arXiv 2102.09672",
)

DETAILS = [
    RATE,
    Column("latency_batch1_seconds", "Latency", "time to draw a single image (batch size 1)", text=duration),
    Column(
        "time_spread", "Spread of the time (%)", "slowest less fastest of the timed batches, of their median", scale=100
    ),
    Column("other_work", "Other work", "how many cores other processes kept busy during the timing"),
    Column("warmup_seconds", "Warm-up", "first batches, compilation included; not part of the timing", text=duration),
    Column("io_seconds", "Input and output", "time to write the images; not part of the timing", text=duration),
    Column(
        "flops_per_nfe", "FLOPs per NFE", "floating-point operations of one network call, for one image", text=count
    ),
]


def info_of(key: str, own: Mapping[str, MetricInfo]) -> MetricInfo:
    """The MetricInfo for a key of the results: from `own`, or else genbench's.

    own: by key, the MetricInfo of metrics that are not genbench's. A metric that no record describes has its key as
    label.
    """
    if key in own:
        return own[key]
    try:
        return metric_info(key)
    except InputError:
        return stated(key, {})


def own_metrics(summary: Mapping[str, Any]) -> dict[str, MetricInfo]:
    """The MetricInfo of each metric in a suite's summary that is not genbench's, by key."""
    return {key: stated(key, about) for key, about in summary.get("own_metrics", {}).items()}


def stated(key: str, about: Mapping[str, Any]) -> MetricInfo:
    """The MetricInfo of a metric that is not genbench's, from a record. Raises InputError for wrong fields."""
    from genbench.schema import check_arguments  # slow to import, and most suites have no such metric

    given = {"name": key, "label": key, "definition": UNKNOWN, "direction": None, **about}
    return MetricInfo(**check_arguments(MetricInfo, given))


def ending(key: str, info: MetricInfo) -> str:
    """The rest of a key after the metric's name: an extractor or a file of label sets, or ""."""
    return key.removeprefix(info.name).removeprefix("_")


def metric_columns(
    keys: Sequence[str],
    num_samples: int | None = None,
    dataset: Mapping[str, Any] | None = None,
    own: Mapping[str, MetricInfo] = NONE,
) -> list[Column]:
    """The columns of metrics. The label of a distance names its features and, if it is biased, the number of samples;
    other metrics name their features only if `keys` has them in several. own: as for `info_of`."""
    infos = [info_of(key, own) for key in keys]
    names = [info.name for info in infos]
    columns = []
    for key, info in zip(keys, infos, strict=True):
        extractor, label = ending(key, info), info.label
        if info.per_labels:
            label = f"{label} ({extractor})"
        elif extractor and (info.distance or names.count(info.name) > 1):
            label = name_features(label, extractor)
        if info.biased and num_samples:
            label = (
                label[:-1] + f", {count(num_samples)})" if label.endswith(")") else f"{label} ({count(num_samples)})"
            )
        columns.append(
            Column(
                key,
                f"{label} ×10{superscript(info.power)}" if info.power else label,
                info.definition + same_as(info, extractor),
                info.direction,
                PRINTED[info.printed],
                10**info.power,
                info.source,
                info,
                tuple(notes_on(info, extractor, dataset or {})),
                doubtful=info.of_imagenet and not shows_objects(dataset or {}),
            )
        )
    return columns


def name_features(label: str, extractor: str) -> str:
    """A metric's label with its features: FD-EfficientNet, FID (clean), and FD-inception-clean (other weights)."""
    name = extractor.removesuffix("-unofficial")
    label = f"{label} ({name})" if name in INCEPTION else f"{label}-{FEATURES.get(name, name)}"
    return label if name == extractor else f"{label} (other weights)"


def same_as(info: MetricInfo, extractor: str) -> str:
    """Which other program gives the same number for the same images; docs/peers.md shows it.

    KID and the Inception score equal torch-fidelity's with the real images as its `input1`: then the random subsets are
    the same.
    """
    resize = extractor.removeprefix("inception-")
    if info.name == "fid" and resize in PEERS:
        return f"; the number of {PEERS[resize]}, to 4 digits"
    if info.name in ("kid", "inception_score") and resize == "tensorflow":
        return "; the number of torch-fidelity at its defaults, to 4 digits"
    return ""


def notes_on(info: MetricInfo, extractor: str, dataset: Mapping[str, Any]) -> list[str]:
    """What a reader must know about every number of a metric in an extractor's features, on images of `dataset`."""
    notes = [STAND_INS[extractor]] if extractor in STAND_INS else []
    if extractor.endswith("-unofficial"):
        notes.append(UNOFFICIAL)
    if extractor not in ("", "classifier") and (dataset.get("image_shape") or [3])[0] == 1:
        notes.append(GREYSCALE)
    if info.of_imagenet and not shows_objects(dataset):
        notes.append(OTHER_CLASSES)
    return notes


def shows_objects(dataset: Mapping[str, Any]) -> bool:
    """Whether a data set shows many kinds of ImageNet's objects, as CIFAR-10 does."""
    return str(dataset.get("name")).startswith(("cifar", "imagenet")) and (dataset.get("num_classes") or 0) >= 10


def comparison_columns(
    metrics: Sequence[str],
    headline: str,
    num_samples: int | None = None,
    dataset: Mapping[str, Any] | None = None,
    likelihood: bool = False,
    own: Mapping[str, MetricInfo] = NONE,
) -> list[Column]:
    """The columns of the comparison: the headline first, then the other compared metrics, then the costs.

    Frechet distances appear in all features, other metrics in those of the headline where possible.
    likelihood: with bits per dimension, which only some families have. own: as for `info_of`.
    """
    features = ending(headline, info_of(headline, own))
    found: dict[MetricInfo, list[str]] = {}  # the keys of each metric
    for key in metrics:
        found.setdefault(info_of(key, own), []).append(key)
    order = {name: place for place, name in enumerate(METRICS)}
    compared = [info for info in found if info.compared is not None]
    compared.sort(key=lambda info: (info.compared, order.get(info.name, len(order))))
    keys = [headline]
    for info in compared:
        alike = [key for key in found[info] if ending(key, info) == features]
        keys += found[info] if info.everywhere else alike or found[info]
    bits = [BITS_PER_DIM] if likelihood else []
    return metric_columns(list(dict.fromkeys(keys)), num_samples, dataset, own) + bits + COSTS


def detail_columns(
    metrics: Sequence[str],
    headline: str,
    num_samples: int | None = None,
    dataset: Mapping[str, Any] | None = None,
    likelihood: bool = False,
    own: Mapping[str, MetricInfo] = NONE,
) -> list[Column]:
    """The columns of a model's section: every quantity."""
    bits = [BITS_PER_DIM] if likelihood else []
    return metric_columns(list(dict.fromkeys([headline, *metrics])), num_samples, dataset, own) + bits + COSTS + DETAILS


def definition_columns(
    metrics: Sequence[str], likelihood: bool = False, own: Mapping[str, MetricInfo] = NONE
) -> list[Column]:
    """Every quantity that a page defines, each once, whatever its features."""
    infos = {info.name: info for info in (info_of(key, own) for key in metrics)}
    defined = [
        Column(name, info.label, info.definition, info.direction, source=info.source) for name, info in infos.items()
    ]
    return defined + ([BITS_PER_DIM] if likelihood else []) + COSTS + DETAILS
