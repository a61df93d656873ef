"""A user's own images: decoding, layouts, splits, and bad archives."""

import hashlib
import io
import json
import lzma
import os
import re
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from genbench.data import describe, open_dataset, prepare
from genbench.data.decoding import decode
from genbench.errors import InputError


def picture(seed, size=(8, 6), mode="RGB"):
    """An image of random pixels; size is (width, height)."""
    channels = {"L": (), "RGB": (3,), "LA": (2,), "RGBA": (4,)}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *channels), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png(seed, size=(8, 6), mode="RGB"):
    return encoded(picture(seed, size, mode))


def pixels_of(seed, size=(8, 6), mode="RGB"):
    return np.array(picture(seed, size, mode)).reshape(size[1], size[0], -1)


def write_folder(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def write_tar(path, files, mode):
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write(path, files):
    """Write `files` in the format of the suffix of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    modes = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz"}
    if path.suffix == ".zip":
        return write_zip(path, files)
    return write_tar(path, files, modes[path.suffix]) if path.suffix in modes else write_folder(path, files)


FORMS = ["images", "images.zip", "images.tar", "images.tar.gz", "images.tgz", "images.tar.xz"]


def entry(path, **options):
    return {"source": "folder", "path": str(path), **options}


def refusal(path, **options):
    """The message with which `prepare` refuses the images at `path`."""
    with pytest.raises(InputError) as error:
        prepare(entry(path, **options), "unused")
    assert "\n" not in str(error.value)
    return str(error.value)


# Layouts, labels, order, splits

SPLIT_FILES = {
    "train/dog/2.png": png(2),
    "train/dog/10.png": png(10),
    "train/cat/1.png": png(1),
    "test/dog/5.png": png(5),
    "train/.DS_Store": b"junk",
    "__MACOSX/train/dog/._2.png": b"junk",
    "train/dog/._2.png": b"junk",
    "README.txt": b"pets",
}


@pytest.mark.parametrize("form", FORMS)
def test_train_and_test_folders_are_the_splits(tmp_path, form):
    path = write(tmp_path / form, SPLIT_FILES)
    splits = prepare(entry(path, name="pets"), "unused")
    train, test = splits["train"], splits["test"]
    assert train.class_names == ("cat", "dog")
    assert train.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(train.images, [pixels_of(1), pixels_of(10), pixels_of(2)])  # "10" sorts before "2"
    np.testing.assert_array_equal(test.images, [pixels_of(5)])
    assert test.labels.tolist() == [1]
    assert (train.info["dataset"], train.info["lossy"], train.info["resize"]) == ("pets", False, None)
    if form != "images":
        assert train.info["source_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    described = describe(entry(path, name="pets"), "unused")
    assert (described.name, described.label) == ("pets", "pets")
    assert (described.height, described.width, described.channels) == (6, 8, 3)
    assert (described.num_classes, described.num_train, described.num_test, described.notes) == (2, 3, 1, ())


def test_images_are_read_where_no_cores_are_assigned_as_on_macos(tmp_path, monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity")
    path = write(tmp_path / "images", SPLIT_FILES)
    np.testing.assert_array_equal(prepare(entry(path, name="pets"), "unused")["test"].images, [pixels_of(5)])


def test_val_stands_in_for_test_and_what_is_unused_is_told(tmp_path):
    files = {"train/a/1.png": png(1), "val/a/2.png": png(2), "extra/a/3.png": png(3)}
    dataset = open_dataset(entry(write(tmp_path / "x", files)), "unused")
    assert dataset.description.notes == ("not used: extra",)
    np.testing.assert_array_equal(dataset.load()["test"].images, [pixels_of(2)])


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training", "testing"),  # fastai's MNIST
        ("train", "valid"),  # fastai's Imagenette
        ("Train", "Test"),
        ("TRAIN", "VAL"),
        ("train", "validation"),  # Keras's and Hugging Face's
    ],
)
def test_splits_of_known_names_are_splits_in_any_case(tmp_path, train, test):
    files = {f"{train}/{c}/{i}.png": png(i) for c in "012" for i in range(3)}
    files |= {f"{test}/{c}/9.png": png(9) for c in "012"}
    described = describe(entry(write(tmp_path / "x", files)), "unused")
    assert (described.num_classes, described.num_train, described.num_test) == (3, 9, 3)
    assert described.notes == (f"splits: {train} (train), {test} (test)",)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["seg_train", "seg_test", "seg_pred"], "seg_test, seg_train look like splits, not classes; name it with"),
        (["train2017", "val2017"], "splits: {train: train2017, test: val2017}"),
        (["trainA", "trainB", "testA", "testB"], "look like splits"),  # CycleGAN's
        (["test", "val"], "look like splits"),
        (
            ["train", "extra"],
            "the folder train looks like a split, not a class; name it with splits: {train: train}, or",
        ),
    ],
)
def test_folders_that_look_like_splits_are_never_classes(tmp_path, folders, message):
    files = {f"{folder}/{c}/{i}.png": png(i) for folder in folders for c in "ab" for i in range(2)}
    assert message in refusal(write(tmp_path / "x", files))


def test_splits_may_be_named(tmp_path):
    files = {f"data/seg_{s}/{c}/{i}.png": png(i) for s in ("train", "test") for c in "ab" for i in range(4)}
    path = write(tmp_path / "x", files)
    described = describe(entry(path, splits={"train": "data/seg_train", "test": "data/seg_test"}), "unused")
    assert (described.num_classes, described.num_train, described.num_test) == (2, 8, 8)
    described = describe(entry(path, splits={"train": "data/seg_train"}, test_fraction=0.25), "unused")
    assert (described.num_classes, described.num_train, described.num_test) == (2, 6, 2)
    for splits, message in (
        ({"train": "none"}, "key 'splits': train: found no images in 'none', expected one of data"),
        ({"test": "data/seg_test"}, "key 'splits': found test, expected train and test, or only train"),
        ("train", "key 'splits': found 'train', expected a mapping"),
    ):
        assert message in refusal(path, splits=splits)


def test_test_images_without_labels_are_named_and_can_be_left_out(tmp_path):
    files = {f"train/{c}/{i}.png": png(i) for c in ("cat", "dog") for i in range(4)} | {"test/1.png": png(1)}
    path = write(tmp_path / "x", files)
    assert (
        "x/test has images without class folders, and train has classes; leave test out with splits: {train: train}"
        in (refusal(path))
    )
    described = describe(entry(path, splits={"train": "train"}), "unused")
    assert (described.num_classes, described.num_train, described.num_test) == (2, 6, 2)
    assert "not used: test" in described.notes
    write(path, {"val/cat/7.png": png(7), "val/dog/8.png": png(8)})  # labelled images beside them are used
    described = describe(entry(path), "unused")
    assert (described.num_train, described.num_test, described.notes) == (8, 2, ("not used: test",))


@pytest.mark.parametrize(
    "files",
    [
        [f"seg_{s}/seg_{s}/{c}/{i}.png" for s in ("train", "test") for c in "ab" for i in range(8)],  # Intel's scenes
        [f"{s}{d}/{i}.png" for s in ("train", "test") for d in "AB" for i in range(8)],  # CycleGAN's domains
        [f"train/{c}/{i}.png" for c in "ab" for i in range(8)] + ["val/0.png"],  # ImageNet's, as its archive unpacks
        [f"train/{c}/images/{i}.png" for c in "ab" for i in range(8)] + ["val/images/0.png"],  # Tiny ImageNet's
        [f"train/{c}/{i}.png" for c in "ab" for i in range(8)] + ["unlabeled/0.png"],  # STL-10's
        [f"images/{s}/{i}.png" for s in ("train", "val") for i in range(8)],  # YOLO's
    ],
)
def test_what_an_error_says_of_splits_helps(tmp_path, files):
    path = write(tmp_path / "x", {name: png(i) for i, name in enumerate(files)})
    advice = re.search(r"splits: (\{[^}]*\})", refusal(path))[1]
    described = describe(entry(path, splits=yaml.safe_load(advice)), "unused")
    assert described.num_classes == (2 if "/a/" in files[0] else 1)
    assert described.num_train + described.num_test == (32 if "seg_train" in files[0] else 16)


def test_train_alone_is_no_class(tmp_path):
    files = {f"train/{c}/{i}.png": png(i) for c in "ab" for i in range(10)}
    described = describe(entry(write(tmp_path / "x", files)), "unused")
    assert (described.num_classes, described.num_train, described.num_test) == (2, 18, 2)


def test_splits_below_a_folder_are_no_classes(tmp_path):
    files = {f"cifar/{s}/{c}/{i}.png": png(i) for s in ("train", "test") for c in "ab" for i in range(4)}
    path = write(tmp_path / "x", files)
    message = refusal(path)
    assert (
        "holds only cifar, whose folders look like splits; give splits: {train: cifar/train, test: cifar/test}"
        in message
    )
    described = describe(entry(path, splits=yaml.safe_load(message.rpartition("splits: ")[2])), "unused")
    assert (described.num_classes, described.num_train, described.num_test) == (2, 8, 8)


def test_a_single_class_that_has_folders_is_noted(tmp_path):
    files = {f"faces/{c}/{i}.png": png(i) for c in "ab" for i in range(10)}
    described = describe(entry(write(tmp_path / "x", files)), "unused")
    assert described.num_classes == 1
    assert described.notes[0] == "one class, faces, though it has the folders a, b, ..."


# The archives of dataset_tool (StyleGAN2-ADA, EDM), and other shards


def dataset_tool(labels, count=1003):
    """The files that dataset_tool writes: 1,000 images per folder, of which only a few are here, and dataset.json."""
    numbers = [*range(8), *range(1000, count)]
    names = [f"{n // 1000:05}/img{n:08}.png" for n in numbers]
    files = {name: png(n) for n, name in zip(numbers, names, strict=True)}
    known = None if labels is None else [[name, labels(n)] for n, name in zip(numbers, names, strict=True)]
    return files | {"dataset.json": json.dumps({"labels": known}).encode()}


@pytest.mark.parametrize("form", ["images", "images.zip", "images.tar.gz"])
@pytest.mark.parametrize("one_hot", [False, True])
def test_labels_of_dataset_json_are_the_classes(tmp_path, form, one_hot):
    classes = (3, 10, 2)
    label = {n: [float(c == classes[n % 3]) for c in range(11)] if one_hot else classes[n % 3] for n in range(1003)}
    path = write(tmp_path / form, dataset_tool(label.__getitem__))
    splits = prepare(entry(path), "unused")
    train = splits["train"]
    assert train.class_names == ("2", "3", "10")
    content = {pixels_of(n).tobytes(): str(classes[n % 3]) for n in (*range(8), *range(1000, 1003))}
    for image_set in splits.values():
        found = [image_set.class_names[label] for label in image_set.labels]
        assert found == [content[image.tobytes()] for image in image_set.images]
    assert "labels of dataset.json" in train.info["notes"]
    packed = write(tmp_path / "packed.zip", {f"cifar/{k}": v for k, v in dataset_tool(label.__getitem__).items()})
    assert prepare(entry(packed), "unused")["train"].info["sha256"] == train.info["sha256"]


@pytest.mark.parametrize("form", ["images", "images.zip"])
def test_shards_are_no_classes(tmp_path, form):
    described = describe(entry(write(tmp_path / form, dataset_tool(None))), "unused")
    assert (described.num_classes, described.num_train) == (1, 10)
    assert described.notes[0] == "one class: the folders 00000, ... hold 1,000 images each, not classes"
    ffhq = {f"{n - n % 1000:05}/{n:05}.png": png(n) for n in (0, 1, 1000, 1001, 69000)}
    assert describe(entry(write(tmp_path / "ffhq", ffhq)), "unused").num_classes == 1
    signs = {f"{c:05}/{c:05}_{i:05}.ppm": encoded(picture(i), "PPM") for c in range(2) for i in range(3)}  # GTSRB
    assert describe(entry(write(tmp_path / "signs", signs)), "unused").num_classes == 2


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (-1, "found the label -1, expected the number of a class"),
        (0.5, "found the label 0.5"),
        ("cat", "found the label 'cat'"),
        ([1, 1, 0], r"found the label [1, 1, 0]"),
        (True, "found the label True"),
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path, label, message):
    assert message in refusal(write(tmp_path / "x.zip", dataset_tool(lambda n: label)))


def test_an_image_without_a_label_is_named(tmp_path):
    files = dataset_tool(lambda n: 1) | {"00001/img00001999.png": png(1)}
    assert "dataset.json has no label of 00001/img00001999.png" in refusal(write(tmp_path / "x.zip", files))


def test_class_folders_keep_their_names_beside_dataset_json(tmp_path):
    names = [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(4)]
    files = {name: png(i) for i, name in enumerate(names)}
    plain = prepare(entry(write(tmp_path / "plain", files)), "unused")["train"]
    labels = json.dumps({"labels": [[name, int(name.startswith("cat"))] for name in names]}).encode()
    path = write(tmp_path / "x", files | {"dataset.json": labels})
    assert prepare(entry(path), "unused")["train"].info["sha256"] == plain.info["sha256"]
    assert prepare(entry(path), "unused")["train"].class_names == ("cat", "dog")


def test_splits_are_no_less_splits_beside_dataset_json(tmp_path):
    files = SPLIT_FILES | {"dataset.json": json.dumps({"labels": [[n, 0] for n in SPLIT_FILES]}).encode()}
    described = describe(entry(write(tmp_path / "x", files)), "unused")
    assert (described.num_classes, described.num_train, described.num_test) == (2, 3, 1)
    assert described.notes == ("dataset.json is not read: the folders are splits",)


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"no json", b'{"labels": ["ab", "cd"]}'])
def test_another_dataset_json_is_passed_over(tmp_path, content):
    files = {f"{c}/{i}.png": png(i) for c in "ab" for i in range(3)} | {"dataset.json": content}
    assert describe(entry(write(tmp_path / "x", files)), "unused").num_classes == 2


def test_files_that_may_have_the_labels_are_noted(tmp_path):
    files = {f"{i}.png": png(i) for i in range(10)} | {"trainLabels.csv": b"id,label"}  # Kaggle's CIFAR-10
    described = describe(entry(write(tmp_path / "x", files)), "unused")
    assert described.notes[0] == "one class: labels are not read from trainLabels.csv"


# File formats


def test_every_kind_of_file_that_the_peers_read_is_read(tmp_path):
    forms = {"png": "PNG", "bmp": "BMP", "tif": "TIFF", "TIFF": "TIFF", "ppm": "PPM", "webp": "WEBP"}
    files = {}
    for i, (suffix, form) in enumerate(forms.items()):
        options = {"lossless": True} if form == "WEBP" else {}
        files |= {f"train/a/{i}.{suffix}": encoded(picture(i), form, **options)}
    files |= {"test/a/9.pgm": encoded(picture(9, mode="L"), "PPM"), "test/a/8.gif": b"GIF89a"}
    splits = prepare(entry(write(tmp_path / "x", files), channels=3), "unused")
    assert np.array_equal(splits["train"].images, [pixels_of(i) for i in range(6)])
    assert np.array_equal(splits["test"].images[0], np.repeat(pixels_of(9, mode="L"), 3, axis=2))
    assert "1 files (.gif) are not read" in splits["train"].info["notes"]
    assert not splits["train"].info["lossy"]


@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw", "tiff_deflate", "raw"])
def test_a_tiff_is_lossy_where_it_holds_jpeg(compression):
    assert decoded(encoded(picture(1, (16, 16)), "TIFF", compression=compression)).lossy == (compression == "jpeg")


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.new("I;16", (4, 4)), "TIFF"),
        encoded(Image.new("F", (4, 4)), "TIFF"),
        encoded(Image.new("I;16", (4, 4)), "PPM"),
        b"P6\n2 2\n65535\n" + bytes(24),
        b"P3\n1 1\n65535\n1 2 3\n",
    ],
)
def test_more_than_eight_bits_are_refused_in_every_kind(content):
    with pytest.raises(ValueError, match="more than 8 bits a channel, expected 8"):
        decoded(content)


# No images held out


def test_all_images_may_be_the_reference(tmp_path):
    path = write(tmp_path / "x", {f"{i}.png": png(i) for i in range(16)})
    described = describe(entry(path, test_fraction=0), "unused")
    assert (described.num_train, described.num_test) == (16, 0)
    note = "no images are held out: all are the reference, and what needs held-out images is left out"
    assert described.notes == (note,)
    splits = prepare(entry(path, test_fraction=0), "unused")
    assert len(splits["train"].images) == 16
    assert np.array_equal(splits["train"].images, splits["test"].images)
    classes = write(tmp_path / "y", {f"{c}/{i}.png": png(i) for c in "ab" for i in range(3)})
    kept = describe(entry(classes, test_fraction=0, classes=["b"]), "unused")
    assert (kept.num_train, kept.num_test) == (3, 0)
    message = "key 'test_fraction': found 0, but"
    assert message in refusal(write(tmp_path / "z", SPLIT_FILES), test_fraction=0)


def test_a_class_may_be_called_train(tmp_path):
    files = {f"{name}/{i}.png": png(i) for name in ("train", "plane") for i in range(2)}
    described = describe(entry(write(tmp_path / "x", files)), "unused")
    assert (described.num_classes, described.num_train, described.num_test) == (2, 2, 2)


@pytest.mark.parametrize("form", FORMS)
def test_images_at_the_root_are_one_class(tmp_path, form):
    path = write(tmp_path / form, {f"{i}.png": png(i) for i in range(10)})
    splits = prepare(entry(path), "unused")
    assert splits["train"].class_names == ("all",)
    assert (len(splits["train"].images), len(splits["test"].images)) == (9, 1)


@pytest.mark.parametrize("form", FORMS[1:])
def test_an_archive_of_a_folder_is_the_same_as_the_folder(tmp_path, form):
    files = {f"{name}/{i}.png": png(10 * len(name) + i) for name in ("cat", "tiger") for i in range(10)}
    path = write(tmp_path / form, {f"./pets/{name}": content for name, content in files.items()})
    packed = prepare(entry(path), "unused")
    loose = prepare(entry(write(tmp_path / "pets", files)), "unused")
    for split in ("train", "test"):
        assert packed[split].info["sha256"] == loose[split].info["sha256"]
        assert packed[split].class_names == ("cat", "tiger")


def test_the_split_is_stratified_disjoint_and_steady(tmp_path):
    counts = {"a": 50, "b": 20, "c": 3, "d": 1}
    files = {f"{name}/{i:03}.png": png(1000 * ord(name) + i, (2, 2)) for name, n in counts.items() for i in range(n)}
    path = write(tmp_path / "x", files)
    splits = prepare(entry(path), "unused")
    train, test = splits["train"], splits["test"]
    assert np.bincount(test.labels).tolist() == [5, 2, 1]  # a tenth, at least one, but never all of a class
    assert np.bincount(train.labels).tolist() == [45, 18, 2, 1]
    assert test.class_names == train.class_names == ("a", "b", "c", "d")
    together = {image.tobytes() for split in splits.values() for image in split.images}
    assert len(together) == 74
    assert (train.labels == np.sort(train.labels)).all()

    assert prepare(entry(path), "unused")["test"].info["sha256"] == test.info["sha256"]
    other = prepare(entry(path, split_seed=1), "unused")["test"]
    assert other.info["sha256"] != test.info["sha256"]
    half = prepare(entry(path, test_fraction=0.5), "unused")["test"]
    assert np.bincount(half.labels).tolist() == [25, 10, 2]
    assert {image.tobytes() for image in test.images} <= {image.tobytes() for image in half.images}

    before = {image.tobytes() for image in test.images}
    write(path, {"a/050.png": png(7, (2, 2))})
    after = {image.tobytes() for image in prepare(entry(path), "unused")["test"].images}
    assert len(before - after) <= 1


def test_the_split_is_the_same_everywhere(tmp_path):
    path = write(tmp_path / "x", {f"{i}.png": png(i, (2, 2)) for i in range(10)})
    ranks = sorted(range(10), key=lambda i: hashlib.sha256(f"0:all/{i}.png".encode()).digest())
    test = prepare(entry(path, test_fraction=0.2), "unused")["test"]
    np.testing.assert_array_equal(test.images, [pixels_of(i, (2, 2)) for i in sorted(ranks[:2])])


def test_nested_folders_belong_to_the_class_at_the_top(tmp_path):
    files = {"cat/2020/1.png": png(1), "cat/2.png": png(2), "dog/a/b/3.png": png(3), "dog/4.PNG": png(4)}
    described = describe(entry(write(tmp_path / "x", files)), "unused")
    assert (described.num_classes, described.num_train, described.num_test) == (2, 2, 2)


def test_folders_of_links_are_followed_and_loops_are_not(tmp_path):
    write(tmp_path / "large", {f"cat/{i}.png": png(i) for i in range(4)})
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "tiger").symlink_to(tmp_path / "large" / "cat")
    (tmp_path / "large" / "cat" / "loop").symlink_to(tmp_path / "small")
    (tmp_path / "small" / "self").symlink_to(tmp_path / "small")
    described = describe(entry(tmp_path / "small"), "unused")
    assert (described.num_classes, described.num_train, described.num_test) == (1, 3, 1)


def test_some_classes_of_a_folder(tmp_path):
    path = write(tmp_path / "x", SPLIT_FILES)
    described = describe(entry(path, name="pets", classes=["dog"]), "unused")
    assert (described.label, described.num_train, described.num_test) == ("pets (dog)", 2, 1)
    train = prepare(entry(path, classes=["dog"]), "unused")["train"]
    assert (train.labels.tolist(), train.class_names) == ([0, 0], ("dog",))
    with pytest.raises(InputError, match=r"'folder': key 'classes': found \['cat'\], of which test has no images"):
        describe(entry(path, classes=["cat"]), "unused")


def test_the_path_may_lie_in_data_root(tmp_path):
    write(tmp_path / "root" / "images.zip", SPLIT_FILES)
    assert describe(entry("images.zip"), tmp_path / "root").num_train == 3


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": b"none"}, "found no images (.png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff, .ppm, .pgm)"),
        ({".hidden/1.png": png(1)}, "found no images"),
        ({"1.png": png(1)}, "found 1 images, too few to hold any out"),
        ({"a/1.png": png(1), "2.png": png(2)}, "found 2.png beside class folders (a/1.png)"),
        ({"train/a/1.png": png(1), "test/b/2.png": png(2)}, "test has the class 'b', which train does not have"),
    ],
)
@pytest.mark.parametrize("form", ["images", "images.tar"])
def test_layouts_that_make_no_data_set_are_refused(tmp_path, form, files, message):
    assert message in refusal(write(tmp_path / form, files))


# Pixels


def decoded(content, image_size=None, filter="bicubic", channels=None):
    return decode(content, image_size, filter, channels)


@pytest.mark.parametrize("filter", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
def test_resizing_is_pils(tmp_path, filter):
    path = write(tmp_path / "x", {f"{i}.png": png(i, (12, 9)) for i in range(2)})
    dataset = open_dataset(entry(path, image_size=5, filter=filter), "unused")
    train = dataset.load()["train"]
    expected = [np.array(picture(i, (12, 9)).resize((5, 5), Image.Resampling[filter.upper()])) for i in range(2)]
    assert any(np.array_equal(train.images[0], image) for image in expected)
    assert train.info["resize"] == {"size": 5, "filter": filter}
    assert "images that are not square, resized without keeping the aspect ratio: 1" in train.info["notes"]
    assert (dataset.description.height, dataset.description.width) == (5, 5)
    assert f"resized to 5x5 ({filter})" in dataset.description.notes


def test_images_of_the_asked_size_are_left_alone():
    np.testing.assert_array_equal(decoded(png(1, (7, 7)), image_size=7).pixels, pixels_of(1, (7, 7)))


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_channels_are_as_found(mode, channels):
    result = decoded(png(3, mode=mode))
    assert result.pixels.shape == (6, 8, channels)
    np.testing.assert_array_equal(result.pixels, pixels_of(3, mode=mode))
    assert not result.lossy
    assert not result.transparent


def test_channels_are_as_asked():
    grey = decoded(png(3, mode="L"), channels=3).pixels
    np.testing.assert_array_equal(grey, np.repeat(pixels_of(3, mode="L"), 3, axis=2))
    colour = Image.new("RGB", (2, 2), (100, 150, 200))
    assert decoded(encoded(colour), channels=1).pixels.tolist() == [[[141]] * 2] * 2  # 0.299 R + 0.587 G + 0.114 B


def test_transparency_is_laid_on_white():
    image = Image.new("RGBA", (1, 3))
    for y, pixel in enumerate([(10, 20, 30, 255), (10, 20, 30, 0), (0, 0, 0, 128)]):
        image.putpixel((0, y), pixel)
    result = decoded(encoded(image))
    assert result.pixels[:, 0].tolist() == [[10, 20, 30], [255, 255, 255], [127, 127, 127]]
    assert result.transparent


def test_grey_with_transparency_stays_grey():
    image = Image.new("LA", (1, 2))
    image.putpixel((0, 0), (40, 255))
    image.putpixel((0, 1), (40, 0))
    assert decoded(encoded(image)).pixels.tolist() == [[[40]], [[255]]]


def test_an_opaque_alpha_channel_is_no_transparency():
    image = picture(4)
    image.putalpha(255)
    result = decoded(encoded(image))
    np.testing.assert_array_equal(result.pixels, pixels_of(4))
    assert not result.transparent


def test_palettes_become_colours():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert decoded(encoded(image)).pixels.tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert decoded(encoded(image, transparency=1)).pixels.tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_bits_become_black_and_white():
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert decoded(encoded(image)).pixels.tolist() == [[[0], [255]]]


def test_jpegs_are_turned_upright():
    image, exif = Image.new("RGB", (16, 8), "white"), Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    result = decoded(encoded(image, "JPEG", exif=exif))
    assert result.size == (8, 16)
    assert result.pixels.shape == (16, 8, 3)


@pytest.mark.parametrize(
    ("form", "options", "lossy"),
    [
        ("PNG", {}, False),
        ("JPEG", {"quality": 100}, True),
        ("WEBP", {"lossless": True}, False),
        ("WEBP", {"lossless": False}, True),
        ("WEBP", {"lossless": True, "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}, False),
        ("WEBP", {"lossless": False, "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}, True),
    ],
)
def test_what_is_lossy_is_known_from_the_file_itself(form, options, lossy):
    assert decoded(encoded(picture(5), form, **options)).lossy is lossy


def test_a_lossy_source_is_told(tmp_path):
    files = {"train/a/1.png": png(1), "test/a/2.jpg": encoded(picture(2), "JPEG")}
    dataset = open_dataset(entry(write(tmp_path / "x", files)), "unused")
    assert dataset.description.notes == ("JPEG source: lossy",)
    splits = dataset.load()
    assert (splits["train"].info["lossy"], splits["test"].info["lossy"]) == (False, True)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_sixteen_bits_are_refused(mode):
    content = png(1, mode=mode)
    assert content[24] == 8
    with pytest.raises(ValueError, match="16 bits a channel, expected 8"):
        decoded(content[:24] + b"\x10" + content[25:])
    grey16 = Image.fromarray(np.full((2, 2), 40_000, dtype=np.uint16))
    with pytest.raises(ValueError, match="16 bits a channel"):
        decoded(encoded(grey16))


def test_animations_are_refused():
    for form in ("PNG", "WEBP"):
        with pytest.raises(ValueError, match="an animation, expected a still image"):
            decoded(encoded(picture(1), form, save_all=True, append_images=[picture(2)]))


# Images that do not fit


@pytest.mark.parametrize("form", FORMS)
def test_mixed_sizes_name_two_files(tmp_path, form):
    files = {"a/1.png": png(1), "a/2.png": png(2), "b/3.png": png(3, (6, 8)), "b/4.png": png(4)}
    path = write(tmp_path / form, files)
    assert "a/1.png is 8x6 and b/3.png is 6x8 (width x height); give the option image_size" in refusal(path)
    if Path(path).is_dir() or str(path).endswith(".zip"):  # before all images are read
        with pytest.raises(InputError, match=r"a/1\.png is 8x6 and b/3\.png is 6x8"):
            open_dataset(entry(path), "unused")
    assert prepare(entry(path, image_size=4), "unused")["train"].images.shape == (2, 4, 4, 3)


def test_mixed_channels_name_a_grey_and_a_colour_file(tmp_path):
    files = {"a/1.png": png(1), "a/2.png": png(2, mode="L"), "a/3.png": png(3)}
    path = write(tmp_path / "x", files)
    assert "a/2.png is greyscale and a/1.png is in colour; give the option channels: 1 or 3" in refusal(path)
    assert prepare(entry(path, channels=1), "unused")["train"].images.shape == (2, 6, 8, 1)


@pytest.mark.parametrize("form", ["x", "x.zip", "x.tar.xz"])
def test_unreadable_images_are_listed(tmp_path, form):
    files = {f"a/{i:02}.png": png(i) for i in range(20)}
    files["a/03.png"] = b""
    files["a/04.png"] = b"<html>not found</html>"
    files["a/05.png"] = files["a/05.png"][:-60]
    files["a/06.png"] = encoded(Image.fromarray(np.zeros((6, 8), dtype=np.uint16)))
    files["a/07.png"] = encoded(picture(7), "GIF")
    message = refusal(write(tmp_path / form, files))
    assert (
        "5 of 20 images cannot be used: a/03.png (no PNG, JPEG, WebP, BMP, TIFF or PPM image), a/04.png (a web page"
        in message
    )
    assert "a/05.png (" in message
    assert "a/06.png (16 bits a channel, expected 8: convert it first), a/07.png (no PNG" in message
    files["a/08.png"] = files["a/09.png"] = b"x"
    message = refusal(write(tmp_path / f"more-{form}", files))
    assert "7 of 20 images" in message
    assert message.endswith("and 2 more")
    assert "a/08.png" not in message


def test_a_truncated_jpeg_is_named(tmp_path):
    content = encoded(picture(2, (64, 64)), "JPEG")
    files = {"1.jpg": encoded(picture(1, (64, 64)), "JPEG"), "2.jpg": content[: len(content) // 2]}
    assert "1 of 2 images cannot be used: 2.jpg (image file is truncated" in refusal(write(tmp_path / "x", files))


def test_an_unreadable_first_image_stops_the_description(tmp_path):
    path = write(tmp_path / "x", {"1.png": b"", "2.png": png(2)})
    with pytest.raises(InputError, match=r"data set 'folder': .*x: 1\.png: no PNG, JPEG, WebP, BMP, TIFF or PPM image"):
        describe(entry(path), "unused")


# Untrusted archives


@pytest.mark.parametrize("name", ["../1.png", "a/../../1.png", "/etc/1.png", "..\\1.png", "C:/1.png"])
@pytest.mark.parametrize("form", ["x.zip", "x.tar", "x.tar.gz"])
def test_names_that_lead_out_are_refused(tmp_path, form, name):
    path = write(tmp_path / "in" / form, {"a/1.png": png(1), "a/2.png": png(2), name: png(3)})
    assert f"holds {name!r}, a path outside the archive" in refusal(path).replace("\\\\\\\\", "\\\\")
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["in", form]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("a/1.png")
        member.type, member.linkname = kind, "../../etc/passwd"
        tar.addfile(member)
    assert "a/1.png is a" in refusal(path)


def test_links_in_a_zip_are_refused(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo("a/1.png")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    assert "a/1.png is a link; pack the files themselves" in refusal(path)


def test_encrypted_zips_are_refused(tmp_path):
    path = write_zip(tmp_path / "x.zip", {"a/1.png": png(1)})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert "a/1.png is encrypted" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("form", ["x.zip", "x.tar"])
def test_one_name_twice_is_refused(tmp_path, form):
    path = tmp_path / form
    if form == "x.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/1.png", png(1))
            archive.writestr("a/1.png", png(2))
    else:
        write(path, {"a/1.png": png(1), "./a/1.png": png(2)})
    assert "holds a/1.png 2 times" in refusal(path)


@pytest.mark.parametrize("form", FORMS[1:])
def test_truncated_archives_are_refused_wherever_they_are_cut(tmp_path, form):
    path = write(tmp_path / form, {f"{i}.png": png(i, (24, 24)) for i in range(6)})
    content = path.read_bytes()
    end = len(content) - 10240 if form == "images.tar" else len(content)  # a tar ends with end marks and padding
    for cut in {0, 1, 100, 512, 1024, end // 3, end // 2, end // 2048 * 1024, end - 1, end - 512, end - 1024}:
        path.write_bytes(content[: max(cut, 0)])
        assert str(path) in refusal(path)


def test_a_damaged_tar_does_not_end_early_in_silence(tmp_path):
    path = write(tmp_path / "x.tar", {f"{i}.png": png(i) for i in range(6)})
    content = bytearray(path.read_bytes())
    content[content.index(b"3.png")] ^= 1  # the header's own checksum no longer fits
    path.write_bytes(content)
    assert "a damaged one (truncated or damaged: bad checksum)" in refusal(path)


@pytest.mark.parametrize("form", ["x.zip", "x.tar.gz", "x.tar.xz"])
def test_a_flipped_bit_inside_an_archive_is_found(tmp_path, form):
    path = write(tmp_path / form, {f"{i}.png": png(i, (24, 24)) for i in range(6)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    assert str(path) in refusal(path)


@pytest.mark.parametrize("content", [b"", b"hello", lzma.compress(b"hello"), png(1)])
@pytest.mark.parametrize("name", ["x.zip", "x.tar.xz", "x.png"])
def test_what_is_no_archive_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert f"{name}: not a folder, .zip or .tar[.gz|.xz|.bz2], or a damaged one (" in refusal(tmp_path / name)


# Real files


def test_real_cifar10_jpegs():
    path = Path(os.environ.get("GENBENCH_DATA_ROOT", "nowhere")) / "cifar10-jpeg.tar.xz"
    if not path.exists():
        pytest.skip("no cifar10-jpeg.tar.xz in GENBENCH_DATA_ROOT")
    described = describe(entry(path), "unused")
    assert (described.height, described.width, described.channels) == (32, 32, 3)
    assert (described.num_classes, described.num_train, described.num_test) == (10, 50_000, 10_000)
    assert described.notes == ("JPEG source: lossy",)
