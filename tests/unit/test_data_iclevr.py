"""iCLEVR in the course's layout, from a few small images; and the course's own label files, if they are available."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genbench.data import describe, prepare
from genbench.data.objects import INDEX, OBJECTS, check_objects, multi_hot, read_labels
from genbench.errors import InputError

REAL = Path(__file__).resolve().parents[3] / "shared" / "datasets" / "iclevr"
TRAIN = {
    f"CLEVR_train_{scene:06}_{step}.png": ["red cube", "gray sphere", "cyan cylinder"][: step + 1]
    for scene in (7, 3, 12, 5)
    for step in range(3)
}


def colour(name):
    """A different colour for each image."""
    number = list(TRAIN).index(name)
    return 20 * number, 255 - 20 * number, 100


@pytest.fixture
def root(tmp_path):
    """A small version of the course's folder: 12 PNGs of 6 x 4 pixels with an opaque alpha channel, as in CLEVR."""
    folder = tmp_path / "data"
    (folder / "iclevr").mkdir(parents=True)
    for name in TRAIN:
        Image.new("RGBA", (6, 4), (*colour(name), 255)).save(folder / "iclevr" / name)
    (folder / "train.json").write_text(json.dumps(TRAIN))
    (folder / "test.json").write_text('[["gray cube"], ["red cube", "blue cube"]]')
    (folder / "new_test.json").write_text('[["red sphere", "red cube"]]')
    (folder / "objects.json").write_text(json.dumps(INDEX))
    return folder


def test_images_and_labels_are_those_of_train_json_with_scenes_held_out(root):
    entry = {"source": "iclevr", "path": str(root), "image_size": 8, "test_fraction": 0.25}
    described, splits = describe(entry, root), prepare(entry, root)
    assert (described.num_train, described.num_test, described.num_classes) == (9, 3, 24)
    assert (described.height, described.width, described.channels, described.multi_label) == (8, 8, 3, True)
    found = {}
    for split, scenes in (("train", 3), ("test", 1)):
        data = splits[split]
        assert data.class_names == OBJECTS
        assert data.labels.tolist() == multi_hot([(1,), (1, 8), (1, 8, 22)] * scenes).tolist()
        found[split] = [tuple(pixel) for pixel in data.images[:, 4, 4].tolist()]
    names = {colour(name): name for name in TRAIN}
    by_split = {split: [names[pixel] for pixel in pixels] for split, pixels in found.items()}
    assert len({name[:18] for name in by_split["test"]}) == 1  # one whole scene
    assert sorted(by_split["train"] + by_split["test"]) == sorted(TRAIN)
    assert by_split["train"] == [name for name in TRAIN if name in by_split["train"]]  # in the order of train.json


def spoil(root, name, content):
    (root / name).write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.json", [["red cube"]], r"train\.json: found a list, expected a mapping of image names"),
        ("train.json", {"x_0.png": ["red cube"]}, "1 of the 1 images of train.json are missing, such as x_0.png"),
        ("train.json", {"CLEVR_train_000007_0.png": "red cube"}, "_0.png: found 'red cube', expected a list of obj"),
        ("train.json", {"CLEVR_train_000007_0.png": ["red ball"]}, "object: found 'red ball'"),
        ("train.json", {"CLEVR_train_000007_0.png": ["red cube"]}, "train.json: found 1 scene, too few"),
        ("train.json", "{", r"train\.json: not valid JSON"),
        ("test.json", [["pink cube"]], r"test\.json: entry 0: object: found 'pink cube'"),
        ("objects.json", {"gray cube": 1}, r"objects\.json: found .'gray cube': 1., expected iCLEVR's 24 objects"),
    ],
)
def test_what_is_not_the_courses_layout_is_refused(name, content, message, root):
    spoil(root, name, content)
    with pytest.raises(InputError, match=message):
        describe({"source": "iclevr", "path": str(root)}, root)


def test_missing_parts_are_named(root):
    with pytest.raises(InputError, match="key 'path' is missing"):
        describe({"source": "iclevr"}, root)
    (root / "iclevr" / "CLEVR_train_000012_1.png").unlink()
    with pytest.raises(
        InputError, match=r"1 of the 12 images of train\.json are missing, such as CLEVR_train_000012_1\.png"
    ):
        describe({"source": "iclevr", "path": str(root)}, root)
    (root / "new_test.json").unlink()
    with pytest.raises(
        InputError, match=r"found no new_test\.json, expected iclevr's layout: the folder iclevr and train"
    ):
        describe({"source": "iclevr", "path": str(root)}, root)


@pytest.mark.skipif(not REAL.is_dir(), reason="the course's files are missing")
def test_the_courses_files_are_read_as_they_are():
    check_objects(REAL / "objects.json")
    train = read_labels(REAL / "train.json")
    scenes = train.scenes()
    assert (len(train.sets), len(scenes)) == (18_009, 6_003)
    assert Counter(tuple(sorted(len(train.sets[row]) for row in rows)) for rows in scenes) == {(1, 2, 3): 6_003}
    sizes = {name: Counter(map(len, read_labels(REAL / f"{name}.json").sets)) for name in ("test", "new_test")}
    assert sizes == {"test": {1: 6, 2: 12, 3: 14}, "new_test": {2: 12, 3: 20}}


@pytest.mark.skipif(not REAL.is_dir(), reason="the course's files are missing")
def test_shapes_are_rendered_for_the_courses_label_sets():
    entry = {"source": "shapes", "labels": str(REAL / "new_test.json"), "image_size": 8}
    splits = prepare(entry, REAL)
    assert sum(len(data.images) for data in splits.values()) == 32
    assert sum(int(data.labels.sum()) for data in splits.values()) == 84
    described = describe({"source": "shapes", "labels": str(REAL / "train.json")}, REAL)
    assert (described.num_train, described.num_test) == (16_209, 1_800)
    assert np.ptp(splits["train"].images) > 100
