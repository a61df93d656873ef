"""What the tables show: each quantity with its name, its definition, which end is better, and how it is printed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genbench.metrics import METRICS, metric_info
from genbench.reporting.numerals import Number, count, duration, memory, proportion, significant

# Metrics of the comparison, in its order; the others stand in each model's own section.
COMPARED = (
    "object_accuracy",
    *("fid", "fd", "fid_infinity", "fd_infinity", "inception_score", "classifier_score", "kid"),
    *("precision", "recall", "density", "coverage", "memorised"),
)
OBJECTS = ("object_accuracy", "object_colour_wrong", "object_shape_wrong", "object_missing")  # by file of label sets
DISTANCES = ("fd", "fid")  # biased: a value means something only beside others from as many samples
INFINITE = ("fd_infinity", "fid_infinity")
PRINTED: dict[str, Callable[[Number], str]] = {  # otherwise with three significant digits
    "precision": proportion,
    "recall": proportion,
    "density": proportion,
    "coverage": proportion,
    "memorised": proportion,
    "classifier_confidence": proportion,
    "classifier_confident_share": proportion,
    "classes_found": count,
    **dict.fromkeys(OBJECTS, proportion),
}
FEATURES = {  # how labels name an extractor
    "classifier": "classifier",
    "objects": "objects",
    "efficientnet": "EfficientNet",
    "dinov2": "DINOv2",
    "clean": "clean",
    "legacy": "legacy",
}
INCEPTION = ("clean", "legacy")  # resizes before FID's own network
STAND_INS = {
    "classifier": "features of a classifier of this data set, a stand-in for Inception's: no FID",
    "objects": "features of a classifier of this data set's objects, a stand-in for Inception's: no FID",
    "efficientnet": "features of EfficientNet-Lite0 on ImageNet, a stand-in for Inception's: no FID",
}
UNOFFICIAL = "features of weights that are not the published ones: no FID"
GREYSCALE = "features learned from colour photographs; greyscale images are outside their domain"
OTHER_CLASSES = "counts classes of ImageNet, which these images do not show: no measure of their quality"


@dataclass(frozen=True)
class Column:
    """One quantity of the tidy table. Values are printed by `text` after multiplication with `scale`.

    metric: the name in METRICS, for metrics. notes: sentences that hold for all its numbers. doubtful: says so little
    here that it is shown in grey, and nothing is marked as its best. group: the heading over several columns.
    """

    key: str
    label: str
    definition: str
    direction: str | None = None
    text: Callable[[Number], str] = significant
    scale: Number = 1
    source: str = ""
    metric: str = ""
    notes: tuple[str, ...] = ()
    doubtful: bool = False
    group: str = "Quality"


SAMPLING, TRAINING = "Sampling", "Training"
TIME = Column(
    "seconds_per_50k",
    "Time for 50k",
    "time from noise to 50,000 images (uint8, on the device), after warm-up, without input and output",
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
    "training_seconds", "Training time", "wall-clock time of training", text=duration, group=TRAINING
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
    Column("warmup_seconds", "Warm-up", "first batches, compilation included; not part of the timing", text=duration),
    Column("io_seconds", "Input and output", "time to write the images; not part of the timing", text=duration),
    Column(
        "flops_per_nfe", "FLOPs per NFE", "floating-point operations of one network call, for one image", text=count
    ),
]


def extractor_of(key: str) -> str:
    """The extractor in a metric's key, which names its features: "" where the metric has its own."""
    return key.removeprefix(metric_info(key).name).removeprefix("_")


def metric_columns(
    keys: Sequence[str], num_samples: int | None = None, dataset: Mapping[str, Any] | None = None
) -> list[Column]:
    """The columns of metrics. A Frechet distance names its features and, since it depends on it, the sample count;
    other metrics name their features only where they stand in several. Raises InputError for an unknown metric."""
    metrics = [metric_info(key).name for key in keys]
    columns = []
    for key, metric in zip(keys, metrics, strict=True):
        info, extractor, scale = metric_info(key), extractor_of(key), 1
        named = extractor and (metric in DISTANCES + INFINITE + OBJECTS or metrics.count(metric) > 1)
        label = name_features(info.label, extractor) if named else info.label
        label = f"{info.label} ({extractor})" if metric in OBJECTS else label
        if metric in DISTANCES and num_samples:
            label = (
                label[:-1] + f", {count(num_samples)})" if label.endswith(")") else f"{label} ({count(num_samples)})"
            )
        if metric == "kid":
            label, scale = f"{label} ×10³", 1000
        columns.append(
            Column(
                key,
                label,
                info.definition,
                info.direction,
                PRINTED.get(metric, significant),
                scale,
                info.source,
                metric,
                tuple(notes_on(metric, extractor, dataset or {})),
                doubtful=metric == "inception_score" and not shows_objects(dataset or {}),
            )
        )
    return columns


def name_features(label: str, extractor: str) -> str:
    """A metric's label with its features: FD-EfficientNet, FID (clean), and FD-inception-clean (other weights)."""
    name = extractor.removesuffix("-unofficial")
    label = f"{label} ({name})" if name in INCEPTION else f"{label}-{FEATURES.get(name, name)}"
    return label if name == extractor else f"{label} (other weights)"


def notes_on(metric: str, extractor: str, dataset: Mapping[str, Any]) -> list[str]:
    """What a reader must know of every number of a metric in an extractor's features, on images of `dataset`."""
    notes = [STAND_INS[extractor]] if extractor in STAND_INS else []
    if extractor.endswith("-unofficial"):
        notes.append(UNOFFICIAL)
    if extractor not in ("", "classifier") and (dataset.get("image_shape") or [3])[0] == 1:
        notes.append(GREYSCALE)
    if metric == "inception_score" and not shows_objects(dataset):
        notes.append(OTHER_CLASSES)
    return notes


def shows_objects(dataset: Mapping[str, Any]) -> bool:
    """Whether a data set shows many kinds of the objects that ImageNet's classes are of, as CIFAR-10 does."""
    return str(dataset.get("name")).startswith(("cifar", "imagenet")) and (dataset.get("num_classes") or 0) >= 10


def comparison_columns(
    metrics: Sequence[str],
    headline: str,
    num_samples: int | None = None,
    dataset: Mapping[str, Any] | None = None,
    likelihood: bool = False,
) -> list[Column]:
    """The columns of the comparison: the headline first, then the other compared metrics, then what they cost.

    Frechet distances stand there in all features, other metrics in those of the headline, if they exist in them.
    likelihood: with bits per dimension, which only some families have.
    """
    keys = [headline]
    for metric in COMPARED:
        found = [key for key in metrics if metric_info(key).name == metric]
        own = [key for key in found if extractor_of(key) == extractor_of(headline)]
        keys += found if metric in DISTANCES + OBJECTS else own or found
    bits = [BITS_PER_DIM] if likelihood else []
    return metric_columns(list(dict.fromkeys(keys)), num_samples, dataset) + bits + COSTS


def detail_columns(
    metrics: Sequence[str],
    headline: str,
    num_samples: int | None = None,
    dataset: Mapping[str, Any] | None = None,
    likelihood: bool = False,
) -> list[Column]:
    """Every quantity, for a model's own section."""
    bits = [BITS_PER_DIM] if likelihood else []
    return metric_columns(list(dict.fromkeys([headline, *metrics])), num_samples, dataset) + bits + COSTS + DETAILS


def definition_columns(metrics: Sequence[str], likelihood: bool = False) -> list[Column]:
    """Every quantity once, whatever features it stands in: what is to be defined."""
    bases = dict.fromkeys(metric_info(key).name for key in metrics)
    defined = [
        Column(
            base, METRICS[base].label, METRICS[base].definition, METRICS[base].direction, source=METRICS[base].source
        )
        for base in bases
    ]
    return defined + ([BITS_PER_DIM] if likelihood else []) + COSTS + DETAILS
