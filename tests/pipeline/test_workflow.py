"""The whole workflow at toy size: run, run again, edit, kill, continue."""

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from entries import MODELS, SUITE, save_samples
from PIL import Image

pytestmark = pytest.mark.usefixtures("warm_module")
ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/results.md").read_text(encoding="utf-8")
TOY = {
    "title": "Toy <b>suite</b>",
    "description": "The smallest run that goes the whole way.",
    "dataset": {"source": "demo"},
    "num_samples": 160,
    "snapshot_samples": 150,
    "evaluation": SUITE["evaluation"],
    "models": {
        "gan": {
            "model": MODELS["gan"],
            "training": {"steps": 20, "batch_size": 16},
            "pictures": ["interpolation"],
            "sample_batch_size": 50,
            "ranks": 2,
        },
        "ddpm": {
            "model": MODELS["ddpm"] | {"denoiser": MODELS["ddpm"]["denoiser"] | {"attention_resolutions": [7]}},
            "training": {"steps": 20, "batch_size": 16, "ema_decay": 0.9},
            "samplers": {"ddpm": {"steps": 3}, "ddim": {"method": "ddim", "steps": 2}},
            "snapshots": [10],
            "pictures": ["denoising"],
            "likelihood": {"images": 20, "steps": 4},
        },
        "elsewhere": {"samples": "elsewhere.npz"},
    },
}
THINGS = {
    "title": "Toy things",
    "dataset": {"source": "shapes", "name": "things", "image_size": 16, "scenes": 200},
    "num_samples": 520,
    "evaluation": {
        "extractors": ["objects"],
        "headline": "object_accuracy_few",
        "options": {"kid_subset_size": 20, "kid_subsets": 5, "fd_infinity_sizes": 0},
        "objects": {
            "labels": {"few": "few.json"},
            "draws": 2,
            "shown": [["red cube", "gray sphere"]],
            "classifier": {"epochs": 1, "min_accuracy": 0},
        },
    },
    "models": {
        "ddpm": {
            "model": MODELS["ddpm"] | {"num_classes": 24, "multi_label": True},
            "training": {"steps": 5, "batch_size": 16},
            "samplers": {"ddim": {"method": "ddim", "steps": 2}},
            "snapshots": [3],
            "pictures": ["denoising"],
        }
    },
}
FEW = [["gray cube"], ["red sphere", "yellow cylinder"], ["cyan cube", "blue cube", "green sphere"]]


def command(*arguments: str, suite: str = "toy.yaml", device: str = "cpu") -> list[str]:
    snakemake = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(ROOT / "Snakefile")]
    options = ["--cores", "2", "--resources", "gpu=1", "--profile", str(ROOT / "profiles/default")]
    return [*snakemake, *options, "--config", f"suite={suite}", f"device={device}"]  # suite: one, or [a, b]


def snakemake(folder: Path, *arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, **options),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=800,
    )


def write(folder: Path, suite: dict) -> None:
    (folder / "toy.yaml").write_text(yaml.safe_dump(suite))


def planned(folder: Path, *arguments: str) -> Counter[tuple[str, str]]:
    """Count the jobs of a dry run by (rule, model); the model is "" for rules that belong to no model."""
    output = snakemake(folder, "--dry-run", *arguments).stdout
    jobs = re.findall(
        r"^(?:(?:local)?rule (\w+):|Job \d+: (\w+)(?: [\w-]+/(?!real)([\w-]+)(?:/seed|$))?)", output, re.MULTILINE
    )
    found = Counter((silent or rule, model) for silent, rule, model in jobs)
    assert found or "Nothing to be done" in output, output
    return found


@pytest.mark.slow
def test_a_dry_run_refuses_the_entry_that_a_run_refuses(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.yaml", tmp_path)
    wrong = TOY["models"]["gan"] | {"model": MODELS["gan"] | {"latent_sise": 8}}
    write(tmp_path, TOY | {"models": {"gan": wrong}})
    line = (
        "error: toy.yaml: models: gan: model: unknown key: found 'latent_sise' (did you mean 'latent_size'?); expected "
        "one of: augment, class, discriminator, generator, image_size, latent_size, n_critic, objective, penalty, "
        "penalty_decay_steps, penalty_final\n"
    )
    run = snakemake(tmp_path)
    assert run.returncode != 0
    assert line in run.stdout
    for target in ("all", "prefetch", "results/toy/gan/seed0/model.safetensors"):
        planned = snakemake(tmp_path, target, "--dry-run")
        assert planned.returncode != 0
        assert line in planned.stdout, target
    for question in ("--summary", "--lint", "--list", "--unlock"):  # none of these checks the suite
        answer = snakemake(tmp_path, question)
        assert answer.returncode == 0, answer.stdout
        assert "latent_sise" not in answer.stdout
    assert not (tmp_path / "results/toy/gan").exists()


@pytest.fixture(scope="module")
def toy(warm_module: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the toy suite has been run to its report."""
    folder = tmp_path_factory.mktemp("toy")
    shutil.copy(ROOT / "config.yaml", folder)
    write(folder, TOY)
    save_samples(folder / "elsewhere.npz", 170)
    result = snakemake(folder)
    assert result.returncode == 0, result.stdout[-5000:]
    assert re.search(
        r"^toy: Toy <b>suite</b> \(3 models, 4 rows\)\n  1\. .*FD-classifier \(160\) ", result.stdout, re.M
    )
    assert f"The report:  {folder / 'results/report/index.html'}\n" in result.stdout
    return folder


@pytest.fixture
def ran(toy: Path, tmp_path: Path) -> Path:
    """A copy of that folder that keeps file times."""
    folder = tmp_path / "copy"
    shutil.copytree(toy, folder, symlinks=True)
    return folder


@pytest.mark.slow
def test_snakemakes_own_report_holds_the_page_and_its_plots(ran: Path) -> None:
    result = snakemake(ran, "--report", "report.zip")
    assert result.returncode == 0, result.stdout[-5000:]
    with zipfile.ZipFile(ran / "report.zip") as archive:
        files = {Path(name).name: archive.read(name) for name in archive.namelist()}
    for name in ("toy.html", "index.html"):
        assert files[name] == (ran / "results/report" / name).read_bytes()
    assert any(name.endswith("quality-against-time.svg") for name in files)


@pytest.mark.slow
def test_the_report_shows_every_model_and_sampler(toy: Path) -> None:
    page = (toy / "results/report/toy.html").read_text()
    assert "Toy &lt;b&gt;suite&lt;/b&gt;" in page
    for word in ("gan", "ddpm", "ddim", "step-10"):
        assert word in page
    assert (toy / "results/report/index.html").stat().st_size > 10_000
    metrics = json.loads((toy / "results/toy/ddpm/seed0/step-10/ddim/metrics.json").read_text())
    assert metrics["metrics"]["fd_classifier"]["n_fake"] == 150
    elsewhere = json.loads((toy / "results/toy/elsewhere/seed0/final/given/metrics.json").read_text())["metrics"]
    assert elsewhere["fd_classifier"]["n_fake"] == 160
    assert "elsewhere" in page
    with Image.open(toy / "results/toy/gan/seed0/final/default/neighbours.png") as picture:
        assert picture.size == (298, 178)  # three rows of samples
    with Image.open(toy / "results/toy/gan/seed0/final/pictures/interpolation.png") as picture:
        assert picture.size == (298, 148)
    with Image.open(toy / "results/toy/ddpm/seed0/final/pictures/denoising.png") as picture:
        assert picture.size[0] == 298
        assert picture.size[1] < 298  # five rows of ten
    likelihood = json.loads((toy / "results/toy/ddpm/seed0/final/likelihood.json").read_text())
    assert likelihood["images"] == 20
    assert likelihood["split"] == "test"
    assert likelihood["terms"]["t"] == [20, 14, 7, 1]
    terms = likelihood["prior"] + sum(likelihood["terms"]["bits_per_dim"])
    assert terms == pytest.approx(likelihood["bits_per_dim"])
    assert metrics["metrics"]["fd_classifier"]["n_real"] == 4000
    timing = json.loads((toy / "results/toy/ddpm/seed0/final/ddpm/timing.json").read_text())
    assert timing["nfe"] == 3
    assert (
        metrics["samples_sha256"]
        == json.loads((toy / "results/toy/ddpm/seed0/step-10/ddim/timing.json").read_text())["samples_sha256"]
    )
    assert not list(toy.glob("results/**/*.parts"))


@pytest.mark.slow
def test_a_second_run_has_nothing_to_do(toy: Path) -> None:
    assert "Nothing to be done" in snakemake(toy).stdout


@pytest.mark.slow
def test_ranks_share_training_and_sampling_and_another_number_of_them_repeats_only_the_timing(ran: Path) -> None:
    folder = ran / "results/toy/gan/seed0"
    for record in ("training.json", "final/default/timing.json"):
        assert json.loads((folder / record).read_text())["ranks"] == 2
    suite = copy.deepcopy(TOY)
    suite["models"]["gan"] |= {"ranks": 3, "gpus": 4}
    write(ran, suite)
    shown = {("report", ""): 1, ("index", ""): 1, ("all", ""): 1}  # the page shows the suite
    assert planned(ran) == {("measure_speed", "gan"): 1, **shown}


@pytest.mark.slow
def test_a_deleted_model_alone_is_made_again_though_the_report_is_newer(ran: Path) -> None:
    shutil.rmtree(ran / "results/toy/gan")
    jobs = planned(ran)
    assert jobs["train", "gan"] == jobs["sample", "gan"] == jobs["report", ""] == 1
    assert {model for _, model in jobs} == {"gan", ""}


@pytest.mark.slow
def test_whatever_a_killed_job_took_away_is_made_again(ran: Path) -> None:
    """Snakemake deletes a job's outputs before the job. After a kill they are missing, but index.html is newer."""
    report = ran / "results/report"
    for path in (
        report / "toy.html",
        report / "toy/comparison.tex",
        ran / "results/toy/gan/seed0/final/default/grid.png",
    ):
        path.unlink()
    shutil.rmtree(report / "toy/plots")
    jobs = planned(ran)
    assert jobs["report", ""] == jobs["index", ""] == jobs["sample", "gan"] == 1
    assert {model for _, model in jobs} == {"gan", ""}


@pytest.mark.slow
def test_a_damaged_plan_is_made_again_by_the_command_of_the_message(ran: Path) -> None:
    plan = ran / "results/toy/preflight.json"
    whole = plan.read_text()
    plan.write_text(whole[:-100])
    verify = [sys.executable, "-m", "genbench", "verify", "results/toy", "results/report/toy/record.json"]
    said = subprocess.run(verify, cwd=ran, capture_output=True, text=True)
    assert said.returncode == 2
    remedy = said.stderr.rpartition("run again: ")[2].strip()
    assert remedy == "rm results/toy/preflight.json results/report/toy.html"
    subprocess.run(remedy, cwd=ran, shell=True, check=True)
    run = snakemake(ran)
    assert run.returncode == 0, run.stdout
    assert json.loads(plan.read_text())["models"] == json.loads(whole)["models"]
    assert "identical samples" in subprocess.run(verify, cwd=ran, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_an_edited_model_alone_is_trained_again(ran: Path) -> None:
    suite = copy.deepcopy(TOY)
    suite["models"]["gan"]["training"]["steps"] = 21
    write(ran, suite)
    rules = ("train", "sample", "measure_speed", "picture", "sample_features", "evaluate")
    gan = {(rule, "gan"): 1 for rule in rules}
    assert planned(ran) == gan | {("report", ""): 1, ("index", ""): 1, ("all", ""): 1}


@pytest.mark.slow
def test_a_new_sampler_trains_nothing(ran: Path) -> None:
    suite = copy.deepcopy(TOY)
    suite["models"]["ddpm"]["samplers"]["dpm"] = {"method": "dpm-solver++", "steps": 2}
    write(ran, suite)
    found = planned(ran)
    assert not [rule for rule, _ in found if rule == "train"]
    assert found["sample", "ddpm"] == found["evaluate", "ddpm"] == 2  # at step 10 and at the end


@pytest.mark.slow
def test_a_new_quantisation_draws_its_row_alone(ran: Path) -> None:
    suite = copy.deepcopy(TOY)
    suite["models"]["ddpm"]["quantisation"] = {"sampler": "ddim", "schemes": ["bf16"]}
    write(ran, suite)
    rules = ("sample", "compare_quantised", "sample_features", "evaluate")
    row = {(rule, "ddpm"): 2 for rule in rules}  # at step 10 and at the end
    row |= {("measure_speed", "ddpm"): 1}
    assert planned(ran) == row | {("report", ""): 1, ("index", ""): 1, ("all", ""): 1}


@pytest.mark.slow
def test_a_second_suite_of_objects_on_request_joins_the_first(ran: Path) -> None:
    (ran / "things.yaml").write_text(yaml.safe_dump(THINGS))
    (ran / "few.json").write_text(json.dumps(FEW))
    before = {path: path.stat().st_mtime_ns for path in ran.glob("results/toy/**/metrics.json")}
    result = snakemake(ran, suite="[toy.yaml, things.yaml]")
    assert result.returncode == 0, result.stdout[-5000:]
    assert {path: path.stat().st_mtime_ns for path in before} == before

    folder = ran / "results/things/ddpm/seed0"
    for checkpoint in ("step-3", "final"):
        record = json.loads((folder / checkpoint / "ddim/objects/few.json").read_text())
        accuracy = record["metrics"]["object_accuracy"]
        assert accuracy["note"].startswith(f"{round(12 * accuracy['value'])} of 12 objects in 2 draws of 6")
    with np.load(folder / "final/ddim/objects/few.npz") as samples:
        assert samples["arr_0"].shape == (6, 16, 16, 3)
        assert not np.array_equal(samples["arr_0"][:3], samples["arr_0"][3:])
    timing = json.loads((folder / "final/ddim/timing.json").read_text())
    assert (timing["condition"]["kind"], timing["condition"]["split"]) == ("labels", "test")
    index, page = ((ran / f"results/report/{name}.html").read_text() for name in ("index", "things"))
    assert "Toy things" in index
    assert "Toy &lt;b&gt;suite&lt;/b&gt;" in index
    assert "Object accuracy (few)" in page
    assert "of the evaluator, on held-out real images" in page
    assert "One image for each label set of few (ddim)" in page
    table = (ran / "results/report/things.csv").read_text()
    assert "object_colour_wrong_few" in table.partition("\n")[0]
    assert "Nothing to be done" in snakemake(ran, suite="[toy.yaml, things.yaml]").stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"dataset": {"source": "demo", "label": "Others"}},
            "dataset: found the name 'demo', as in toy.yaml, for other",
        ),
        ({"models": {"gan": {"samples": "elsewhere.npz"}}}, "models: gan: found another kind than in toy.yaml"),
    ],
)
def test_suites_that_cannot_run_together_are_told(change: dict, message: str, toy: Path) -> None:
    (toy / "second.yaml").write_text(yaml.safe_dump(TOY | change))
    result = snakemake(toy, "--dry-run", suite="[toy.yaml, second.yaml]")
    assert result.returncode != 0
    assert f"second.yaml: {message}" in result.stdout


@pytest.mark.slow
def test_kill_nine_of_everything_loses_nothing(ran: Path) -> None:
    suite = copy.deepcopy(TOY)
    suite["models"]["gan"]["training"]["steps"] = 300
    write(ran, suite)
    before = {path: path.read_bytes() for path in ran.glob("results/toy/*/seed0/model.safetensors")}
    process = subprocess.Popen(
        command("results/toy/gan/seed0/model.safetensors"), cwd=ran, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | {"GENBENCH_SAVE_SECONDS": "0.5", "WARM_PYTHON": ""},
    )  # fmt: skip
    state = ran / "results/toy/gan/seed0/training/state.safetensors"
    deadline = time.monotonic() + 100
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (ran / "results/toy/gan/seed0/model.safetensors").exists()
    assert list(ran.glob(".snakemake/locks/*"))
    result = snakemake(ran)
    assert result.returncode == 0, result.stdout[-5000:]
    assert "The last run here was killed: its lock is removed" in result.stdout
    assert re.search(r"continuing from step [1-9]\d* of 300", result.stdout)
    training = json.loads((ran / "results/toy/gan/seed0/training.json").read_text())
    assert (training["steps"], training["resumed"]) == (300, 1)
    assert {path.parts[-3] for path, content in before.items() if path.read_bytes() != content} == {"gan"}
    assert "Nothing to be done" in snakemake(ran).stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ("nosuch", "config: key 'suite': found 'nosuch'"),
        ("missing.yaml", "missing.yaml: no such file"),
        ("wrong.yaml", "wrong.yaml: models: gan: unknown key: found 'trainig'"),
    ],
)
def test_a_wrong_suite_stops_at_once_with_one_line(suite: str, message: str, toy: Path) -> None:
    wrong = copy.deepcopy(TOY)
    wrong["models"]["gan"]["trainig"] = {}
    (toy / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    result = snakemake(toy, suite=suite)
    assert result.returncode != 0
    assert result.stdout.splitlines()[-1].startswith(f"error: {message}")
    assert "Traceback" not in result.stdout


@pytest.mark.slow
def test_a_wrong_key_inside_a_model_stops_before_training_and_keeps_what_there_is(ran: Path) -> None:
    suite = copy.deepcopy(TOY)
    suite["models"]["gan"]["model"]["latent"] = 3
    write(ran, suite)
    models = {path: path.read_bytes() for path in ran.glob("results/toy/*/seed0/model.safetensors")}
    result = snakemake(ran)
    assert result.returncode != 0
    assert (
        "error: toy.yaml: models: gan: model: unknown key: found 'latent' (did you mean 'latent_size'?)"
        in result.stdout
    )
    assert "Traceback" not in result.stdout
    assert {path: path.read_bytes() for path in models} == models


def documented(heading: str) -> tuple[set[str], set[str]]:
    """Return the keys under a heading of docs/results.md: those of every record, and those that only some have."""
    (section,) = re.findall(rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    some = re.findall(r"^- `(\w+)`, ", section, re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`(\w+)`", row.split(" | ")[0])}, set(some)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("heading", "file", "place"),
    [
        ("`training.json`", "ddpm/seed0/training.json", []),
        ("`timing.json`", "ddpm/seed0/final/ddim/timing.json", []),
        ("`speed.json`", "ddpm/speed.json", []),
        ("A sampler's speed", "ddpm/speed.json", ["samplers", "ddim"]),
        ("`metrics.json`", "ddpm/seed0/final/ddim/metrics.json", []),
        ("A metric", "ddpm/seed0/final/ddim/metrics.json", ["metrics", "fd_classifier"]),
        ("`preflight.json`", "preflight.json", []),
        ("A model in `preflight.json`", "preflight.json", ["models", "ddpm"]),
        ("`likelihood.json`", "ddpm/seed0/final/likelihood.json", []),
        ("`provenance`", "ddpm/seed0/training.json", ["provenance"]),
        ("`history.jsonl`", "ddpm/seed0/history.jsonl", []),
    ],
)
def test_results_have_the_keys_that_the_document_lists(toy: Path, heading: str, file: str, place: list[str]) -> None:
    text = (toy / "results/toy" / file).read_text()
    found = json.loads(text.splitlines()[0] if file.endswith(".jsonl") else text)
    for key in place:
        found = found[key]
    always, some = documented(heading)
    assert always <= set(found) <= always | some
