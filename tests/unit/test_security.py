"""Input may be hostile: no file runs code, and no name leaves its folder or becomes part of a command."""

import http.server
import json
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from entries import MODELS
from PIL import Image

from genbench.data import load_image_set, load_images
from genbench.data.given import given_samples
from genbench.errors import InputError, unknown_name
from genbench.features import load_extractor, load_features
from genbench.features.object_training import load_object_classifier
from genbench.files import archives
from genbench.files import npz as arrays
from genbench.files.archives import list_files, read_files
from genbench.files.downloads import download
from genbench.files.npz import read_npz
from genbench.importing import import_checkpoint
from genbench.machine.ranks import ALONE
from genbench.sampling.parts import Parts
from genbench.suites.config import Config
from genbench.suites.load import find_suite, load_suite

ROOT = Path(__file__).parents[2]


# --- Pickles ----------------------------------------------------------------------------------------------------------


class Payload:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    found = Payload(tmp_path / "code-has-run")
    pickle.loads(pickle.dumps(found))
    found.marker.rmdir()  # the payload works
    return found


def refused(read: Callable[[], object], path: Path, payload: Payload) -> None:
    """Check that `read` fails with one line that names the file, and that the payload did not run."""
    with pytest.raises(InputError) as caught:
        read()
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not payload.marker.exists()


IMPORTS: dict[str, Callable[[Path, Path], object]] = {
    "ddgan": lambda path, out: import_checkpoint("ddgan", path, out, image_size=16, timesteps=4),
    "improved-diffusion": lambda path, out: import_checkpoint(
        "improved-diffusion", path, out, image_size=16, timesteps=10, schedule="cosine"
    ),
    "dcgan": lambda path, out: import_checkpoint("dcgan", path, out),
    "the course's evaluator": lambda path, out: load_object_classifier(path),
    "classifier": lambda path, out: load_extractor(f"classifier:{path}"),
    "objects": lambda path, out: load_extractor(f"objects:{path}"),
    "dinov2": lambda path, out: load_extractor(f"dinov2:{path}", any_weights=True),
    "inception-clean": lambda path, out: load_extractor(f"inception-clean:{path}", any_weights=True),
    "inception-legacy": lambda path, out: load_extractor(f"inception-legacy:{path}", any_weights=True),
}
WRITERS: dict[str, Callable[[object, Path], object]] = {
    "torch": torch.save,
    "old torch": lambda value, path: torch.save(value, path, _use_new_zipfile_serialization=False),
    "pickle": lambda value, path: path.write_bytes(pickle.dumps(value)),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("reader", IMPORTS)
def test_a_checkpoint_that_would_run_code_is_refused(
    reader: str, writer: str, payload: Payload, tmp_path: Path
) -> None:
    path = tmp_path / "hostile.pth"
    for hidden in (payload, {"model": {"main.0.weight": torch.zeros(1), "x": payload}}, {"state_dict": payload}):
        WRITERS[writer](hidden, path)
        refused(lambda: IMPORTS[reader](path, tmp_path / "out.safetensors"), path, payload)


@pytest.mark.parametrize("writer", WRITERS)
def test_files_beside_a_checkpoint_run_no_code_either(writer: str, payload: Payload, tmp_path: Path) -> None:
    generator = {f"main.{i}.weight": torch.zeros(shape) for i, shape in ((0, (8, 4, 4, 4)), (3, (4, 1, 4, 4)))}
    torch.save(generator, tmp_path / "netG.pth")
    path = tmp_path / "netD.pth"
    WRITERS[writer]({"main.0.weight": payload}, path)
    out = tmp_path / "out.safetensors"
    refused(lambda: import_checkpoint("dcgan", tmp_path / "netG.pth", out, discriminator=str(path)), path, payload)
    folder = tmp_path / "diffusers"
    folder.mkdir()
    network = {"_class_name": "UNet2DModel", "in_channels": 1, "out_channels": 1, "sample_size": 16}
    (folder / "config.json").write_text(json.dumps(network))
    WRITERS[writer]({"conv_in.weight": payload}, folder / "diffusion_pytorch_model.bin")
    refused(
        lambda: import_checkpoint("diffusers", folder, out, timesteps=10, schedule="linear", prediction="eps"),
        folder / "diffusion_pytorch_model.bin",
        payload,
    )
    assert not out.exists()


NPZ: dict[str, tuple[Callable[[Path], object], dict[str, object]]] = {
    "a prepared data set": (
        load_image_set,
        {
            "images": np.zeros((2, 4, 4, 1), np.uint8),
            "labels": np.zeros(2, np.int64),
            "class_names": np.array(["a"]),
            "info": "{}",
        },
    ),
    "images": (load_images, {"arr_0": np.zeros((2, 4, 4, 1), np.uint8), "info": "{}"}),
    "features": (
        load_features,
        {"features": np.zeros((2, 3), np.float32), "logits": np.zeros((2, 3), np.float32), "info": "{}"},
    ),
    "samples drawn elsewhere": (lambda path: given_samples(path, 2, (1, 4, 4)), {"arr_0": np.zeros((2, 4, 4, 1))}),
    "images drawn elsewhere": (lambda path: given_samples(path, 2, (1, 4, 4)), {"images": np.zeros((2, 4, 4, 1))}),
}


@pytest.mark.parametrize("kind", NPZ)
def test_arrays_of_objects_are_never_unpickled(kind: str, payload: Payload, tmp_path: Path) -> None:
    read, whole = NPZ[kind]
    path = tmp_path / "hostile.npz"
    for key in whole:
        np.savez(path, **{**whole, key: np.array([payload], dtype=object)}, allow_pickle=True)
        refused(lambda: read(path), path, payload)
    for content in (pickle.dumps(payload), b""):  # numpy reads any file that is not a zip as a pickle
        path.write_bytes(content)
        refused(lambda: read(path), path, payload)
    np.save(tmp_path / "lone.npy", np.array([payload], dtype=object), allow_pickle=True)
    path.write_bytes((tmp_path / "lone.npy").read_bytes())
    refused(lambda: read(path), path, payload)


def test_a_kept_batch_is_never_unpickled(payload: Payload, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts(tmp_path / "parts", "a", ALONE)
    np.savez(tmp_path / "parts/0.npz", images=np.array([payload], dtype=object), seconds=1.0, allow_pickle=True)
    assert parts.load(0) is None
    assert "drawing images from seed 0 on again" in caplog.text
    assert not payload.marker.exists()


# --- Files that are too large once unpacked ---------------------------------------------------------------------------


def test_an_npz_larger_than_memory_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, arr_0=np.zeros(10**7, np.uint8))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(arrays, "physical_memory", lambda: 10**6)
    with pytest.raises(InputError, match=r"bomb\.npz: holds 10,000,128 bytes of arrays, more than this machine's"):
        read_npz(path, ("arr_0",))
    assert read_npz(path, ("arr_1",)) == {}


@pytest.mark.parametrize("form", ["zip", "gztar"])
def test_a_file_in_an_archive_is_bounded(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(bytes(10**6))
    path = Path(shutil.make_archive(str(tmp_path / "bomb"), form, tmp_path / "in"))
    assert path.stat().st_size < 5000
    assert [len(content) for _, content in read_files(path, {"a.png"})] == [10**6]
    monkeypatch.setattr(archives, "LARGEST", 10**6 - 1)
    for read in (list_files, lambda path: list(read_files(path, {"a.png"}))):
        with pytest.raises(InputError, match=r"bomb\S*: a\.png has 1,000,000 bytes unpacked, expected at most 999,999"):
            read(path)


# --- Names and values of a suite --------------------------------------------------------------------------------------

SUITE = {
    "title": "Toy",
    "dataset": {"source": "demo"},
    "models": {"gan": {"model": MODELS["gan"], "training": {"steps": 2, "batch_size": 8}}},
}
HOSTILE_NAMES = ["../x", "..", "/x", "a/b", "", ".x", "-rf", "a b", "a\n", "a\nb", "$(touch m)", "`touch m`", "a;b",
                 "a'b", 'a"b', "a{b}", "a%b", "a\\b", "a\0b", "é"]  # fmt: skip


def loaded(folder: Path, suite: dict, name: str = "toy.yaml") -> dict:
    (folder / name).write_text(yaml.safe_dump(suite))
    return load_suite(folder / name)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_that_are_no_names_of_files_are_refused(name: str, tmp_path: Path) -> None:
    gan = SUITE["models"]["gan"]
    for change in (
        {"models": {name: gan}},
        {"models": {"gan": gan | {"samplers": {name: {}}}}},
        {"models": {"gan": gan | {"pictures": [name]}}},
        {"models": {"gan": gan | {"first_stage": name}}},
        {"dataset": {"source": "demo", "name": name}},
        {"evaluation": {"extractors": [name]}},
        {"evaluation": {"objects": {"labels": {name: "test"}}}},
    ):
        with pytest.raises(InputError, match=r"toy\.yaml: .*expected|toy\.yaml: .*(long|short)") as caught:
            loaded(tmp_path, SUITE | change)
        assert "\n" not in str(caught.value)
    if name and "/" not in name and "\0" not in name:
        with pytest.raises(InputError, match=r"suite: found the file .*, expected letters and digits in its name"):
            loaded(tmp_path, SUITE, f"{name}.yaml")


def test_numbers_on_a_command_line_are_numbers(tmp_path: Path) -> None:
    for key in ("epochs", "min_accuracy"):
        for value in ("1; touch m", "$(touch m)", "1\n2", [1], {"a": 1}):
            for classifier in (
                {"classifier": {key: value}},
                {"objects": {"labels": {"a": "test"}, "classifier": {key: value}}},
            ):
                with pytest.raises(InputError, match=rf"toy\.yaml: evaluation: .*{key}: found"):
                    loaded(tmp_path, SUITE | {"evaluation": classifier})
    for change, where in (
        ({"num_samples": 1000.0}, "num_samples: found 1000.0"),
        ({"seeds": [0.0]}, "seeds: 0: found 0.0"),
        ({"seeds": ["0;x"]}, "seeds: 0: found '0;x'"),
        ({"evaluation": {"classifier": {"epochs": 2.0}}}, "evaluation: classifier: epochs: found 2.0"),
    ):
        with pytest.raises(InputError, match=re.escape(where)):
            loaded(tmp_path, SUITE | change)


@pytest.mark.parametrize("key", ["suite", "data_root", "weights_root"])
def test_paths_of_the_configuration_have_no_control_characters(key: str) -> None:
    for path in ("a\nb", "a\n", "a\0b", "\x1b[2J", "<a>", "{a}", ""):
        with pytest.raises(InputError, match=rf"^config: {key}.*expected a path without|is not valid under") as caught:
            Config.complete({"suite": "demo"} | {key: path}, "config")
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="config: key 'suite': found '-rf'"):
        find_suite("-rf")


def test_what_is_unknown_is_shown_on_one_line() -> None:
    assert "\n" not in str(unknown_name("where", "a\nb\x1b", ["c"]))
    assert "\x1b" not in str(unknown_name("where", "a\nb\x1b", ["c"]))


# --- Downloads --------------------------------------------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the requested path, or with the server's redirect for it."""

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        target = self.server.redirects.get(self.path)  # type: ignore[attr-defined]
        body = b"" if target else self.path.encode()
        self.send_response(302 if target else 200)
        if target:
            self.send_header("Location", target)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def servers():
    """Two servers: another port counts as another host."""
    found = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in found]
    for server, thread in zip(found, threads, strict=True):
        server.redirects = {}
        thread.start()
    yield found
    for server, thread in zip(found, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def published(path: Path) -> None:
    if path.read_bytes() != b"/published":
        raise InputError(f"{path}: something else")


def test_a_redirect_reads_no_file_of_this_machine(servers, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("/published")
    targets = [f"file://{tmp_path}/secret", "ftp://127.0.0.1/published", "data:text/plain,/published", "javascript:1"]
    for target in targets:
        servers[0].redirects["/a"] = target
        with pytest.raises(InputError, match=r"got\.bin: missing, and could not be downloaded"):
            download([f"http://127.0.0.1:{servers[0].server_port}/a"], tmp_path / "got.bin", published)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["secret"]


def test_another_host_is_believed_no_more_than_the_first(servers, tmp_path: Path) -> None:
    other = f"http://127.0.0.1:{servers[1].server_port}"
    servers[0].redirects = {"/a": f"{other}/forged", "/b": f"{other}/published"}
    here = f"http://127.0.0.1:{servers[0].server_port}"
    with pytest.raises(InputError, match=r"a: got\.bin: something else"):
        download([f"{here}/a"], tmp_path / "got.bin", published)
    download([f"{here}/b"], tmp_path / "got.bin", published)
    assert (tmp_path / "got.bin").read_bytes() == b"/published"


def test_https_stays_https(servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    plain, get = f"http://127.0.0.1:{servers[0].server_port}/published", requests.get

    def redirected(url: str, **options: object) -> object:
        return get(url.replace("https://secure/", plain), **options)  # as if https://secure/ redirected there

    monkeypatch.setattr(requests, "get", redirected)
    with pytest.raises(InputError, match="https://secure/: redirected away from https"):
        download(["https://secure/"], tmp_path / "got.bin", published)
    assert list(tmp_path.iterdir()) == []
    download([plain], tmp_path / "got.bin", published)


# --- The command lines of a whole run ---------------------------------------------------------------------------------

SHELL = "a; touch marker; $(touch marker) `touch marker` | touch marker & ' \" {marker} %s \\ * -rf <b>"


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_no_value_of_a_suite_reaches_a_shell(tmp_path: Path) -> None:
    """Run a suite to its report, with shell syntax in every text that a user may choose."""
    place = re.sub("[<>{}]", "", SHELL)  # paths may not have these
    folder = tmp_path / place
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in range(320):
        (folder / "images" / place / str(name % 2)).mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 100, (16, 16), dtype=np.uint8)
        pixels[: 8 if name % 2 else 16] += 150
        Image.fromarray(pixels).save(folder / "images" / place / str(name % 2) / f"{name} {place}.png")
    np.savez(folder / f"-{place}.npz", random.integers(0, 256, (140, 16, 16, 1), dtype=np.uint8))
    suite = {
        "title": SHELL,
        "description": SHELL,
        "dataset": {
            "source": "folder",
            "name": "mine",
            "label": SHELL,
            "path": f"images/{place}",
            "test_fraction": 0.5,
        },
        "num_samples": 140,
        "evaluation": {
            "options": {"kid_subset_size": 20, "kid_subsets": 2, "neighbours": 0},
            "classifier": {"epochs": 1, "min_accuracy": 0},
        },
        "models": {
            "gan": {
                "label": SHELL,
                "description": SHELL + "\nand\ttwo lines",
                "budget": SHELL,
                "model": MODELS["gan"],
                "training": {"steps": 20, "batch_size": 16},
            },
            "elsewhere": {"label": f"-{SHELL}", "samples": f"-{place}.npz"},
        },
    }
    (folder / "toy.yaml").write_text(yaml.safe_dump(suite))
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    config = {"suite": f"{place}/toy.yaml", "data_root": place, "weights_root": place, "device": "cpu"}
    (tmp_path / "hostile.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    command += ["--profile", str(ROOT / "profiles/default"), "--configfile", str(tmp_path / "hostile.yaml")]
    result = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert not [path for path in tmp_path.rglob("*") if path.name == "marker"], result.stdout[-5000:]
    assert result.returncode == 0, result.stdout[-5000:]
    page = (tmp_path / "results/report/toy.html").read_text()
    assert "{marker} %s" in page
    assert "-rf &lt;b&gt;" in page
    assert "-rf <b>" not in page


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"device": "cpu; touch marker"}, "config: device: "),
        ({"jobs_per_gpu": "1; touch marker"}, "config: jobs_per_gpu: found '1; touch marker'"),
        ({"num_samples": "$(touch marker)"}, "config: num_samples: "),
        ({"seeds": ["0\ntouch marker"]}, "config: seeds: "),
        ({"suite": "`touch marker`"}, "config: key 'suite': found '`touch marker`'"),
        ({"suite": "$(touch marker).yaml"}, "suite: found the file '$(touch marker).yaml'"),
        ({"data_root": "a\ntouch marker"}, "config: data_root: found 'a\\ntouch marker'"),
        ({"$(touch marker)": 1}, "config: unknown key: found '$(touch marker)'"),
    ],
)
def test_a_configuration_written_for_a_shell_is_named(config: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    (tmp_path / "hostile.yaml").write_text(yaml.safe_dump({"suite": "demo"} | config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "--dry-run"]
    command += ["--configfile", str(tmp_path / "hostile.yaml")]
    result = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode != 0
    assert message in result.stdout
    assert "Traceback" not in result.stdout
    assert not list(tmp_path.rglob("marker"))
