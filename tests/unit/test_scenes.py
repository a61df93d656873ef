"""Rendered scenes: geometry against closed forms, equal bytes on all machines, and the data set `shapes`."""

import hashlib
import json

import numpy as np
import pytest
import torch

from genbench.data import load_image_set, open_dataset, prepare, save_image_set
from genbench.data.image_set import make_image_set
from genbench.data.objects import COLOURS, INDEX, LABEL_SETS, OBJECTS, colour_of, multi_hot, read_labels, shape_of
from genbench.data.prepared import summary
from genbench.data.rendering import RGB, Picture, _lit, render, render_all
from genbench.data.scenes import (
    VISIBLE,
    Scene,
    Solid,
    _touch,
    draw_scene,
    interval,
    visible_shares,
)
from genbench.data.shapes import SCENES, draw_label_sets, draw_objects
from genbench.errors import InputError
from genbench.training.batches import Batches
from genbench.training.recipe import TrainConfig

UPRIGHT = (1.0, 0.0)


def rays(*components):
    return tuple(np.array(component, dtype=np.float32) for component in components)


def alone(label, x=0.0, y=0.0, radius=0.7):
    """A scene of one object, seen from the front and above, lit from the left."""
    return Scene((Solid(label, x, y, radius, UPRIGHT),), (0.0, -8.0, 6.0), (0.0, 0.0, 0.4), (-0.6, 0.0, 0.8))


@pytest.mark.parametrize(
    ("shape", "near", "far"),
    # Rays along x from x = -3, at (y, z) = (0, 0), (0.8, 0) and (0, 0.6); a fourth, at (1.01, 0), misses.
    [
        ("cube", [2, 2, 2], [4, 4, 4]),
        ("sphere", [2, 2.4, 2.2], [4, 3.6, 3.8]),
        ("cylinder", [2, 2.4, 2], [4, 3.6, 4]),
    ],
)
def test_rays_enter_and_leave_solids_where_they_should(shape, near, far):
    origin = rays([-3] * 4, [0, 0.8, 0, 1.01], [0, 0, 0.6, 0])
    with np.errstate(all="ignore"):
        found = interval(shape, origin, rays([1] * 4, [0] * 4, [0] * 4))
    np.testing.assert_allclose(found[0][:3], near, rtol=1e-6)
    np.testing.assert_allclose(found[1][:3], far, rtol=1e-6)
    assert not found[0][3] < found[1][3]


def test_a_shadow_falls_away_from_the_light():
    scene = alone(INDEX["red sphere"])
    x = 0.7 * 0.6 / 0.8  # the centre's shadow on the floor
    points, up = rays([[[x, -x, 3.0]]], [[[0] * 3]], [[[0] * 3]]), rays([[[0] * 3]], [[[0] * 3]], [[[1] * 3]])
    with np.errstate(all="ignore"):
        lit = _lit(scene, points, up, rays([[[-0.6]]], [[[0]]], [[[0.8]]]))
    assert lit.ravel().tolist() == [0, 1, 1]


def test_a_hidden_solid_is_known_to_be_hidden():
    small, large = Solid(0, 0.0, 1.2, 0.2, UPRIGHT), Solid(1, 0.0, 0.0, 0.9, UPRIGHT)
    scene = Scene((small, large), (0.0, -8.0, 2.0), (0.0, 0.0, 0.4), (-0.6, 0.0, 0.8))
    assert visible_shares(scene) == [0, 1]
    assert visible_shares(scene.showing([0])) == [1]


@pytest.mark.parametrize("label", range(len(OBJECTS)))
def test_every_object_has_its_colour(label):
    middle = render(alone(label), 33)[14:19, 14:19].reshape(-1, 3).astype(float).mean(axis=0)
    directions = np.array(RGB) / np.linalg.norm(RGB, axis=1, keepdims=True)
    likeness = directions @ (middle / np.linalg.norm(middle))
    assert COLOURS[int(likeness.argmax())] == COLOURS[colour_of(label)]


def test_no_two_objects_of_a_shape_or_colour_look_alike():
    pictures = np.stack([render(alone(label), 16) for label in range(len(OBJECTS))]).astype(int)
    apart = np.abs(pictures[:, None] - pictures).max(axis=(2, 3, 4))
    assert apart[~np.eye(len(OBJECTS), dtype=bool)].min() > 40


def test_scenes_are_framed_seen_and_apart():
    for index, objects in enumerate(draw_objects(3, 20)):
        scene = draw_scene(objects, 3, index)
        assert [solid.label for solid in scene.solids] == list(objects)
        assert min(visible_shares(scene)) >= VISIBLE
        assert not any(_touch(a, b) for i, a in enumerate(scene.solids) for b in scene.solids[:i])


def test_a_scene_is_a_function_of_seed_index_and_objects():
    assert draw_scene((1, 12), 5, 7) == draw_scene((1, 12), 5, 7)
    assert draw_scene((1, 12), 5, 7) != draw_scene((1, 12), 5, 8)
    assert draw_scene((1, 12), 5, 7) != draw_scene((1, 12), 6, 7)


def test_pictures_are_the_same_alone_and_among_others():
    pictures = [Picture(i, objects, objects[:2]) for i, objects in enumerate(draw_objects(0, 4))]
    forwards, backwards = list(render_all(pictures, 0, 16)), list(render_all(pictures[::-1], 0, 16))
    np.testing.assert_array_equal(forwards, backwards[::-1])
    np.testing.assert_array_equal(list(render_all(pictures[2:3], 0, 16)), forwards[2:3])


def test_pictures_are_rendered_where_no_cores_are_assigned_as_on_macos(monkeypatch):
    pictures = [Picture(0, (1, 12), (1, 12))]
    here = list(render_all(pictures, 0, 16))
    monkeypatch.delattr("os.sched_getaffinity")
    np.testing.assert_array_equal(list(render_all(pictures, 0, 16)), here)


def test_pictures_have_the_same_bytes_on_every_machine():
    image = render(draw_scene((INDEX["red cube"], INDEX["cyan sphere"], INDEX["brown cylinder"]), 0, 0), 32)
    assert (image.dtype, image.shape) == (np.uint8, (32, 32, 3))
    assert (
        hashlib.sha256(image.tobytes()).hexdigest()
        == "969562568a543c81299e5fbb997e9ecc0fe25c9035e6b6b8ba95b4a3fe72d031"
    )


def test_too_many_objects_are_refused():
    with pytest.raises(InputError, match="found 6 objects, expected 1 to 5"):
        draw_scene(range(6), 0, 0)
    with pytest.raises(InputError, match="found 0 objects"):
        draw_scene((), 0, 0)


def test_the_label_sets_that_come_along_are_drawn_by_their_seed():
    for name, sets in draw_label_sets().items():
        assert list(read_labels(LABEL_SETS / f"{name}.json").sets) == sets
    sizes = {name: [len(labels) for labels in sets] for name, sets in draw_label_sets().items()}
    assert (len(sizes["test"]), sum(sizes["test"])) == (32, 72)
    assert (len(sizes["new_test"]), sum(sizes["new_test"])) == (32, 84)
    assert (sizes["test"].count(1), sizes["test"].count(2), sizes["test"].count(3)) == (6, 12, 14)
    assert (sizes["new_test"].count(2), sizes["new_test"].count(3)) == (12, 20)


def test_new_test_has_combinations_that_no_training_scene_has():
    unseen = [set(labels) for labels in read_labels(LABEL_SETS / "new_test.json").sets]
    scenes = [set(objects) for objects in draw_objects(0, SCENES)]
    assert all(len(objects) == 3 for objects in scenes)
    assert not any(labels <= objects for labels in unseen for objects in scenes)
    seen = [set(labels) for labels in read_labels(LABEL_SETS / "test.json").sets if len(labels) < 3]
    assert all(any(labels <= objects for objects in scenes) for labels in seen)


def test_shapes_are_scenes_of_one_two_and_three_objects(tmp_path):
    dataset = open_dataset({"source": "shapes", "image_size": 16, "scenes": 10, "test_fraction": 0.2}, tmp_path)
    described, splits = dataset.description, dataset.load()
    assert (described.num_train, described.num_test, described.num_classes, described.multi_label) == (24, 6, 24, True)
    for split, scenes in (("train", 8), ("test", 2)):
        data = splits[split]
        assert data.multi_label
        assert data.images.shape == (3 * scenes, 16, 16, 3)
        assert data.labels.sum(axis=1).tolist() == [1, 2, 3] * scenes
        assert (np.diff(data.labels.reshape(-1, 3, 24), axis=1) >= 0).all()  # objects are only added
        assert summary(data)["per_class"] == dict(zip(OBJECTS, data.labels.sum(axis=0).tolist(), strict=True))
    # An object keeps its place in all images of its scene, so only the pixels of a new object change.
    first, second = splits["train"].images[:2].astype(int)
    changed = (np.abs(first - second).max(axis=2) > 8).mean()
    assert 0.01 < changed < 0.3


def test_shapes_are_whole_at_6003_scenes(tmp_path):
    described = open_dataset({"source": "shapes"}, tmp_path).description
    assert (described.num_train, described.num_test) == (16_209, 1_800)
    assert (described.height, described.width, described.channels) == (64, 64, 3)


def test_shapes_are_deterministic_and_begin_alike(tmp_path):
    entry = {"source": "shapes", "image_size": 8, "scenes": 5}
    once, twice = prepare(entry, tmp_path)["train"], prepare(entry, tmp_path)["train"]
    np.testing.assert_array_equal(once.images, twice.images)
    assert once.info["sha256"] == twice.info["sha256"]
    other = prepare(entry | {"seed": 1}, tmp_path)["train"]
    assert once.info["sha256"] != other.info["sha256"]
    assert draw_objects(0, 3) == draw_objects(0, 5)[:3]


def test_shapes_take_a_file_of_label_sets(tmp_path):
    labels = {f"CLEVR_train_00000{s}_{i}.png": ["red cube", "gray sphere"][: i + 1] for s in range(3) for i in range(2)}
    (tmp_path / "train.json").write_text(json.dumps(labels))
    splits = prepare({"source": "shapes", "labels": "train.json", "image_size": 8}, tmp_path)
    assert splits["train"].labels.tolist() == multi_hot([(1,), (1, 8)] * 2).tolist()
    assert splits["test"].labels.tolist() == multi_hot([(1,), (1, 8)]).tolist()
    listed = open_dataset({"source": "shapes", "labels": "test"}, tmp_path).description
    assert (listed.num_train, listed.num_test) == (29, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"found \[\], expected a list of lists of objects"),
        ("3", "found 3, expected a list of lists"),
        ("[[]]", r"entry 0: found \[\], expected a list of objects"),
        ('["red cube"]', "entry 0: found 'red cube', expected a list of objects"),
        ('[["red cube"], ["red cub"]]', "entry 1: object: found 'red cub' .did you mean 'red cube'"),
        ('{"a.png": ["red cube", "red cube"]}', "a.png: found 'red cube' 2 times, expected each object once"),
        ('{"a_0.png": ["red cube"]}', "found 1 scene, too few to hold any out"),
        ("[[", "not valid JSON"),
    ],
)
def test_files_that_are_no_label_sets_are_refused(content, message, tmp_path):
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(InputError, match=message):
        open_dataset({"source": "shapes", "labels": "labels.json"}, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 4}, "key 'image_size': found 4, expected at least 8"),
        ({"scenes": 1}, "key 'scenes': found 1, expected at least 2"),
        ({"labels": "test", "scenes": 33}, r"key 'scenes': found 33, but .*test\.json has 32"),
        ({"labels": "none.json"}, "key 'labels': found 'none.json', and there is no such file"),
        ({"seed": -1}, "key 'seed': found -1"),
        ({"test_fraction": 1.0}, "key 'test_fraction': found 1.0"),
        ({"classes": ["red cube"]}, "key 'classes': found .'red cube'., but an image of this data set has several"),
    ],
)
def test_wrong_options_are_refused(options, message, tmp_path):
    with pytest.raises(InputError, match=message):
        open_dataset({"source": "shapes", **options}, tmp_path)


def multi_label_set(labels):
    images = np.zeros((len(labels), 2, 2, 3), dtype=np.uint8)
    return make_image_set(images, labels, OBJECTS, dataset="toy", split="train", source="here", source_sha256="0" * 64)


def test_several_labels_an_image_survive_the_file(tmp_path):
    written = multi_label_set(multi_hot([(0, 5), (23,)]))
    save_image_set(tmp_path / "train.npz", written)
    read = load_image_set(tmp_path / "train.npz")
    assert read.multi_label
    np.testing.assert_array_equal(read.labels, written.labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((2, 24), 2), "labels: found 2 to 2, expected zeros and ones"),
        (np.zeros((2, 23), dtype=np.int64), r"labels: found int64 \(2, 23\), expected int64 \(2, 24\)"),
    ],
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        multi_label_set(labels)


def test_batches_carry_several_labels():
    labels = multi_hot([(label,) for label in range(8)])
    config = TrainConfig(steps=1, batch_size=4)
    (batch,) = Batches(np.zeros((8, 8, 8, 3), np.uint8), labels, 0, config, torch.device("cpu")).micro_batches(0)
    assert batch.y.shape == (4, 24)
    assert batch.y.sum(dim=1).tolist() == [1] * 4


def test_objects_are_numbered_as_in_iclevr():
    assert (INDEX["gray cube"], INDEX["yellow cube"], INDEX["gray sphere"], INDEX["yellow cylinder"]) == (0, 7, 8, 23)
    assert (colour_of(10), shape_of(10)) == (2, 1)  # blue sphere
