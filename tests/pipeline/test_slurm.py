"""A toy suite on a real Slurm: `pytest -m slurm`. tests/pipeline/slurm/run.sh starts a Slurm and runs it there.

The GPUs may be stand-ins: jobs request them, but compute on the CPU.
"""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
import torch
import yaml
from checkouts import check_out, documented, environment, execute, run, set_device
from entries import DDPM_OF_TWO_RANKS, MODELS, SUITE, TRAINING, save_samples
from stand_in_apptainer import make_command

LONGER = TRAINING | {"steps": 600}
CIFAR10 = SUITE | {
    "models": {
        "gan": {"model": MODELS["gan"], "training": LONGER, "sample_batch_size": 50},
        "ddpm": DDPM_OF_TWO_RANKS,
    },
}
# The profile's keys for a cluster without accounts and with two partitions (docs/clusters.md), and shorter waits.
FITTED = """
slurm-partition-config: partitions.yaml
slurm-status-command: squeue
slurm-no-account: true
slurm-init-seconds-before-status-checks: 2
seconds-between-status-checks: 2
slurm-keep-successful-logs: true
precommand: "env | grep CUDA_VISIBLE_DEVICES; true"
set-resources: # though config.yaml says cpu, as there is no real GPU
  train: {gpu: 1}
  sample: {gpu: 1}
"""
PARTITIONS = "partitions:\n  gpu: {max_gpu: 2}\n  cpu: {max_gpu: 0}\n"
RUN = documented("uv run snakemake --profile profiles/slurm --config suite=cifar10")

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(1800)]


def slurm(*command: str) -> str:
    return subprocess.run(["timeout", "10", *command], capture_output=True, text=True, check=True).stdout


def job_records(folder: Path) -> list[dict[str, str]]:
    """Return Slurm's record of every job of this folder, with Slurm's keys."""
    lines = slurm("scontrol", "show", "job", "--oneliner").splitlines()
    records = [dict(re.findall(r"([\w/]+)=(\S+)", line)) for line in lines]
    return [record for record in records if record.get("WorkDir") == str(folder)]


def jobs_of(records: list[dict[str, str]], rule: str, model: str = "") -> list[dict[str, str]]:
    """Return a rule's jobs in order of submission; the executor's comment is rule_NAME_wildcards_VALUES."""
    found = [record for record in records if re.match(rf"rule_{rule}_wildcards_.*{model}", record.get("Comment", ""))]
    return sorted(found, key=lambda record: int(record["JobId"]))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a profile for this cluster and small suites."""
    demo = SUITE | {"models": {"given": {"samples": "given.npz"}}}
    folder = check_out(tmp_path_factory.mktemp("cluster") / "genbench", cifar10=CIFAR10, demo=demo)
    set_device(folder, "cpu")
    save_samples(folder / "given.npz")
    (folder / "partitions.yaml").write_text(PARTITIONS)
    with (folder / "profiles/slurm/config.yaml").open("a") as profile:
        profile.write(FITTED)
    return folder


@pytest.fixture(scope="module")
def cluster(checkout: Path) -> tuple[Path, str, list[dict[str, str]]]:
    """The folder, Snakemake's output and Slurm's records of a run with one cancelled training."""
    with (checkout / "output.log").open("w") as output:
        process = subprocess.Popen(
            RUN.split(),
            cwd=checkout,
            stdout=output,
            stderr=output,
            env=environment(checkout) | {"GENBENCH_SAVE_SECONDS": "0.5"},
        )
        try:
            state = checkout / "results/cifar10/gan/seed0/training/state.safetensors"
            while process.poll() is None and not state.exists():
                time.sleep(0.2)
            for job in jobs_of(job_records(checkout), "train", "gan"):
                slurm("scancel", job["JobId"])  # as Slurm does at the time limit
            process.wait()
        finally:
            process.terminate()
            process.wait()
    text = (checkout / "output.log").read_text()
    assert process.returncode == 0, text[-10_000:]
    return checkout, text, job_records(checkout)


def test_the_report_is_made(cluster):
    folder, _, _ = cluster
    assert (folder / "results/report/index.html").stat().st_size > 10_000
    page = (folder / "results/report/cifar10.html").read_text()
    assert all(model in page for model in CIFAR10["models"])


def test_a_cancelled_training_comes_back_with_more_memory_and_time_and_goes_on(cluster):
    folder, _, records = cluster
    first, second = jobs_of(records, "train", "gan")
    assert (first["JobState"], second["JobState"]) == ("CANCELLED", "COMPLETED")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("1-00:00:00", "2-00:00:00")
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("8000M", "16000M")
    training = json.loads((folder / "results/cifar10/gan/seed0/training.json").read_text())
    assert (training["steps"], training["resumed"]) == (600, 1)


def test_jobs_that_ask_for_a_gpu_get_one_and_others_do_not(cluster):
    folder, _, records = cluster
    seen = set()
    for record in records:
        log = Path(record["StdOut"]).read_text()
        devices = re.search(r"^CUDA_VISIBLE_DEVICES=(\S*)$", log, re.MULTILINE)
        asks = re.match(r"rule_(train|sample)_wildcards", record["Comment"]) is not None
        assert (devices is not None) == asks, record["Comment"]
        assert record["Partition"] == ("gpu" if asks else "cpu")
        assert (record.get("TresPerJob") == "gres:gpu:1") == asks
        seen |= {devices[1]} if devices else set()
    assert seen <= {"0", "1"}
    assert len(seen) >= 1
    timing = json.loads((folder / "results/cifar10/gan/seed0/final/default/timing.json").read_text())
    assert timing["device"].startswith("CPU")  # the device that was used, not the requested one


def test_the_ranks_of_a_model_run_in_one_job(cluster):
    folder, _, records = cluster
    for rule, model, tasks in (("train", "ddpm", "2"), ("sample", "ddpm", "2"), ("sample", "gan", "1")):
        (record,) = jobs_of(records, rule, model)
        assert (record["NumNodes"], record["NumTasks"], record["CPUs/Task"]) == ("1", tasks, "1")
    training = json.loads((folder / "results/cifar10/ddpm/seed0/training.json").read_text())
    assert training["ranks"] == 2
    assert training["device"].startswith("2 × CPU")


def test_features_and_metrics_of_a_row_are_one_job_and_pages_are_none(cluster):
    folder, _, records = cluster
    comments = [record["Comment"] for record in records]
    rows = len(CIFAR10["models"])
    assert sum(comment.startswith("rule_row_evaluate_and_show_sample_features") for comment in comments) == rows
    assert not re.findall(r"rule_(?:evaluate_wild|evaluate_and|sample_feat|report|index|real_grid)", " ".join(comments))
    assert (folder / "results/cifar10/real/grid.png").exists()


def test_a_second_run_has_nothing_to_do(cluster):
    assert "Nothing to be done" in run(RUN, cluster[0])


def test_a_dry_run_lists_what_would_be_submitted(checkout):
    said = run("uv run snakemake --dry-run --quiet host --profile profiles/slurm --config suite=cifar10", checkout)
    assert said.count("Reason: ") > 10 or "Nothing to be done" in said


def test_the_cluster_is_asked_for_its_partitions(checkout):
    execute("uv run generate-slurm-partition-config > asked.yaml", checkout)
    assert yaml.safe_load((checkout / "asked.yaml").read_text())["partitions"].keys() == {"gpu", "cpu"}


def test_the_doctor_finds_a_shared_folder_and_no_real_gpu(cluster):
    line = "uv run genbench doctor --profile slurm"
    said = run(line, cluster[0], status=0 if torch.cuda.is_available() else 1)
    assert "ok    shared file system: " in said
    assert ("mend  GPU of a node: nvidia-smi shows none" in said) != torch.cuda.is_available()


def test_a_gpu_is_tried_by_hand(cluster):
    """Run the command in the shell that srun opens on a node, in a terminal."""
    shell = documented("srun --gpus=1 --cpus-per-task=4 --mem=16G --time=1:00:00 --pty bash")
    line = documented("uv run snakemake --cores 4 --resources gpu=1 --config device=cuda")
    said = subprocess.run(
        ["script", "--quiet", "--return", "--command", shell, "/dev/null"],  # a terminal for srun
        cwd=cluster[0],
        env=environment(cluster[0]),
        input=f"echo device $CUDA_VISIBLE_DEVICES.\n{line}\nexit\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=800,
    ).stdout
    assert re.search(r"^device [01]\.", said, re.MULTILINE), said
    assert ("error: device: found 'cuda', but torch sees no CUDA GPU" in said) != torch.cuda.is_available(), said


def test_jobs_run_in_the_image(cluster):
    """A stand-in for apptainer is used."""
    folder = cluster[0]
    make_command(folder / "bin", "genbench.sif")
    path = f"{folder / 'bin'}{os.pathsep}{environment(folder)['PATH']}"
    run("uv run snakemake --profile profiles/slurm --sdm apptainer --apptainer-args=--nv", folder, PATH=path)
    calls = (folder / "apptainer.txt").read_text()
    assert "scripts/extract_features.py" in calls
    assert all("--nv" in call for call in calls.splitlines() if call.startswith("exec "))
    assert (folder / "results/report/demo.html").exists()
