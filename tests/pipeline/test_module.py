"""genbench as a module of another workflow, in a folder without a configuration and without an activated environment.

All tests share one run with three models: one trains normally, one collapses, and one diverges.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from entries import MODELS, SUITE

pytestmark = pytest.mark.usefixtures("warm_module")
ROOT = Path(__file__).parents[2]
TRAINING = {"steps": 60, "batch_size": 16}
DIVERGING = TRAINING | {"optimizer": {"algorithm": "sgd", "lr": 1.0e6}}
TINY = {
    "title": "Tiny",
    "dataset": {"source": "demo"},
    "num_samples": 160,
    "evaluation": SUITE["evaluation"],
    "models": {
        "vae": {"model": MODELS["vae"], "training": TRAINING},
        "collapsed": {"model": MODELS["vae"], "training": TRAINING | {"steps": 1}},
        "diverging": {"model": MODELS["vae"], "training": DIVERGING},
    },
}
IMPORTING = f"""
module genbench:
    snakefile:
        "{ROOT}/Snakefile"
    config:
        {{"suite": "./tiny.yaml", "device": "cpu"}}


use rule * from genbench as gb_*


rule mine:
    default_target: True
    input:
        rules.gb_all.input,
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the importing workflow in another folder, with a Python that is not on the PATH."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(folder / "importing/Snakefile"), "--cores", "2"]
    others = [path for path in os.environ["PATH"].split(os.pathsep) if path != str(Path(sys.executable).parent)]
    return subprocess.run(
        [*command, "--directory", str(folder / "elsewhere"), *arguments],
        cwd=folder,
        env=os.environ | {"PATH": os.pathsep.join(others)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )


def write(folder: Path, suite: dict) -> None:
    (folder / "elsewhere/tiny.yaml").write_text(yaml.safe_dump(suite))


@pytest.fixture(scope="module")
def failed(warm_module: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of that run, and its output."""
    folder = tmp_path_factory.mktemp("module")
    for name in ("importing", "elsewhere"):
        (folder / name).mkdir()
    (folder / "importing/Snakefile").write_text(IMPORTING)
    write(folder, TINY)
    ran = run(folder, "--keep-going")
    assert ran.returncode != 0
    return folder, ran.stdout


@pytest.mark.slow
def test_all_but_the_diverging_model_are_finished(failed: tuple[Path, str]) -> None:
    folder, said = failed
    assert sorted(path.parents[3].name for path in folder.glob("elsewhere/results/tiny/*/*/*/*/metrics.json")) == [
        "collapsed",
        "vae",
    ], said[-5000:]
    assert "Failed: gb_train tiny/diverging/seed0\n  error: the loss is not finite at step " in said
    assert "fails again until that has changed" in said
    assert "run the same command again to continue" not in said
    assert said.count("Failed: ") == 1
    assert "ModuleNotFoundError" not in said


@pytest.mark.slow
def test_a_collapsed_model_has_numbers_and_says_so(failed: tuple[Path, str]) -> None:
    folder, _ = failed
    path = folder / "elsewhere/results/tiny/collapsed/seed0/final/default/metrics.json"
    record = json.loads(path.read_text())
    assert record["metrics"]["fd_classifier"]["value"] > 0
    assert any("pixel values span only" in warning for warning in record["warnings"])


@pytest.mark.slow
def test_the_same_run_makes_a_report_of_what_there_is(failed: tuple[Path, str]) -> None:
    folder, said = failed
    report = folder / "elsewhere/results/report"
    assert f"The report of what there is:  {report / 'index.html'}\n" in said
    page = (report / "tiny.html").read_text()
    assert "the loss is not finite at step" in page
    assert "pixel values span only" in page


@pytest.mark.slow
def test_without_the_model_that_diverged_the_report_is_made_and_nothing_else(failed: tuple[Path, str]) -> None:
    folder, _ = failed
    write(folder, TINY | {"models": {name: TINY["models"][name] for name in ("vae", "collapsed")}})
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout[-5000:]
    assert "tiny: Tiny (2 models, 2 rows)" in ran.stdout
    assert "gb_train" not in ran.stdout
    page = (folder / "elsewhere/results/report/tiny.html").read_text()
    assert "the loss is not finite" not in page
    assert page.count("diverging") == page.count('diverging</th><td class="text">gone</td>') == 1  # listed only as gone
    assert "Nothing to be done" in run(folder).stdout
