"""preflight.json: what a suite will make, and its cost."""

from typing import Any, Literal

from pydantic import Field

from genbench.records.provenance import Provenance
from genbench.records.record import Record, only


class DataSet(Record):
    """A suite's data set."""

    name: str | None = Field(default=None, description="name of the data set")
    label: str | None = Field(default=None, description="name to show")
    image_shape: list[int] | None = Field(default=None, description="channels, height, width")
    num_classes: int | None = Field(default=None, description="number of classes; 0 without labels")
    num_train: int | None = Field(default=None, description="number of training images")
    num_test: int | None = Field(default=None, description="number of test images")
    notes: list[str] = Field(default_factory=list, description="remarks that readers need")


class QuantisedSampler(Record):
    """How a sampler's network is quantised."""

    scheme: str = Field(description="name of the scheme")
    sampler: str = Field(description="the float32 sampler that it is compared with")


class Walk(Record):
    """How a sampler walks from noise to data."""

    method: str | None = Field(default=None, description="the sampling method, for families with several")
    label: str | None = Field(default=None, description="the method's name on pages")
    steps: int = Field(description="number of steps")
    spacing: str | None = Field(default=None, description="how the times are spaced, or OpenAI's respacing")
    eta: float | str | None = Field(default=None, description="how much noise a step adds, for methods with eta")


class SamplerPlan(Record):
    """The cost of drawing an image with a sampler, computed on the meta device."""

    label: str | None = Field(default=None, description="name to show")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the sampler in the suite")
    remarks: list[str] = Field(default_factory=list, description="remarks to show beside its numbers")
    generates: bool = Field(default=True, description="whether it makes images from noise, not from given images")
    quantisation: QuantisedSampler | None = Field(
        default=None, description="null, or the scheme and the float32 sampler that it is compared with"
    )
    precision: str = Field(
        default="fp32", description="the network's precision, `fp32` or `bf16`, if no scheme quantises it"
    )
    walk: Walk | None = Field(default=None, description="its steps, see below; null if it takes none")
    stochastic: bool | None = Field(default=None, description="whether it draws noise after the first evaluation")
    nfe: int | None = Field(default=None, description="network evaluations per image; null if unknown")
    flops_per_nfe: int | None = Field(default=None, description="FLOPs of one evaluation, for one image")
    flops_per_image: int | None = Field(default=None, description="FLOPs to draw one image")
    memory_per_image: int | None = Field(
        default=None, description="memory per image while it is drawn, in bytes: an estimate"
    )


class NoiseSchedule(Record):
    """A noise schedule at about a hundred of its times."""

    T: int = Field(description="number of steps")
    default: str | None = Field(default=None, description="the family's schedule, used if the model's entry names none")
    t: list[int] = Field(description="times from 0 to T")
    alphas_cumprod: list[float] = Field(description="abar_t at each of these times, from 1 down to 0")


class PublishedFigure(Record):
    """A published figure for exactly this recipe or checkpoint."""

    quantity: str = Field(description="key of a metric; or `loss`, `seconds`, `training_seconds`")
    value: float = Field(description="the figure, in the unit of ours")
    source: str = Field(description="who published it")
    sampler: str = Field(description="the sampler that it belongs to")
    checkpoint: str = Field(default="final", description="the checkpoint that it belongs to")
    images: int | None = Field(default=None, description="for `seconds`: the number of images drawn in that time")
    note: str | None = Field(default=None, description="a remark that readers need, or null")


class ModelPlan(Record):
    """What one entry of a suite is, and its cost."""

    label: str | None = Field(default=None, description="name to show")
    description: str | None = Field(default=None, description="its description in the suite")
    budget: str | None = Field(default=None, description="how its training is reduced, from the suite; or null")
    role: Literal["baseline", "hand-in"] | None = only("in a suite with hand-ins", "whether it is one, or a baseline")
    series: str | None = Field(default=None, description="its line in the plots against the cost of training, or null")
    first_stage: str | None = Field(default=None, description="the entry whose trained model it builds on, or null")
    published: list[PublishedFigure] = Field(
        default_factory=list, description="published figures for it, from the suite: see below"
    )
    seeds: list[int] = Field(default_factory=list, description="seeds of its trainings")
    checkpoints: list[str] = Field(default=["final"], description="checkpoints to sample: `step-N`, `final`")
    pictures: list[str] = Field(default_factory=list, description="further pictures to draw")
    family: str | None = Field(default=None, description="name of the family")
    about: str | None = Field(default=None, description="the family, described in two sentences")
    paper: str | None = Field(default=None, description="the family's paper")
    parameters: dict[str, int] = Field(default_factory=dict, description="number of weights of each network")
    samplers: dict[str, SamplerPlan] = Field(default_factory=dict, description="by name: see below")
    noise_schedule: NoiseSchedule | None = Field(
        default=None, description="for models that have one: `T`, and `alphas_cumprod` at the times `t`"
    )
    class_: str | None = Field(default=None, alias="class", description="the model's class")
    spec: dict[str, Any] = Field(default_factory=dict, description="the entry in full")
    training_steps: int | None = Field(default=None, description="iterations of training")
    training_flops: int | None = Field(
        default=None, description="FLOPs of the training, forward and backward, including a first stage"
    )
    training_flops_per_image: int | None = Field(default=None, description="FLOPs of training, per image seen")
    training_memory_bytes: int | None = Field(default=None, description="memory for training: an estimate")


class Change(Record):
    """One key whose value differs between a suite and the suite that it extends."""

    key: str = Field(description="the key, with those above it: `models.ddpm.training.steps`")
    parent: str | None = Field(default=None, description="the parent's value as JSON, cut off if it is long; or null")
    here: str | None = Field(default=None, description="the value here, likewise")


class Parent(Record):
    """The suite that a suite extends."""

    suite: str = Field(description="its name")
    sha256: str = Field(description="hash of its content merged with its own parent: sorted keys, as JSON")
    locked: list[str] = Field(default_factory=list, description="keys that may not be changed")
    changes: list[Change] = Field(default_factory=list, description="each key that differs, with both values")


class Plan(Record):
    """What a suite will make, and its cost."""

    suite: str = Field(description="name of the suite")
    scale: float | None = Field(default=None, description="for a smaller version of a suite: its share of the training")
    parent: Parent | None = only("if the suite extends another", "the suite that it extends, and what differs")
    suite_argument: str | None = Field(default=None, description="its name or path on the command line")
    title: str | None = Field(default=None, description="title of the suite")
    description: str | None = Field(default=None, description="description of the suite")
    dataset: DataSet | None = Field(default=None, description="the data set")
    num_samples: int | None = Field(default=None, description="number of samples of each final model")
    snapshot_samples: int | None = Field(default=None, description="number of samples of each snapshot")
    draws: int | None = Field(default=None, description="how often samples of final models are drawn, with other seeds")
    seeds: list[int] = Field(description="seeds of training")
    evaluation: dict[str, Any] = Field(default_factory=dict, description="the suite's key `evaluation`, complete")
    expect: dict[str, str] = Field(
        default_factory=dict, description="the bound that every row should meet, by metric key, such as `< 60`"
    )
    headline: str = Field(description="key of the metric by which rows are sorted")
    models: dict[str, ModelPlan] = Field(description="by name: see below")
    provenance: Provenance | None = Field(default=None, description="where the file comes from: see above")
