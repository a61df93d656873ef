"""Every key of an entry of a suite, each with its meaning below it.

Other keys inside `model`, `training`, `samplers` and `pretrained` are arguments of functions and classes, whose
signatures are their schema: see genbench/schema.py.
"""
# ruff: noqa: RUF012 - pydantic copies mutable defaults

from typing import Annotated, Literal

from pydantic import MISSING, AfterValidator, ConfigDict, Field, model_validator

from genbench.data.as_found import Axes
from genbench.data.decoding import Filter
from genbench.mappings import Keys
from genbench.ranges import (
    BatchSize,
    Count,
    Figure,
    NumImages,
    Processes,
    Side,
    StepCount,
    Steps,
    StepsOrZero,
)
from genbench.suites.values import (
    OTHERS,
    FilePath,
    Label,
    Name,
    Options,
    SomeUnique,
    Text,
    Unique,
    matching,
    rising,
)


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
    """The commit there, 40 hexadecimal digits: a branch could change."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> "Pretrained":
        needed = "path" if self.hub is MISSING else "revision"
        if getattr(self, needed) is MISSING:
            raise ValueError(f"key {needed!r} is missing")
        return self


class Every(Keys):
    """Steps at regular distances."""

    every: Steps
    """The distance, in steps."""


class Likelihood(Keys):
    """Bits per dimension of test images by the variational bound, for diffusion models."""

    images: Annotated[int, Field(ge=2, le=10**8)] = 1000
    """How many images of the test split: the first, or some of all classes if it is sorted by class."""
    steps: StepCount | MISSING = MISSING
    """How many of the model's T steps, evenly spaced; by default all."""


class Quantisation(Keys):
    """Repeats one of the samplers with the network at lower precision."""

    sampler: Name
    """One of `samplers`."""
    schemes: SomeUnique[Literal["bf16", "fp16", "int8-weights", "int8-static"]]
    """bf16 and fp16 are half precision by autocast; int8-weights has int8 weights, by torchao; int8-static has int8
    weights and activations, calibrated on inputs at all times, on x86 CPUs. Both leave transposed convolutions in
    float32, and int8-weights also layers with one input channel per group. If a machine does not support a scheme, its
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
    function: Annotated[Text, matching(r"[^\W\d]\w*", "the name of a function")] = "sample"
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
    range: Annotated[list[Figure], Field(min_length=2, max_length=2), AfterValidator(rising)]
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
    range: Annotated[list[Figure], Field(min_length=2, max_length=2), AfterValidator(rising)] | MISSING = MISSING
    """The values of black and white in an array, such as [0, 1] or [-1, 1]; without this key, only whole numbers from 0
    to 255 are accepted."""


class PublishedFigure(Keys):
    """A published figure for exactly this recipe or checkpoint."""

    quantity: Text
    """The key of a metric, such as fid_legacy, in the unit of metrics.json; or loss (the mean over the last epoch, for
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
    """A remark that readers need, such as that another machine was used."""


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
    """A generator whose code is outside genbench: a function in a file, which runs in a separate process."""
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
    """Processes that share the model's training and sampling on CPUs."""
    gpus: Processes = 1
    """GPUs that share the model's training and sampling, with one process on each, if there are GPUs."""
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
    """Images per batch; by default 500, or num_samples if that is less. Equal seeds give equal images only with equal
    batch sizes."""
