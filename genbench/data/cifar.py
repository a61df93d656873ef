"""CIFAR-10 from the official Python archive (A. Krizhevsky, Learning multiple layers of features, 2009).

The batches are pickles. After their checksums are verified, they are read by an unpickler that can only make containers
and uint8 arrays.
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.data.description import Dataset, Description
from genbench.data.image_set import ImageSet, make_image_set
from genbench.errors import InputError, place
from genbench.files.archives import read_files
from genbench.files.artifacts import sha256_json
from genbench.files.downloads import download, existing_path, first_existing

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE, FOLDER = "cifar-10-python.tar.gz", "cifar-10-batches-py"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLITS = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
# The publisher gives only the archive's MD5. These are torchvision's, of the files inside, whether packed or not.
MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


def cifar10(data_root: Path, *, path: str | None = None) -> Dataset:
    """CIFAR-10, 32x32 colour, 50,000 training and 10,000 test images.

    path: cifar-10-python.tar.gz, or the folder cifar-10-batches-py, or a folder that holds either, used as given or
        inside `data_root`; by default they are in `data_root`, or downloaded to it.
    """
    root = data_root if path is None else existing_path(path, data_root)
    is_source = path is not None and (root.is_file() or (root / "test_batch").exists())
    source = root if is_source else first_existing([root / FOLDER, root / ARCHIVE])
    if source is None and path is not None:
        raise InputError(f"key 'path': found {path!r}, which holds neither {ARCHIVE} nor {FOLDER}")

    def fetch() -> Path:
        if source is not None:
            _read_batches(source)
            return source
        download([URL], root / ARCHIVE, check=_read_batches)
        return root / ARCHIVE

    def load() -> dict[str, ImageSet]:
        found = fetch() if source is None else source
        batches = _read_batches(found)
        parsed, image_sets = {}, {}
        for name, content in batches.items():
            with place(found, name):
                parsed[name] = parse_batch(content)
        for split, names in SPLITS.items():
            pixels, labels = zip(*(parsed[name] for name in names), strict=True)
            image_sets[split] = make_image_set(
                np.concatenate(pixels),
                np.concatenate(labels),
                CLASS_NAMES,
                dataset="cifar10",
                split=split,
                source=f"the official {ARCHIVE}: {', '.join(names)}",
                source_sha256=sha256_json([hashlib.sha256(batches[name]).hexdigest() for name in names]),
            )
        return image_sets

    description = Description("cifar10", "CIFAR-10", 32, 32, 3, 10, 50_000, 10_000)
    return Dataset(description, load, [fetch], dict.fromkeys(CLASS_NAMES, (5000, 1000)))


def _read_batches(path: Path) -> dict[str, bytes]:
    """The batch files in the archive or folder at `path`, by name, their checksums verified."""
    prefix = "" if path.is_dir() else f"{FOLDER}/"
    wanted = {f"{prefix}{name}" for name in MD5}
    batches: dict[str, bytes] = {}
    for name, content in read_files(path, wanted):
        batches[name.removeprefix(prefix)] = content
        if len(batches) == len(MD5):
            break  # the rest of the archive is not needed, even if it is damaged
    for name, expected in MD5.items():
        if name not in batches:
            raise InputError(f"{path}: holds no {prefix}{name}")
        found = hashlib.md5(batches[name], usedforsecurity=False).hexdigest()
        if found != expected:
            raise InputError(f"{path}: {name}: found md5 {found}, expected {expected}; replace it or move it away")
    return batches


def parse_batch(content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images uint8 (N, 32, 32, 3) and labels int64 (N,) of one pickled batch. Raises InputError for other content.

    A row of the batch is 1,024 red values, then green, then blue.
    """
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        pixels, labels = batch[b"data"], np.array(batch[b"labels"], dtype=np.int64)
        images = np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    except Exception as error:  # a malformed pickle can raise anything
        raise InputError(f"not a batch of CIFAR-10 ({type(error).__name__}: {error})") from None
    if images.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise InputError(f"found {images.dtype} images {images.shape} and labels {labels.shape}")
    return images, labels


class _Unpickler(pickle.Unpickler):
    """Makes containers, numbers, bytes and uint8 arrays, and refuses a pickle that names anything else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): lambda cls, shape, typecode: np.ndarray((0,), np.uint8),
            ("numpy", "ndarray"): None,  # the first argument of _reconstruct, which ignores it
            ("numpy", "dtype"): _uint8_dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which image data has no use for")
        return allowed[module, name]


def _uint8_dtype(typecode: bytes | str, align: int, copy: int) -> np.dtype[np.uint8]:
    if typecode not in (b"u1", "u1"):
        raise pickle.UnpicklingError(f"it holds an array of {typecode!r}, expected uint8")
    return np.dtype(np.uint8, copy=True)  # a copy, since the unpickler sets its state
