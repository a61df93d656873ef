"""The commands of docs/cloud.md, from a checkout to the report, on stand-ins for Kubernetes and for S3 (moto).

On request: uv run --with 'moto[server]' pytest -m cloud
"""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import pytest
import yaml
from checkouts import check_out, commit, documented, execute, project_environment, set_device
from entries import MODELS, SUITE, TRAINING
from pretended_kubernetes import Cluster, Pod

BUCKET = "pictures"
RUN = documented(
    "uv run --with snakemake-executor-plugin-kubernetes==0.5.0 --with snakemake-storage-plugin-s3==0.3.6"
    " snakemake --profile profiles/kubernetes --config suite=cifar10"
)
FETCH = documented("uvx --from awscli aws s3 cp --recursive s3://BUCKET/genbench/results/report report")
PROFILE = re.compile(r"^```yaml\n(executor: kubernetes\n.*?)^```", re.DOTALL | re.MULTILINE)
CIFAR10 = SUITE | {
    "models": {
        "gan": {
            "model": MODELS["gan"],
            "training": TRAINING | {"steps": 400},
            "sample_batch_size": 50,
            "snapshots": [100],
        },
    },
}
KEY = "somebody"  # moto accepts any key

pytestmark = [pytest.mark.cloud, pytest.mark.slow, pytest.mark.timeout(900)]


def make_image(folder: Path) -> dict[str, str]:
    """Make a stand-in for the image: the project's packages and pip, as in the Dockerfile, but not genbench itself.

    Returns its environment variables. Pods install the storage plugin from a folder of wheels that is downloaded here.
    """
    venv.create(folder / "venv", with_pip=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (packages,) = project_environment().glob("lib/python*/site-packages")
    (site / "project.pth").write_text(f"{packages}\n")
    pip = [folder / "venv/bin/python", "-m", "pip"]
    plugin = "snakemake-storage-plugin-s3"
    subprocess.run([*pip, "download", "--quiet", "--dest", folder / "wheels", plugin], check=True)
    return {
        "PATH": os.pathsep.join([f"{folder}/venv/bin", f"{project_environment()}/bin", "/usr/bin", "/bin"]),
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder / "wheels"),
        "PIP_NO_COMPILE": "1",  # saves each pod some seconds
        "OMP_NUM_THREADS": "1",
        "GENBENCH_SAVE_SECONDS": "0.5",
    }


def make_checkout(folder: Path, endpoint: str) -> None:
    """Make a clone of the tracked files, with the page's profile and a small suite instead of cifar10."""
    check_out(folder, cifar10=CIFAR10)
    set_device(folder, "cpu")
    page = (folder / "docs/cloud.md").read_text(encoding="utf-8")
    profile = yaml.safe_load(PROFILE.search(page)[1].replace("BUCKET", BUCKET))
    profile |= {
        "storage-s3-endpoint-url": endpoint,
        "seconds-between-status-checks": 1,
        "set-resources": {"train": {"gpu": 1}, "sample": {"gpu": 1}},  # although config says cpu, since there is no GPU
    }
    (folder / "profiles/kubernetes").mkdir()
    (folder / "profiles/kubernetes/config.yaml").write_text(yaml.safe_dump(profile))
    commit(folder)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a moto server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = (tmp_path_factory.mktemp("moto") / "log").open("w")
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(100):
            try:
                urlopen(url).close()
                break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait()
        log.close()


class Run(NamedTuple):
    """A run of the page's command, in which the first training was killed after its first save."""

    checkout: Path
    variables: dict[str, str]
    output: str
    cluster: Cluster
    objects: dict[str, bytes]  # the bucket's content at the end of the run


def pods_of(pods: Iterable[Pod], rule: str) -> list[Pod]:
    """Return the pods of a rule's jobs, in order of submission."""
    return [pod for pod in pods if re.search(rf"--target-jobs '?{rule}:", pod.command)]


def kill_once(cluster: Cluster, over: threading.Event) -> None:
    """Kill the training after its first save."""
    while not over.wait(0.1):
        for pod in pods_of([*cluster.pods.values()], "train"):
            if [*pod.folder.glob("**/training/state.safetensors")]:
                pod.kill()
                return


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Run]:
    import boto3

    folder = tmp_path_factory.mktemp("kubernetes")
    checkout = folder / "checkout"
    make_checkout(checkout, endpoint)
    variables = {
        "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": KEY,
        "SNAKEMAKE_STORAGE_S3_SECRET_KEY": KEY,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_ENDPOINT_URL": endpoint,
        "KUBECONFIG": str(folder / "kubeconfig"),
    }
    bucket = boto3.resource(
        "s3", endpoint_url=endpoint, aws_access_key_id=KEY, aws_secret_access_key=KEY, region_name="us-east-1"
    ).create_bucket(Bucket=BUCKET)
    over = threading.Event()
    (folder / "pods").mkdir()
    with Cluster(folder / "pods", make_image(folder), room=2) as cluster:
        cluster.write_kubeconfig(folder / "kubeconfig")
        killer = threading.Thread(target=kill_once, args=[cluster, over])
        killer.start()
        try:
            output = execute(RUN, checkout, **variables)
        finally:
            over.set()
            killer.join()
        objects = {found.key: found.get()["Body"].read() for found in bucket.objects.all()}
        yield Run(checkout, variables, output, cluster, objects)


def test_all_results_are_in_the_bucket_and_what_trainings_continue_from_is_not(run):
    assert len(run.objects["genbench/results/report/index.html"]) > 10_000
    gan = "genbench/results/cifar10/gan/seed0"
    wanted = ["snapshots/100.safetensors", "logs/train.log", "benchmarks/train.tsv", "step-100/default/metrics.json"]
    assert [name for name in wanted if f"{gan}/{name}" not in run.objects] == []
    assert [key for key in run.objects if "/training/" in key] == []
    assert [key for key in run.objects if not key.startswith(("genbench/results/", "genbench/resources/"))] == []


def test_records_tell_the_commit_that_was_sent(run):
    sent = execute("git rev-parse HEAD", run.checkout).strip()
    training = json.loads(run.objects["genbench/results/cifar10/gan/seed0/training.json"])
    assert training["provenance"]["genbench_commit"] == sent


def test_the_run_says_where_the_report_is_and_meets_no_exception_on_the_way(run):
    assert f"The report: s3://{BUCKET}/genbench/results/report/index.html" in run.output
    assert "Exception" not in run.output


def test_the_checkout_holds_what_the_page_says(run):
    def files(folder: str) -> list[str]:
        return [path.name for path in (run.checkout / folder).rglob("*") if path.is_file()]

    assert files("results") == ["preflight.json"]
    assert files("resources") == []
    assert len(files(".snakemake/auxiliary/kubernetes-logs")) == 1
    assert not {"samples.npz", "model.safetensors"} & {*files(".snakemake/storage")}


def test_a_killed_training_comes_back_with_more_memory_and_begins_anew(run):
    first, second = pods_of(run.cluster.pods.values(), "train")
    assert (first.exit_code, second.exit_code) == (137, 0)
    assert [pod.container["resources"]["limits"]["memory"] for pod in (first, second)] == ["8000M", "16000M"]
    training = json.loads(run.objects["genbench/results/cifar10/gan/seed0/training.json"])
    assert (training["steps"], training["resumed"]) == (400, 0)


def test_jobs_that_ask_for_a_gpu_ask_for_it_as_kubernetes_wants_it(run):
    asking = [*pods_of(run.cluster.pods.values(), "train"), *pods_of(run.cluster.pods.values(), "sample")]
    assert len(asking) == 4  # two trainings, and samples of a snapshot and of the final model
    for pod in run.cluster.pods.values():
        requests, limits = (pod.container["resources"][kind] for kind in ("requests", "limits"))
        assert requests.get("nvidia.com/gpu", "0") == limits.get("nvidia.com/gpu", "0") == "01"[pod in asking]
        assert (requests["cpu"], limits["cpu"]) == ("950m", "1000m")
        assert requests["ephemeral-storage"] == limits["ephemeral-storage"] == "10000M"
    assert all(pod.spec["tolerations"][0]["key"] == "nvidia.com/gpu" for pod in asking)
    assert run.cluster.refusals == []


def test_the_report_is_fetched_by_the_command_of_the_page(run):
    execute(FETCH.replace("BUCKET", BUCKET), run.checkout, **run.variables)
    report = {key: data for key, data in run.objects.items() if key.startswith("genbench/results/report/")}
    assert len(report) > 10
    for key, data in report.items():
        assert (run.checkout / key.removeprefix("genbench/results/")).read_bytes() == data


def test_a_second_run_has_nothing_to_do(run):
    before = len(run.cluster.pods)
    assert "Nothing to be done" in execute(RUN, run.checkout, **run.variables)
    assert len(run.cluster.pods) == before
