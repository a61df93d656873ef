"""Checkpoints from a model hub, which is a local server here that answers as the hub does."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import diffusers
import pytest
import torch
import yaml
from hub_server import HUB, REVISION, Hub, running

from genbench.commands import prefetch
from genbench.errors import InputError
from genbench.files.hub import fetch_hub
from genbench.importing import read_checkpoint
from genbench.suites.load import load_suite
from genbench.suites.preflight import preflight

ROOT = Path(__file__).parents[2]
UNET = {
    "sample_size": 28, "in_channels": 1, "out_channels": 1, "block_out_channels": (8, 8), "norm_num_groups": 4,
    "layers_per_block": 1, "down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2,
}  # fmt: skip


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(**UNET)
    repository = tmp_path / "www" / HUB / REVISION
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler(num_train_timesteps=20)).save_pretrained(repository)
    (repository / "README.md").write_text("what needs no download")
    with running(tmp_path / "www", monkeypatch) as served:
        yield served


def suite(folder: Path, **pretrained: object) -> Path:
    content = {
        "title": "Toy",
        "dataset": {"source": "demo"},
        "num_samples": 1000,
        "models": {"x": {"pretrained": {"format": "diffusers", **pretrained}}},
    }
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_shards_and_variants_are_fetched(hub: Hub, tmp_path: Path, variant: str | None) -> None:
    expected = read_checkpoint("diffusers", hub.repository)
    (hub.repository / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    torch.manual_seed(0)
    diffusers.UNet2DModel(**UNET).save_pretrained(hub.repository / "unet", variant=variant, max_shard_size="8KB")
    shards = list((hub.repository / "unet").glob("*-of-*.safetensors"))
    assert len(shards) > 1
    found = read_checkpoint("diffusers", fetch_hub(HUB, REVISION, tmp_path / "root"))
    assert len(found.files) == len(shards) + 3
    assert all(torch.equal(value, found.tensors[name]) for name, value in expected.tensors.items())


def test_the_needed_files_are_fetched_once_and_then_need_no_network(hub: Hub, tmp_path: Path) -> None:
    root = tmp_path / "root"
    folder = fetch_hub(HUB, REVISION, root)
    weights = "unet/diffusion_pytorch_model.safetensors"
    names = {"unet/config.json", "scheduler/scheduler_config.json", weights}
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "files.json",
        *names,
    }
    assert all((folder / name).read_bytes() == (hub.repository / name).read_bytes() for name in names)
    imported, expected = read_checkpoint("diffusers", folder), read_checkpoint("diffusers", hub.repository)
    assert imported.model == expected.model
    assert all(torch.equal(value, expected.tensors[name]) for name, value in imported.tensors.items())

    asked = len(hub.asked)
    shutil.rmtree(hub.repository)
    assert fetch_hub(HUB, REVISION, root) == folder
    assert len(hub.asked) == asked
    (folder / weights).write_bytes(b"other")
    with pytest.raises(InputError, match=r"safetensors: found SHA-256 .*, expected .*, as the hub lists it; replace"):
        fetch_hub(HUB, REVISION, root)


def test_repositories_without_folders_and_without_safetensors_serve_as_well(hub: Hub, tmp_path: Path) -> None:
    state = diffusers.UNet2DModel.from_pretrained(hub.repository / "unet").state_dict()
    expected = read_checkpoint("diffusers", hub.repository)
    for name in ("unet/config.json", "scheduler/scheduler_config.json"):
        (hub.repository / name).rename(hub.repository / Path(name).name)
    shutil.rmtree(hub.repository / "unet")
    shutil.rmtree(hub.repository / "scheduler")
    torch.save(state, hub.repository / "diffusion_pytorch_model.bin")
    found = read_checkpoint("diffusers", fetch_hub(HUB, REVISION, tmp_path / "root"))
    assert found.model == expected.model
    assert all(torch.equal(value, expected.tensors[name]) for name, value in found.tensors.items())


def test_what_is_not_as_listed_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    listing = hub.listing()
    hub.listing = lambda: listing  # type: ignore[method-assign]
    (hub.repository / "unet" / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"config.json: found git's hash .*, expected .*, as the hub lists it"):
        fetch_hub(HUB, REVISION, tmp_path / "root")
    assert not list((tmp_path / "root").rglob("config*"))


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("tiny-ddpm", REVISION, "key 'hub': found 'tiny-ddpm', expected OWNER/NAME"),
        ("../tiny-ddpm", REVISION, "key 'hub': found '../tiny-ddpm', expected OWNER/NAME"),
        (HUB, "main", "key 'revision': found 'main', expected a commit, 40 hexadecimal digits"),
        (HUB, "f" * 40, r"files.json: missing, and could not be downloaded \(.*HTTP 404\).*`path` instead of `hub`"),
    ],
)
def test_what_names_no_commit_is_refused(hub: Hub, tmp_path: Path, name: str, revision: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fetch_hub(name, revision, tmp_path / "root")


def test_a_repository_of_something_else_is_refused(hub: Hub, tmp_path: Path) -> None:
    shutil.rmtree(hub.repository / "unet")
    with pytest.raises(InputError, match=f"{HUB} at {REVISION}: found 3 files, expected among them config.json and"):
        fetch_hub(HUB, REVISION, tmp_path / "root")


def test_without_a_network_one_line_says_what_to_do(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    path = suite(tmp_path, hub=HUB, revision=REVISION)
    with pytest.raises(InputError, match=r"models: x: pretrained: .*files.json: missing, and could not be downl") as e:
        preflight(load_suite(path), str(tmp_path / "root"), str(path))
    assert "\n" not in str(e.value)
    monkeypatch.setattr(sys, "argv", ["prefetch.py", "--suite", str(path), "--data-root", str(tmp_path / "root")])
    with pytest.raises(SystemExit):
        prefetch.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: models: x: pretrained: ")
    assert "`prefetch` fetches it where there is a network" in line


def test_an_entry_of_a_suite_names_a_repository(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Callable[..., str]
) -> None:
    path, root = suite(tmp_path, hub=HUB, revision=REVISION), tmp_path / "root"
    monkeypatch.setattr(sys, "argv", ["prefetch.py", "--suite", str(path), "--data-root", str(root)])
    prefetch.main()
    asked = len(hub.asked)
    (found,) = preflight(load_suite(path), str(root), str(path)).models.values()
    assert len(hub.asked) == asked
    assert found.spec["pretrained"]["revision"] == REVISION
    assert found.spec["model"]["timesteps"] == 20
    options = ["--format", "diffusers", "--hub", f"{HUB}@{REVISION}", "--data-root", root]
    options += ["--out", tmp_path / "model.safetensors", "--record", tmp_path / "training.json"]
    script("import_checkpoint", *options)
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["imported"]["source"] == f"{HUB}@{REVISION}"
    assert f"safetensors, from {HUB}@{REVISION}; how it was trained" in record["imported"]["note"]
    assert len(hub.asked) == asked


@pytest.mark.parametrize(
    ("pretrained", "message"),
    [
        ({}, "models: x: pretrained: key 'path' is missing"),
        ({"hub": HUB}, "models: x: pretrained: key 'revision' is missing"),
        ({"hub": HUB, "revision": REVISION, "path": "x"}, "found both of the keys 'path' and 'hub'"),
        ({"hub": HUB, "revision": REVISION, "format": "ddgan"}, "key 'hub': found with format 'ddgan', expected 'diff"),
        ({"hub": HUB, "revision": "main"}, "models: x: pretrained: key 'revision': found 'main'"),
        ({"hub": HUB, "revision": REVISION, "timesteps": 5}, "timesteps: found 20 in the file and 5 as an option"),
    ],
)
def test_wrong_entries_are_named(hub: Hub, tmp_path: Path, pretrained: dict, message: str) -> None:
    path = suite(tmp_path, **pretrained)
    with pytest.raises(InputError, match=message):
        preflight(load_suite(path), str(tmp_path / "root"), str(path))
