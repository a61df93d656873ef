"""A generative model: how it learns from a batch, and how it draws images from noise. One file per family.

A new family subclasses `Model` with `losses` and `sample`; trainer, seeds, EMA, checkpoints, metrics and report
apply at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from genbench.errors import InputError
from genbench.processes.noise import Noise
from genbench.schema import check_arguments, construct, keywords
from genbench.tensors import Images, Labels, Scalar, Seeds


def _as_it_is(values: Tensor) -> Tensor:
    return values


@dataclass
class Batch:
    """A batch of training images: x0 (N, C, H, W) in [-1, 1], labels, and separate noise for every image.

    `metrics`: a model adds values here that its history should show beside the losses: name to a detached scalar.
    `gather` turns values of these images into those of the whole micro-batch, if several processes share it.
    """

    x0: Images
    y: Labels
    noise: Noise
    metrics: dict[str, Tensor] = field(default_factory=dict)
    gather: Callable[[Tensor], Tensor] = _as_it_is


class Learner(nn.Module, ABC):
    """A module that the trainer trains. It states one loss for each submodule."""

    training_steps: int = 0  # iterations of its training; the trainer sets them

    @abstractmethod
    def losses(self, batch: Any, step: int) -> Iterator[tuple[str, Scalar]]:
        """Yield (name of a submodule, its loss) in turn; the trainer updates it before it asks for the next one.

        batch: the data of this step; it has `metrics`, as `Batch` does. step counts the iterations from 0.
        """

    def validate(self, batch: Any) -> dict[str, Tensor]:
        """Values to monitor on held-out images during training: name to the mean over `batch`, a scalar.

        Called without gradients, in evaluation mode, on the weights that would be saved. Empty: nothing to monitor.
        """
        return {}


class Model(Learner):
    """Base of all families of image models. The constructor's keyword-only arguments are the schema of a suite's entry.

    Random numbers come only from `batch.noise` and `noise`, never from torch's global state, so that results do
    not depend on how a batch is divided (dropout is the exception).
    """

    family: ClassVar[str]  # for tables, such as "GAN"
    paper: ClassVar[str]  # source: authors, year, arXiv id
    about: ClassVar[str] = ""  # what the family is, in two sentences for the readers of a report
    network: ClassVar[str]  # the submodule whose calls while sampling are counted as NFE
    first_stage: ClassVar[str | None] = None  # the submodule whose weights come from the training of another entry
    # What `sample` needs as y: "images" or "labels" of the data set's test split. The inner keys, of the model's entry
    # or of a sampler, say when. Suites and rules read this and `first_stage` as text: literals only.
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # The functions that a sampler's key `method` can name. Their keyword-only arguments are keys of the sampler, too.
    methods: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    pictures: ClassVar[tuple[str, ...]] = ()  # methods (Batch) -> images (N, C, H, W), shown ten in a row
    group_size: int = 1  # how many images a loss looks at together: image i of N is in group i mod (N / group_size)
    image_shape: tuple[int, int, int]  # (C, H, W)
    # Keys that have no effect, and why, such as "does nothing beside loss: l1". An entry that states one is refused.
    # Networks may have this attribute, too. Keys that count iterations are annotated Steps or StepsOrZero.
    idle: Mapping[str, str] = {}

    @abstractmethod
    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Scalar]]:
        """Yield (name of a submodule, its loss) in turn; the trainer updates it before it asks for the next one.

        step counts the trainer's iterations from 0. Each loss is a mean over the batch's images, or their groups.
        """

    @abstractmethod
    def sample(self, noise: Noise, y: Tensor | None = None) -> Images:
        """Draw one image for each seed in `noise`: (N, C, H, W), about [-1, 1].

        y: one for each seed, as `condition` states: images (N, C, H, W) in [-1, 1], or labels (N,).
        Families add keyword-only options: they are the schema of a sampler's entry in a suite.
        """

    @property
    def typical_steps(self) -> Mapping[int, Fraction]:
        """Representative steps of `losses`, with their shares of a training: its FLOPs are counted at these.

        Empty: all steps from the first until every submodule has been updated, with equal shares.
        """
        return {}

    @property
    def x_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the space in which the model learns and samples: the images', unless a family has another."""
        return self.image_shape

    def encoded(self, x0: Images) -> Tensor:
        """Images in the space of `x_shape`; unchanged if that is the images' own."""
        return x0

    def decoded(self, x: Tensor) -> Images:
        """Points x of the space of `x_shape`, as images."""
        return x

    def begin(self, batches: Iterator[Images]) -> None:
        """Set what a training starts from, other than new weights. Called after the first stage's weights are loaded.

        batches: the training images, a hundred at a time, in the order of the training's first epoch. A model reads as
            many as it needs.
        """

    def after_training(self, batches: Iterator[Images]) -> None:
        """Fit what depends on the final weights, such as a density of latents. Runs on the weights that will be
        saved, with the training images in batches, in order."""

    def condition(self, options: Mapping[str, Any]) -> Literal["nothing", "images", "labels"]:
        """What `sample` expects as y with these options, as `needs` states."""
        for what, keys in self.needs.items():
            if all(options.get(key, getattr(self, key, None)) == value for key, value in keys.items()):
                return "images" if what == "images" else "labels"
        return "nothing"

    def labels(self, seeds: Seeds) -> Labels | None:
        """The class (N,) of each sample, for a model that draws one class per sample; None for any other."""
        return None

    def check_sampler(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Check and return the options of `sample`. Raises InputError."""
        return check_arguments(self.sample, options)

    def describe_walk(self, options: Mapping[str, Any]) -> dict[str, Any] | None:
        """Describe the steps of `sample` with these checked options, for the report's studies; None without steps.

        steps: their number. A family may add method (the function that moves between the times), label (its name on a
        page), spacing, and eta (how much noise a step adds).
        """
        parameter = keywords(self.sample).get("steps")
        steps = options.get("steps", parameter.default if parameter else None)
        return {"steps": steps} if isinstance(steps, int) else None

    def adaptive(self, options: Mapping[str, Any]) -> bool:
        """Whether, with these options, the network's outputs determine how often `sample` evaluates it.

        If so, no number of evaluations is stated before the model is trained.
        """
        return False

    def calibrate(self, noise: Noise, y: Tensor | None = None, **options: Any) -> None:
        """Run the network on inputs like those of `sample` with these options, at all times.

        Quantisation records activations here. The arguments are those of `sample`, which itself visits all times here.
        """
        self.sample(noise, y, **options)

    def remarks(self, options: Mapping[str, Any]) -> list[str]:
        """What a reader of the table must know about images drawn with these options of `sample`."""
        return []

    def allows_compile(self) -> bool:
        """Whether torch.compile may be used: not if a loss differentiates twice."""
        return True


def build(entry: Mapping[str, Any], image_shape: tuple[int, int, int]) -> Model:
    """The model that a suite's entry describes: `class` is a dotted path in genbench.models, such as vae.VAE, or
    FILE.py:Class#HASH for the user's own code (see genbench.own_code).

    image_shape: (C, H, W). Raises InputError for an unknown class, key or value.
    """
    model = construct("genbench.models", entry, Model, image_shape=tuple(image_shape))
    if missing := [name for name in ("family", "paper", "network") if not hasattr(model, name)]:
        raise InputError(
            f"class: {entry['class']}: found no {' and no '.join(missing)}; a family states family, paper and network"
        )
    model.image_shape = tuple(image_shape)
    return model


def count_parameters(model: Model) -> dict[str, int]:
    """Trainable parameters of each submodule that has any."""
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    return {name: count for name, count in counts.items() if count}
