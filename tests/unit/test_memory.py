"""Data larger than memory: an error before the work, or arrays that stay in their file."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.data import decoding, prepare
from genbench.data.decoding import decode
from genbench.data.image_set import load_image_set, make_image_set, save_image_set
from genbench.data.samples import load_images
from genbench.errors import InputError
from genbench.files import npz
from genbench.files.npz import read_npz
from genbench.images import from_array
from genbench.machine import control_groups, cores, memory
from genbench.training import batches
from genbench.training.batches import Batches
from genbench.training.recipe import TrainConfig

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a megabyte, none of which is free."""
    monkeypatch.setattr(npz, "available_memory", lambda: 0)
    monkeypatch.setattr(npz, "physical_memory", lambda: 10**6)


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    images = make_image_set(PIXELS, LABELS, "abc", dataset="x", split="train", source="here", source_sha256="0")
    save_image_set(tmp_path / "train.npz", images)
    return tmp_path / "train.npz"


def test_ulimit_and_the_machine_limit_what_is_free() -> None:
    code = (
        "import resource\nfrom genbench.machine.memory import available_memory, physical_memory\n"
        "before = available_memory()\nresource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "print(0 < before <= physical_memory(), 2**29 < available_memory() < 2**31)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", "True"]


def test_control_groups_limit_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/self/cgroup": "0::/slurm/job_7\n",
        "/sys/fs/cgroup/slurm/memory.max": "5000\n",
        "/sys/fs/cgroup/slurm/memory.current": "3000\n",
        "/sys/fs/cgroup/slurm/memory.stat": "anon 1000\ninactive_file 400\n",
        "/sys/fs/cgroup/slurm/job_7/memory.max": "max\n",
        "/sys/fs/cgroup/slurm/job_7/memory.current": "2000\n",
    }
    for module in (memory, control_groups):
        monkeypatch.setattr(module, "read", lambda path: files.get(str(path), ""))
    assert memory.available_memory() == 5000 - 3000 + 400


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("", 8)]
)
def test_a_container_may_use_as_many_cores_as_it_pays_for(
    quota: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": f"{quota}\n"}
    for module in (cores, control_groups):
        monkeypatch.setattr(module, "read", lambda path: files.get(str(path), ""))
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(8))
    assert cores.cores() == expected


def test_images_larger_than_memory_are_refused_before_the_second_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        for index in range(5):
            path = tmp_path / f"photographs/{name}/{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 20)).save(path)
    monkeypatch.setattr(memory, "available_memory", lambda: 20_000)
    entry = {"source": "folder", "path": str(tmp_path / "photographs")}
    message = (
        r"photographs: 10 images of 40x20 in 3 channels take 24 kB of memory, more than the 20 kB that are "
        r"free; expected fewer images, or smaller ones by the option image_size$"
    )
    with pytest.raises(InputError, match=message):
        prepare(entry, tmp_path)
    assert len(prepare(entry | {"image_size": 8}, tmp_path)["train"].images) == 8


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (24_000, "24 kB"), (999_600, "1 MB"), (78_640_000_000, "78.6 GB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert memory.in_words(size) == words


@pytest.mark.usefixtures("no_memory")
def test_large_arrays_stay_in_their_file(prepared: Path) -> None:
    images = load_image_set(prepared)
    assert not images.images.flags.writeable
    assert isinstance(images.images.base, np.memmap)
    np.testing.assert_array_equal(images.images, PIXELS)
    np.testing.assert_array_equal(images.labels, LABELS)
    np.testing.assert_array_equal(load_images(prepared)[0], PIXELS)
    assert from_array(images.images[2:4]).sum() == PIXELS[2:4].sum(dtype=int)  # a warning would be an error


@pytest.mark.usefixtures("no_memory")
def test_large_arrays_are_read_from_their_copy_on_scratch(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_DISK", str(tmp_path / "disk"))
    monkeypatch.setenv("GENBENCH_SCRATCH", "$OWN_DISK/copies")
    images = load_image_set(prepared).images
    (copy,) = (tmp_path / "disk/copies").rglob("*.npz")
    assert copy.read_bytes() == prepared.read_bytes()
    assert Path(images.base.filename) == copy
    np.testing.assert_array_equal(images, PIXELS)
    os.utime(prepared, (1, 1))  # as if the file had been rewritten
    assert Path(load_image_set(prepared).images.base.filename) != copy
    for elsewhere in ("$NOT_HERE/copies", str(prepared / "no folder")):
        monkeypatch.setenv("GENBENCH_SCRATCH", elsewhere)
        assert Path(load_image_set(prepared).images.base.filename) == prepared


@pytest.mark.usefixtures("no_memory")
def test_packed_arrays_are_read_as_before(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "packed.npz", images=PIXELS)
    np.savez(tmp_path / "odd.npz", images=np.asfortranarray(PIXELS), none=np.empty((0, 3)), one=np.array(5))
    assert read_npz(tmp_path / "packed.npz", ["images"])["images"].flags.writeable
    found = read_npz(tmp_path / "odd.npz", ["images", "none", "one"])
    np.testing.assert_array_equal(found["images"], PIXELS)
    assert (found["none"].shape, int(found["one"])) == ((0, 3), 5)
    np.savez(tmp_path / "objects.npz", images=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="not an npz file, or damaged"):
        read_npz(tmp_path / "objects.npz", ["images"])


@pytest.mark.usefixtures("no_memory")
def test_damage_is_found_in_a_file_that_is_not_read_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "images.npz"
    np.savez(path, images=PIXELS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged .*CRC"):
        read_npz(path, ["images"])


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 7 GiB"), OSError(12, "Cannot allocate memory")])
def test_a_file_for_which_there_is_no_memory_is_not_called_damaged(
    prepared: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(np, "load", fail)
    with pytest.raises(InputError, match=r"train\.npz: larger than the memory that is free \(.* [GM]B\): ") as caught:
        load_image_set(prepared)
    assert "rm " not in str(caught.value)


def test_batches_are_the_same_wherever_the_images_are(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(steps=5, batch_size=4, flip=True)
    device = torch.device("cpu")
    there = Batches(PIXELS, LABELS, 3, config, device)
    monkeypatch.setattr(batches, "has_room", lambda *_: False)
    here = Batches(PIXELS, LABELS, 3, config, device)
    pairs = [[*found.micro_batches(2), *found.validation()] for found in (there, here)]
    for a, b in zip(*pairs, strict=True):
        assert torch.equal(a.x0, b.x0)
        assert torch.equal(a.y, b.y)
    assert torch.equal(torch.cat(list(there.in_order(5))), torch.cat(list(here.in_order(5))))


def test_a_photograph_has_a_largest_size_and_large_ones_are_decoded_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS.reshape(32, 24, 3)).save(file, "PNG")
    expected = decode(file.getvalue(), 8, "bicubic", None).pixels
    monkeypatch.setattr(decoding, "LARGE", 100)
    np.testing.assert_array_equal(decode(file.getvalue(), 8, "bicubic", None).pixels, expected)
    monkeypatch.setattr(decoding, "LARGEST", 700)
    with pytest.raises(ValueError, match="24x32 pixels, expected at most 700: make it smaller first"):
        decode(file.getvalue(), 8, "bicubic", None)
