"""One process at a time, and file systems that have no locks."""

import errno
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from genbench.files import locks
from genbench.files.locks import begin_run, locked


def refusing(number: int) -> Callable[..., bool]:
    def lock_descriptor(descriptor: int, *, blocking: bool = True) -> bool:
        raise OSError(number, "not here")

    return lock_descriptor


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_named_and_stops_nothing(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "lock_descriptor", refusing(number))
    with caplog.at_level(logging.WARNING), locked(tmp_path / "lock", "training"):
        assert (tmp_path / "lock").read_text().isdigit()
    (line,) = caplog.messages
    assert line.startswith(f"{tmp_path}/lock: no lock, since its file system has none (")
    assert line.endswith("): start only one run there")


def test_other_errors_of_a_lock_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "lock_descriptor", refusing(errno.EBADF))
    with pytest.raises(OSError, match="not here"), locked(tmp_path / "lock", "training"):
        pass


BEGIN = """
import sys
from pathlib import Path
from genbench.files.locks import begin_run

folder, what = Path(sys.argv[1]), sys.argv[2]
print(begin_run(folder, forget=what == "unlock"), flush=True)
if what == "run":
    (folder / "locks").mkdir(exist_ok=True)
    (folder / "locks/0.output.lock").touch()
    print("locked", flush=True)
    sys.stdin.read()
"""


def start(folder: Path, *, killed: bool) -> subprocess.Popen[str]:
    """A process that has begun a run in `folder`, with Snakemake's lock, and is alive or was killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN, str(folder), "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)][1] == "locked\n"
    if killed:
        process.kill()
        process.communicate()
    return process


def removes(folder: Path, what: str = "begin") -> bool:
    """Whether a process that begins a run, and ends, removes a lock."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN, str(folder), what], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout == "True\n"


def test_the_lock_of_a_killed_run_is_removed_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    locks, runs = tmp_path / "locks", tmp_path / "runs"
    assert not removes(tmp_path)  # the first run
    start(tmp_path, killed=True)
    assert removes(tmp_path)
    assert not list(locks.iterdir())
    assert not list(runs.iterdir())
    alive = start(tmp_path, killed=False)
    start(tmp_path, killed=True)
    assert not removes(tmp_path)
    assert list(locks.iterdir())
    alive.kill()
    alive.communicate()
    assert removes(tmp_path)


def test_a_run_on_another_machine_may_be_alive_until_the_user_unlocks(tmp_path: Path) -> None:
    start(tmp_path, killed=True)
    (killed,) = (tmp_path / "runs").iterdir()
    killed.rename(killed.with_name("elsewhere-1"))
    assert not removes(tmp_path)
    assert list((tmp_path / "locks").iterdir())
    assert not removes(tmp_path, "unlock")  # Snakemake removes its lock itself
    assert not list((tmp_path / "runs").iterdir())


def test_a_file_system_without_locks_keeps_snakemakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(tmp_path, killed=True)
    before = list((tmp_path / "runs").iterdir())
    monkeypatch.setattr(locks, "lock_descriptor", refusing(errno.ENOSYS))
    assert not begin_run(tmp_path)
    assert list((tmp_path / "runs").iterdir()) == before
    assert list((tmp_path / "locks").iterdir())
