"""objects/*.json: how many of the requested objects a conditional model's samples show."""

from typing import Any

from pydantic import Field

from genbench.records.metrics import Metric
from genbench.records.provenance import Provenance
from genbench.records.record import Record, only


class Evaluator(Record):
    """The classifier of objects that judged the samples."""

    sha256: str | None = Field(default=None, description="hash of its weights")
    accuracy: float | None = Field(
        default=None, description="its accuracy on real images that it was not trained on; null if unknown"
    )
    interval: list[float] | None = Field(default=None, description="95 % interval of the accuracy; null if unknown")


class LabelFile(Record):
    """The file of label sets."""

    name: str = Field(description="name of the file")
    sha256: str = Field(description="hash of the file")


class Objects(Record):
    """How many of the requested objects the samples show."""

    metrics: dict[str, Metric] = Field(description="`object_accuracy` and the kinds of errors, as in metrics.json")
    evaluator: Evaluator = Field(
        description="the classifier that judged the samples: hash, accuracy on held-out real images, and its interval"
    )
    unavailable: str | None = only("if nothing was drawn, and there are no metrics", "the reason")
    labels: LabelFile | None = Field(default=None, description="the file of label sets: name and hash")
    samples_sha256: str | None = Field(default=None, description="hash of the samples")
    num_fake: int | None = Field(default=None, description="number of samples of one draw: one for each label set")
    image_stats: dict[str, Any] | None = Field(default=None, description="statistics of the samples' pixels")
    warnings: list[str] = Field(default_factory=list, description="remarks to show beside the numbers")
    options: dict[str, Any] | None = Field(default=None, description="`draws`: number of sets of samples")
    device: str | None = Field(default=None, description="the machine's GPU or processor")
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")
