"""A few faults as ordinary tests; harness.py tries hundreds on whole runs."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from entries import blobs

from genbench.data import load_image_set, load_images, save_image_set
from genbench.data.image_set import make_image_set
from genbench.errors import InputError
from genbench.features import load_features, save_features
from genbench.files import weights
from genbench.files.artifacts import read_json, write_json
from genbench.files.locks import locked
from genbench.machine.command_line import run
from genbench.machine.ranks import ALONE
from genbench.metrics import Features
from genbench.sampling.parts import Part, Parts
from genbench.training.history import History

INFO = {"extractor": {"name": "classifier", "sha256": "ab"}, "images_sha256": "cd", "warnings": []}


def write_model(path: Path) -> None:
    tensors = {"a": torch.arange(60, dtype=torch.float32), "b": torch.ones(3, 4, dtype=torch.int64)}
    weights.save_tensors(path, tensors, {"model": {"class": "vae.VAE", "latent_size": 4}, "step": 100})


def read_model(path: Path) -> object:
    tensors, info = weights.load_tensors(path)
    return {name: (str(tensor.dtype), tensor.tolist()) for name, tensor in tensors.items()}, info


def write_data(path: Path) -> None:
    data = make_image_set(*blobs(3), ["a", "b", "c", "d"], dataset="d", split="train", source="s", source_sha256="0")
    save_image_set(path, data)


def read_data(path: Path) -> object:
    data = load_image_set(path)
    return data.images.tolist(), data.labels.tolist(), data.class_names


def write_samples(path: Path) -> None:
    images = blobs(3)[0]
    from genbench.files.artifacts import array_sha256

    np.savez(path, arr_0=images, info=json.dumps({"samples_sha256": array_sha256(images)}))


def write_features(path: Path) -> None:
    random = np.random.default_rng(0)
    features, logits = random.normal(size=(5, 8)).astype(np.float32), random.normal(size=(5, 3)).astype(np.float32)
    save_features(path, Features(features, logits, INFO))


def read_features(path: Path) -> object:
    found = load_features(path)
    return found.features.tolist(), None if found.logits is None else found.logits.tolist(), found.info


def write_part(path: Path) -> None:
    Parts(path.parent, "f", ALONE).save(0, Part(blobs(3)[0], 0.25, 0, 1))


def read_part(path: Path) -> object:
    found = Parts(path.parent, "f", ALONE).load(0)
    if found is None:  # its images are drawn again
        raise InputError("rm")
    return found.images.tolist(), found.seconds


FILES: dict[str, tuple[str, Callable[[Path], object], Callable[[Path], object]]] = {
    "model": ("model.safetensors", write_model, read_model),
    "prepared data": ("train.npz", write_data, read_data),
    "samples": ("samples.npz", write_samples, lambda path: load_images(path)[0].tolist()),
    "features": ("features.npz", write_features, read_features),
    "kept batch": ("0.npz", write_part, read_part),
    # A bit flipped in the name of the hash leaves a valid record without a hash, which is not checked.
    "record": (
        "metrics.json",
        lambda path: write_json(path, {"metrics": {"fd": 1.25, "note": "ok"}}),
        lambda path: read_json(path)["metrics"],
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_no_flipped_bit_and_no_truncation_changes_a_result_in_silence(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading gives the written content, or an error that says what to delete."""
    name, write, read = FILES[kind]
    path = tmp_path / name
    write(path)
    content, whole = path.read_bytes(), read(path)
    random = np.random.default_rng(0)
    places = random.permutation(8 * len(content))[:1500]  # bits
    messages = []
    for place in places:
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        try:
            assert read(path) == whole, f"bit {place} of {8 * len(content)}"
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > len(places) / 2
    assert not [message for message in messages if "\n" in message or "rm" not in message]
    for kept in random.integers(0, len(content) - 1, 60):
        path.write_bytes(content[:kept])
        with pytest.raises(InputError):
            read(path)


# --- A full disk ------------------------------------------------------------------------------------------------------


@contextmanager
def full_disk(folder: Path, free: int):
    """A file system of `free` bytes; skips the test if it cannot be made."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={free}", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a file system here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("kind", ["model", "features", "prepared data", "kept batch", "record"])
def test_a_full_disk_is_one_clear_error_and_keeps_what_there_is(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, write, read = FILES[kind]
    with full_disk(tmp_path / "disk", 64 << 10):
        path = tmp_path / "disk/out" / name
        write(path)
        whole, content = read(path), path.read_bytes()
        with open(tmp_path / "disk" / "filler", "wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass
        with pytest.raises(SystemExit):
            run(lambda: write(path) and None)
        printed = capsys.readouterr().err
        place = path.with_name("fingerprint") if kind == "kept batch" else path  # the file that is written first
        assert printed.startswith(f"error: {place}: "), printed
        assert "No space left on device" in printed
        assert printed.count("\n") == 1
        assert path.read_bytes() == content
        assert not [left for left in path.parent.iterdir() if ".tmp" in left.name]
        (tmp_path / "disk" / "filler").unlink()
        assert read(path) == whole


def test_a_full_disk_stops_the_history_with_its_name(tmp_path: Path) -> None:
    with full_disk(tmp_path / "disk", 16 << 10):
        history = History(tmp_path / "disk/history.jsonl", 0)
        steps = []

        def fill() -> None:
            while True:
                history.append(step=len(steps), losses={"a": 0.5})
                steps.append(1)

        with pytest.raises(OSError, match="No space left") as caught:
            fill()
        assert caught.value.filename == str(history.path)
        lines = history.path.read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines[: len(steps)]] == list(range(len(steps)))


# --- Two at once ------------------------------------------------------------------------------------------------------


def test_one_process_waits_for_the_other_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from genbench.files.locks import locked\n"
        "with locked(Path(sys.argv[1]), 'at work'): print('held', flush=True); sys.stdin.read()"
    )
    lock, order = tmp_path / "a/.lock", []
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert lock.read_text() == str(holder.pid)

    def wait() -> None:
        with locked(lock, "at work"):
            order.append(lock.read_text())

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.3)
    assert order == []
    holder.kill()
    holder.communicate()
    thread.join(30)
    assert order == [str(os.getpid())]


# --- Whole runs -------------------------------------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_harness_kills_and_damages_a_run_and_loses_nothing(tmp_path: Path) -> None:
    command = [sys.executable, Path(__file__).with_name("harness.py"), "--work", tmp_path / "work"]
    command += [
        "--out",
        tmp_path / "faults.jsonl",
        "--kills",
        "1",
        "--quick-kills",
        "8",
        "--damage",
        "samples",
        "--others",
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    faults = [json.loads(line) for line in (tmp_path / "faults.jsonl").read_text().splitlines()]
    assert sum(fault["fault"] == "kill" for fault in faults) == 9
    assert sum(fault["fault"] == "damage" for fault in faults) == 1
