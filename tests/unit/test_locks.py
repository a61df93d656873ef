"""One process at a time, and file systems that have no locks."""

import errno
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from genbench.files import locks
from genbench.files.locks import locked


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
