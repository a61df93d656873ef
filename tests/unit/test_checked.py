"""The results of a suite's check are kept, and are not reused for anything that has changed."""

import copy
import datetime
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from entries import MODELS, SUITE, TRAINING, save_samples

from genbench.errors import InputError
from genbench.files.artifacts import read_json, write_json
from genbench.suites import checked, entries
from genbench.suites.checked import Checked
from genbench.suites.load import load_suite
from genbench.suites.preflight import check_suite, preflight

TRAINED = {"vae": {"model": MODELS["vae"], "training": TRAINING}, "gan": {"model": MODELS["gan"], "training": TRAINING}}


class Folder:
    """A suite in a folder, and a record of the entries that a check builds."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.built = path, []
        self.models = copy.deepcopy(TRAINED)
        for name in ("check_entry", "check_samples", "check_pretrained"):
            monkeypatch.setattr(entries, name, self.noting(getattr(entries, name)))

    def noting(self, function):
        def call(entry, *rest):
            self.built.append(entry["label"])
            return function(entry, *rest)

        return call

    def load(self) -> tuple[dict, Checked]:
        file = self.path / "small.yaml"
        file.write_text(yaml.safe_dump(SUITE | {"models": self.models}, sort_keys=False))
        suite = load_suite(file)
        return suite, Checked(suite, self.path, self.path / "kept")

    def plan(self) -> dict:
        suite, found = self.load()
        self.built.clear()
        content = preflight(suite, str(self.path), "small.yaml", found).content()
        return {key: value for key, value in content.items() if key != "provenance"}

    def check(self) -> None:
        suite, found = self.load()
        self.built.clear()
        check_suite(suite, str(self.path), "small.yaml", checked=found)

    def holds(self) -> bool:
        return self.load()[1].holds()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(checked, "SETTLED", -1.0)  # files that a test has just written count as settled
    return Folder(tmp_path, monkeypatch)


def test_an_unchanged_suite_has_the_same_plan_and_nothing_is_built(folder: Folder) -> None:
    assert not folder.holds()
    first = folder.plan()
    assert folder.built == ["vae", "gan"]
    assert folder.plan() == first
    assert folder.built == []
    assert folder.holds()


def test_only_the_entry_that_changed_is_checked_again_and_prose_is_no_change(folder: Folder) -> None:
    folder.plan()
    folder.models["gan"]["training"] = TRAINING | {"batch_size": 32}
    folder.models["vae"]["description"] = "The same model, described."
    assert not folder.holds()
    assert folder.plan()["models"]["vae"]["description"] == "The same model, described."
    assert folder.built == ["gan"]


def test_a_check_is_no_plan_and_a_plan_is_a_check(folder: Folder) -> None:
    folder.check()
    assert folder.holds()
    folder.plan()
    assert folder.built == ["vae", "gan"]
    folder.check()
    assert folder.built == []


def test_what_is_right_is_kept_where_another_entry_is_wrong(folder: Folder) -> None:
    folder.models["gan"]["model"] = MODELS["gan"] | {"latent": 3}
    with pytest.raises(InputError, match=r"small\.yaml: models: gan: model: unknown key: found 'latent'"):
        folder.check()
    assert not folder.holds()
    folder.models = copy.deepcopy(TRAINED)
    folder.check()
    assert folder.built == ["gan"]


@pytest.mark.parametrize("value", [datetime.date(2026, 1, 1), "~nobody-of-this-name", "x" * 5000, "a\x00b", "\ud800"])
def test_what_names_no_file_is_left_to_the_check_of_the_entry(value: object, folder: Folder) -> None:
    folder.models["gan"]["model"] = MODELS["gan"] | {"objective": "gan"}
    suite, found = folder.load()
    suite["models"]["gan"]["model"]["objective"] = value
    with pytest.raises(InputError, match=r"small\.yaml: models: gan: model: key 'objective': found"):
        check_suite(suite, str(folder.path), "small.yaml", checked=found)
    assert not found.holds()


@pytest.mark.parametrize("part", range(4), ids=["code", "python", "packages", "machine"])
def test_another_code_version_or_machine_finds_it_again(part: int, folder: Folder, monkeypatch) -> None:
    folder.plan()
    other = [*checked._surroundings()]
    other[part] = "another"
    monkeypatch.setattr(checked, "_surroundings", lambda: other)
    assert not folder.holds()
    folder.plan()
    assert folder.built == ["vae", "gan"]


def test_every_file_of_the_package_counts_by_its_name_and_content(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "genbench"
    (package / "models").mkdir(parents=True)
    file = package / "models" / "gan.py"
    monkeypatch.setattr(checked, "PACKAGE", package)

    def code() -> str:
        return checked._surroundings.__wrapped__()[0]

    found = [code()]
    file.write_text("a = 1\n")
    found.append(code())
    file.write_text("a = 2\n")
    found.append(code())
    file.rename(package / "models" / "vae.py")
    found.append(code())
    assert len(set(found)) == 4
    kept = package / "models" / "__pycache__"
    kept.mkdir()
    for name in ("vae.cpython-311.pyc", "vae.cpython-311.pyc.139872"):  # the second while Python writes the first
        (kept / name).write_text("made of it")
    assert code() == found[-1]


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign", "other", "missing", "folder"])
def test_a_damaged_or_foreign_file_is_made_again(damage: str, folder: Folder) -> None:
    first = folder.plan()
    file = folder.path / "kept" / "small.json"
    text = file.read_text()
    if damage == "cut":
        file.write_text(text[: len(text) // 2])
    elif damage == "changed":
        file.write_text(text.replace('"parameters"', '"parameter"', 1))
    elif damage == "foreign":
        file.write_text('{"entries": {"vae": 1}}')
    elif damage == "other":
        write_json(file, {"entries": {"vae": {"key": "of another", "costs": True, "found": {}}, "gan": []}})
    else:
        file.unlink()
        if damage == "folder":
            file.mkdir()
    assert not folder.holds()
    assert folder.plan() == first
    assert folder.built == ["vae", "gan"]
    if damage != "folder":
        assert read_json(file)["entries"].keys() == TRAINED.keys()
        assert folder.holds()


def test_a_folder_that_takes_no_file_stops_nothing(folder: Folder) -> None:
    (folder.path / "kept").write_text("a file")
    assert folder.plan() == folder.plan()
    assert folder.built == ["vae", "gan"]


def test_given_samples_that_were_drawn_again_are_read_again_whatever_their_time(folder: Folder) -> None:
    file = folder.path / "theirs.npz"
    save_samples(file)
    folder.models["theirs"] = {"samples": "theirs.npz"}
    folder.plan()
    folder.plan()
    assert folder.built == []
    before = file.stat()
    images = dict(np.load(file))
    images["arr_0"][0] += 1
    np.savez(file, **images)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert not folder.holds()
    folder.plan()
    assert folder.built == ["theirs"]
    file.unlink()
    with pytest.raises(InputError, match=r"models: theirs: samples: key 'path': found 'theirs\.npz'"):
        folder.plan()


def test_a_file_that_was_written_just_now_is_not_believed_to_stay(folder: Folder, monkeypatch) -> None:
    save_samples(folder.path / "theirs.npz")
    folder.models["theirs"] = {"samples": "theirs.npz"}
    monkeypatch.setattr(checked, "SETTLED", 60.0)
    folder.plan()
    folder.plan()
    assert folder.built == ["theirs"]
    assert not folder.holds()


def test_an_edited_file_of_own_code_is_run_again(folder: Folder) -> None:
    own = folder.path / "mine.py"
    own.write_text("from genbench.models.vae import VAE\n\n\nclass Mine(VAE):\n    pass\n")
    folder.models = {"mine": {"model": MODELS["vae"] | {"class": "./mine.py:Mine"}, "training": TRAINING}}
    folder.check()
    folder.check()
    assert folder.built == []
    own.write_text(own.read_text().replace("pass", "latents = 1"))
    assert not folder.holds()
    folder.check()
    assert folder.built == ["mine"]


def test_the_script_needs_no_torch_for_what_is_known(tmp_path: Path) -> None:
    text = (
        "import sys; from genbench.commands.preflight import main; "
        "main(['--suite', 'small.yaml', '--check']); print('torch' in sys.modules)"
    )
    small = SUITE | {"models": {"vae": TRAINED["vae"]}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small))
    runs = [subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True) for _ in "12"]
    assert [run.stdout for run in runs] == ["True\n", "False\n"], runs[0].stderr
    assert [path.name for path in (tmp_path / "resources/.preflight").iterdir()] == ["small.json"]
