"""A suite's results in one small file, reference/{suite}.json, with which others compare theirs."""

from typing import Any

from pydantic import Field

from genbench.records.plan import DataSet
from genbench.records.record import Record, only

FORMAT = "genbench-record-1"
PRECISION = "numeric precision, such as `fp32`"
DEVICE = "the machine's GPU or processor"


class RecordedSampler(Record):
    """A sampler and its cost."""

    label: str | None = Field(default=None, description="name to show")
    nfe: int | None = Field(default=None, description="network evaluations per image")
    flops_per_image: int | None = Field(default=None, description="FLOPs to draw one image")
    generates: bool = Field(default=True, description="whether it makes images from noise, not from given images")


class RecordedModel(Record):
    """One entry of the suite, with its defaults."""

    label: str | None = Field(default=None, description="name to show")
    family: str | None = Field(default=None, description="name of the family")
    budget: str | None = Field(default=None, description="how its training is reduced, from the suite; or null")
    series: str | None = only("for a recipe at several budgets of FLOPs", "the name that its entries share")
    spec: dict[str, Any] = Field(
        default_factory=dict, description="the entry in full, with its defaults; files by their names, without folders"
    )
    parameters: int | None = Field(default=None, description="number of weights")
    training_flops: int | None = Field(
        default=None, description="FLOPs of the training, forward and backward, including a first stage"
    )
    samplers: dict[str, RecordedSampler] = Field(default_factory=dict, description="by name: label and cost")


class RecordedTraining(Record):
    """One training run."""

    model: str = Field(description="name of the model")
    seed: int = Field(description="seed of the training")
    steps: int | None = Field(default=None, description="iterations")
    images_seen: int | None = Field(default=None, description="images processed: steps times batch size")
    batch_size: int | None = Field(default=None, description="images per iteration")
    seconds: float | None = Field(default=None, description="training time, without interruptions")
    device: str | None = Field(default=None, description=DEVICE)
    precision: str | None = Field(default=None, description=PRECISION)
    data_sha256: str | None = only("if it is not the suite's", "hash of the training images")
    model_sha256: str | None = Field(default=None, description="hash of the weights")


class RecordedDraw(Record):
    """One set of samples of a final model, and how good they are."""

    model: str = Field(description="name of the model")
    seed: int = Field(description="seed of its training")
    sampler: str = Field(description="name of the sampler")
    metrics: dict[str, float] = Field(description="the values by key, to nine digits: means over draws")
    values: dict[str, list[float]] | None = only("with several draws", "by key: the value of each draw")
    intervals: dict[str, list[float]] | None = only("if a metric has one", "by key: the 95 % interval, low and high")
    seeds: str | None = Field(default=None, description="seeds of the samples: START:STOP")
    num_samples: int | None = Field(default=None, description="number of samples of one draw")
    samples_sha256: str | None = Field(default=None, description="hash of the samples")
    reference_sha256: str | None = only("if it is not the suite's", "hash of the real images")
    batch_size: int | None = Field(default=None, description="images per batch")
    device: str | None = Field(default=None, description=DEVICE)
    precision: str | None = Field(default=None, description=PRECISION)
    seconds_per_50k: float | None = Field(default=None, description="time to sample 50,000 images")


class RecordedOrigin(Record):
    """Which code and which packages made the results of one stage."""

    stage: str = Field(description="`training`, `sampling`, `evaluation` and others")
    models: list[str] = Field(description="the models whose results it made")
    genbench_commit: str | None = Field(default=None, description="the commit of genbench")
    code_sha256: str | None = Field(default=None, description="hash of the code that computed them")
    python: str | None = Field(default=None, description="version of Python")
    packages: dict[str, str] = Field(default_factory=dict, description="versions of packages")


class Reference(Record):
    """The results of one suite, with its entries."""

    format: str = Field(description=f"`{FORMAT}`: the version of this format")
    name: str | None = Field(default=None, description="who made the results, from `--name`; or null")
    suite: str = Field(description="name of the suite")
    title: str | None = Field(default=None, description="title of the suite")
    headline: str = Field(description="key of the metric by which rows are sorted and compared")
    dataset: DataSet | None = Field(default=None, description="the data set")
    data_sha256: str | None = Field(default=None, description="hash of the training images")
    reference_sha256: str | None = Field(
        default=None, description="hash of the real images that samples are compared with"
    )
    num_samples: int | None = Field(default=None, description="number of samples of each model in the suite")
    evaluation: dict[str, Any] = Field(default_factory=dict, description="the suite's key `evaluation`, complete")
    extractors: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="by name: the hash of the weights, and other origins of the features"
    )
    own_metrics: dict[str, dict[str, Any]] | None = only("with metrics of your own", "their descriptions, by key")
    real: dict[str, float] = Field(default_factory=dict, description="the metrics of held-out real images, by key")
    models: dict[str, RecordedModel] = Field(description="the entries of the suite, by name")
    origins: list[RecordedOrigin] = Field(default_factory=list, description="code and packages: see below")
    trainings: list[RecordedTraining] = Field(default_factory=list, description="every training run: see below")
    draws: list[RecordedDraw] = Field(description="every set of samples of a final model: see below")
