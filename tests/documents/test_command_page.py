"""The examples of docs/command.md run unchanged."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import diffusers
import pytest
import yaml
from checkouts import ROOT, documented
from entries import MODELS, SUITE, TRAINING, blobs

from genbench.commands import app
from genbench.data import save_image_set
from genbench.data.image_set import make_image_set
from genbench.errors import InputError
from genbench.features.evaluators import make_classifier
from genbench.files.weights import save_tensors
from genbench.models import build
from genbench.suites import measured, workflow

PAGE = (ROOT / "docs/command.md").read_text(encoding="utf-8")
# The commands that each test here runs; test_commands.py counts them.
HELP = ["genbench --help", "genbench run --help"]
COMPLETION = "genbench --install-completion"
RUNS = [
    "genbench run",
    "genbench run demo demo-shapes",
    "genbench run my/suite.yaml --config num_samples=1000 seeds=[0,1] device=cpu",
    "genbench run demo -- --keep-going --cores 1",
]
DRY_RUN = "genbench run demo -- --dry-run"
LISTS = ["genbench list", "genbench list suites", "genbench list metrics --json"]
CHECKS = ["genbench check demo", "genbench check my/suite.yaml --json"]
TRAIN = "genbench train --spec @vae.json --train resources/demo/train.npz --out vae/model.safetensors"
FEATURES = (
    "genbench features --images resources/demo/test.npz"
    " --extractor classifier:resources/demo/classifier.safetensors --out features.npz"
)
PREFETCH = "genbench prefetch cifar10"
EXPORT = "genbench export --model results/demo/ddpm/seed0/model.safetensors --format diffusers --out ddpm"
IMPORT = "genbench import --format diffusers --in ddpm --out ddpm.safetensors"
UNET = {
    "class": "unet.UNet", "channels": 4, "channel_mult": [1, 2], "num_res_blocks": 1, "attention_resolutions": [],
    "norm_groups": 2, "dropout": 0.0,
}  # fmt: skip


def genbench(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a documented command in this process; returns its output. Fails unless its status is 0."""
    with pytest.raises(SystemExit) as ended:
        app.call(shlex.split(documented(line))[1:])
    assert not ended.value.code
    return capsys.readouterr().out


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with only a user's suite and its prepared data."""
    monkeypatch.chdir(tmp_path)
    for name in ("my", "resources/demo"):
        Path(name).mkdir(parents=True)
    suite = SUITE | {"models": {"vae": {"model": MODELS["vae"], "training": TRAINING}}}
    Path("my/suite.yaml").write_text(yaml.safe_dump(suite))
    for split in ("train", "test"):
        images = make_image_set(*blobs(40), list("abcd"), dataset="demo", split=split, source="t", source_sha256="s")
        save_image_set(Path(f"resources/demo/{split}.npz"), images)
    return tmp_path


def test_every_example_of_the_page_is_run_here() -> None:
    lines = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    steps = [TRAIN, FEATURES, PREFETCH, EXPORT, IMPORT]
    assert sorted(lines) == sorted([*HELP, COMPLETION, *RUNS, DRY_RUN, *LISTS, *CHECKS, *steps])


def test_the_table_has_every_command() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(app.MODULES)


@pytest.mark.parametrize("line", HELP)
def test_help_is_shown(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Usage: genbench" in genbench(line, capsys)


def test_a_shell_learns_to_complete(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("typer._completion_shared._get_shell_name", lambda: "bash", raising=True)
    genbench(COMPLETION, capsys)
    assert "genbench" in (tmp_path / ".bashrc").read_text() + "".join(
        path.read_text() for path in tmp_path.rglob("*genbench*") if path.is_file()
    )


@pytest.mark.parametrize("line", RUNS)
@pytest.mark.usefixtures("folder")
def test_what_is_run_is_what_the_page_says(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is run up to the call of Snakemake; the tests of the workflow run Snakemake."""
    ran: list[list[str]] = []
    monkeypatch.setattr("snakemake.cli.main", ran.append)
    monkeypatch.setattr(workflow, "count_gpus", lambda: 0)
    monkeypatch.setattr(workflow, "cores", lambda: 5)
    monkeypatch.setattr(workflow, "apple_gpu", lambda: False)
    with pytest.raises(SystemExit) as ended:
        app.call(shlex.split(documented(line))[1:])
    assert not ended.value.code
    config = ["--config", 'suite=["my/suite.yaml"]', "num_samples=1000", "seeds=[0,1]", "device=cpu"]
    expected = {
        RUNS[0]: ["--cores", "5"],
        RUNS[1]: ["--cores", "5", "--config", 'suite=["demo", "demo-shapes"]'],
        RUNS[2]: ["--cores", "5", *config],
        RUNS[3]: ["--config", 'suite=["demo"]', "--keep-going", "--cores", "1"],
    }
    assert ran == [["--snakefile", str(ROOT / "Snakefile"), *expected[line]]]


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_a_dry_run_in_an_empty_folder_shows_the_demo(tmp_path: Path) -> None:
    command = [sys.executable, "-m", *shlex.split(documented(DRY_RUN))]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^train +9$", done.stdout, re.MULTILINE)
    assert done.stdout.count("Building DAG of jobs") == 1  # Snakemake's lines are printed once


@pytest.mark.parametrize("line", LISTS)
def test_names_are_listed(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = genbench(line, capsys)
    if line.endswith("--json"):
        assert {"fid", "kid"} <= {row["metric"] for row in json.loads(said)}
    else:
        assert "cifar10" in said
        assert ("gan.GAN" in said) == (line == "genbench list")


@pytest.mark.parametrize("line", CHECKS)
def test_a_suite_is_checked(
    line: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the suite with one model is planned and measured; another test counts the demo's jobs with a dry run."""
    if "demo" in line:
        monkeypatch.setattr(workflow, "planned_jobs", lambda names, config: {"train": 9})
        monkeypatch.setattr(measured, "measure", lambda models, shape, device: [])
    said = genbench(line, capsys)
    if "demo" in line:
        assert re.search(r"ddpm .* ddim-20 .* 20 ", said)
        assert re.search(r"train +9", said)
        assert re.search(r"│ ddpm +│ +[\d.]+ (s|min|h) │", said)  # training time
        assert re.search(r"demo: about [\d.]+ (s|min|h) on .*: training ", said)
    else:
        (found,) = json.loads(said)
        assert sum(found["plan"]["models"]["vae"]["parameters"].values()) > 0
        assert found["jobs"]["train"] == 1
        assert found["forecast"]["by_model"]["vae"]["training"] > 0
        assert not (folder / "results").exists()


def test_one_model_is_trained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (entry,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    spec = json.loads(entry)
    spec["training"]["steps"] = 3
    Path("vae.json").write_text(json.dumps(spec))
    genbench(TRAIN, capsys)
    assert (folder / "vae/model.safetensors").exists()


def test_features_are_computed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folder / "resources/demo"
    make_classifier(data / "train.npz", data / "test.npz", data / "classifier.safetensors", epochs=1, min_accuracy=0.0)
    genbench(FEATURES, capsys)
    assert (folder / "features.npz").exists()


def test_what_cannot_be_fetched_is_one_line(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No download is tried here: test_commands.py tests one without a network, which is slow."""
    asked: list[Path] = []

    def prefetch(suites: list[Path], data_root: Path) -> list[InputError]:
        asked.extend(suites)
        return [InputError(f"{data_root}/cifar-10-python.tar.gz: not there")]

    monkeypatch.setattr("genbench.suites.prefetch.prefetch", prefetch)
    with pytest.raises(SystemExit) as ended:
        app.call(shlex.split(documented(PREFETCH))[1:])
    assert ended.value.code == 2
    assert asked == [ROOT / "suites/cifar10.yaml"]
    assert capfd.readouterr().err == "error: resources/downloads/cifar-10-python.tar.gz: not there\n"


def test_a_model_goes_to_diffusers_and_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"class": "diffusion.Diffusion", "timesteps": 20, "denoiser": UNET}
    path = folder / "results/demo/ddpm/seed0/model.safetensors"
    path.parent.mkdir(parents=True)
    save_tensors(path, build(entry, (1, 16, 16)).state_dict(), {"model": entry, "image_shape": (1, 16, 16)})
    genbench(EXPORT, capsys)
    assert diffusers.DDPMPipeline.from_pretrained(folder / "ddpm").unet.config.sample_size == 16
    assert "diffusion.Diffusion" in genbench(IMPORT, capsys)
