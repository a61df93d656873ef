"""MNIST and Fashion-MNIST, each from its four IDX files.

Checksums are of the unpacked content: copies that were unpacked or gzipped again are the same data.

- MNIST: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, 1998.
- Fashion-MNIST: H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747.
"""

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genbench.data.description import Dataset, Description
from genbench.data.image_set import ImageSet, make_image_set
from genbench.errors import InputError
from genbench.files.artifacts import sha256_json
from genbench.files.downloads import download, existing_path, first_existing

SPLITS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@dataclass(frozen=True)
class IdxFiles:
    """Where four IDX files come from and what they hold.

    folder: where torchvision keeps them. class_counts: numbers of train and test images. sha256: of the unpacked
    content.
    """

    description: Description
    folder: str
    mirrors: tuple[str, ...]
    class_counts: dict[str, tuple[int, int]]
    sha256: dict[str, str]


MNIST = IdxFiles(
    description=Description("mnist", "MNIST", 28, 28, 1, 10, 60_000, 10_000),
    folder="MNIST/raw",
    mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
    class_counts={
        "0": (5923, 980),
        "1": (6742, 1135),
        "2": (5958, 1032),
        "3": (6131, 1010),
        "4": (5842, 982),
        "5": (5421, 892),
        "6": (5918, 958),
        "7": (6265, 1028),
        "8": (5851, 974),
        "9": (5949, 1009),
    },
    sha256={
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
)

FASHION_MNIST = IdxFiles(
    description=Description("fashion-mnist", "Fashion-MNIST", 28, 28, 1, 10, 60_000, 10_000),
    folder="FashionMNIST/raw",
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    class_counts=dict.fromkeys(
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        (6000, 1000),
    ),
    sha256={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)


def mnist(data_root: Path, *, path: str | None = None) -> Dataset:
    """MNIST, 28x28 greyscale, 60,000 training and 10,000 test images.

    path: A folder that holds the IDX files, gzipped or not, used as given or inside `data_root`; by default they are in
        `data_root`, or downloaded to it.
    """
    return _dataset(MNIST, data_root, path)


def fashion_mnist(data_root: Path, *, path: str | None = None) -> Dataset:
    """Fashion-MNIST, 28x28 greyscale, 60,000 training and 10,000 test images.

    path: A folder that holds the IDX files, gzipped or not, used as given or inside `data_root`; by default they are in
        `data_root`, or downloaded to it.
    """
    return _dataset(FASHION_MNIST, data_root, path)


def parse_idx(content: bytes, ndim: int) -> NDArray[np.uint8]:
    """The uint8 array of `ndim` axes in an unpacked IDX file. Raises InputError if header and length disagree.

    The format: two zero bytes, the type (8 = uint8), the number of axes, the length of each (big-endian int32), data.
    """
    header = 4 + 4 * ndim
    if content[:4] != bytes([0, 0, 8, ndim]) or len(content) < header:
        raise InputError(f"not an IDX file of bytes with {ndim} axes: it begins with {content[:4].hex()}")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", ndim, offset=4))
    if len(content) != header + math.prod(shape):
        raise InputError(f"{len(content)} bytes, where its header {shape} makes {header + math.prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()  # writable


def _dataset(files: IdxFiles, data_root: Path, path: str | None) -> Dataset:
    root = data_root if path is None else existing_path(path, data_root)
    # torchvision's folder comes first: the files of MNIST and Fashion-MNIST have the same names.
    found = {name: _find(root, files.folder, name) for name in files.sha256}
    if path is not None:
        for name, place in found.items():
            if place is None:
                raise InputError(
                    f"key 'path': found {path!r}, which has no {name}[.gz], nor {files.folder}/{name}[.gz]"
                )

    def have(name: str) -> Path:
        at = found[name] or root / files.folder / f"{name}.gz"
        if not at.exists():
            urls = [f"{mirror}{name}.gz" for mirror in files.mirrors]
            download(urls, at, check=lambda temporary: _unpack(temporary, files.sha256[name]))
        return at

    def read(name: str) -> bytes:
        return _unpack(have(name), files.sha256[name])

    def fetch(name: str) -> Path:
        read(name)
        return have(name)

    def load() -> dict[str, ImageSet]:
        image_sets = {}
        for split, (images, labels) in SPLITS.items():
            image_sets[split] = make_image_set(
                parse_idx(read(images), 3)[..., np.newaxis],
                parse_idx(read(labels), 1).astype(np.int64),
                list(files.class_counts),
                dataset=files.description.name,
                split=split,
                source=f"the official {files.description.label} files {images} and {labels}",
                source_sha256=sha256_json([files.sha256[images], files.sha256[labels]]),
            )
        return image_sets

    return Dataset(files.description, load, [partial(fetch, name) for name in files.sha256], files.class_counts)


def _find(root: Path, folder: str, name: str) -> Path | None:
    return first_existing([place / file for place in (root / folder, root) for file in (f"{name}.gz", name)])


def _unpack(path: Path, sha256: str) -> bytes:
    """The content of an IDX file, gunzipped if its suffix is .gz, with its checksum verified."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                f"{path}: found no whole gzip file ({error}), expected content with sha256 {sha256}"
            ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputError(f"{path}: found content with sha256 {found}, expected {sha256}; replace it or move it away")
    return content
