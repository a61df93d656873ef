"""Results of a suite's checks, kept in resources/.preflight/SUITE.json, so that only changes are checked again.

A result holds for its entry, the data set, this code, the installed packages, the machine, and the names, sizes and
times of all files that the entry names: its key is a hash of these. With another key, or if the file is damaged or not
written by genbench, the check runs again. Only successful checks are kept, and the folder can be deleted at any time.
"""

import hashlib
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from genbench.data import Description
from genbench.data.objects import labels_path
from genbench.errors import InputError
from genbench.files.artifacts import read_hashed_json, sha256_json, write_json
from genbench.files.changes import exact_state
from genbench.files.downloads import existing_path
from genbench.files.hub import hub_folder
from genbench.machine.checkout import PACKAGE
from genbench.machine.devices import gpu_indices
from genbench.suites.load import PROSE

log = logging.getLogger(__name__)

FOLDER = Path("resources/.preflight")
SETTLED = 2.0  # seconds: a newer file may still change without a change of its size and time


class Checked:
    """The kept results of a suite's checks, by the names of its entries.

    data_root: a folder in which files of the suite may be. folder: the folder of kept results.
    """

    def __init__(self, suite: Mapping[str, Any], data_root: str | os.PathLike[str], folder: Path | None = None) -> None:
        self.suite, self.data_root = suite, Path(data_root)
        self.path = (FOLDER if folder is None else folder) / f"{suite['name']}.json"
        self.kept = _read(self.path)
        self.changed = False

    def holds(self) -> bool:
        """Whether the whole suite was checked and is unchanged. Builds nothing, and runs no code of the user's."""
        key = self._key_of_suite()
        return key is not None and self.kept.get("suite") == key and isinstance(self.kept.get("facts"), dict)

    def hold(self, facts: Mapping[str, Any]) -> None:
        """Keep that the whole suite passed its checks, and facts of it for later checks."""
        key = self._key_of_suite()
        if self.kept.get("suite") != key or self.kept.get("facts") != facts:
            self.kept.update(suite=key, facts=facts)
            self.changed = True

    @property
    def facts(self) -> dict[str, Any]:
        """The facts of a suite that `holds`."""
        facts: dict[str, Any] = self.kept["facts"]
        return facts

    def key(self, entry: Mapping[str, Any], data: Description) -> str | None:
        """A hash of all that an entry's result depends on; None if its files are missing or were just written."""
        count = self.suite["num_samples"] if "samples" in entry else None
        return self._key(entry, [asdict(data), count])

    def find(self, name: str, key: str | None, costs: bool) -> dict[str, Any] | None:
        """The result that was kept under this key, with costs if they are required; None without one."""
        entry = self.kept["entries"].get(name)
        known = key is not None and isinstance(entry, dict) and entry.get("key") == key
        return entry["found"] if known and (entry["costs"] or not costs) else None

    def keep(self, name: str, key: str | None, costs: bool, found: Mapping[str, Any]) -> None:
        """Keep a result, which replaces the entry's earlier one."""
        if key is not None:
            self.kept["entries"][name], self.changed = {"key": key, "costs": costs, "found": found}, True

    def save(self) -> None:
        """Write the kept results; a folder that cannot be written to is no error."""
        names = self.suite["models"].keys()
        self.kept["entries"] = {name: entry for name, entry in self.kept["entries"].items() if name in names}
        if self.changed:
            try:
                write_json(self.path, self.kept)
            except OSError as error:
                log.debug("%s: %s", self.path, error.strerror)

    def _key_of_suite(self) -> str | None:
        labels = self.suite["evaluation"].get("objects", {}).get("labels", {})
        try:
            return self._key(self.suite, [str(labels_path(name, self.data_root)) for name in labels.values()])
        except InputError:
            return None

    def _key(self, part: Mapping[str, Any], also: Any) -> str | None:
        part = {key: value for key, value in part.items() if key not in PROSE}
        try:
            files = [exact_state(path) for path in sorted(set(_files(_texts([part, also]), self.data_root)))]
        except OSError:
            return None
        if any(newest > time.time() - SETTLED for _, newest in files):
            return None
        hubs = [entry["pretrained"] for entry in _entries(part) if "hub" in entry.get("pretrained", {})]
        folders = [hub_folder(given["hub"], str(given.get("revision")), self.data_root) for given in hubs]
        if not all(folder.is_dir() for folder in folders):
            return None
        states = [text for text, _ in [*files, *map(exact_state, folders)]]
        return sha256_json(json.loads(json.dumps([part, also, states, _surroundings()], default=repr)))


def _entries(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of models in a suite, or the entry itself."""
    return list(part["models"].values()) if "models" in part else [part]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value that may name a file; not an empty one, which would name the working folder."""
    if isinstance(value, str) and value:
        yield value
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    for part in parts:
        yield from _texts(part)


def _files(texts: Iterable[str], data_root: Path) -> Iterator[Path]:
    """The files and folders that these texts name. A text that names one by accident does no harm."""
    for text in texts:
        try:
            yield existing_path(text, data_root)
        except (InputError, OSError, RuntimeError):  # no such file, or not a path, such as ~nobody
            continue


@cache
def _surroundings() -> list[Any]:
    """What else a check depends on: every file of this package, the versions of installed packages, the machine."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if "__pycache__" not in path.parts and path.is_file():  # other processes may be writing there
            digest.update(f"{path.relative_to(PACKAGE)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    folders = [folder for folder in sys.path if os.path.isdir(folder)]
    packages = sorted({name for folder in folders for name in os.listdir(folder) if name.endswith(".dist-info")})
    processor = [line for line in _cpuinfo() if line.startswith(("model name", "flags", "Features"))][:2]
    machine = [platform.platform(), *processor, gpu_indices(), os.environ.get("CUDA_VISIBLE_DEVICES")]
    return [digest.hexdigest(), sys.version, packages, machine]


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def _read(path: Path) -> dict[str, Any]:
    """The results kept at `path`; none if the file is missing, damaged, or not written by `Checked`."""
    try:
        kept, hashed = read_hashed_json(path)
    except (InputError, OSError):
        kept, hashed = None, False
    usable = hashed and isinstance(kept, dict) and isinstance(kept.get("entries"), dict)
    return kept if usable else {"entries": {}}
