"""Every key of a suite and of config.yaml, each with its meaning below it.

What stands beside them inside `dataset`, `model`, `training`, `samplers`, `pretrained` and `evaluation.options` goes to
functions and classes, whose signatures are its schema: see genbench/schema.py.
"""
# ruff: noqa: RUF012 - pydantic copies mutable defaults

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, TypeVar

from pydantic import MISSING, AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator

from genbench.data.as_found import Axes
from genbench.data.decoding import Filter
from genbench.errors import InputError
from genbench.mappings import Keys
from genbench.own_code import parse
from genbench.ranges import (
    BatchSize,
    Count,
    Figure,
    InnerShare,
    NumImages,
    Passes,
    Processes,
    Repeats,
    Seed,
    Share,
    Side,
    StepCount,
    Steps,
    StepsOrZero,
)

T = TypeVar("T")


def _matching(pattern: str, words: str) -> AfterValidator:
    """A check that a text is as `pattern` has it; `words` say so in errors."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"found {text!r}, expected {words}")
        return text

    return AfterValidator(check)


def _check_own(text: str) -> str:
    if parse(text) is None:
        raise ValueError(f"found {text!r}, expected FILE.py:NAME, such as ./my_metric.py:SPREAD")
    return text


def _unique(values: list[Any]) -> list[Any]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"found {value!r} twice, expected it once")
    return values


def moment(value: Any) -> datetime:
    """A date and time as YAML reads them, in the zone of this machine where none is stated; a day is its end."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        if not isinstance(value, date):
            raise ValueError(f"found {value!r}, expected a date and time such as 2026-12-01 23:59")
        value = datetime.combine(value, time.max)
    return value.astimezone()


def _check_moment(value: Any) -> Any:
    try:
        moment(value)
    except ValueError:
        raise ValueError(f"found {value!r}, expected a date and time such as 2026-12-01 23:59") from None
    return value


def _rising(values: list[float]) -> list[float]:
    if values[0] >= values[1]:
        raise ValueError(f"found {values}, expected the lower value first, such as [0, 1]")
    return values


# --- Kinds of values. A title says in words what a pattern does; up to its colon it is the kind's name. ---------------

_NAME, _NAME_WORDS = r"[A-Za-z0-9][A-Za-z0-9_+.-]*", "letters and digits, and _ + . - after the first"
_PATH = r"[^\x00-\x1f\x7f<>{}]+"
_PATH_WORDS = "without < > { } and control characters, to which Snakemake gives a meaning"
Name = Annotated[  # of files and folders
    str,
    Field(max_length=80, title=f"a name: {_NAME_WORDS}", json_schema_extra={"pattern": f"^{_NAME}$"}),
    _matching(_NAME, _NAME_WORDS),
]
FilePath = Annotated[
    str,
    Field(title=f"a path: {_PATH_WORDS}", json_schema_extra={"pattern": f"^{_PATH}$"}),
    _matching(_PATH, f"a path {_PATH_WORDS}"),
]
OwnObject = Annotated[str, Field(title="a name in your file: FILE.py:NAME"), AfterValidator(_check_own)]
Text = Annotated[str, Field(min_length=1), _matching(r"(?s).*\S.*", "text that can be seen")]
Label = Annotated[Text, Field(max_length=200), _matching(r"[^\x00-\x1f\x7f]*", "one line without control characters")]
Moment = Annotated[  # YAML makes a date or a date and time of it, or leaves it as text
    Any, WithJsonSchema({"type": "string", "title": "a date and time"}), AfterValidator(_check_moment)
]
_BOUND = r"(<|<=|>|>=) ?-?\d+(\.\d+)?"
Bound = Annotated[str, Field(title="a bound: such as < 60"), _matching(_BOUND, "a bound such as '< 60' or '>= 0.5'")]
Unique = Annotated[list[T], Field(json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)]
SomeUnique = Annotated[list[T], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)]
Tracker = Literal["tensorboard", "wandb"]
Options = dict[str, Any]  # of a function, whose signature they are checked against
OTHERS = ConfigDict(extra="allow")  # keys beside these are such options too


def all_defaults(model: type[Keys]) -> Any:
    """A field whose value is by default that of no keys given."""
    return Field(default_factory=model, json_schema_extra={"default": {}})


# --- A run ------------------------------------------------------------------------------------------------------------


class Config(Keys):
    """The knobs of a run; what a benchmark consists of is in its suite."""

    suite: FilePath | SomeUnique[FilePath] = "demo"
    """The name of a file in suites/, or a path to a suite of your own; or a list of them."""
    data_root: FilePath = "resources/downloads"
    """Where raw data sets are looked for, and downloaded to."""
    weights_root: FilePath = "resources/weights"
    """Where published weights of feature extractors are looked for, and downloaded to."""
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """`auto` takes a GPU where there is one (`mps`: Apple's); jobs on a cluster or in a cloud must find one."""
    jobs_per_gpu: Repeats = 1
    """How many jobs may share one GPU."""
    track: Tracker | SomeUnique[Tracker] | None = None
    """Where losses, metrics and grids of samples are also logged while models train, beside the results; null is
    nowhere. No part of what is trained."""
    reference: FilePath | None = None
    """The record that a page compares its results with: a file, or a folder with {suite}.json; null is that which comes
    with genbench, if there is one."""
    container: Text = "genbench.sif"
    """The image in which rules run with --sdm apptainer; no other run looks at it."""
    seeds: SomeUnique[Seed] | None = None
    """Training seeds; null takes the suite's."""
    num_samples: NumImages | None = None
    """Images drawn from each model; null takes the suite's."""
    keep_features: bool | None = None
    """Whether features of samples stay once their metrics are computed; null keeps them where all of a suite's take
    less than 10 GB. Metrics that change later need them again."""
    results_root: FilePath | None = None
    """Where results are kept, such as a folder on a scratch disk, to which ./results then links; null is ./results."""
    resources_root: FilePath | None = None
    """Likewise of ./resources."""
    scratch: Text | None = None
    """A folder on the own disk of whatever machine a job runs on, such as `$TMPDIR`, for copies of images that do not
    fit into memory; null reads them where they are."""
    scale: InnerShare | None = None
    """A smaller one of the suite: this share of each training, with its warm-ups, averages and snapshots, and of the
    samples, without samplers of very many evaluations. Its results have folders and a page of their own; null makes
    the suite as it is."""
    extractors: SomeUnique[Name] | None = None
    """Networks whose features are compared, such as [classifier]; null takes the suite's."""
    only: Text | SomeUnique[Text] | None = None
    """A part of a suite of images: only these runs, each MODEL or MODEL/seedN, in which * stands for any text. What
    other runs made stays, and the page shows all that there is; null makes all of them."""

    @classmethod
    def from_snakemake(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """What Snakemake has read of config.yaml and its command line, as `complete` gives it.

        From the command line come null, and the numbers in a list, as text, and a path of digits as a number: Snakemake
        9.27 reads lists without types, and looks for numbers first. A list that is no YAML comes as one text, as
        `[*-big, gan]`, whose star is an alias there. Raises InputError.
        """
        lists = {key: _as_list(values[key]) for key in ("suite", "seeds", "track", "only") if key in values}
        values = {**values, **lists}
        numbers: dict[str, Any] = {
            key: _as_numbers(values[key])
            for key in ("seeds", "num_samples", "jobs_per_gpu", "track", "reference", "extractors")
            if key in values
        }
        paths = {
            key: str(values[key])
            for key in ("suite", "data_root", "weights_root", "reference", "only", "results_root", "resources_root")
            if type(values.get(key)) is int
        }
        if isinstance(numbers.get("seeds"), int | str):
            raise InputError(f"config: seeds: found {numbers['seeds']!r}, expected a list such as [0, 1, 2]")
        if str(values.get("keep_features")).lower() in ("true", "false"):  # from the command line it is text
            numbers["keep_features"] = str(values["keep_features"]).lower() == "true"
        for key in ("scale", "keep_features", "results_root", "resources_root", "scratch"):
            if values.get(key) in ("null", "~"):
                numbers[key] = None
        if isinstance(numbers.get("extractors"), str):
            numbers["extractors"] = [numbers["extractors"]]
        return cls.complete({**values, **numbers, **paths}, "config")


def _as_list(value: Any) -> Any:
    """A text in square brackets as its words, which stand between commas; all else as it is."""
    if isinstance(value, str) and (inside := re.fullmatch(r"\[(.*)\]", value.strip(), re.DOTALL)):
        return [word.strip().strip("'\"") for word in inside[1].split(",")]
    return value


def _as_numbers(value: Any) -> Any:
    """Texts of digits as integers, and those of null as None; all else as it is."""
    if isinstance(value, list):
        return [_as_numbers(part) for part in value]
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\d{1,20}", value, re.ASCII) else None if value in ("null", "~") else value
    return value


# --- How samples are judged -------------------------------------------------------------------------------------------


class Classifier(Keys):
    """How the data set's own classifier is trained."""

    epochs: Passes | MISSING = MISSING
    """Passes over the training images; by default 10."""
    min_accuracy: Share = 0.9
    """The accuracy on test images with less than which the run stops."""


class ObjectClassifier(Keys):
    """How our own evaluator, a classifier of the data set's objects, is trained."""

    epochs: Passes | MISSING = MISSING
    """Passes over the training images; by default 4."""
    precision: Literal["fp32", "bf16"] | MISSING = MISSING
    """Of its training; by default fp32."""
    min_accuracy: Share = 0.99
    """The accuracy on held-out images with less than which the run stops."""


class Objects(Keys):
    """For data sets whose images have several labels: are the objects there that a sample was asked for?"""

    labels: Annotated[dict[Name, FilePath], Field(min_length=1)]
    """JSON files of label sets, by name. `test` and `new_test` come with genbench; all else is a path as it stands, or
    inside data_root."""
    draws: Repeats = 5
    """How often each label set is drawn, with other seeds."""
    shown: Annotated[list[Annotated[list[str], Field(min_length=1)]], Field(min_length=1)] | MISSING = MISSING
    """Label sets that pictures such as denoising show, instead of those of test images."""
    evaluator: FilePath | MISSING = MISSING
    """The course's checkpoint.pth, instead of our own."""
    classifier: ObjectClassifier = all_defaults(ObjectClassifier)
    """How our own evaluator, a classifier of the data set's objects, is trained."""


class Evaluation(Keys):
    """How samples are judged."""

    extractors: SomeUnique[Name] = ["classifier"]
    """Networks whose features are compared."""
    headline: str = "fd_classifier"
    """The metric that the report sorts by; where the extractors are others than the classifier, by default the Frechet
    distance in the features of the first."""
    metrics: SomeUnique[OwnObject] | MISSING = MISSING
    """Metrics of your own beside genbench's, each ./my_metric.py:NAME in a file beside the suite."""
    without: SomeUnique[Name] | MISSING = MISSING
    """Metrics of genbench that are left out, by name, such as [fd, fid]: they need more images than some data sets
    have."""
    statistics: Annotated[dict[Name, FilePath], Field(min_length=1)] | MISSING = MISSING
    """Published statistics of real images, as an npz with mu and sigma, by the extractor that made them, which the file
    itself does not say: {inception-tensorflow: fid_stats_cifar10_train.npz}. The distance to each is one more column,
    which names the file and its hash. The path as it stands, or inside data_root."""
    options: Options = {}
    """Options of the metrics, such as kid_subset_size."""
    classifier: Classifier = all_defaults(Classifier)
    """How the data set's own classifier is trained."""
    objects: Objects | MISSING = MISSING
    """For data sets whose images have several labels: are the objects there that a sample was asked for?"""


# --- What is compared -------------------------------------------------------------------------------------------------


class ModelSpec(Keys):
    """A model: its class, and the keys of its class."""

    model_config = OTHERS

    class_: str = Field(alias="class")
    """Such as gan.GAN, a class of genbench/models/gan.py; or ./my.py:Flow, of your own file beside the suite."""


class Pretrained(Keys):
    """A published checkpoint, and the keys of its format."""

    model_config = OTHERS | ConfigDict(
        json_schema_extra={
            "if": {"required": ["hub"]},
            "then": {"required": ["revision"]},
            "else": {"required": ["path"]},
        }
    )

    format: str
    """Whose file it is; or ./my_format.py:read, a function of your own file beside the suite."""
    path: FilePath | MISSING = MISSING
    """As it stands, or inside data_root."""
    hub: str | MISSING = MISSING
    """OWNER/NAME on the model hub, of format diffusers, instead of path."""
    revision: str | MISSING = MISSING
    """The commit there, 40 hexadecimal digits: a branch would move."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> "Pretrained":
        needed = "path" if self.hub is MISSING else "revision"
        if getattr(self, needed) is MISSING:
            raise ValueError(f"key {needed!r} is missing")
        return self


class Every(Keys):
    """Steps at regular distances."""

    every: Steps
    """Steps from one to the next."""


class Likelihood(Keys):
    """Bits per dimension of test images by the variational bound, for diffusion models."""

    images: Annotated[int, Field(ge=2, le=10**8)] = 1000
    """The first so many of the test split."""
    steps: StepCount | MISSING = MISSING
    """How many of the model's T, evenly spaced; by default all."""


class Quantisation(Keys):
    """One of the samplers once more with the network in fewer bits."""

    sampler: Name
    """One of `samplers`."""
    schemes: SomeUnique[Literal["bf16", "fp16", "int8-weights", "int8-static"]]
    """Half precision by autocast; int8 weights, by torchao; int8 weights and activations, calibrated on inputs at all
    times, on x86 processors. Where a machine lacks what one needs, its row says so."""


class Latent(Keys):
    """The numbers that a program makes an image of, drawn by seed."""

    size: Count | Annotated[list[Count], Field(min_length=1)]
    """How many; or a shape, such as [100, 1, 1]."""
    distribution: Literal["normal", "uniform"] = "normal"
    """Standard normal, or uniform between -1 and 1."""


class ForeignFunction(Keys):
    """A function in a file, which runs in a process of its own."""

    file: FilePath
    """Beside the suite, or an absolute path: a file of Python, which may import what lies beside it."""
    function: Annotated[Text, _matching(r"[^\W\d]\w*", "the name of a function")] = "sample"
    """Its name: sample(seeds), int64 (N,), returns uint8 images (N, H, W, C)."""
    latent: Latent | MISSING = MISSING
    """With it the function is given latents, float32 (N, size), instead of seeds, and pictures can interpolate."""
    files: SomeUnique[FilePath] | MISSING = MISSING
    """What else it reads, such as its weights, beside the suite: recorded with their hashes, and drawn from again where
    one changes."""


class ForeignProgram(Keys):
    """A program from latents to images."""

    file: FilePath
    """Beside the suite, or an absolute path."""
    latent: Latent
    """What the program is given."""
    range: Annotated[list[Figure], Field(min_length=2, max_length=2), AfterValidator(_rising)]
    """The values of its answer that are black and white, such as [-1, 1] or [0, 1]."""
    layout: Axes = "NCHW"
    """Order of its answer's dimensions."""


class ExportedProgram(ForeignProgram):
    """A program of torch.export."""

    trusted: bool = False
    """That the file may run code: torch reads some of its parts by unpickling them and evaluates others, so that only
    true is taken."""


class GivenSamples(Keys):
    """Samples drawn elsewhere, and how they are converted to the data set's shape."""

    path: FilePath
    """As it stands, or inside data_root."""
    channels: Literal[1, 3] | MISSING = MISSING
    """Convert every image to so many, which are the data set's: 1 is grayscale."""
    image_size: Side | MISSING = MISSING
    """Resize every image to this side of a square, which is the data set's."""
    filter: Filter | MISSING = MISSING
    """How pixels are weighted where images are resized; by default bicubic."""
    key: Text | MISSING = MISSING
    """Which array of an npz; by default arr_0, samples or images."""
    layout: Axes | MISSING = MISSING
    """Order of an array's dimensions; by default NHWC, unless only the second can be that of channels."""
    range: Annotated[list[Figure], Field(min_length=2, max_length=2), AfterValidator(_rising)] | MISSING = MISSING
    """The values of an array that are black and white, such as [0, 1] or [-1, 1]; without it only whole numbers from 0
    to 255 are taken."""


class PublishedFigure(Keys):
    """A figure that was published of this very recipe or checkpoint."""

    quantity: Text
    """The key of a metric, such as fid_legacy, in the unit of metrics.json; or loss (the mean of the last epoch, of
    models with one), seconds (to draw `images` images) or training_seconds."""
    value: Figure
    """The figure."""
    source: Text
    """Who published it: text in which arXiv numbers become links."""
    sampler: Name | MISSING = MISSING
    """One of `samplers`, by default the first."""
    step: StepsOrZero | MISSING = MISSING
    """The snapshot that it is of; by default the final model."""
    images: NumImages | MISSING = MISSING
    """How many images took so many seconds."""
    note: Text | MISSING = MISSING
    """What a reader must know of it, such as another machine."""


class Entry(Keys):
    """One of the models that are compared: it has model and training, or pretrained, callable, onnx or torch_export, or
    samples."""

    label: Label | MISSING = MISSING
    """Name in tables; by default the entry's key."""
    description: str = ""
    """For the report, in a sentence."""
    budget: str | MISSING = MISSING
    """A label where the training is shorter than the published recipe."""
    published: list[PublishedFigure] = []
    """What others published of this very recipe or checkpoint: the report shows ours beside it, with the difference."""
    model: ModelSpec | MISSING = MISSING
    """What it is; the other keys are those of its class."""
    training: Options | MISSING = MISSING
    """How it is trained; all its keys stand in genbench/training/recipe.py. `flops` may be a list of budgets: then
    there is an entry for each, NAME-2T for 2.0e+12, and together they are a series."""
    series: Label | MISSING = MISSING
    """The name of a line in the report's plots against the cost of training, through the entries that share it: one
    recipe at several budgets. By default the label of an entry with a list of budgets."""
    first_stage: Name | SomeUnique[Name] | MISSING = MISSING
    """The entry whose trained model this one builds upon, such as the VAE of a DiffuseVAE; it is trained first, once,
    and shared. Beside a list of budgets a list may name one for each."""
    pretrained: Pretrained | MISSING = MISSING
    """A published checkpoint, instead of model and training; the other keys are options of its format."""
    callable: ForeignFunction | MISSING = MISSING
    """A generator of yours without its code in genbench: a function in a file, in a process of its own."""
    onnx: ForeignProgram | MISSING = MISSING
    """Another, as a program in ONNX, run by onnxruntime: the extra onnx."""
    torch_export: ExportedProgram | MISSING = MISSING
    """Another, as a program of torch.export (.pt2), only of files that you trust."""
    samples: FilePath | GivenSamples | MISSING = MISSING
    """Samples drawn elsewhere, instead of a model: an .npz with arr_0, an .npy, or a folder or archive of images; the
    path as it stands, or in data_root; or {path: ..., channels: 1 or 3, image_size: N, filter: NAME}, which converts
    them, and {path: ..., key: NAME, layout: NCHW, range: [0, 1]} of arrays. Of more images than num_samples a random
    part is taken, always the same."""
    ranks: Processes = 1
    """Processes that share its training and sampling where they run on CPUs."""
    gpus: Processes = 1
    """GPUs that share its training and sampling, a process on each, where there are GPUs."""
    snapshots: Unique[StepsOrZero] | Every = []
    """Steps at which the model is also kept, sampled and evaluated: a list, or {every: N} for each N-th step."""
    pictures: Unique[Name] = []
    """What else the model draws of itself, such as reconstructions."""
    likelihood: Likelihood | MISSING = MISSING
    """Bits per dimension of test images by the variational bound, for diffusion models. Costs `steps` evaluations of
    the network for each image."""
    samplers: Annotated[dict[Name, Options], Field(min_length=1)] = {"default": {}}
    """Options of the model's `sample`, by name."""
    quantisation: Quantisation | MISSING = MISSING
    """One of the samplers once more with the network in fewer bits, a row for each scheme: `sampler` with the scheme's
    name after it. Draws the same seeds, and is compared with the sampler image by image."""
    sample_batch_size: BatchSize | MISSING = MISSING
    """Images drawn at once; by default 500, or num_samples if that is less. The same seeds give the same images for one
    batch size."""


class Submissions(Keys):
    """A folder of hand-ins: files of samples, folders of images, and generators."""

    path: FilePath
    """Beside the suite, or an absolute path. Each file and each folder in it is an entry of that name."""
    deadline: Moment | MISSING = MISSING
    """Such as 2026-12-01 23:59, in the time of this machine where it names no zone. What was changed later is a row
    without numbers."""
    run_code: bool = False
    """Whether hand-ins that are code are run: files of Python, each in a process of its own, and programs of
    torch.export. They have your rights: do so in a container."""


class Card(Keys):
    """What a hand-in says of itself: NAME.yaml beside it, or card.yaml in its folder."""

    author: Label | MISSING = MISSING
    """Whose it is."""
    note: Text | MISSING = MISSING
    """What a reader should know of it."""
    parameters: Annotated[int, Field(ge=0, le=10**15)] | MISSING = MISSING
    """How many weights its model has."""
    channels: Literal[1, 3] | MISSING = MISSING
    """As in an entry's samples."""
    image_size: Side | MISSING = MISSING
    """Likewise."""
    filter: Filter | MISSING = MISSING
    """Likewise."""
    key: Text | MISSING = MISSING
    """Likewise."""
    layout: Axes | MISSING = MISSING
    """Likewise; or as in an entry's onnx or torch_export."""
    range: Annotated[list[Figure], Field(min_length=2, max_length=2), AfterValidator(_rising)] | MISSING = MISSING
    """Likewise."""
    latent: Latent | MISSING = MISSING
    """As in an entry's onnx, torch_export or callable."""
    function: Text | MISSING = MISSING
    """As in an entry's callable."""


class Dataset(Keys):
    """A data set: its source, and the keys of its source."""

    model_config = OTHERS

    source: str
    """Which data set: see below; or ./my_data.py:digits, a function of your own file beside the suite."""
    name: Name | MISSING = MISSING
    """Its folder in resources/; by default the source, or the name of your own function."""
    label: Label | MISSING = MISSING
    """Its name in the report."""
    classes: list[Any] | MISSING = MISSING
    """Names of the only classes whose images are kept; by default all."""


class Scaling(Keys):
    """What `scale` of config.yaml may change of a suite."""

    training: bool = True
    """Whether trainings become shorter."""
    samples: bool = True
    """Whether fewer images are drawn."""
    evaluations: Annotated[int, Field(ge=1, le=10**6)] | None = 250
    """A sampler that evaluates its network more often is left out, unless it is a model's shortest; null leaves out
    none."""


class Suite(Keys):
    """One benchmark: a data set, the models trained on it, how each is sampled, and the metrics."""

    extends: FilePath | MISSING = MISSING
    """Another suite, by name or by a path from this file: its keys hold wherever this file says nothing else. Mappings
    are put together key by key, down to the options of a model; a list or a number takes the other's place, and null
    removes a key. Files of your own code are looked for beside this file."""
    locked: list[str] | MISSING = MISSING
    """What a suite that extends this one may not change: keys, with those above them, such as dataset, evaluation or
    models.*.training; * stands for every entry that is there. The page lists what differs."""
    title: Text
    """Heads the report."""
    description: str = ""
    """What the suite is for, in a sentence or two, for the report."""
    dataset: Dataset
    """`source` names the data set; the other keys are its options."""
    num_samples: NumImages = 50000
    """Images drawn from each model for its metrics."""
    draws: Repeats = 1
    """How often num_samples images are drawn from each final model, with other seeds: figures are means, with the
    standard deviation between draws."""
    snapshot_samples: NumImages | MISSING = MISSING
    """Images drawn at each snapshot, by default num_samples."""
    seeds: SomeUnique[Seed] = [0]
    """Training seeds; every model is trained once for each."""
    evaluation: Evaluation = all_defaults(Evaluation)
    """How samples are judged."""
    scaling: Scaling = all_defaults(Scaling)
    """What `--config scale=0.01` may change."""
    files: dict[FilePath, Text] = {}
    """Where to get files that this suite names, such as published checkpoints: one line says which are missing, before
    anything is made."""
    submissions: FilePath | Submissions | MISSING = MISSING
    """A folder of hand-ins, each an entry beside those of models, which are then the baselines; see docs/courses.md."""
    expect: Annotated[dict[str, Bound], Field(min_length=1)] | MISSING = MISSING
    """What is expected of every row, by the key of a metric: {fd_classifier: "< 60"}. The page shows a tick or a cross
    at each of these numbers."""
    models: Annotated[dict[Name, Entry], Field(min_length=1)]
    """What is compared, by name; an entry has model and training, or pretrained, callable, onnx or torch_export, or
    samples."""
