"""The target prefetch: it downloads everything that a suite needs, and reports each file that is unavailable."""

import functools
import gzip
import hashlib
import http.server
import shutil
import struct
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from genbench.commands import prefetch
from genbench.data import idx, prepare
from genbench.features import EXTRACTORS
from genbench.features.published_weights import WeightFile
from genbench.files import downloads

ROOT = Path(__file__).parents[2]
WEIGHTS = b"weights" * 1000


@pytest.fixture
def server(tmp_path):
    """A folder served by a local web server, its URL, and the list of requested paths."""
    folder, asked = tmp_path / "www", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}/", asked
        running.shutdown()
        thread.join()


@pytest.fixture
def published(server, tmp_path, monkeypatch):
    """The names of four small files that replace MNIST's on the server, which also has a file of weights."""
    folder, url, _ = server
    contents = {}
    for images, labels in idx.SPLITS.values():
        contents[images] = struct.pack(">HBB3I", 0, 8, 3, 2, 28, 28) + bytes(range(2)) * 784
        contents[labels] = struct.pack(">HBBI", 0, 8, 1, 2) + bytes([3, 5])
    for name, content in contents.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    (folder / "inception.pt").write_bytes(WEIGHTS)

    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(idx, "MNIST", replace(idx.MNIST, sha256=sha256, mirrors=(url,)))
    file = WeightFile("inception.pt", [f"{url}inception.pt"], hashlib.sha256(WEIGHTS).hexdigest())
    monkeypatch.setitem(EXTRACTORS, "inception-clean", replace(EXTRACTORS["inception-clean"], weights=file))
    monkeypatch.setenv("GENBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(downloads, "PAUSES", ())
    return [f"{name}.gz" for name in contents]


def suite(folder, dataset, extractors):
    """Write a suite with a model that prefetch ignores; returns its path."""
    content = {
        "title": "Toy",
        "dataset": dataset,
        "evaluation": {"extractors": extractors},
        "models": {"vae": {"model": {"class": "vae.VAE"}, "training": {"steps": 1}}},
    }
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def run(monkeypatch, path, data_root):
    """Run the script; returns its exit status."""
    monkeypatch.setattr(sys, "argv", ["prefetch.py", "--suite", str(path), "--data-root", str(data_root)])
    try:
        prefetch.main()
    except SystemExit as end:
        return end.code
    return 0


def test_what_a_suite_needs_is_fetched_once_and_then_needs_no_network(tmp_path, published, server, monkeypatch):
    folder, _, asked = server
    path = suite(tmp_path, {"source": "mnist", "classes": ["3"]}, ["classifier", "efficientnet", "inception-clean"])
    assert run(monkeypatch, path, tmp_path / "root") == 0
    assert sorted(asked) == sorted(f"/{name}" for name in [*published, "inception.pt"])
    assert (tmp_path / "weights" / "inception.pt").read_bytes() == WEIGHTS

    shutil.rmtree(folder)
    assert run(monkeypatch, path, tmp_path / "root") == 0
    assert prepare({"source": "mnist"}, tmp_path / "root")["train"].labels.tolist() == [3, 5]
    assert len(asked) == 5


def test_each_file_that_cannot_be_had_is_told_in_its_own_line(tmp_path, published, server, monkeypatch, capsys):
    folder, url, _ = server
    for name in (published[0], published[3], "inception.pt"):
        (folder / name).unlink()
    path = suite(tmp_path, {"source": "mnist"}, ["inception-clean"])
    assert run(monkeypatch, path, tmp_path / "root") == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    for error, name in zip(errors[:2], (published[0], published[3]), strict=True):
        target = tmp_path / "root/MNIST/raw" / name
        assert error.startswith(f"error: {target}: missing, and could not be downloaded ({url}{name}: HTTP 404)")
        assert error.endswith(f"fetch {url}{name} elsewhere and put it at {target}; the suite demo needs no download")
    assert errors[2].startswith(f"error: {tmp_path / 'weights' / 'inception.pt'}: missing, and")
    assert "fd_classifier" in errors[2]  # an alternative that does not need it
    assert sorted(file.name for file in (tmp_path / "root/MNIST/raw").iterdir()) == sorted(published[1:3])


def test_what_is_there_and_damaged_is_told(tmp_path, published, monkeypatch, capsys):
    path = suite(tmp_path, {"source": "mnist"}, ["inception-clean"])
    assert run(monkeypatch, path, tmp_path / "root") == 0
    (tmp_path / "weights" / "inception.pt").write_bytes(b"other")
    (tmp_path / "root/MNIST/raw" / published[1]).write_bytes(b"other")
    assert run(monkeypatch, path, tmp_path / "root") == 2
    idx_error, weights_error = capsys.readouterr().err.splitlines()
    assert f"{published[1]}: found no whole gzip file" in idx_error
    assert f"inception.pt: found SHA-256 {hashlib.sha256(b'other').hexdigest()}, expected " in weights_error


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_the_target_runs_each_time_it_is_asked_for(tmp_path):
    shutil.copy(ROOT / "config.yaml", tmp_path)
    command = [sys.executable, "-m", "snakemake", "prefetch", "--snakefile", ROOT / "Snakefile", "--cores", "1"]
    log = tmp_path / "results/logs/prefetch.log"
    for _ in range(2):
        job = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert job.returncode == 0, job.stderr
        assert "suites/demo.yaml: all 0 files that are needed are here" in log.read_text()
        log.unlink()
