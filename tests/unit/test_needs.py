"""Shortages of disk or memory and missing published weights are reported before a run begins."""

import http.server
import re
import threading
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from entries import IMAGE_SUITES, MODELS, SUITE, TRAINING, save_samples

from genbench.commands.preflight import main
from genbench.data import describe
from genbench.errors import InputError
from genbench.features import EXTRACTORS
from genbench.features.published_weights import WeightFile
from genbench.machine import devices
from genbench.models import build
from genbench.suites import needs, runs
from genbench.suites.load import checkpoints, load_suite
from genbench.suites.needs import evaluation_memory, facts, files, shortages
from genbench.suites.preflight import check_suite
from genbench.training.flops import training_cost
from genbench.training.recipe import TrainConfig

ROOT = Path(__file__).parents[2]
GB = 10**9


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, on a machine with 1 TB of disk, 1 TB of memory and no GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GENBENCH_WEIGHTS", raising=False)
    set_machine(monkeypatch)
    return tmp_path


def set_machine(monkeypatch: pytest.MonkeyPatch, disk: int = 1000, memory: int = 1000, gpu: int | None = None) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(needs.shutil, "disk_usage", lambda path: usage(disk * GB))
    monkeypatch.setattr(needs, "available_memory", lambda: memory * GB)
    monkeypatch.setattr(needs, "gpu_memory", lambda: None if gpu is None else gpu * GB)


def cifar10() -> tuple[dict, dict]:
    suite = load_suite(ROOT / "suites/cifar10.yaml")
    models = {"ddpm": {"parameters": {"denoiser": 35_746_307}, "training_memory_bytes": 21 * GB, "samplers": {}}}
    return suite, facts(describe(suite["dataset"], "none"), models)


def test_cifar10_keeps_no_features_of_its_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    suite, known = cifar10()
    kinds = {what for what, path, _ in files(suite, known) if path.startswith("results/")}
    assert kinds == {"samples", "weights"}
    set_machine(monkeypatch, disk=100)
    assert not [line for line in shortages(suite, known) if line.startswith("disk")]


def test_cifar10_would_write_187_gb_of_features_beside_its_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LARGE", 1e12)  # no features are deleted
    suite, known = cifar10()
    sizes: dict[str, int] = {}
    for what, path, size in files(suite, known):
        if path.startswith("results/"):
            sizes[what] = sizes.get(what, 0) + size
    rows = 153  # each has 50,000 images, evaluated by two Inceptions with 2,048 features and 1,008 logits
    assert sizes["features"] == rows * 2 * 50_000 * (2048 + 1008) * 4 == pytest.approx(187e9, rel=0.005)
    assert sizes["samples"] == rows * 50_000 * (3 * 32 * 32 + 8)
    assert sizes["weights"] == 4 * 35_746_307 * len(suite["seeds"])

    set_machine(monkeypatch, disk=100)
    (line,) = [line for line in shortages(suite, known) if line.startswith("disk")]
    assert line.startswith("disk: 212 GB will be written to resources and results (188 GB of features, 23.6 GB of ")
    assert line.endswith(", and 100 GB are free there")
    assert not list(shortages(suite, known, elsewhere="files"))


def test_what_is_there_already_needs_no_room_again(monkeypatch: pytest.MonkeyPatch, machine: Path) -> None:
    suite, known = cifar10()
    for what, path, _ in files(suite, known):
        if what == "features":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch()
    set_machine(monkeypatch, disk=20)
    (line,) = [line for line in shortages(suite, known) if line.startswith("disk")]
    assert "disk: 23.9 GB will be written to resources and results (23.6 GB of samples" in line
    set_machine(monkeypatch, disk=24)
    assert not [line for line in shortages(suite, known) if line.startswith("disk")]


def test_snapshots_and_all_draws_count(machine: Path) -> None:
    entry = {"model": MODELS["vae"], "training": TRAINING, "snapshots": [5, 10]}
    Path("small.yaml").write_text(yaml.safe_dump(SUITE | {"models": {"vae": entry}, "draws": 3, "seeds": [0, 1]}))
    suite = load_suite(Path("small.yaml"))
    found = facts(describe(suite["dataset"], "none"), {"vae": {"parameters": {"encoder": 10, "decoder": 15}}})
    sizes = [(what, size) for what, path, size in files(suite, found) if path.startswith("results/")]
    assert sorted(size for what, size in sizes if what == "weights") == [100] * 6
    image, row = 28 * 28 + 8, (128 + found["num_classes"]) * 4
    assert sorted(size for what, size in sizes if what == "samples") == [160 * image] * 4 + [480 * image] * 2
    assert sorted(size for what, size in sizes if what == "features") == [160 * row] * 4 + [480 * row] * 2


def test_memory_of_training_and_of_evaluation_is_compared_with_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    suite, known = cifar10()
    features = (50_000 + 10_000 + 50_000) * (2048 + 1008) * 4
    assert 1.2 * features < evaluation_memory(suite, known) < 1.4 * features

    def lines(**options: str) -> list[str]:
        return [line for line in shortages(suite, known, **options) if line.startswith("memory")]

    assert lines() == []
    set_machine(monkeypatch, memory=1)
    training, evaluation = lines()
    assert training.startswith("memory: models: ddpm: training takes up to about 21 GB; 1 GB of this machine's memory")
    assert evaluation.startswith("memory: the evaluation of a row takes about 1.78 GB, features of real and of gen")
    assert evaluation.endswith("a smaller num_samples needs less")
    smaller = suite | {"num_samples": 5000, "snapshot_samples": 5000}
    assert evaluation_memory(smaller, known) < evaluation_memory(suite, known) - 0.5e9
    assert training.endswith("training: accumulate divides it")
    model, recipe = build(MODELS["ddpm"], (1, 16, 16)).to("meta"), {"steps": 10, "batch_size": 64}
    taken = [
        training_cost(model, TrainConfig.from_entry(recipe | {"accumulate": parts}))["memory_bytes"] for parts in (1, 8)
    ]
    assert taken[1] < 0.3 * taken[0]
    assert lines(elsewhere="jobs") == []
    set_machine(monkeypatch, memory=100, gpu=16)
    assert lines()[0].startswith("memory: models: ddpm: training takes up to about 21 GB; 16 GB of the GPU's memory")
    assert lines(device="cpu") == []


def test_samples_that_are_drawn_at_once_have_to_fit_and_the_line_says_how_many_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suite, known = cifar10()
    known["per_image"]["ddpm"] = 20_000_000

    def lines(**options: str) -> list[str]:
        return [line for line in shortages(suite, known, **options) if "drawing" in line]

    set_machine(monkeypatch, memory=11)
    assert lines() == []
    set_machine(monkeypatch, memory=8)
    assert lines() == [
        "memory: models: ddpm: drawing 500 images at once takes about 10.1 GB; 8 GB of this machine's memory are free; "
        "sample_batch_size: 392 fits"
    ]
    suite["models"]["ddpm"]["sample_batch_size"] = 392  # the remedy works
    assert lines() == []
    set_machine(monkeypatch, memory=100, gpu=4)
    assert "4 GB of the GPU's memory are free; sample_batch_size: 192 fits" in lines()[0]
    known["per_image"]["ddpm"] = 5 * GB
    assert lines()[0].endswith("not even one image fits")


def test_what_a_network_holds_at_once_is_counted_on_the_meta_device() -> None:
    from genbench.suites.cost import META, MemoryCounter

    with META:
        network = torch.nn.Sequential(torch.nn.Linear(100, 300), torch.nn.ReLU(), torch.nn.Linear(300, 10))
        x = torch.empty(2, 100)
    with torch.no_grad(), MemoryCounter(network) as counter:
        network(x)
    assert counter.peak == 2 * 300 * 4 * 2  # the outputs of the first layer and of ReLU
    with torch.no_grad(), MemoryCounter(network) as counter:
        network(x).T.clone()
    assert (counter.peak, counter.alive) == (2 * 300 * 4 * 2, 0)


def test_a_training_in_fp16_that_would_be_refused_is_named_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    suite, known = cifar10()
    monkeypatch.setattr(needs, "gpu_generation", lambda: 8.0)

    def fp16(native: list[str], **options: str) -> list[str]:
        return [line for line in shortages(suite, known | {"native": native}, **options) if "fp16" in line]

    (line,) = fp16(["bf16"], device="cpu")
    assert line.startswith("models: ddpm-tutorial: training: key 'precision': found 'fp16', which this machine's proce")
    (line,) = fp16(["bf16"], device="mps")
    assert "this machine's GPU does not multiply" in line
    assert fp16(["bf16", "fp16"], device="cpu") == fp16([], device="cuda") == []
    assert fp16([], device="cpu", elsewhere="jobs") == []


@pytest.mark.parametrize(
    ("device", "native", "generation", "expected"),
    [
        ("cpu", ["bf16"], 9.0, "bf16 on this machine's processor"),
        ("cpu", [], 9.0, "fp32 on this machine's processor"),
        ("cuda", [], 8.0, "bf16 on this machine's GPU"),
        ("cuda", ["bf16"], 7.5, "fp32 on this machine's GPU"),
        ("cuda", ["bf16"], None, None),  # no nvidia-smi: unknown
        ("mps", ["bf16"], None, "fp32 on this machine's GPU"),
    ],
)
def test_what_auto_is_here_is_said_before_the_run(
    device: str, native: list[str], generation: float | None, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, known = cifar10()
    del suite["models"]["ddpm"]["training"]["precision"]
    monkeypatch.setattr(needs, "gpu_generation", lambda: generation)
    lines = [line for line in shortages(suite, known | {"native": native}, device=device) if "auto is" in line]
    assert lines == ([f"training: precision: auto is {expected}, for trainings that begin now"] if expected else [])


def test_what_nvidia_smi_states_of_the_oldest_gpu(monkeypatch: pytest.MonkeyPatch, machine: Path) -> None:
    program = machine / "nvidia-smi"
    program.write_text('#!/bin/sh\ncase "$1" in *compute_cap) echo 9.0; echo 7.5;; *) echo 81559; echo [N/A];; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(machine), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert (devices.gpu_generation(), devices.gpu_memory()) == (7.5, 81559 * 2**20)
    assert devices.kind_of_device() == "cuda"
    program.write_text("#!/bin/sh\necho Failed\n")
    assert devices.gpu_generation() is devices.gpu_memory() is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.gpu_generation() is None
    assert devices.kind_of_device("cuda") == "cuda" != devices.kind_of_device()


@pytest.fixture
def publisher() -> Iterator[str]:
    """A local server that has one file and answers only HEAD requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if self.path == "/there.pt" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_weights_that_are_neither_here_nor_to_be_had_are_named_before_the_first_training(
    publisher: str, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, known = cifar10()
    suite["evaluation"]["extractors"] = ["inception-clean", "classifier"]

    def lines(url: str, ask: bool = True) -> list[str]:
        kind = replace(EXTRACTORS["inception-clean"], weights=WeightFile("there.pt", [url], "0" * 64))
        monkeypatch.setitem(EXTRACTORS, "inception-clean", kind)
        return [line for line in shortages(suite, known, ask=ask) if line.startswith("weights")]

    start = "weights: evaluation: extractors: inception-clean: found no resources/weights/there.pt"
    gone, nobody = f"{publisher}/gone.pt", "http://127.0.0.1:1/there.pt"
    assert lines(f"{publisher}/there.pt") == []
    assert lines(gone) == [f"{start}, and {gone} can't be reached (HTTP 404): fetch it elsewhere and put it there"]
    (line,) = lines(nobody)
    assert line == f"{start}, and {nobody} can't be reached (ConnectionError): fetch it elsewhere and put it there"
    # A dry run sends no request.
    assert lines(nobody, ask=False) == [f"{start}, which a run fetches from {nobody}; without a network, put it there"]
    # The remedy works, also in another folder for weights.
    monkeypatch.setenv("GENBENCH_WEIGHTS", str(machine / "own"))
    assert len(lines(nobody)) == 1
    (machine / "own").mkdir()
    (machine / "own/there.pt").touch()
    assert lines(nobody) == []


def test_the_script_says_what_is_short_of_a_suite_that_is_known_and_of_a_new_one(
    machine: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    models = {"vae": {"model": MODELS["vae"], "training": TRAINING}}
    Path("small.yaml").write_text(yaml.safe_dump(SUITE | {"models": models}))
    for free, short in ((0, True), (0, True), (1, False)):
        set_machine(monkeypatch, disk=free)
        for arguments in (["--check"], []):
            caplog.clear()
            main(["--suite", "small.yaml", *arguments])
            assert any("small.yaml: disk: " in message for message in caplog.messages) == short


@pytest.mark.parametrize(
    ("value", "message"),
    [(128, "images: every value is 128"), (1, "images: every value is 1"), (None, "images: all 160 are the same")],
)
def test_given_samples_that_no_metric_would_take_are_refused_before_a_training(value, message, machine: Path) -> None:
    save_samples(machine / "theirs.npz")
    images = np.load(machine / "theirs.npz")["arr_0"]
    constant = np.full_like(images, value) if value is not None else np.repeat(images[:1], len(images), axis=0)
    np.savez(machine / "constant.npz", constant)
    for name in ("theirs", "constant"):
        Path("small.yaml").write_text(yaml.safe_dump(SUITE | {"models": {"x": {"samples": f"{name}.npz"}}}))
        suite = load_suite(Path("small.yaml"))
        if name == "theirs":
            check_suite(suite, "none", "small.yaml")
        else:
            with pytest.raises(InputError, match=rf"small\.yaml: models: x: samples: .*constant\.npz: {message}"):
                check_suite(suite, "none", "small.yaml")


def test_the_features_of_real_images_which_fetch_the_weights_come_before_every_training() -> None:
    rule = (ROOT / "rules/data.smk").read_text(encoding="utf-8").partition("rule reference_features:")[2]
    found = re.search(r"^    priority: (\d+)", rule.partition("\nrule ")[0], re.MULTILINE)
    assert found is not None
    for path in IMAGE_SUITES:
        for entry in load_suite(path)["models"].values():  # train_priority in rules/entries.smk
            assert int(found[1]) > 100 * len(entry["samplers"]) * len(list(checkpoints(entry)))


def test_folders_that_cannot_be_written_into_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    needs.check_folders("results", "resources")
    (tmp_path / "results").symlink_to("disk-that-is-not-mounted")
    with pytest.raises(
        InputError, match=r"results: found a file, or a link that leads to no folder; expected a folder"
    ):
        needs.check_folders("results")
    (tmp_path / "resources").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(InputError, match="resources: nothing can be written here, where resources/ is made"):
        needs.check_folders("resources")
