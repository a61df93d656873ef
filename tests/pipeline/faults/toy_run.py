"""A run small enough to be disturbed a hundred times, and the content that must be equal in two runs."""

import copy
import csv
import hashlib
import io
import json
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

from entries import MODELS, blobs  # noqa: E402

from genbench.files.artifacts import array_sha256, read_json  # noqa: E402
from genbench.files.npz import read_npz  # noqa: E402
from genbench.files.weights import load_tensors  # noqa: E402

SUITE: dict[str, Any] = {
    "title": "Disturbed",
    "dataset": {"source": "folder", "name": "blobs", "path": "blobs.zip", "test_fraction": 0.5},
    "num_samples": 150,
    "evaluation": {
        "options": {"kid_subset_size": 50, "kid_subsets": 5, "neighbours": 0},
        "classifier": {"epochs": 1, "min_accuracy": 0},
    },
    "models": {
        "gan": {
            "model": MODELS["gan"],
            "training": {"steps": 150, "batch_size": 16, "log_every": 10},
            "sample_batch_size": 30,
        },
        "ddpm": {
            "model": MODELS["ddpm"],
            "training": {"steps": 80, "batch_size": 16, "ema_decay": 0.9, "log_every": 10},
            "samplers": {"ddim": {"method": "ddim", "steps": 10}},
            "sample_batch_size": 30,
        },
    },
}
TARGETS = [
    "results/toy/gan/seed0/final/default/metrics.json",
    "results/toy/ddpm/seed0/final/ddim/metrics.json",
    "results/toy/real/metrics.json",
]
# Keys that do not depend on the computation, but on when, where and how fast it ran, and on interruptions.
PASSING = {"provenance", "seconds", "images_per_second", "resumed", "peak_memory_bytes", "device", "time"}
PASSING |= {"history_sha256"}  # its lines contain seconds; the rest of each line is compared


def prepare(folder: Path, ranks: int = 1) -> None:
    """Make the folder of a run: a suite, whose DDPM has `ranks`, and an archive of small images as raw data."""
    folder.mkdir(parents=True)
    images, labels = blobs(640)
    with zipfile.ZipFile(folder / "blobs.zip", "w") as archive:
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            png = io.BytesIO()
            Image.fromarray(image[..., 0]).save(png, "PNG")
            archive.writestr(zipfile.ZipInfo(f"{label}/{i}.png"), png.getvalue())
    suite = copy.deepcopy(SUITE)
    suite["models"]["ddpm"]["ranks"] = ranks
    (folder / "toy.yaml").write_text(yaml.safe_dump(suite))
    (folder / "config.yaml").write_text((ROOT / "config.yaml").read_text())


def command(*arguments: str, targets: list[str] = TARGETS) -> list[str]:
    """Return Snakemake's command line as a user calls it, with two jobs at a time."""
    snakemake = [sys.executable, "-m", "snakemake", *targets, *arguments, "--snakefile", str(ROOT / "Snakefile")]
    options = ["--cores", "2", "--resources", "gpu=1", "--profile", str(ROOT / "profiles/default")]
    return [*snakemake, *options, "--config", "suite=toy.yaml", "device=cpu"]


def environment(**more: str) -> dict[str, str]:
    """Return variables with which trainings save all the time: there is then much to interrupt."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # rules call this `python`
    own = {"PATH": path, "PYTHONPATH": str(ROOT)}
    return os.environ | own | {"GENBENCH_SAVE_SECONDS": "0.1", "OMP_NUM_THREADS": "1"} | more


def start(folder: Path, *arguments: str, log: Path, targets: list[str] = TARGETS, **more: str) -> subprocess.Popen[str]:
    """Start Snakemake in a new session; its output is appended to `log`."""
    with open(log, "a") as file:
        return subprocess.Popen(
            command(*arguments, targets=targets),
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=environment(**more),
        )


def run(folder: Path, *arguments: str, targets: list[str] = TARGETS, **more: str) -> tuple[int, str]:
    """Run Snakemake to its end; returns exit status and output."""
    log = folder / "run.log"
    log.unlink(missing_ok=True)
    status = start(folder, *arguments, log=log, targets=targets, **more).wait(timeout=3600)
    return status, log.read_text(errors="replace")


def unlock(folder: Path) -> None:
    """Unlock the folder, as Snakemake requires after it was killed."""
    if any((folder / ".snakemake/locks").glob("*")):
        run(folder, "--unlock")


def jobs(folder: Path) -> list[tuple[list[str], list[str]]]:
    """Return the command line and the outputs of every job of a run, in an order in which they can run."""
    listed = subprocess.run(
        command("--detailed-summary"), cwd=folder, env=environment(), capture_output=True, text=True, check=True
    )
    rows = list(csv.DictReader(io.StringIO(listed.stdout), delimiter="\t", quoting=csv.QUOTE_NONE))
    outputs: dict[str, list[str]] = {}
    inputs: dict[str, set[str]] = {}
    for row in rows:
        outputs.setdefault(row["shellcmd"], []).append(row["output_file"])
        inputs[row["shellcmd"]] = set(row["input-file(s)"].split(","))
    order: list[str] = []
    made = {output for files in outputs.values() for output in files}
    while len(order) < len(outputs):
        order += [shell for shell in outputs if shell not in order and not inputs[shell] & made]
        made -= {output for shell in order for output in outputs[shell]}
    words = [shlex.split(shell.replace('"$GENBENCH"/', "").partition(" 2>&1 |")[0]) for shell in order]
    return [(line[line.index("python") + 1 :], outputs[shell]) for line, shell in zip(words, order, strict=True)]


def lasting(value: Any) -> Any:
    """Return a record without the parts that may differ between two runs."""
    if isinstance(value, dict):
        return {key: lasting(part) for key, part in value.items() if key not in PASSING}
    return [lasting(part) for part in value] if isinstance(value, list) else value


def contents(folder: Path) -> dict[str, str]:
    """Return a hash of each result's content by path: weights, samples, features, metrics, losses, prepared data."""
    found: dict[str, Any] = {}
    results = sorted([*folder.glob("results/toy/*/**/*"), *folder.glob("resources/blobs/**/*")])
    for path in results:
        if not path.is_file() or {"training", "samples.parts", "logs", "benchmarks"} & set(path.parts):
            continue
        if path.suffix == ".safetensors":
            tensors, info = load_tensors(path)
            found[str(path)] = [array_sha256(tensor.numpy()) for _, tensor in sorted(tensors.items())], lasting(info)
        elif path.suffix == ".npz":
            arrays = read_npz(path, ("images", "labels", "class_names", "arr_0", "seeds", "features", "logits"))
            found[str(path)] = {key: array_sha256(array.view(np.uint8)) for key, array in arrays.items()}
        elif path.name in ("metrics.json", "training.json"):
            found[str(path)] = lasting(read_json(path))
        elif path.name == "history.jsonl":
            found[str(path)] = [lasting(json.loads(line)) for line in path.read_text().splitlines()]
    return {
        str(Path(path).relative_to(folder)): hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        for path, value in found.items()
    }
