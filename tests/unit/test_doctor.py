"""The findings of `genbench doctor`, with stand-ins for the programs of a cluster."""

from pathlib import Path

import pytest
import torch
import yaml

from genbench.commands.app import main
from genbench.machine import doctor
from genbench.machine.doctor import examine, minutes, partitions

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    "sinfo": "echo gpu 1-00:00:00 gpu:2; echo cpu 4:00:00 none",
    "srun": 'echo "$@" > "$SAID"; while [ "$1" != sh ]; do shift; done; exec "$@"',
    "nvidia-smi": '[ "$1" = -L ] && echo "GPU 0: A100" || echo 470.1',
    "mpiexec": "true",
    "quota": "true",
}


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that replaces some programs and returns each check's name and remedy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(doctor, "LITTLE", 0)
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")

    def examined(profile: str = "slurm", **others: str) -> dict[str, str]:
        for name, body in (PROGRAMS | {key.replace("_", "-"): body for key, body in others.items()}).items():
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o755)
        return {check.name: check.mend for check in examine(profile)}

    return examined


def test_a_cluster_where_all_is_well(found, tmp_path):
    mends = found(nvidia_smi='[ "$1" = -L ] && echo "GPU 0: A100"')
    assert mends == dict.fromkeys(
        ["driver", "disk", "mpiexec", "partitions", "shared file system", "GPU of a node"], ""
    )
    assert "--gpus=1" in (tmp_path / "said").read_text()
    assert not list(tmp_path.glob(".genbench-doctor*"))
    found(str(ROOT / "profiles/slurm-gres"))
    assert "--gres=gpu:1" in (tmp_path / "said").read_text()


def test_each_thing_that_is_not_well_says_what_to_do(found, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    monkeypatch.setattr(doctor, "LITTLE", 2**62)
    mends = found(srun="echo; echo -----; echo -----", sinfo="echo cpu 4:00:00 none", quota="echo over")
    assert "driver for CUDA 13.2" in mends["driver"]
    assert "resources_root in config.yaml" in mends["disk"]
    assert "genbench clean" in mends["quota"]
    assert "profiles/slurm-short" in mends["partitions"]
    assert "all nodes share" in mends["shared file system"]
    assert "device=cpu" in mends["GPU of a node"]
    assert "MPI module" in mends["mpiexec"]
    assert "srun --ntasks=1" in found(srun="echo busy >&2; exit 1")["node"]
    assert "login node" in found(sinfo="exit 1")["partitions"]


def test_limits_of_partitions():
    assert [minutes(text) for text in ("infinite", "1-02:03:00", "4:00:00", "30:00")] == [None, 1563, 240, 30]
    short = yaml.safe_load((ROOT / "profiles/slurm-short/config.yaml").read_text())
    assert partitions("cpu 4:00:00 none", short).mend == ""
    assert "one of them" in partitions("cpu 4:00:00", {"default-resources": {"slurm_partition": "gpu"}}).mend


def test_the_status_is_1_where_something_is_to_mend(found, monkeypatch, capsys):
    found()
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    with pytest.raises(SystemExit) as left:
        main(["doctor"])
    assert left.value.code == 1
    assert "mend  driver: NVIDIA 470.1, with which" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--profile", "nowhere"])
    assert left.value.code == 2
