"""The hash of the code behind a result: what changes it, and what does not."""

import json
import shutil
from pathlib import Path

import pytest

from genbench.machine import code

GAN = {"class": "gan.GAN", "generator": {"class": "dcgan.Generator"}, "discriminator": {"class": "dcgan.Discriminator"}}
VAE = {"class": "vae.VAE"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A copy of the package to edit; returns it with a function that hashes its code after the edits so far."""
    copy = tmp_path / "genbench"
    shutil.copytree(code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", copy)
    monkeypatch.setattr(code, "EARLIER", tmp_path / "earlier_code.json")

    def forget() -> None:
        for function in (code._modules, code._tree, code._imports, code._own_definitions, code._definitions):
            function.cache_clear()
        code._earlier.cache_clear()

    def hashed(kind: str, model: dict | None = None) -> str:
        forget()
        return code.code_sha256(kind, model)

    yield copy, hashed
    monkeypatch.undo()
    forget()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_edit_counts_for_what_it_computes_and_for_nothing_else(package):
    folder, hashed = package
    before = {"gan": hashed("training", GAN), "vae": hashed("training", VAE), "metrics": hashed("metrics")}
    edit(folder / "processes/adversarial.py", "F.softplus", "F.relu")
    assert hashed("training", GAN) != before["gan"]
    assert (hashed("training", VAE), hashed("metrics")) == (before["vae"], before["metrics"])


def test_metrics_are_of_images_whatever_model_drew_them():
    for kind in ("metrics", "paired", "objects", "given", "imported"):
        assert code.is_this_code(code.code_sha256(kind), kind, GAN)
    assert not code.is_this_code(code.code_sha256("sampling"), "sampling", GAN)


def test_a_network_counts_for_the_models_that_have_it(package):
    folder, hashed = package
    resnet = GAN | {"generator": {"class": "resnet.Generator"}}
    before = hashed("training", GAN), hashed("training", resnet)
    edit(folder / "networks/resnet.py", "class Generator(", "ANSWER = 42\n\n\nclass Generator(")
    assert hashed("training", GAN) == before[0]
    assert hashed("training", resnet) != before[1]


def test_the_file_of_every_metric_counts_for_metrics_also_a_new_one(package):
    folder, hashed = package
    before = hashed("metrics"), hashed("training", GAN)
    edit(folder / "metrics/fid.py", "2 * trace", "3 * trace")
    edited = hashed("metrics")
    (folder / "metrics/spread.py").write_text("ANSWER = 42\n", encoding="utf-8")
    assert len({before[0], edited, hashed("metrics")}) == 3
    assert hashed("training", GAN) == before[1]


def test_moves_comments_and_what_is_only_said_leave_the_hash(package):
    folder, hashed = package
    before = hashed("training", GAN), hashed("sampling", GAN), hashed("metrics")
    shutil.move(folder / "processes/noise.py", folder / "randomness.py")
    for path in folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("genbench.processes.noise", "genbench.randomness"), encoding="utf-8")
    edit(folder / "models/gan.py", '"""Gen', '"""In other words: gen')
    edit(folder / "training/loop.py", 'log.info("continuing from step', 'log.info("going on from step')
    edit(folder / "training/trainer.py", "expected a submodule with parameters", "expected a network")
    assert (hashed("training", GAN), hashed("sampling", GAN), hashed("metrics")) == before


def test_an_earlier_version_counts_until_what_computes_the_result_changes(package):
    folder, hashed = package
    hashed("training", GAN)
    earlier = "ab" * 32
    digests = " ".join(definition[:8] for definition in code.all_definitions("training"))
    code.EARLIER.write_text(json.dumps({earlier: {"training": digests}}), encoding="utf-8")
    code._earlier.cache_clear()
    assert code.is_this_code(earlier, "training", GAN)
    assert not code.is_this_code("cd" * 32, "training", GAN)
    assert not code.is_this_code(earlier, "sampling", GAN)  # only the training's code was recorded
    edit(folder / "processes/adversarial.py", "F.softplus", "F.relu")
    hashed("training", GAN)
    assert not code.is_this_code(earlier, "training", GAN)
    assert code.is_this_code(earlier, "training", VAE)


def test_a_new_metric_is_code_of_the_metrics_only(package):
    folder, hashed = package
    before = hashed("metrics"), hashed("training", GAN), hashed("sampling", GAN)
    (folder / "metrics/mine.py").write_text("ANSWER = 42\n", encoding="utf-8")
    assert hashed("metrics") != before[0]
    assert (hashed("training", GAN), hashed("sampling", GAN)) == before[1:]
