"""`--sdm conda` with a stand-in for conda: rules' environments are made and used. Whether conda-forge has the packages
is not tested.

On request: uv run --with py-rattler pytest -m conda
"""

import json
import os
from pathlib import Path

import pytest
from checkouts import check_out, environment, execute, run
from stand_in_conda import dependencies, make_channel, make_command

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))

pytestmark = [pytest.mark.conda, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with all environments made, and the demo's data prepared in one of them."""
    folder = check_out(tmp_path_factory.mktemp("conda") / "genbench")
    make_channel(folder / "channel", ENVIRONMENTS)
    make_command(folder / "conda", folder / "channel")
    path = f"{folder}/conda/bin{os.pathsep}{environment(folder)['PATH']}"
    run("CONDA_OVERRIDE_CUDA=13.2 uv run snakemake --sdm conda --conda-create-envs-only", folder, PATH=path)
    execute("uv run snakemake resources/demo/train.npz --cores 1 --sdm conda", folder, PATH=path)
    return folder


def made(checkout: Path) -> dict[str, Path]:
    """Return the folder of each environment of envs/, found by the copy of its file that Snakemake puts beside it."""
    copies = {path.read_text(): path for path in (checkout / ".snakemake/conda").glob("*.yaml")}
    return {file.stem: copies[file.read_text()].with_suffix("") for file in ENVIRONMENTS}


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_an_environment_has_exactly_what_its_file_lists(checkout, file):
    records = [json.loads(path.read_text()) for path in made(checkout)[file.stem].glob("conda-meta/*.json")]
    assert {f"{record['name']}={record['version']}" for record in records} == set(dependencies(file))


def test_a_rule_runs_in_its_own_environment(checkout):
    called = {name: (prefix / "calls.txt").exists() for name, prefix in made(checkout).items()}
    assert called == {"torch": True, "metrics": False, "report": False}
    assert "scripts/prepare_data.py" in (made(checkout)["torch"] / "calls.txt").read_text()
    assert (checkout / "resources/demo/train.npz").exists()
