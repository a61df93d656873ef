"""`--sdm apptainer` with a stand-in for apptainer: rules would run in the configured image."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from entries import MODELS
from stand_in_apptainer import make_command

ROOT = Path(__file__).parents[2]
SUITE = {
    "title": "Small",
    "dataset": {"source": "demo"},
    "models": {"gan": {"model": MODELS["gan"], "training": {"steps": 1, "batch_size": 16}}},
}


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("configuration", [[], ["container=other.sif"]], ids=["default", "own"])
def test_a_rule_runs_in_the_image_of_the_configuration(tmp_path, configuration):
    shutil.copy(ROOT / "config.yaml", tmp_path)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SUITE))
    image = configuration[0].partition("=")[2] if configuration else "genbench.sif"
    make_command(tmp_path / "bin", image)
    target = "resources/demo/train.npz"
    command = [sys.executable, "-m", "snakemake", target, "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    result = subprocess.run(
        [*command, "--sdm", "apptainer", "--apptainer-args=--nv", "--config", "suite=small.yaml", *configuration],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-5000:]
    call = (tmp_path / "apptainer.txt").read_text()
    assert call.startswith("exec --home")
    assert {"--nv", image} <= set(call.split())
    assert "scripts/prepare_data.py" in call
    assert (tmp_path / target).exists()


def test_the_dockerfile_installs_the_pins_and_does_not_run_as_root():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "COPY pyproject.toml" in text
    assert "uv sync --no-dev --no-install-project" in text
    users = [line.split()[1] for line in text.splitlines() if line.startswith("USER ")]
    assert users[-1].isdigit()  # Kubernetes can only check a number
    assert users[-1] != "0"
    assert (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()[0] == "*"  # only named files are included
