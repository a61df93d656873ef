"""A user's files are read again if they change after they were read, and only then."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from entries import SUITE, blobs
from PIL import Image

from genbench.files.changes import state

ROOT = Path(__file__).parents[2]
SUITE_OF_FOLDERS = SUITE | {
    "dataset": {"source": "folder", "name": "x", "path": "images", "test_fraction": 0.3},
    "models": {"given": {"samples": "drawn"}},
}
TARGET = "results/own/given/seed0/final/given/samples.npz"


def snakemake(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", TARGET, "--cores", "2", "--snakefile", str(ROOT / "Snakefile")]
    ran = subprocess.run(
        [*command, *arguments, "--config", "suite=own.yaml", "device=cpu"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-5000:]
    return ran.stdout


def planned(folder: Path) -> list[str]:
    said = snakemake(folder, "--dry-run")
    jobs = sorted(re.findall(r"^Job \d+: (\w+)", said, re.MULTILINE))
    assert jobs or "Nothing to be done" in said, said
    return jobs


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[..., 0]).save(path)


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_changed_files_of_the_users_are_read_again(tmp_path: Path) -> None:
    images, labels = blobs(400)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        write(tmp_path / f"images/{label}/{index}.png", image)
    for index, image in enumerate(blobs(160, seed=1)[0]):
        write(tmp_path / f"drawn/{index}.png", image)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(SUITE_OF_FOLDERS))
    snakemake(tmp_path)
    assert planned(tmp_path) == []

    records = {path: path.read_text() for path in (tmp_path / ".snakemake/metadata").iterdir()}
    without = {path: json.loads(text) for path, text in records.items()}
    for path, record in without.items():  # earlier versions did not record the files' state
        record["params"] = [text for text in record["params"] if "files: " not in text]
        path.write_text(json.dumps(record))
    assert len([path for path in records if records[path] != path.read_text()]) >= 2
    assert planned(tmp_path) == []

    folder, before = tmp_path / "drawn", (tmp_path / "drawn").stat()
    write(folder / "3.png", 255 - images[3])  # overwritten in place
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert planned(tmp_path) == ["import_samples"]
    for path, text in records.items():
        path.write_text(text)
    assert planned(tmp_path) == ["import_samples"]
    write(tmp_path / "images/0/new.png", images[0])
    assert planned(tmp_path) == ["import_samples", "prepare_data"]


def test_the_state_of_files_is_their_names_sizes_and_times(tmp_path: Path) -> None:
    for name in ("a/1", "a/2", "b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (1_000_000, 1_000_000))

    def now(path: Path) -> tuple[str, float]:
        state.cache_clear()
        return state(path)

    whole, newest = now(tmp_path)
    assert whole.startswith("files: 3, of 7 bytes, ")
    assert newest == 1_000_000
    (tmp_path / ".hidden").write_text("x")
    assert now(tmp_path) == (whole, newest)
    assert now(tmp_path / "b")[0].startswith("files: 1, of 1 bytes, ")
    os.utime(tmp_path / "a/2", (1_000_060, 1_000_060))
    assert now(tmp_path)[0] != whole
    assert now(tmp_path)[1] == 1_000_060
    os.utime(tmp_path / "a/2", (1_000_000, 1_000_000))
    assert now(tmp_path) == (whole, newest)
    (tmp_path / "a/2").rename(tmp_path / "a/3")
    assert now(tmp_path)[0] != whole
    with pytest.raises(OSError, match="absent"):
        now(tmp_path / "absent")
