"""The 24 objects of CLEVR, and the JSON files that list the objects of images (iCLEVR's: train, test, new_test).

The order is that of iCLEVR's objects.json: eight cubes, eight spheres, eight cylinders, each in the order of COLOURS.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genbench.errors import InputError, place, unknown_name
from genbench.files.artifacts import read_json
from genbench.files.downloads import existing_path

COLOURS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
SHAPES = ("cube", "sphere", "cylinder")
OBJECTS = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)
INDEX = {name: index for index, name in enumerate(OBJECTS)}
LABEL_SETS = Path(__file__).with_name("label_sets")  # test.json and new_test.json, drawn by genbench
KNOWN_FILES = ("test", "new_test")

LabelSet = tuple[int, ...]  # indexes into OBJECTS, in the order of the file


class Labels(NamedTuple):
    """The label sets of a file of labels, and the names of their images if the file has names."""

    sets: tuple[LabelSet, ...]
    names: tuple[str, ...] | None

    def scenes(self) -> list[list[int]]:
        """The rows of each scene: iCLEVR's CLEVR_train_000123_0.png, _1 and _2 are one; each unnamed image is one."""
        if self.names is None:
            return [[row] for row in range(len(self.sets))]
        found: dict[str, list[int]] = {}
        for row, name in enumerate(self.names):
            found.setdefault(re.sub(r"_\d+(\.[A-Za-z]+)?$", "", name), []).append(row)
        return list(found.values())


def colour_of(label: int) -> int:
    """The index into COLOURS of an object."""
    return label % len(COLOURS)


def shape_of(label: int) -> int:
    """The index into SHAPES of an object."""
    return label // len(COLOURS)


def multi_hot(sets: Iterable[Sequence[int]]) -> NDArray[np.int64]:
    """Label sets as int64 (N, 24) of zeros and ones."""
    rows = list(sets)
    hot = np.zeros((len(rows), len(OBJECTS)), dtype=np.int64)
    for row, labels in enumerate(rows):
        hot[row, list(labels)] = 1
    return hot


def read_labels(path: Path) -> Labels:
    """Read a list of lists of objects (iCLEVR's test.json), or a mapping of image names to such lists (train.json).

    Raises InputError, naming the file and the place in it, for another form, an unknown object, an object twice in one
    image, and an image without objects.
    """
    content = read_json(path, ours=False)
    with place(path):
        return parse_labels(content)


def parse_labels(content: Any) -> Labels:
    """As `read_labels`, from the parsed content of such a file."""
    if not isinstance(content, (list, dict)) or not content:
        raise InputError(
            f"found {_shown(content)}, expected a list of lists of objects, or a mapping of image names to them"
        )
    sets = []
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        with place(key if isinstance(key, str) else f"entry {key}"):
            sets.append(_read_set(value))
    return Labels(tuple(sets), tuple(content) if isinstance(content, dict) else None)


def hold_out(scenes: Sequence[Sequence[int]], test_fraction: float, seed: int) -> dict[str, list[int]]:
    """Rows for "train" and "test": whole scenes are held out, since images of one scene have objects in common.

    scenes: the rows of each. They are ranked by a hash of the seed and the scene's number, without a library's random
    numbers. Raises InputError if there is only one scene.
    """
    if len(scenes) < 2:
        raise InputError(f"found {len(scenes)} scene, too few to hold any out; expected 2 or more")
    ranked = sorted(range(len(scenes)), key=lambda scene: hashlib.sha256(f"{seed}:{scene}".encode()).digest())
    num_test = min(max(int(len(scenes) * test_fraction + 0.5), 1), len(scenes) - 1)
    test = set(ranked[:num_test])
    rows: dict[str, list[int]] = {"train": [], "test": []}
    for scene, members in enumerate(scenes):
        rows["test" if scene in test else "train"] += members
    return rows


def labels_path(name: str, data_root: Path) -> Path:
    """The file that a user names: `test` and `new_test` are those that come with genbench, other names are paths."""
    return LABEL_SETS / f"{name}.json" if name in KNOWN_FILES else existing_path(name, data_root, "labels")


def check_objects(path: Path) -> None:
    """Raise InputError unless the objects.json at `path` numbers the 24 objects as iCLEVR does."""
    content = read_json(path, ours=False)
    if content != INDEX:
        raise InputError(f"{path}: found {_shown(content)}, expected iCLEVR's 24 objects, from 'gray cube': 0 on")


def _read_set(value: Any) -> LabelSet:
    if not isinstance(value, list) or not value:
        raise InputError(f'found {_shown(value)}, expected a list of objects such as ["red cube"]')
    for name in value:
        if not isinstance(name, str) or name not in INDEX:
            raise unknown_name("object", name, OBJECTS)
        if value.count(name) > 1:
            raise InputError(f"found {name!r} {value.count(name)} times, expected each object once")
    return tuple(INDEX[name] for name in value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
