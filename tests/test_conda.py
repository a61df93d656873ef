"""`--sdm conda` with a stand-in for conda: the environments of rules are made and used. Not that conda-forge has them.

On request: uv run --with py-rattler pytest -m conda
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from entries import MODELS
from stand_in_conda import dependencies, make_channel, make_command

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
SUITE = {
    "title": "Small",
    "dataset": {"source": "demo"},
    "models": {"gan": {"model": MODELS["gan"], "training": {"steps": 1, "batch_size": 16}}},
}

pytestmark = [pytest.mark.conda, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all environments were made and the demo's data was prepared in one of them."""
    folder = tmp_path_factory.mktemp("conda")
    shutil.copy(ROOT / "config.yaml", folder)
    (folder / "small.yaml").write_text(yaml.safe_dump(SUITE))
    make_channel(folder / "channel", ENVIRONMENTS)
    make_command(folder / "conda", folder / "channel")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    for arguments in (["--conda-create-envs-only"], ["resources/demo/train.npz"]):
        result = subprocess.run(
            [*command, *arguments, "--sdm", "conda", "--config", "suite=small.yaml"],
            cwd=folder,
            env=os.environ | {"PATH": f"{folder}/conda/bin{os.pathsep}{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert result.returncode == 0, result.stdout[-5000:]
    return folder


def made(run: Path) -> dict[str, Path]:
    """Where the environment of each file of envs/ was made: Snakemake leaves a copy of the file beside it."""
    copies = {path.read_text(): path for path in (run / ".snakemake/conda").glob("*.yaml")}
    return {file.stem: copies[file.read_text()].with_suffix("") for file in ENVIRONMENTS}


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_an_environment_has_exactly_what_its_file_lists(run, file):
    records = [json.loads(path.read_text()) for path in made(run)[file.stem].glob("conda-meta/*.json")]
    assert {f"{record['name']}={record['version']}" for record in records} == set(dependencies(file))


def test_a_rule_runs_in_its_own_environment(run):
    called = {name: (prefix / "calls.txt").exists() for name, prefix in made(run).items()}
    assert called == {"torch": True, "metrics": False, "report": False}
    assert "scripts/prepare_data.py" in (made(run)["torch"] / "calls.txt").read_text()
    assert (run / "resources/demo/train.npz").exists()
