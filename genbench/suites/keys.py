"""Every key of a suite, each with its meaning below it; those of its entries are in entry_keys.py.

Other keys inside `dataset` and `evaluation.options` are arguments of functions and classes, whose signatures are their
schema: see genbench/schema.py.
"""
# ruff: noqa: RUF012 - pydantic copies mutable defaults

from typing import Annotated, Any, Literal

from pydantic import MISSING, AfterValidator, Field

from genbench.data.as_found import Axes
from genbench.data.decoding import Filter
from genbench.mappings import Keys
from genbench.ranges import Figure, NumImages, Passes, Repeats, Seed, Share, Side
from genbench.suites.entry_keys import Entry, Latent
from genbench.suites.values import (
    OTHERS,
    Bound,
    FilePath,
    Label,
    Moment,
    Name,
    Options,
    OwnObject,
    SomeUnique,
    Text,
    all_defaults,
    rising,
)


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
    """For data sets whose images have several labels: do samples show the requested objects?"""

    labels: Annotated[dict[Name, FilePath], Field(min_length=1)]
    """JSON files of label sets, by name. `test` and `new_test` come with genbench; any other value is a path, used as
    given or inside data_root."""
    draws: Repeats = 5
    """How often each label set is drawn, each time with new seeds."""
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
    """How the data set's own classifier is trained. If genbench comes with a classifier that was trained like this on
    these images, it is used, and every machine measures with the same features."""
    objects: Objects | MISSING = MISSING
    """For data sets whose images have several labels: do samples show the requested objects?"""


class Submissions(Keys):
    """A folder of hand-ins: files of samples, folders of images, and generators."""

    path: FilePath
    """The folder, beside the suite, or an absolute path. Each file and each folder in it is an entry of that name."""
    deadline: Moment | MISSING = MISSING
    """A time such as 2026-12-01 23:59, in this machine's time zone unless it states one. A hand-in that was changed
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
    range: Annotated[list[Figure], Field(min_length=2, max_length=2), AfterValidator(rising)] | MISSING = MISSING
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
    """How often num_samples images are drawn from each final model, each time with new seeds. Figures are means, with
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
