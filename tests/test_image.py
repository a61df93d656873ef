"""The image of the Dockerfile, built by a real docker engine and run, also by Snakemake through apptainer.

On request: uv run pytest -m containers. It builds 7 GB, as `genbench:latest`, and leaves them: docker rmi genbench.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from entries import MODELS

ROOT = Path(__file__).parents[1]
TRAINING = {"steps": 20, "batch_size": 16}
SUITE = {
    "title": "In a container",
    "dataset": {"source": "demo"},
    "num_samples": 160,
    "evaluation": {
        "options": {"kid_subset_size": 50, "kid_subsets": 5},
        "classifier": {"epochs": 1, "min_accuracy": 0.5},
    },
    "models": {
        "gan": {"model": MODELS["gan"], "training": TRAINING},
        "ddpm": {
            "model": MODELS["ddpm"],
            "training": TRAINING,
            "samplers": {"ddim": {"step": "ddim", "steps": 2}},
            "ranks": 2,
        },
    },
}
IMPORTS = """
import importlib, re, tomllib
from importlib.metadata import packages_distributions
with open("/opt/genbench/pyproject.toml", "rb") as file:
    wanted = {re.match(r"[\\w-]+", line)[0] for line in tomllib.load(file)["project"]["dependencies"]}
found = set()
for module, names in packages_distributions().items():
    if module.isidentifier() and (here := wanted & {name.lower().replace("_", "-") for name in names}):
        importlib.import_module(module)
        found |= here
print(sorted(wanted - found))
"""
# Twenty megabytes, as gradients are: small messages go another way between ranks.
RANKS = """
import numpy as np
from mpi4py import MPI
values = np.ones(5_000_000, dtype=np.float32)
MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, values)
if MPI.COMM_WORLD.rank == 0:
    print(values.min(), values.max())
"""
CONFIGURATION = ["--config", "suite=tiny.yaml", "device=cpu"]

pytestmark = [pytest.mark.containers, pytest.mark.slow, pytest.mark.timeout(3600)]


def run(*command: str, cwd: Path = ROOT) -> str:
    result = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout[-10_000:]
    return result.stdout


def documented(start: str) -> str:
    """The line of docs/clusters.md that begins so."""
    text = (ROOT / "docs/clusters.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^{re.escape(start)}.*$", text, re.MULTILINE)
    return str(line)


def clean_copy(folder: Path) -> Path:
    """A clone of this checkout with its tracked files as they are now, and the suite."""
    run("git", "clone", "--quiet", str(ROOT), str(folder))
    for name in run("git", "ls-files", "-z").split("\0")[:-1]:
        shutil.copy(ROOT / name, folder / name)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(SUITE))
    return folder


def check_results(folder: Path) -> None:
    page = (folder / "results/report/tiny.html").read_text()
    assert all(model in page for model in SUITE["models"])
    training = json.loads((folder / "results/tiny/ddpm/seed0/training.json").read_text())
    assert training["ranks"] == 2
    commit = run("git", "rev-parse", "HEAD", cwd=folder).strip()
    assert training["provenance"]["genbench_commit"] in {commit, f"{commit}+changes"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the image was built as the document has it."""
    folder = clean_copy(tmp_path_factory.mktemp("image") / "checkout")
    run("sh", "-c", documented("docker build"), cwd=folder)
    return folder


@pytest.mark.parametrize("user", [[], ["--user=12345:12345"], ["--user=0"]], ids=["its own", "a stranger", "root"])
def test_every_user_can_import_compile_and_name_the_commit(checkout, user):
    docker = ["docker", "run", "--rm", *user, f"--volume={checkout}:/work", "genbench"]
    assert run(*docker).startswith("usage: snakemake")
    assert run(*docker, "python", "-c", IMPORTS) == "['mpich']\n"  # which has no Python; and nobody complains
    compiled = "import torch; print(torch.compile(torch.square)(torch.tensor(3.0)).item())"
    assert run(*docker, "python", "-c", compiled) == "9.0\n"
    named = "from genbench.provenance import git_commit; print(git_commit())"
    assert run(*docker, "python", "-c", named).startswith(run("git", "rev-parse", "HEAD", cwd=checkout).strip())


def test_ranks_exchange_large_arrays(checkout):
    output = run("docker", "run", "--rm", "genbench", "mpiexec", "-n", "4", "python", "-c", RANKS)
    assert output == "4.0 4.0\n"


def test_a_suite_runs_in_the_image_up_to_its_report(checkout):
    run("sh", "-c", documented("docker run") + " " + shlex.join(CONFIGURATION), cwd=checkout)
    check_results(checkout)


@pytest.mark.skipif(shutil.which("apptainer") is None, reason="this machine has no apptainer")
def test_a_suite_runs_through_apptainer_up_to_its_report(checkout, tmp_path):
    folder = clean_copy(tmp_path / "checkout")
    run("sh", "-c", documented("apptainer build"), cwd=folder)  # from the engine, where the image is since the fixture
    words = shlex.split(documented("uv run snakemake --profile profiles/slurm --sdm apptainer"))
    options = words[words.index("--sdm") :]  # here instead of on a cluster
    output = run(sys.executable, "-m", "snakemake", "--cores", "2", *options, *CONFIGURATION, cwd=folder)
    assert "Activating singularity image genbench.sif" in output
    check_results(folder)
    platform = "import platform; print(platform.platform())"
    inside = run("apptainer", "exec", "genbench.sif", "python", "-c", platform, cwd=folder)
    for record in ("results/tiny/ddpm/seed0/training.json", "resources/demo/info.json"):
        assert json.loads((folder / record).read_text())["provenance"]["platform"] == inside.strip()
    untracked = run("git", "status", "--porcelain", "--untracked-files=all", cwd=folder).splitlines()
    assert [line for line in untracked if line.startswith("??")] == ["?? tiny.yaml"]
