"""The classes and splits of the images in a folder or archive, from their names."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from genbench.data.decoding import SUFFIXES, unread_note
from genbench.data.image_files import Layout
from genbench.errors import InputError
from genbench.files.archives import list_files, read_files

TRAIN = ("train", "training")
TEST = ("test", "val", "testing", "valid", "validation")  # the first of those that exist
SPLIT_LIKE = re.compile(r"(?:^|.*[^a-z])(train|test|val)(?:ing|id|idation)?(?:set|[ab])?(?:[^a-z].*)?$")
LABELS = "dataset.json"  # of StyleGAN2-ADA's and EDM's dataset_tool
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".cls")  # files that may hold labels
ALL = "all"  # the class of images without class folders
SHARD = 1000  # images per folder of StyleGAN2-ADA, EDM and FFHQ
NONE_HELD_OUT = "no images are held out: all are the reference, and what needs held-out images is left out"

File = tuple[tuple[str, ...], str]  # the parts of a file's path, without a folder that wraps everything; and its name


def arrange(source: Path, test_fraction: float, split_seed: int, splits: Mapping[str, str] | None = None) -> Layout:
    """Classes and splits of the images at `source`, from their names and from a dataset.json.

    splits: the folders of the splits, {"train": ..., "test": ...} or only the first; by default folders with known
    names. Raises InputError for images that do not make a data set.
    """
    names = list_files(source)
    images = [(tuple(name.split("/")), name) for name in names if name.lower().endswith(SUFFIXES)]
    unread = unread_note(names)
    if not images:
        raise InputError(f"{source}: found no images ({', '.join(SUFFIXES)}){f'; {unread}' if unread else ''}")
    wrapper = ""
    first = images[0][0][0]
    if not source.is_dir() and {parts[0] for parts, _ in images} == {first} and any(len(p) > 2 for p, _ in images):
        wrapper = f"{first}/"  # the folder around everything was packed, too
        images = [(parts[1:], name) for parts, name in images]

    chosen = _choose_splits(source, images, splits)
    labels = None if chosen else _read_labels(source, f"{wrapper}{LABELS}", names)
    tables = [name for name in names if name.lower().endswith(TABLES) and (labels is None or name != wrapper + LABELS)]
    notes = [unread] if unread else []
    notes += [f"{LABELS} is not read: the folders are splits"] if chosen and f"{wrapper}{LABELS}" in names else []
    by_split: dict[str, dict[str, list[str]]]
    if labels is not None:
        classes, found = _by_label(source, images, wrapper, labels), [f"labels of {LABELS}"]
        class_names = list(classes)
    elif chosen:
        by_split, found = _by_split(source, images, chosen, by_name=not splits)
        class_names, classes = sorted(by_split["train"]), by_split["train"]
        if "test" in by_split:
            if test_fraction == 0:
                raise InputError(
                    f"key 'test_fraction': found 0, but {source} has a split of its own, {chosen['test']}; "
                    f"leave the key out, or that folder, with splits: {{train: {chosen['train']}}}"
                )
            return _layout(class_names, by_split, [*notes, *found, *_table_notes(classes, tables)])
    else:
        classes, found = _by_class(source, images)
        class_names = sorted(classes)
    notes += [*found, *_table_notes(classes, tables)]
    if test_fraction == 0:
        return _layout(class_names, {"train": classes, "test": classes}, [*notes, NONE_HELD_OUT])
    by_split = {"train": {}, "test": {}}
    for class_name, members in classes.items():
        by_split["train"][class_name], by_split["test"][class_name] = _hold_out(
            class_name, members, test_fraction, split_seed
        )
    layout = _layout(
        class_names, by_split, [*notes, f"held out for test: {test_fraction:g} of each class (split_seed {split_seed})"]
    )
    if not layout.splits["test"]:
        raise InputError(
            f"{source}: found {len(images)} images, too few to hold any out; expected 2 or more of a class"
        )
    return layout


def _layout(
    class_names: Sequence[str], by_split: Mapping[str, Mapping[str, Sequence[str]]], notes: Sequence[str]
) -> Layout:
    splits = {
        split: [(name, label) for label, c in enumerate(class_names) for name in sorted(classes.get(c, []))]
        for split, classes in by_split.items()
    }
    return Layout(tuple(class_names), splits, tuple(notes))


def _table_notes(classes: Mapping[str, Any], tables: Sequence[str]) -> list[str]:
    """A note on files that may hold labels, if all images are of one class."""
    if len(classes) > 1 or not tables:
        return []
    return [f"one class: labels are not read from {', '.join(tables[:3])}{', ...' if len(tables) > 3 else ''}"]


# --- Labels of dataset.json -------------------------------------------------------------------------------------------


def _read_labels(source: Path, name: str, names: Sequence[str]) -> dict[str, Any] | None:
    """{image name: label} of dataset.json; None if there is no such file, or no label in it."""
    if name not in names:
        return None
    _, content = next(read_files(source, {name}))
    try:
        labels = json.loads(content)["labels"]
        if not labels or any(not isinstance(pair, list) for pair in labels):
            return None
        return {str(image).replace("\\", "/"): label for image, label in labels}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # a file of this name from another program


def _by_label(source: Path, images: Sequence[File], wrapper: str, labels: Mapping[str, Any]) -> dict[str, list[str]]:
    """Names of the images of each class, in the order of the classes."""
    classes: dict[str, list[str]] = {}
    for _, name in images:
        key = name.removeprefix(wrapper)
        if key not in labels:
            raise InputError(f"{source}: {LABELS} has no label of {key}; expected one of each image")
        classes.setdefault(_class_of(source, key, labels[key]), []).append(name)
    folders: dict[str, list[str]] = {}
    for parts, name in images:
        folders.setdefault(parts[0], []).append(name)
    same = len(classes) > 1 and sorted(map(sorted, folders.values())) == sorted(map(sorted, classes.values()))
    if same:  # class folders, whose names mean more than numbers
        return dict(sorted(folders.items()))
    return dict(sorted(classes.items(), key=lambda item: int(item[0])))


def _class_of(source: Path, name: str, label: Any) -> str:
    """The number of a class as text, from the number or from a one-hot list."""
    values = label if isinstance(label, list) else [label]
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if isinstance(label, list) and len(numbers) == len(values) and sorted(numbers)[:-1] == [0] * (len(values) - 1):
        if max(numbers) == 1:
            return str(numbers.index(1))
    elif numbers == [label] and label >= 0 and label == int(label):
        return str(int(label))
    raise InputError(f"{source}: {LABELS}: {name}: found the label {label!r}, expected the number of a class")


# --- Splits -----------------------------------------------------------------------------------------------------------


def _choose_splits(source: Path, images: Sequence[File], splits: Mapping[str, str] | None) -> dict[str, str]:
    """The folders of the splits; none if the folders are classes. Raises InputError if they may be either."""
    if splits:
        return dict(splits)
    tops = sorted({parts[0] for parts, _ in images if len(parts) > 1})
    nested = {parts[0] for parts, _ in images if len(parts) > 2}
    train = [top for name in TRAIN for top in tops if top.lower() == name]
    test = [top for name in TEST for top in tops if top.lower() == name]
    if train and test:
        if len(test) > 1 and train[0] in nested and test[0] not in nested:  # its images have no labels
            test = [top for top in test if top in nested] or test
        return {"train": train[0], "test": test[0]}
    if train and tops == train[:1] and train[0] in nested:
        return {"train": train[0]}
    if len(tops) == 1 and all(parts[0] == tops[0] for parts, _ in images):
        within = _choose_splits(source / tops[0], [(parts[1:], name) for parts, name in images], None)
        if len(within) == 2:
            named = ", ".join(f"{split}: {tops[0]}/{folder}" for split, folder in within.items())
            raise InputError(
                f"{source}: holds only {tops[0]}, whose folders look like splits; give splits: {{{named}}}"
            )
    kinds = {top: match[1] for top in tops if (match := SPLIT_LIKE.match(top.lower()))}
    if (len(set(kinds.values())) > 1 and ("train" in kinds.values() or len(kinds) == len(tops))) or set(train) & nested:
        keys = [f"train: {next((top for top, kind in kinds.items() if kind == 'train'), 'FOLDER')}"]
        keys += [f"test: {top}" for top, kind in kinds.items() if kind != "train"][:1]
        several = "folders {} look like splits, not classes"
        look = several if len(kinds) > 1 else "folder {} looks like a split, not a class"
        raise InputError(
            f"{source}: the {look.format(', '.join(kinds))}; name it with splits: {{{', '.join(keys)}}}, or rename it"
        )
    return {}


def _by_split(
    source: Path, images: Sequence[File], chosen: Mapping[str, str], by_name: bool
) -> tuple[dict[str, dict[str, list[str]]], list[str]]:
    """The names of the images by split and class, and notes."""
    if set(chosen) not in ({"train"}, {"train", "test"}):
        raise InputError(f"key 'splits': found {', '.join(chosen)}, expected train and test, or only train")
    by_split: dict[str, dict[str, list[str]]] = {}
    notes: list[str] = []
    used: set[str] = set()
    for split, folder in chosen.items():
        way = PurePosixPath(folder).parts
        while way and any(parts[: len(way) + 1] == (*way, way[-1]) for parts, _ in images):
            way = (*way, way[-1])  # seg_train/seg_train, as in some archives
        files = [(parts[len(way) :], name) for parts, name in images if parts[: len(way)] == way]
        if not files or not way:
            tops = sorted({parts[0] for parts, _ in images if len(parts) > 1})
            raise InputError(f"key 'splits': {split}: found no images in {folder!r}, expected one of {', '.join(tops)}")
        used |= {name for _, name in files}
        by_split[split], found = _by_class(source / folder, files)
        notes += [f"{split}: {note}" for note in found]
    for split, other in (("train", "test"), ("test", "train")):
        if list(by_split.get(split, ())) == [ALL] and ALL not in by_split.get(other, {ALL: ()}):
            raise InputError(
                f"{source / chosen[split]} has images without class folders, and {chosen[other]} has classes"
                f"{_without_test(chosen)}"
            )
    if unknown_classes := sorted(set(by_split.get("test", {})) - set(by_split["train"])):
        raise InputError(
            f"{source}: {chosen['test']} has the class {unknown_classes[0]!r}, which {chosen['train']} does not have"
            f"{_without_test(chosen)}"
        )
    if unused := sorted({parts[0] for parts, name in images if name not in used}):
        notes.append(f"not used: {', '.join(unused[:5])}{' ...' if len(unused) > 5 else ''}")
    if by_name and tuple(chosen.values()) not in (("train", "test"), ("train", "val")):
        notes.append(f"splits: {', '.join(f'{folder} ({split})' for split, folder in chosen.items())}")
    return by_split, notes


def _without_test(chosen: Mapping[str, str]) -> str:
    return f"; leave {chosen['test']} out with splits: {{train: {chosen['train']}}}"


# --- Classes ----------------------------------------------------------------------------------------------------------


def _by_class(source: Path, files: Sequence[File]) -> tuple[dict[str, list[str]], list[str]]:
    """Names of the images of each class, which is the first folder of their path, and notes.

    The class is "all" if there are no folders, or only shards of SHARD images.
    """
    loose = [name for parts, name in files if len(parts) == 1]
    if loose and len(loose) < len(files):
        inside = next(name for parts, name in files if len(parts) > 1)
        raise InputError(f"{source}: found {loose[0]} beside class folders ({inside}); put it into one, or move it out")
    classes: dict[str, list[str]] = {}
    shards = not loose and all(_is_shard(parts) for parts, _ in files)
    for parts, name in files:
        classes.setdefault(ALL if loose or shards else parts[0], []).append(name)
    if shards:
        return classes, [f"one class: the folders {files[0][0][0]}, ... hold {SHARD:,} images each, not classes"]
    inner = {parts[1] for parts, _ in files if len(parts) > 2}
    if len(classes) == 1 and len(inner) > 1:
        return classes, [f"one class, {files[0][0][0]}, though it has the folders {', '.join(sorted(inner)[:3])}, ..."]
    splits = sorted(name for name in classes if name.lower() in TRAIN + TEST)
    return classes, [f"the folder {name} is a class" for name in splits]


def _is_shard(parts: tuple[str, ...]) -> bool:
    """Whether a file is in its shard's folder, such as 00042 or 042000 for image 42,123, with five or more digits."""
    number = re.fullmatch(r"\D*(\d{5,})\.\w+", parts[-1])
    if len(parts) != 2 or number is None or not re.fullmatch(r"\d{5,}", parts[0]):
        return False
    n = int(number[1])
    return int(parts[0]) in (n // SHARD, n - n % SHARD)


def _hold_out(
    class_name: str, names: Sequence[str], test_fraction: float, split_seed: int
) -> tuple[list[str], list[str]]:
    """Train and test names of a class.

    They are ranked by a hash of seed, class and file name. The split therefore needs no library's random numbers, is
    the same for a folder and an archive of it, and hardly changes with a new image.
    """

    def rank(name: str) -> tuple[bytes, str]:
        key = f"{split_seed}:{class_name}/{PurePosixPath(name).name}"
        return hashlib.sha256(key.encode(errors="surrogateescape")).digest(), name

    ranked = sorted(names, key=rank)
    num_test = min(max(int(len(names) * test_fraction + 0.5), 1), len(names) - 1)
    return ranked[num_test:], ranked[:num_test]
