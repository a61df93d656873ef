"""metrics.json: how good samples are."""

from typing import Any

from pydantic import Field

from genbench.records.provenance import Provenance
from genbench.records.record import Record, only

DRAWS = "with several draws"
MEMORISED = "of `memorised`"


class Neighbours(Record):
    """The nearest training images of the first samples."""

    index: list[int] = Field(description="index of the nearest training image of each")
    distance: list[float] = Field(description="distance to it, in the features")


class Metric(Record):
    """One metric of one set of samples."""

    value: float = Field(description="the number; the mean over draws")
    std: float | None = Field(
        default=None, description="standard deviation within the computation, such as between KID's subsets; or null"
    )
    n_real: int | None = Field(default=None, description="real images that it was computed from; null if none")
    n_fake: int | None = Field(default=None, description="samples that it was computed from; of one draw")
    interval: list[float] | None = only(
        "with enough samples", "the 95 % interval for redraws of the samples: low, high; see docs/metrics.md"
    )
    without: list[float] | None = only(
        "with enough samples", "the number without each of 20 groups of samples, from which the interval comes"
    )
    note: str | None = Field(default=None, description="a sentence that belongs beside the number, or null")
    nearer_than_median: float | None = only(
        MEMORISED, "the share of samples that are as near as the nearer half of the test images, from 0 to 1"
    )
    neighbours: Neighbours | None = only(
        MEMORISED, "`index` and `distance` of the nearest training image of the first samples"
    )
    per_class: dict[str, float] | None = only("of FD by class", "the number of each class, by its index")
    values: list[float] | None = only(DRAWS, "the number of each draw")
    draw_std: float | None = only(DRAWS, "standard deviation between these (N - 1 in the denominator)")
    about: dict[str, Any] | None = only(
        "of a metric of your own, and of a distance to published statistics",
        "what it is, as the fields of `MetricInfo` in `genbench/metrics/metric.py`",
    )


class Metrics(Record):
    """How good samples are."""

    metrics: dict[str, Metric] = Field(description="by key: see below")
    extractors: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="by name: the hash of the weights, and what else made the features"
    )
    warnings: list[str] = Field(default_factory=list, description="sentences that belong beside the numbers")
    published: dict[str, dict[str, Any]] | None = only(
        "where published statistics are compared with",
        "by the extractor that made them: their `file`, its `sha256`, the number of features `dim`, and `num_images`, "
        "if the file states it",
    )
    unavailable: str | None = only("where nothing was drawn, and there are no metrics", "the reason")
    reference_sha256: str | None = Field(default=None, description="hash of the real images")
    samples_sha256: str | None = Field(default=None, description="hash of the samples")
    num_real: int | None = Field(default=None, description="real images")
    num_fake: int | None = Field(default=None, description="samples of one draw")
    options: dict[str, Any] | None = Field(default=None, description="options of the metrics, as the suite has them")
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")
