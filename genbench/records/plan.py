"""preflight.json: what a suite will make, and what that will cost."""

from typing import Any, Literal

from pydantic import Field

from genbench.records.provenance import Provenance
from genbench.records.record import Record, only


class DataSet(Record):
    """A suite's data set."""

    name: str | None = Field(default=None, description="name of the data set")
    label: str | None = Field(default=None, description="name to show")
    image_shape: list[int] | None = Field(default=None, description="channels, height, width")
    num_classes: int | None = Field(default=None, description="how many classes; 0 without labels")
    num_train: int | None = Field(default=None, description="training images")
    num_test: int | None = Field(default=None, description="test images")
    notes: list[str] = Field(default_factory=list, description="what a reader must know of it")


class QuantisedSampler(Record):
    """How a sampler's network is quantised."""

    scheme: str = Field(description="name of the scheme")
    sampler: str = Field(description="the sampler in float32 that it is compared with")


class Walk(Record):
    """How a sampler walks from noise to data."""

    method: str | None = Field(default=None, description="what moves between the times, of families with several")
    label: str | None = Field(default=None, description="how a page writes it")
    steps: int = Field(description="how many steps it takes")
    spacing: str | None = Field(default=None, description="how the times are spaced, or OpenAI's respacing")
    eta: float | str | None = Field(default=None, description="how much noise a step adds, of methods that have it")


class SamplerPlan(Record):
    """What drawing an image with a sampler costs, found on the meta device."""

    label: str | None = Field(default=None, description="name to show")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the sampler, as the suite has them")
    remarks: list[str] = Field(default_factory=list, description="sentences that belong beside its numbers")
    generates: bool = Field(default=True, description="whether it makes images from noise, not from given images")
    quantisation: QuantisedSampler | None = Field(
        default=None, description="null, or the scheme and the sampler in float32 that it is compared with"
    )
    precision: str = Field(
        default="fp32", description="what the network computes in, `fp32` or `bf16`, where no scheme quantises it"
    )
    walk: Walk | None = Field(default=None, description="its steps, see below; null where it takes none")
    stochastic: bool | None = Field(
        default=None, description="whether noise is drawn on the way, after the first evaluation"
    )
    nfe: int | None = Field(default=None, description="evaluations of the network for an image; null if unknown")
    flops_per_nfe: int | None = Field(default=None, description="FLOPs of one evaluation, for one image")
    flops_per_image: int | None = Field(default=None, description="FLOPs to draw one image")
    memory_per_image: int | None = Field(
        default=None, description="memory that an image takes while it is drawn, in bytes: an estimate"
    )


class NoiseSchedule(Record):
    """A noise schedule, at about a hundred of its times."""

    T: int = Field(description="number of steps")
    default: str | None = Field(
        default=None, description="the family's own schedule, where the model's entry may give none"
    )
    t: list[int] = Field(description="times from 0 to T")
    alphas_cumprod: list[float] = Field(description="abar_t at each of these times, from 1 down to 0")


class PublishedFigure(Record):
    """A published figure for exactly this recipe or checkpoint."""

    quantity: str = Field(description="key of a metric; or `loss`, `seconds`, `training_seconds`")
    value: float = Field(description="the figure, in the unit of ours")
    source: str = Field(description="who published it")
    sampler: str = Field(description="the sampler that it is of")
    checkpoint: str = Field(default="final", description="the checkpoint that it is of")
    images: int | None = Field(default=None, description="of `seconds`: to draw so many images")
    note: str | None = Field(default=None, description="what a reader must know of it, or null")


class ModelPlan(Record):
    """What one entry of a suite will be and cost."""

    label: str | None = Field(default=None, description="name to show")
    description: str | None = Field(default=None, description="what it is about, as the suite has it")
    budget: str | None = Field(default=None, description="what was reduced, as the suite has it; or null")
    role: Literal["baseline", "hand-in"] | None = only("in a suite with hand-ins", "whether it is one, or a baseline")
    series: str | None = Field(
        default=None, description="the line of the plots against the cost of training that it is a point of; or null"
    )
    first_stage: str | None = Field(default=None, description="the entry whose trained model it builds upon, or null")
    published: list[PublishedFigure] = Field(
        default_factory=list, description="what others published of it, as the suite has it: see below"
    )
    seeds: list[int] = Field(default_factory=list, description="seeds of its trainings")
    checkpoints: list[str] = Field(default=["final"], description="which of them will be sampled: `step-N`, `final`")
    pictures: list[str] = Field(default_factory=list, description="pictures that will be drawn of it")
    family: str | None = Field(default=None, description="name of the family")
    about: str | None = Field(default=None, description="what the family is, in two sentences")
    paper: str | None = Field(default=None, description="the family's paper")
    parameters: dict[str, int] = Field(default_factory=dict, description="number of weights of each network")
    samplers: dict[str, SamplerPlan] = Field(default_factory=dict, description="by name: see below")
    noise_schedule: NoiseSchedule | None = Field(
        default=None, description="of models that have one: `T`, and `alphas_cumprod` at the times `t`"
    )
    class_: str | None = Field(default=None, alias="class", description="the model's class")
    spec: dict[str, Any] = Field(default_factory=dict, description="the entry in full")
    training_steps: int | None = Field(default=None, description="iterations of training")
    training_flops: int | None = Field(
        default=None, description="FLOPs of the training, forward and backward, and those of a first stage"
    )
    training_flops_per_image: int | None = Field(default=None, description="FLOPs of training, per image seen")
    training_memory_bytes: int | None = Field(default=None, description="memory that training takes: an estimate")


class Change(Record):
    """One key that a suite and the one that it extends have with other values."""

    key: str = Field(description="the key, with those above it: `models.ddpm.training.steps`")
    parent: str | None = Field(default=None, description="the value there, as JSON, cut off where it is long; or null")
    here: str | None = Field(default=None, description="the value here, likewise")


class Parent(Record):
    """The suite that a suite extends."""

    suite: str = Field(description="its name")
    sha256: str = Field(description="hash of what it says, with what it extends itself: its keys in order, as JSON")
    locked: list[str] = Field(default_factory=list, description="keys that may not be changed")
    changes: list[Change] = Field(default_factory=list, description="each key that differs, and both values")


class Plan(Record):
    """What a suite will make, and what that will cost."""

    suite: str = Field(description="name of the suite")
    scale: float | None = Field(default=None, description="of a smaller one of a suite: the share of it that is made")
    parent: Parent | None = only("where the suite extends another", "the suite that it extends, and what differs")
    suite_argument: str | None = Field(default=None, description="what names it on the command line: name or path")
    title: str | None = Field(default=None, description="title of the suite")
    description: str | None = Field(default=None, description="what it is about, as the suite has it")
    dataset: DataSet | None = Field(default=None, description="the data set")
    num_samples: int | None = Field(default=None, description="how many samples of each final model are judged")
    snapshot_samples: int | None = Field(default=None, description="how many samples of each snapshot are judged")
    draws: int | None = Field(default=None, description="how often all label sets are drawn, with other seeds")
    seeds: list[int] = Field(description="seeds of training")
    evaluation: dict[str, Any] = Field(default_factory=dict, description="how samples are judged, as the suite has it")
    expect: dict[str, str] = Field(
        default_factory=dict, description="what is expected of every row, by the key of a metric, such as `< 60`"
    )
    headline: str = Field(description="key of the metric that rows are ordered by")
    models: dict[str, ModelPlan] = Field(description="by name: see below")
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")
