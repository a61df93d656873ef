"""CUB-200-2011, from a small archive in the official layout."""

import functools
import hashlib
import http.server
import io
import tarfile
import threading

import numpy as np
import pytest
from PIL import Image

from genbench.data import cub, describe, open_dataset, prepare
from genbench.errors import InputError
from genbench.files import downloads

# file, number in images.txt, class, 1 if it is for training, mode
PHOTOGRAPHS = [
    ("001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg", 1, 1, 1, "RGB"),
    ("001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg", 2, 1, 0, "RGB"),
    ("002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg", 3, 2, 0, "L"),
    ("002.Laysan_Albatross/Laysan_Albatross_0003_1033.jpg", 4, 2, 1, "RGB"),
    ("003.Sooty_Albatross/Sooty_Albatross_0048_796395.jpg", 5, 3, 1, "L"),
    ("003.Sooty_Albatross/Sooty_Albatross_0040_796375.jpg", 6, 3, 0, "RGB"),
    ("003.Sooty_Albatross/Sooty_Albatross_0066_1.jpg", 7, 3, 1, "RGB"),
]
CLASSES = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross"]


def photograph(number, mode):
    """A JPEG of random pixels, wider than it is tall."""
    shape = (40, 50 + number) if mode == "L" else (40, 50 + number, 3)
    pixels = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # asks for a rotation, which the course ignores
    Image.fromarray(pixels).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def resized(number, mode, size=32):
    """The pixels after the course's resize."""
    image = Image.open(io.BytesIO(photograph(number, mode))).convert("RGB")
    return np.array(image.resize((size, size), Image.Resampling.BICUBIC))


@pytest.fixture
def official():
    """The archive's files: photographs in another order than in images.txt, then tables, between other files."""
    files = {f"CUB_200_2011/images/{name}": photograph(n, mode) for name, n, _, _, mode in reversed(PHOTOGRAPHS)}
    tables = {
        "images.txt": [f"{n} {name}" for name, n, *_ in PHOTOGRAPHS],
        "image_class_labels.txt": [f"{n} {label}" for _, n, label, *_ in PHOTOGRAPHS],
        "train_test_split.txt": [f"{n} {train}" for _, n, _, train, _ in PHOTOGRAPHS],
        "classes.txt": [f"{n} {name}" for n, name in enumerate(CLASSES, 1)],
    }
    files |= {f"CUB_200_2011/{name}": ("\n".join(lines) + "\n").encode() for name, lines in tables.items()}
    return {"attributes.txt": b"1 has_bill_shape::curved\n"} | files | {"CUB_200_2011/README": b"birds"}


def write_archive(path, files, monkeypatch):
    """Write the archive, and make its hash the official one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(cub, "MD5", hashlib.md5(path.read_bytes()).hexdigest())
    return path


def write_folder(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root / "CUB_200_2011"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, number in {"NUM_CLASSES": 3, "NUM_TRAIN": 4, "NUM_TEST": 3}.items():
        monkeypatch.setattr(cub, name, number)
    monkeypatch.setattr(downloads, "PAUSES", ())


def refusal(root, **options):
    with pytest.raises(InputError) as error:
        prepare({"source": "cub", **options}, root)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_official_split_resized_as_the_course_does(tmp_path, official, monkeypatch):
    write_archive(tmp_path / "CUB_200_2011.tgz", official, monkeypatch)
    dataset = open_dataset({"source": "cub"}, tmp_path)
    splits = dataset.load()
    train, test = splits["train"], splits["test"]
    np.testing.assert_array_equal(train.images, [resized(n, m) for _, n, _, train, m in PHOTOGRAPHS if train])
    np.testing.assert_array_equal(test.images, [resized(n, m) for _, n, _, train, m in PHOTOGRAPHS if not train])
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 2, 2], [0, 1, 2])
    assert train.class_names == ("Black footed Albatross", "Laysan Albatross", "Sooty Albatross")
    assert (train.info["lossy"], train.info["resize"]) == (True, {"size": 32, "filter": "bicubic"})
    assert train.info["source"] == "4 image files in the official CUB_200_2011.tgz"
    for split in (train, test):
        assert "greyscale images, converted to RGB: 1" in split.info["notes"]
    assert "images that are not square, resized without keeping the aspect ratio: 4" in train.info["notes"]
    described = dataset.description
    assert (described.num_classes, described.num_train, described.num_test) == (3, 4, 3)
    assert described.notes == (
        "JPEG source: lossy",
        "resized to 32x32 (bicubic)",
        "greyscale photographs are kept, as RGB (the course deletes 8)",
    )


def test_the_courses_protocol_trains_on_all_and_says_so(tmp_path, official, monkeypatch):
    write_archive(tmp_path / "CUB_200_2011.tgz", official, monkeypatch)
    entry = {"source": "cub", "split": "all", "image_size": 8}
    splits, described = prepare(entry, tmp_path), describe(entry, tmp_path)
    np.testing.assert_array_equal(splits["train"].images, [resized(n, m, 8) for _, n, _, _, m in PHOTOGRAPHS])
    assert splits["train"].labels.tolist() == [0, 0, 1, 1, 2, 2, 2]
    np.testing.assert_array_equal(splits["test"].images, splits["train"].images[[1, 2, 5]])
    assert (described.num_train, described.num_test, described.height) == (7, 3, 8)
    note = "also the test images (the official test half), so the distance between the two is no floor"
    assert note in described.notes[-1]
    assert note in splits["train"].info["notes"][0]


def test_archive_and_folder_are_the_same_data(tmp_path, official, monkeypatch):
    archive = write_archive(tmp_path / "a" / "birds.tgz", official, monkeypatch)
    folder = write_folder(tmp_path / "b", official)
    by_archive = prepare({"source": "cub", "path": str(archive)}, "unused")["train"].info
    for path, root in [(folder, "unused"), (tmp_path / "b", "unused"), ("b", tmp_path)]:
        by_folder = prepare({"source": "cub", "path": str(path)}, root)["train"].info
        assert by_folder["sha256"] == by_archive["sha256"]
    assert prepare({"source": "cub"}, tmp_path / "b")["train"].info["sha256"] == by_archive["sha256"]


def test_some_species(tmp_path, official, monkeypatch):
    write_archive(tmp_path / "CUB_200_2011.tgz", official, monkeypatch)
    entry = {"source": "cub", "classes": ["Sooty Albatross"]}
    assert describe(entry, tmp_path).num_train is None  # unknown until the archive is read
    assert prepare(entry, tmp_path)["train"].labels.tolist() == [0, 0]
    assert "found 'Sooty'; expected one of: Black" in refusal(tmp_path, classes=["Sooty"])


@pytest.fixture
def served(tmp_path):
    """A folder that a local web server serves, and its address."""
    folder = tmp_path / "www"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def test_the_archive_is_downloaded_checked_and_kept(tmp_path, official, served, monkeypatch):
    folder, url = served
    archive = write_archive(folder / "CUB_200_2011.tgz", official, monkeypatch)
    monkeypatch.setattr(cub, "URL", f"{url}CUB_200_2011.tgz")
    dataset = open_dataset({"source": "cub"}, tmp_path / "root")
    assert [fetch() for fetch in dataset.fetchers] == [tmp_path / "root" / "CUB_200_2011.tgz"]
    content = archive.read_bytes()
    archive.unlink()
    assert dataset.load()["test"].labels.tolist() == [0, 1, 2]

    archive.write_bytes(content[:-1])
    found, expected = hashlib.md5(content[:-1]).hexdigest(), hashlib.md5(content).hexdigest()
    assert f"CUB_200_2011.tgz: found md5 {found}, expected {expected}" in refusal(tmp_path / "other")
    assert not any((tmp_path / "other").iterdir())


def test_a_damaged_archive_is_named(tmp_path, official, monkeypatch):
    path = write_archive(tmp_path / "CUB_200_2011.tgz", official, monkeypatch)
    path.write_bytes(path.read_bytes()[:-100])
    assert "CUB_200_2011.tgz: found md5 " in refusal(tmp_path)
    with pytest.raises(InputError, match="found md5"):
        open_dataset({"source": "cub"}, tmp_path).fetchers[0]()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes.txt": None}, "holds no classes.txt; expected the folder CUB_200_2011"),
        ({"classes.txt": b"1 a b\n"}, "classes.txt: found the line '1 a b', expected a number and a value"),
        ({"images.txt": b"1 a\n1 b\n"}, "images.txt: found a number twice"),
        ({"classes.txt": b"1 a\n2 b\n"}, "image 5: found the class '3' and the training flag '1', expected a class"),
        ({"train_test_split.txt": b"1 1\n"}, "image 2: found the class '1' and the training flag '', expected"),
        ({"images.txt": b"1 a.jpg\n"}, "found (classes, train, test) = (3, 1, 0), expected (3, 4, 3)"),
        ({f"images/{PHOTOGRAPHS[3][0]}": None}, f"1 of 7 images cannot be used: images/{PHOTOGRAPHS[3][0]} (no such"),
        ({f"images/{PHOTOGRAPHS[3][0]}": b"x"}, f"1 of 7 images cannot be used: images/{PHOTOGRAPHS[3][0]} (no PNG"),
    ],
)
def test_folders_that_are_not_the_official_one_are_refused(tmp_path, official, changes, message):
    changes = {f"CUB_200_2011/{name}": content for name, content in changes.items()}
    files = {name: content for name, content in (official | changes).items() if content is not None}
    write_folder(tmp_path, files)
    assert message in refusal(tmp_path)


def test_a_table_that_leads_out_of_the_archive_reads_nothing(tmp_path, official):
    (tmp_path / "secret.jpg").write_bytes(photograph(1, "RGB"))
    name = "CUB_200_2011/images.txt"
    files = official | {name: official[name].replace(PHOTOGRAPHS[0][0].encode(), b"../../secret.jpg")}
    write_folder(tmp_path / "x", files)
    assert "images/../../secret.jpg (no such file)" in refusal(tmp_path / "x")


def test_without_the_archive_one_line_says_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.setattr(cub, "URL", "http://127.0.0.1:9/CUB_200_2011.tgz")
    assert describe({"source": "cub"}, tmp_path).num_test == 3
    assert refusal(tmp_path).startswith(f"{tmp_path}/CUB_200_2011.tgz: missing, and could not be downloaded")
    assert "which holds neither CUB_200_2011.tgz nor CUB_200_2011" in refusal(tmp_path, path=str(tmp_path))
    assert "key 'image_size': found 0" in refusal(tmp_path, image_size=0)
    assert "'split': found 'test', expected one of 'official', 'all'" in refusal(tmp_path, split="test")
