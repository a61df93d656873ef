"""metrics.json: how good samples are."""

from typing import Any

from pydantic import Field

from genbench.records.provenance import Provenance
from genbench.records.record import Record, only

DRAWS = "with several draws"
MEMORISED = "for `memorised`"


class Neighbours(Record):
    """The nearest training images of the first samples."""

    index: list[int] = Field(description="index of each sample's nearest training image")
    distance: list[float] = Field(description="distance to that image, in the features")


class Metric(Record):
    """One metric of one set of samples."""

    value: float = Field(description="the number; the mean over draws")
    std: float | None = Field(
        default=None, description="standard deviation within the computation, such as between KID's subsets; or null"
    )
    n_real: int | None = Field(default=None, description="number of real images in the computation; null if none")
    n_fake: int | None = Field(default=None, description="number of samples in the computation, of one draw")
    interval: list[float] | None = only(
        "with enough samples", "the 95 % interval for redraws of the samples, low and high; see docs/metrics.md"
    )
    without: list[float] | None = only(
        "with enough samples", "the value without each of 20 groups of samples, from which the interval is computed"
    )
    note: str | None = Field(default=None, description="a remark to show beside the number, or null")
    nearer_than_median: float | None = only(
        MEMORISED, "share of samples at least as near as the nearer half of the test images, from 0 to 1"
    )
    neighbours: Neighbours | None = only(
        MEMORISED, "`index` and `distance` of the nearest training image of the first samples"
    )
    per_class: dict[str, float] | None = only("for FD by class", "the value for each class, by its index")
    values: list[float] | None = only(DRAWS, "the value of each draw")
    draw_std: float | None = only(DRAWS, "standard deviation between draws (N - 1 in the denominator)")
    about: dict[str, Any] | None = only(
        "for a metric of your own, and for a distance to published statistics",
        "the fields of its `MetricInfo`, see `genbench/metrics/metric.py`",
    )


class Metrics(Record):
    """How good samples are."""

    metrics: dict[str, Metric] = Field(description="by key: see below")
    extractors: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="by name: the hash of the weights, and other origins of the features"
    )
    warnings: list[str] = Field(default_factory=list, description="remarks to show beside the numbers")
    published: dict[str, dict[str, Any]] | None = only(
        "with published statistics",
        "by the extractor that made them: their `file`, its `sha256`, the number of features `dim`, and `num_images`, "
        "if the file states it",
    )
    unavailable: str | None = only("if nothing was drawn, and there are no metrics", "the reason")
    reference_sha256: str | None = Field(default=None, description="hash of the real images")
    samples_sha256: str | None = Field(default=None, description="hash of the samples")
    num_real: int | None = Field(default=None, description="number of real images")
    num_fake: int | None = Field(default=None, description="number of samples of one draw")
    options: dict[str, Any] | None = Field(default=None, description="options of the metrics in the suite")
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")
