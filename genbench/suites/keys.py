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
    """The folder of raw data sets, also for downloads."""
    weights_root: FilePath = "resources/weights"
    """The folder of published weights of feature extractors, also for downloads."""
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """`auto` takes a GPU if there is one (`mps`: Apple's); jobs on a cluster or in a cloud must find one."""
    jobs_per_gpu: Repeats = 1
    """How many jobs may share one GPU."""
    track: Tracker | SomeUnique[Tracker] | None = None
    """Also log losses, metrics and grids of samples to this program while models train; null logs them nowhere else.
    It does not affect training."""
    reference: FilePath | None = None
    """The record that a page compares its results with: a file, or a folder with {suite}.json; null takes the record
    that comes with genbench, if there is one."""
    container: Text = "genbench.sif"
    """The image in which rules run with --sdm apptainer; other runs ignore it."""
    seeds: SomeUnique[Seed] | None = None
    """Training seeds; null takes the suite's."""
    num_samples: NumImages | None = None
    """Images drawn from each model; null takes the suite's."""
    keep_features: bool | None = None
    """Whether to keep features of samples once their metrics are computed; null keeps them if those of the whole suite
    take less than 10 GB. Metrics that change later need them again."""
    results_root: FilePath | None = None
    """The folder of results, such as one on a scratch disk, to which ./results then links; null is ./results."""
    resources_root: FilePath | None = None
    """The same for ./resources."""
    scratch: Text | None = None
    """A folder on the local disk of the machine that runs a job, such as `$TMPDIR`, for copies of images that do not
    fit into memory; null reads them where they are."""
    scale: InnerShare | None = None
    """Makes a smaller version of the suite: this share of each training, with its warm-ups, averages and snapshots, and
    of the samples, without samplers of very many evaluations. Its results have their own folders and page; null makes
    the whole suite."""
    extractors: SomeUnique[Name] | None = None
    """Networks whose features are compared, such as [classifier]; null takes the suite's."""
    only: Text | SomeUnique[Text] | None = None
    """Makes only these runs of a suite of images, each MODEL or MODEL/seedN, in which * stands for any text. Results of
    earlier runs stay, and the page shows them, too; null makes all runs."""

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
    """The run stops if the accuracy on test images is lower than this."""


class ObjectClassifier(Keys):
    """How our own evaluator, a classifier of the data set's objects, is trained."""

    epochs: Passes | MISSING = MISSING
    """Passes over the training images; by default 4."""
    precision: Literal["fp32", "bf16"] | MISSING = MISSING
    """The precision of its training; by default fp32."""
    min_accuracy: Share = 0.99
    """The run stops if the accuracy on held-out images is lower than this."""


class Objects(Keys):
    """For data sets whose images have several labels: are the objects there that a sample was asked for?"""

    labels: Annotated[dict[Name, FilePath], Field(min_length=1)]
    """JSON files of label sets, by name. `test` and `new_test` come with genbench; any other value is a path, used as
    given or inside data_root."""
    draws: Repeats = 5
    """How often each label set is drawn, each time with other seeds."""
    shown: Annotated[list[Annotated[list[str], Field(min_length=1)]], Field(min_length=1)] | MISSING = MISSING
    """Label sets that pictures such as denoising show instead of those of test images."""
    evaluator: FilePath | MISSING = MISSING
    """The course's checkpoint.pth, instead of our own."""
    classifier: ObjectClassifier = all_defaults(ObjectClassifier)
    """How our own evaluator, a classifier of the data set's objects, is trained."""


class Evaluation(Keys):
    """How samples are judged."""

    extractors: SomeUnique[Name] = ["classifier"]
    """Networks whose features are compared."""
    headline: str = "fd_classifier"
    """The metric that the report sorts by; without the extractor `classifier`, the default is the Frechet distance in
    the features of the first extractor."""
    metrics: SomeUnique[OwnObject] | MISSING = MISSING
    """Your own metrics, in addition to genbench's, each ./my_metric.py:NAME in a file beside the suite."""
    without: SomeUnique[Name] | MISSING = MISSING
    """Names of genbench's metrics to leave out, such as [fd, fid], which need more images than some data sets have."""
    statistics: Annotated[dict[Name, FilePath], Field(min_length=1)] | MISSING = MISSING
    """Published statistics of real images, each an npz with mu and sigma, by the extractor that made them, which the
    file does not state: {inception-tensorflow: fid_stats_cifar10_train.npz}. Each adds a column with the distance to
    them, which names the file and its hash. The path is used as given, or inside data_root."""
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
    """A class of genbench/models/, such as gan.GAN; or of your own file beside the suite, such as ./my.py:Flow."""


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
    """The format of the file; or ./my_format.py:read, a function of your own file beside the suite."""
    path: FilePath | MISSING = MISSING
    """The path of the file, used as given or inside data_root."""
    hub: str | MISSING = MISSING
    """OWNER/NAME on the model hub, instead of path, for the format diffusers."""
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
    """How many images, from the beginning of the test split."""
    steps: StepCount | MISSING = MISSING
    """How many of the model's T, evenly spaced; by default all."""


class Quantisation(Keys):
    """Repeats one of the samplers with the network at lower precision."""

    sampler: Name
    """One of `samplers`."""
    schemes: SomeUnique[Literal["bf16", "fp16", "int8-weights", "int8-static"]]
    """bf16 and fp16 are half precision by autocast; int8-weights has int8 weights, by torchao; int8-static has int8
    weights and activations, calibrated on inputs at all times, on x86 CPUs. If a machine does not support a scheme, its
    row says so."""


class Latent(Keys):
    """The random numbers from which a program makes an image, drawn by seed."""

    size: Count | Annotated[list[Count], Field(min_length=1)]
    """The number of values; or a shape, such as [100, 1, 1]."""
    distribution: Literal["normal", "uniform"] = "normal"
    """Standard normal, or uniform between -1 and 1."""


class ForeignFunction(Keys):
    """A function in a file, which runs in a separate process."""

    file: FilePath
    """A Python file beside the suite, or an absolute path; it may import files beside it."""
    function: Annotated[Text, _matching(r"[^\W\d]\w*", "the name of a function")] = "sample"
    """The name of the function: sample(seeds), int64 (N,), returns uint8 images (N, H, W, C)."""
    latent: Latent | MISSING = MISSING
    """With this key, the function takes latents, float32 (N, size), instead of seeds, and pictures can interpolate."""
    files: SomeUnique[FilePath] | MISSING = MISSING
    """Other files beside the suite that the function reads, such as its weights. Their hashes are recorded; if one
    changes, the model is sampled again."""


class ForeignProgram(Keys):
    """A program from latents to images."""

    file: FilePath
    """The program's file, beside the suite, or an absolute path."""
    latent: Latent
    """The program's input."""
    range: Annotated[list[Figure], Field(min_length=2, max_length=2), AfterValidator(_rising)]
    """The output values of black and white, such as [-1, 1] or [0, 1]."""
    layout: Axes = "NCHW"
    """The order of the output's dimensions."""


class ExportedProgram(ForeignProgram):
    """A program of torch.export."""

    trusted: bool = False
    """Whether the file may run code; it must be true, because torch unpickles some parts of such a file and evaluates
    others."""


class GivenSamples(Keys):
    """Samples drawn elsewhere, and how they are converted to the data set's shape."""

    path: FilePath
    """The path of the samples, used as given or inside data_root."""
    channels: Literal[1, 3] | MISSING = MISSING
    """Convert every image to this number of channels, which must be the data set's: 1 is greyscale."""
    image_size: Side | MISSING = MISSING
    """Resize every image to a square of this side, which must be the data set's."""
    filter: Filter | MISSING = MISSING
    """The filter for resizing; by default bicubic."""
    key: Text | MISSING = MISSING
    """Which array of an npz; by default arr_0, samples or images."""
    layout: Axes | MISSING = MISSING
    """The order of an array's dimensions; by default NHWC, unless only the second can hold the channels."""
    range: Annotated[list[Figure], Field(min_length=2, max_length=2), AfterValidator(_rising)] | MISSING = MISSING
    """The values of black and white in an array, such as [0, 1] or [-1, 1]; without this key, only whole numbers from 0
    to 255 are accepted."""


class PublishedFigure(Keys):
    """A published figure for exactly this recipe or checkpoint."""

    quantity: Text
    """The key of a metric, such as fid_legacy, in the unit of metrics.json; or loss (the mean of the last epoch, for
    models with one loss), seconds (to draw `images` images) or training_seconds."""
    value: Figure
    """The figure."""
    source: Text
    """The source: text in which arXiv numbers become links."""
    sampler: Name | MISSING = MISSING
    """One of `samplers`, by default the first."""
    step: StepsOrZero | MISSING = MISSING
    """The snapshot that the figure belongs to; by default the final model."""
    images: NumImages | MISSING = MISSING
    """How many images were drawn in that time."""
    note: Text | MISSING = MISSING
    """A remark that readers need, such as that the machine was another one."""


class Entry(Keys):
    """One of the models that are compared: it has model and training, or pretrained, callable, onnx or torch_export, or
    samples."""

    label: Label | MISSING = MISSING
    """The name in tables; by default the entry's key."""
    description: str = ""
    """A sentence for the report."""
    budget: str | MISSING = MISSING
    """A label for a training that is shorter than the published recipe."""
    published: list[PublishedFigure] = []
    """Published figures for exactly this recipe or checkpoint; the report shows ours beside them, with the difference.
    """
    model: ModelSpec | MISSING = MISSING
    """The model; its other keys are the arguments of its class."""
    training: Options | MISSING = MISSING
    """How the model is trained; genbench/training/recipe.py defines all keys. `flops` may be a list of budgets. Each
    budget then becomes an entry, NAME-2T for 2.0e+12, and together they form a series."""
    series: Label | MISSING = MISSING
    """The name of a series: entries that share it, one recipe at several budgets, become one line in the report's plots
    against the cost of training. By default the label of an entry with a list of budgets."""
    first_stage: Name | SomeUnique[Name] | MISSING = MISSING
    """The entry whose trained model this one builds on, such as the VAE of a DiffuseVAE; it is trained first, once, and
    shared. With a list of budgets, a list may name one for each budget."""
    pretrained: Pretrained | MISSING = MISSING
    """A published checkpoint, instead of model and training; the other keys are options of its format."""
    callable: ForeignFunction | MISSING = MISSING
    """A generator without its code in genbench: a function in a file, which runs in a separate process."""
    onnx: ForeignProgram | MISSING = MISSING
    """A generator as a program in ONNX, run by onnxruntime (the extra onnx)."""
    torch_export: ExportedProgram | MISSING = MISSING
    """A generator as a program of torch.export (.pt2), only for files that you trust."""
    samples: FilePath | GivenSamples | MISSING = MISSING
    """Samples drawn elsewhere, instead of a model: an .npz with arr_0, an .npy, or a folder or archive of images, by a
    path used as given or inside data_root. {path: ..., channels: 1 or 3, image_size: N, filter: NAME} converts them;
    arrays also accept {path: ..., key: NAME, layout: NCHW, range: [0, 1]}. If there are more images than num_samples, a
    random subset is used, always the same one."""
    ranks: Processes = 1
    """Processes that share its training and sampling on CPUs."""
    gpus: Processes = 1
    """GPUs that share its training and sampling, with one process on each, if there are GPUs."""
    snapshots: Unique[StepsOrZero] | Every = []
    """Steps at which the model is also kept, sampled and evaluated: a list, or {every: N} for each N-th step."""
    pictures: Unique[Name] = []
    """Further pictures that the model can draw, such as reconstructions."""
    likelihood: Likelihood | MISSING = MISSING
    """Bits per dimension of test images by the variational bound, for diffusion models. Costs `steps` evaluations of
    the network for each image."""
    samplers: Annotated[dict[Name, Options], Field(min_length=1)] = {"default": {}}
    """Options of the model's `sample`, by name."""
    quantisation: Quantisation | MISSING = MISSING
    """Repeats one of the samplers with the network at lower precision. Each scheme has a row, named `sampler` followed
    by the scheme's name, which draws the same seeds and is compared with the sampler image by image."""
    sample_batch_size: BatchSize | MISSING = MISSING
    """Images per batch; by default 500, or num_samples if that is less. The same seeds give the same images for one
    batch size."""


class Submissions(Keys):
    """A folder of hand-ins: files of samples, folders of images, and generators."""

    path: FilePath
    """The folder, beside the suite, or an absolute path. Each file and each folder in it is an entry of that name."""
    deadline: Moment | MISSING = MISSING
    """A time such as 2026-12-01 23:59, in this machine's time zone unless it names one. A hand-in that was changed
    later is a row without numbers."""
    run_code: bool = False
    """Whether to run hand-ins that are code: Python files, each in a separate process, and programs of torch.export.
    They have your rights: use a container."""


class Card(Keys):
    """The description of a hand-in: NAME.yaml beside it, or card.yaml in its folder."""

    author: Label | MISSING = MISSING
    """Its author."""
    note: Text | MISSING = MISSING
    """A remark for readers."""
    parameters: Annotated[int, Field(ge=0, le=10**15)] | MISSING = MISSING
    """The number of weights of its model."""
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
    """The data set: see below; or ./my_data.py:digits, a function of your own file beside the suite."""
    name: Name | MISSING = MISSING
    """Its folder in resources/; by default the source, or the name of your own function."""
    label: Label | MISSING = MISSING
    """Its name in the report."""
    classes: list[Any] | MISSING = MISSING
    """Names of the classes whose images are kept; by default all."""


class Scaling(Keys):
    """What `scale` of config.yaml may change of a suite."""

    training: bool = True
    """Whether trainings become shorter."""
    samples: bool = True
    """Whether fewer images are drawn."""
    evaluations: Annotated[int, Field(ge=1, le=10**6)] | None = 250
    """A sampler with more evaluations of its network is left out, unless it is the model's shortest; null leaves out
    none."""


class Suite(Keys):
    """One benchmark: a data set, the models trained on it, how each is sampled, and the metrics."""

    extends: FilePath | MISSING = MISSING
    """Another suite, by name or by a path from this file. Its keys hold unless this file replaces them. Mappings are
    merged key by key, down to the options of a model; a list or a number replaces the other one, and null removes a
    key. Paths of your own code are relative to this file."""
    locked: list[str] | MISSING = MISSING
    """Keys that a suite that extends this one may not change, with the keys above them, such as dataset, evaluation or
    models.*.training; * stands for every existing entry. The page lists what differs."""
    title: Text
    """The title of the report."""
    description: str = ""
    """The purpose of the suite, in a sentence or two, for the report."""
    dataset: Dataset
    """`source` names the data set; the other keys are its options."""
    num_samples: NumImages = 50000
    """Images drawn from each model for its metrics."""
    draws: Repeats = 1
    """How often num_samples images are drawn from each final model, each time with other seeds. Figures are means, with
    the standard deviation between draws."""
    snapshot_samples: NumImages | MISSING = MISSING
    """Images drawn at each snapshot, by default num_samples."""
    seeds: SomeUnique[Seed] = [0]
    """Training seeds; every model is trained once for each."""
    evaluation: Evaluation = all_defaults(Evaluation)
    """How samples are judged."""
    scaling: Scaling = all_defaults(Scaling)
    """What `--config scale=0.01` may change."""
    files: dict[FilePath, Text] = {}
    """Where to get files that this suite names, such as published checkpoints. One line lists missing files before
    anything is made."""
    submissions: FilePath | Submissions | MISSING = MISSING
    """A folder of hand-ins. Each is an entry beside those of models, which are then the baselines; see docs/courses.md.
    """
    expect: Annotated[dict[str, Bound], Field(min_length=1)] | MISSING = MISSING
    """Bounds that every row is expected to meet, by the key of a metric: {fd_classifier: "< 60"}. The page shows a tick
    or a cross at each of these numbers."""
    models: Annotated[dict[Name, Entry], Field(min_length=1)]
    """What is compared, by name; an entry has model and training, or pretrained, callable, onnx or torch_export, or
    samples."""
