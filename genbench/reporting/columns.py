"""What the tables show: each quantity with its name, its definition, which end is better, and how it is printed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genbench.metrics import METRICS, metric_info
from genbench.reporting.numerals import Number, count, duration, memory, proportion, significant

# Metrics of the comparison, in its order; the others stand in each model's own section.
COMPARED = ("fd", "fid", "classifier_score", "inception_score", "kid", "precision", "recall", "density", "coverage")
DISTANCES = ("fd", "fid")
PRINTED: dict[str, Callable[[Number], str]] = {  # otherwise with three significant digits
    "precision": proportion,
    "recall": proportion,
    "density": proportion,
    "coverage": proportion,
    "classifier_confidence": proportion,
    "classifier_confident_share": proportion,
    "classes_found": count,
}


@dataclass(frozen=True)
class Column:
    """One quantity of the tidy table. Values are printed by `text` after multiplication with `scale`."""

    key: str
    label: str
    definition: str
    direction: str | None = None
    text: Callable[[Number], str] = significant
    scale: Number = 1
    source: str = ""


TIME = Column(
    "seconds_per_50k",
    "Time for 50k",
    "time from noise to 50,000 images (uint8, on the device), after warm-up, without input and output",
    "lower",
    duration,
)
RATE = Column(
    "images_per_second",
    "Images/s",
    "images sampled in a second, timed in the same way",
    "higher",
    count,
)
NFE = Column(
    "nfe",
    "NFE",
    "number of function evaluations: how often a network is called to draw a batch of images, counted while sampling",
    text=count,
)
PARAMETERS = Column(
    "parameters",
    "Parameters",
    "weights of all networks of a model, with those that only training needs, such as a discriminator",
    text=count,
)
TRAINING_TIME = Column("training_seconds", "Training time", "wall-clock time of training", text=duration)
IMAGES_SEEN = Column("images_seen", "Images seen", "training images processed: steps times batch size", text=count)
COSTS = [TIME, RATE, NFE, PARAMETERS, TRAINING_TIME, IMAGES_SEEN]

DETAILS = [
    Column("latency_batch1_seconds", "Latency", "time to draw a single image (batch size 1)", text=duration),
    Column("warmup_seconds", "Warm-up", "first batches, compilation included; not part of the timing", text=duration),
    Column("io_seconds", "Input and output", "time to write the images; not part of the timing", text=duration),
    Column("peak_memory_bytes", "Peak memory", "most memory held while sampling", text=memory),
    Column(
        "flops_per_nfe", "FLOPs per NFE", "floating-point operations of one network call, for one image", text=count
    ),
    Column("flops_per_image", "FLOPs per image", "floating-point operations to draw one image", text=count),
]


def base(key: str) -> str:
    """The metric of a key: fd_classifier is fd, in the features of the extractor `classifier`. Other keys are whole."""
    metric = key.partition("_")[0]
    return metric if metric in METRICS and key not in METRICS else key


def metric_columns(keys: Sequence[str], num_samples: int | None = None) -> list[Column]:
    """The columns of metrics. A Frechet distance names its features and, since it depends on it, the sample count;
    other metrics name their features only where they stand in several. Raises InputError for an unknown metric."""
    columns = []
    for key in keys:
        info = metric_info(key)
        label, scale = info.label, 1
        extractor = key.removeprefix(base(key)).removeprefix("_")
        if extractor and (base(key) in DISTANCES or len([other for other in keys if base(other) == base(key)]) > 1):
            label = f"{label}-{extractor}"
        if base(key) in DISTANCES and num_samples:
            label = f"{label} ({count(num_samples)})"
        if base(key) == "kid":
            label, scale = f"{label} ×10³", 1000
        text = PRINTED.get(base(key), significant)
        columns.append(Column(key, label, info.definition, info.direction, text, scale, info.source))
    return columns


def comparison_columns(metrics: Sequence[str], headline: str, num_samples: int | None = None) -> list[Column]:
    """The columns of the comparison: the headline first, then the other compared metrics, then what they cost."""
    others = [key for metric in COMPARED for key in metrics if base(key) == metric]
    return metric_columns(list(dict.fromkeys([headline, *others])), num_samples) + COSTS


def detail_columns(metrics: Sequence[str], headline: str, num_samples: int | None = None) -> list[Column]:
    """Every quantity, for a model's own section."""
    return metric_columns(list(dict.fromkeys([headline, *metrics])), num_samples) + COSTS + DETAILS
