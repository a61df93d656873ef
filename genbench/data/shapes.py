"""Scenes of one to three objects like iCLEVR's, rendered here: a data set for conditioning on several labels at once.

iCLEVR (A. El-Nouby et al., Tell, Draw, and Repeat, ICCV 2019, arXiv 1811.09845) adds one object after another to a
CLEVR scene; the 18,009 images of the NYCU course's train.json are 6,003 scenes of one, two and three objects. The same
scenes are drawn here without those images and, unless `labels` names it, without that file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from genbench.data.description import Dataset, Description
from genbench.data.image_set import ImageSet, make_image_set
from genbench.data.objects import LABEL_SETS, OBJECTS, LabelSet, hold_out, labels_path, multi_hot, read_labels
from genbench.data.rendering import Picture, render_all
from genbench.data.scenes import LARGEST_SCENE
from genbench.errors import InputError, place
from genbench.files.artifacts import sha256_json
from genbench.machine.progress import Progress
from genbench.ranges import InnerShare, Range, Seed

SCENES, STEPS = 6003, 3
RENDERER = 1  # raise it when the same scenes get other pixels
TEST_COUNTS, NEW_TEST_COUNTS = {1: 6, 2: 12, 3: 14}, {2: 12, 3: 20}  # label sets by size: 72 and 84 objects
LABEL_SETS_SEED = 24


def shapes(
    data_root: Path,
    *,
    labels: str | None = None,
    image_size: Annotated[int, Range(ge=8, le=4096)] = 64,
    scenes: Annotated[int, Range(ge=2, le=10**7)] | None = None,
    seed: Seed = 0,
    test_fraction: InnerShare = 0.1,
) -> Dataset:
    """Rendered scenes, three images each: of the first object, of the first two, and of all three, at the same places.

    Labels are zeros and ones for the 24 objects (genbench.data.objects.OBJECTS). A picture depends only on the
    seed, its scene's number and its objects.

    labels: A JSON file of label sets, in iCLEVR's form; `test` and `new_test` are those that come with genbench. By
        default 6,003 scenes of three different objects are drawn, without the combinations of that new_test.json.
    image_size: Side of the images.
    scenes: The number of scenes, from the first on, including those held out; by default all.
    seed: The seed of objects, places, turns, camera and light, and of the held-out split.
    test_fraction: The share of the scenes that is held out; no scene of a test image is used in training.
    """
    if labels is None:
        drawn = draw_objects(seed, scenes or SCENES)
        sets = [objects[: step + 1] for objects in drawn for step in range(STEPS)]
        groups = [list(range(start, start + STEPS)) for start in range(0, len(sets), STEPS)]
        origin = "label sets drawn by genbench"
    else:
        path = labels_path(labels, data_root)
        found = read_labels(path)
        sets, groups = list(found.sets), found.scenes()
        if scenes is not None and scenes > len(groups):
            raise InputError(f"key 'scenes': found {scenes}, but {path} has {len(groups)}")
        groups = groups[:scenes]
        origin = f"the label sets of {path.name}"
    with place("key 'labels'"):
        pictures = _pictures(sets, groups)
        rows = hold_out(groups, test_fraction, seed)

    notes = ("rendered by genbench", f"held out for test: {test_fraction:g} of the scenes (seed {seed})")
    description = Description(
        name="shapes",
        label="Shapes",
        height=image_size,
        width=image_size,
        channels=3,
        num_classes=len(OBJECTS),
        num_train=len(rows["train"]),
        num_test=len(rows["test"]),
        notes=notes,
        multi_label=True,
    )

    def load() -> dict[str, ImageSet]:
        wanted = {split: [pictures[row] for row in members] for split, members in rows.items()}
        return {
            split: make_image_set(
                _render(chosen, seed, image_size, split),
                multi_hot([picture.shown for picture in chosen]),
                OBJECTS,
                dataset="shapes",
                split=split,
                source=f"{len(chosen):,} images rendered by genbench, of {origin}",
                source_sha256=sha256_json([RENDERER, seed, image_size, chosen]),
                notes=notes,
            )
            for split, chosen in wanted.items()
        }

    return Dataset(description, load)


def draw_objects(seed: int, scenes: int) -> list[LabelSet]:
    """Three different objects for each scene, in the order in which they are added; no scene has a set of new_test."""
    unseen = [set(labels) for labels in read_labels(LABEL_SETS / "new_test.json").sets]
    drawn = []
    for scene in range(scenes):
        # The places of the scene use the same key (seed, scene); another counter gives other numbers.
        random = np.random.Generator(np.random.Philox(key=[seed, scene], counter=[0, 0, 0, 1]))
        objects = _draw_set(random, STEPS)
        while any(labels <= set(objects) for labels in unseen):
            objects = _draw_set(random, STEPS)
        drawn.append(objects)
    return drawn


def draw_label_sets(seed: int = LABEL_SETS_SEED) -> dict[str, list[LabelSet]]:
    """The label sets of test.json and new_test.json: as many, of the same sizes, as in the course's files.

    All are different, and no set of new_test is part of another set of either file.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, 0]))
    drawn: dict[str, list[LabelSet]] = {"new_test": [], "test": []}
    for name, counts in (("new_test", NEW_TEST_COUNTS), ("test", TEST_COUNTS)):
        for size, count in counts.items():
            while sum(len(labels) == size for labels in drawn[name]) < count:
                labels = tuple(sorted(_draw_set(random, size)))
                if not any(set(other) <= set(labels) for other in (*drawn["new_test"], *drawn[name])):
                    drawn[name].append(labels)
    return drawn


def _draw_set(random: np.random.Generator, size: int) -> LabelSet:
    return tuple(random.permutation(len(OBJECTS))[:size].tolist())


def _pictures(sets: Sequence[LabelSet], groups: Sequence[Sequence[int]]) -> dict[int, Picture]:
    """What to draw for each row: the images of a scene show some or all of the same objects."""
    pictures = {}
    for scene, rows in enumerate(groups):
        objects = tuple(dict.fromkeys(label for row in rows for label in sets[row]))
        if len(objects) > LARGEST_SCENE:
            raise InputError(f"found {len(objects)} objects in scene {scene}, expected at most {LARGEST_SCENE}")
        pictures.update({row: Picture(scene, objects, sets[row]) for row in rows})
    return pictures


def _render(pictures: Sequence[Picture], seed: int, image_size: int, split: str) -> NDArray[np.uint8]:
    images = np.empty((len(pictures), image_size, image_size, 3), dtype=np.uint8)
    progress = Progress(len(pictures), "images", name=split)
    for row, image in enumerate(progress.over(render_all(pictures, seed, image_size))):
        images[row] = image
    return images
