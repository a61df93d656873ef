"""Arrays in memory as a data set, without a file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.data.description import Dataset, Description
from genbench.data.image_set import make_image_set
from genbench.files.artifacts import array_sha256


def dataset_of_arrays(images: NDArray[np.uint8], labels: NDArray[Any] | None = None) -> Dataset:
    """A data set whose images are all for training.

    images: uint8 (N, H, W, C), C = 1 or 3, N > 0. labels: integers (N,), 0 <= label, the class of each image; by
    default there is one class. Raises InputError for anything else.
    """
    images = np.ascontiguousarray(images)
    classes = np.zeros(images.shape[:1], np.int64) if labels is None else np.asarray(labels)
    if classes.dtype.kind in "iu":
        classes = classes.astype(np.int64)
    names = [str(number) for number in range(int(classes.max(initial=0)) + 1)]
    sha256 = array_sha256(images)
    given = make_image_set(
        images, classes, names, dataset="images", split="train", source="an array", source_sha256=sha256
    )
    count, height, width, channels = given.images.shape
    described = Description("images", "Images", height, width, channels, len(names), count, None)
    return Dataset(described, lambda: {"train": given})
