"""What a data set's function returns: its description at once, its images when asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from genbench.data.image_set import ImageSet


@dataclass(frozen=True)
class Description:
    """What an entry will give, known without preparing it.

    `name` is its directory under resources/, `label` what tables and plots show. `notes` are sentences that a reader
    of the results must know, such as a lossy source.
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
    """Whether an image has several labels at once, as zeros and ones, rather than one class."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width


class Dataset(NamedTuple):
    """A data set whose options have been checked."""

    description: Description
    load: Callable[[], dict[str, ImageSet]]
    """Read (and download, if need be) the images: {"train": ..., "test": ...}."""
    fetchers: Sequence[Callable[[], Path]] = ()
    """One for each official file: have it on this machine, downloaded if need be, and checked; returns its path."""
    class_counts: Mapping[str, tuple[int, int]] | None = None
    """Numbers of train and test images of each class, in the order of the labels; None if only the files say so."""
