"""objects/*.json: how many of the objects that a conditional model was asked for its samples show."""

from typing import Any

from pydantic import Field

from genbench.records.metrics import Metric
from genbench.records.provenance import Provenance
from genbench.records.record import Record, only


class Evaluator(Record):
    """The classifier of objects that judged the samples."""

    sha256: str | None = Field(default=None, description="hash of its weights")
    accuracy: float | None = Field(
        default=None, description="its own accuracy on real images that it was not trained on; null if unknown"
    )
    interval: list[float] | None = Field(default=None, description="the 95 % interval of that; null if unknown")


class LabelFile(Record):
    """The file of label sets."""

    name: str = Field(description="name of the file")
    sha256: str = Field(description="hash of the file")


class Objects(Record):
    """How many of the objects that were asked for are shown."""

    metrics: dict[str, Metric] = Field(description="`object_accuracy`, and the kinds of errors, as in metrics.json")
    evaluator: Evaluator = Field(
        description="the classifier that judged: hash, accuracy on held-out real images, and the interval of that"
    )
    unavailable: str | None = only("where nothing was drawn, and there are no metrics", "the reason")
    labels: LabelFile | None = Field(default=None, description="the file of label sets: name and hash")
    samples_sha256: str | None = Field(default=None, description="hash of the samples")
    num_fake: int | None = Field(default=None, description="samples of one draw: one for each label set")
    image_stats: dict[str, Any] | None = Field(default=None, description="statistics of the samples' pixels")
    warnings: list[str] = Field(default_factory=list, description="sentences that belong beside the numbers")
    options: dict[str, Any] | None = Field(default=None, description="`draws`: how many sets of samples there are")
    device: str | None = Field(default=None, description="the machine's GPU or processor")
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")
