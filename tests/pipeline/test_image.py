"""The Dockerfile's image: a real Docker engine builds and runs it, and Snakemake runs it through apptainer.

On request: uv run pytest -m containers. It builds 7 GB as `genbench:latest` and keeps them: docker rmi genbench removes
them.
"""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import check_out, commit, documented, execute, run
from entries import DDPM_OF_TWO_RANKS, MODELS, SUITE, TRAINING

TINY = SUITE | {
    "models": {"gan": {"model": MODELS["gan"], "training": TRAINING}, "ddpm": DDPM_OF_TWO_RANKS},
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
# Twenty megabytes, like gradients: MPI sends small messages differently.
RANKS = """
import numpy as np
from mpi4py import MPI
values = np.ones(5_000_000, dtype=np.float32)
MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, values)
if MPI.COMM_WORLD.rank == 0:
    print(values.min(), values.max())
"""
CONFIGURATION = "--config suite=tiny device=cpu"
REGISTRY = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:5055"}}
"""

pytestmark = [pytest.mark.containers, pytest.mark.slow, pytest.mark.timeout(3600)]


def make_checkout(folder: Path) -> Path:
    check_out(folder, tiny=TINY)
    commit(folder)
    return folder


def check_results(folder: Path) -> None:
    page = (folder / "results/report/tiny.html").read_text()
    assert all(model in page for model in TINY["models"])
    training = json.loads((folder / "results/tiny/ddpm/seed0/training.json").read_text())
    assert training["ranks"] == 2
    assert training["provenance"]["genbench_commit"] == execute("git rev-parse HEAD", folder).strip()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which the image was built with the document's command."""
    folder = make_checkout(tmp_path_factory.mktemp("image") / "checkout")
    run("docker build -t genbench .", folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A temporary folder that is deleted after the test: pytest would keep three, with 3.5 GB of image in each."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("user", ["", "--user=12345:12345", "--user=0"], ids=["its own", "a stranger", "root"])
def test_every_user_can_import_compile_and_name_the_commit(checkout, user):
    def said(*command: str) -> str:
        return execute(f"docker run --rm {user} --volume=$PWD:/work genbench {shlex.join(command)}", checkout)

    assert said().startswith("usage: snakemake")
    assert said("python", "-c", IMPORTS) == "['mpich']\n"  # MPICH has no Python module; no warning is printed
    compiled = "import torch; print(torch.compile(torch.square)(torch.tensor(3.0)).item())"
    assert said("python", "-c", compiled) == "9.0\n"
    named = "from genbench.machine.provenance import git_commit; print(git_commit())"
    assert said("python", "-c", named) == execute("git rev-parse HEAD", checkout)


def test_ranks_exchange_large_arrays(checkout):
    ranks = shlex.join(["mpiexec", "-n", "4", "python", "-c", RANKS])
    assert execute(f"docker run --rm genbench {ranks}", checkout) == "4.0 4.0\n"


def test_a_suite_runs_in_the_image_up_to_its_report(checkout):
    line = documented('docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" genbench snakemake --cores 2')
    execute(f"{line} {CONFIGURATION}", checkout)
    check_results(checkout)


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="this machine has no docker-registry")
def test_the_image_is_pushed_to_a_registry(checkout, folder):
    """Debian's registry runs on this machine, since Docker accepts registries without TLS only on 127.0.0.1."""
    (folder / "config.yml").write_text(REGISTRY.format(folder=folder))
    server = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"])
    try:
        for line in ("docker build -t REGISTRY/genbench:1 .", "docker push REGISTRY/genbench:1"):
            said = execute(documented(line).replace("REGISTRY", "127.0.0.1:5055"), checkout)
        (digest,) = re.findall(r"sha256:[0-9a-f]{64}", said)
        tags = folder / "docker/registry/v2/repositories/genbench/_manifests/tags"
        assert (tags / "1/current/link").read_text() == digest
    finally:
        server.terminate()
        server.wait()
        execute("docker rmi --no-prune 127.0.0.1:5055/genbench:1", checkout)


@pytest.mark.skipif(shutil.which("apptainer") is None, reason="this machine has no apptainer")
def test_a_suite_runs_through_apptainer_up_to_its_report(checkout, folder):
    make_checkout(folder)
    run("apptainer build genbench.sif docker-daemon://genbench:latest", folder)  # the fixture built it
    on_a_cluster = documented("uv run snakemake --profile profiles/slurm --sdm apptainer --apptainer-args=--nv")
    here = on_a_cluster.replace("--profile profiles/slurm", "--cores 2")
    assert "Activating singularity image genbench.sif" in execute(f"{here} {CONFIGURATION}", folder)
    check_results(folder)
    platform = "import platform; print(platform.platform())"
    inside = execute(f"apptainer exec genbench.sif python -c {shlex.quote(platform)}", folder)
    for record in ("results/tiny/ddpm/seed0/training.json", "resources/demo/info.json"):
        assert json.loads((folder / record).read_text())["provenance"]["platform"] == inside.strip()
    assert execute("git status --porcelain --untracked-files=all", folder) == ""
