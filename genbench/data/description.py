"""What a data set's function returns: a description, and a function that loads the images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from genbench.data.image_set import ImageSet


@dataclass(frozen=True)
class Description:
    """What is known about a data set before it is prepared.

    `name` is its directory under resources/, `label` its name in tables and plots. `notes` are facts that a reader of
    the results must know, such as a lossy source.
    """

    name: str
    label: str
    height: int
    width: int
    channels: int
    num_classes: int
    num_train: int | None
    num_test: int | None
    notes: tuple[str, ...] = ()
    multi_label: bool = False
    """Whether an image has several labels at once, as zeros and ones, instead of one class."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width


class Dataset(NamedTuple):
    """A data set whose options have been checked."""

    description: Description
    load: Callable[[], dict[str, ImageSet]]
    """Read the images, and download them if necessary: {"train": ..., "test": ...}."""
    fetchers: Sequence[Callable[[], Path]] = ()
    """One for each official file: downloads the file if necessary, checks it and returns its path."""
    class_counts: Mapping[str, tuple[int, int]] | None = None
    """Numbers of train and test images of each class, in the order of the labels; None if unknown before loading."""
