"""Which training a folder belongs to: files of another one are moved aside, and decisions of its start are kept."""

import logging
import os
import shutil
from pathlib import Path
from typing import get_args

import torch

from genbench.files.artifacts import atomic_path, read_json, write_json
from genbench.machine.precision import Precision, native_precision
from genbench.training.run import Task

log = logging.getLogger(__name__)

BEGUN = "begun.json"  # of a training by `train_alone`: its fingerprint and its precision


def claim(folder: Path, fingerprint: str, earlier: str | None) -> None:
    """Make `folder` that of the training `fingerprint`: another's files go to `folder`/previous, its own come back.

    earlier: the fingerprint of the same training in an older version of genbench, whose files also belong to it.
    One previous training is kept, finished or not, so to edit a suite and undo the edit costs nothing. If this is
    interrupted, the next call completes it: the file that names a training always moves last.
    """
    stamp, previous, returning = folder / "fingerprint", folder / "previous", folder / "returning"

    def move(source: Path, target: Path) -> None:
        target.mkdir(exist_ok=True)
        files = [path for path in source.iterdir() if path.is_file() and path.name not in ("lock", stamp.name)]
        for path in [*files, source / stamp.name]:
            if path.exists():
                os.replace(path, target / path.name)

    def bring_back() -> None:
        if returning.exists():
            move(returning, folder)
            returning.rmdir()

    bring_back()
    for old in (stamp, previous / stamp.name):
        if old.exists() and old.read_text(errors="replace") == earlier:
            _write_stamp(old, fingerprint)
    if stamp.exists() and stamp.read_text(errors="replace") != fingerprint:
        if (previous / stamp.name).exists():
            if (previous / stamp.name).read_text(errors="replace") == fingerprint:
                os.replace(previous, returning)
            else:
                shutil.rmtree(previous)
        log.info(
            "another training of this model is kept in %s: it has another entry, data set, seed or device, or is from "
            "a version of genbench that named trainings differently",
            previous,
        )
        move(folder, previous)
        bring_back()
    if not stamp.exists():
        _write_stamp(stamp, fingerprint)


def begun_as(task: Task, folder: Path) -> Precision | None:
    """The precision of `task` if `folder` has it, finished or not, from any machine; otherwise None."""
    names: dict[str | None, Precision] = {}
    for precision in get_args(Precision):
        same = task.in_precision(precision)
        names |= {same.fingerprint(): precision, same.earlier_fingerprint(): precision}
    stamps = [path / "fingerprint" for path in (folder, folder / "returning", folder / "previous")]
    found = [stamp.read_text(errors="replace") for stamp in stamps if stamp.exists()]
    return next((names[name] for name in found if name in names), None)


def begun_in(folder: Path, fingerprint: str, device: torch.device) -> Precision:
    """The precision of `auto` in a training by `train_alone`: decided when it begins, and kept in its folder."""
    path = folder / BEGUN
    if not path.exists() or read_json(path)["fingerprint"] != fingerprint:
        write_json(path, {"fingerprint": fingerprint, "precision": native_precision(device)})
    found: Precision = read_json(path)["precision"]
    return found


def _write_stamp(path: Path, fingerprint: str) -> None:
    with atomic_path(path) as temporary:  # half a fingerprint would name another training
        temporary.write_text(fingerprint)
