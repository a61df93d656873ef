"""The provenance of results."""

from pathlib import Path

import pytest

from genbench.machine import provenance


def test_a_job_with_the_files_alone_is_told_their_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "genbench")
    assert provenance.git_commit.__wrapped__() is None
    monkeypatch.setenv("GENBENCH_COMMIT", "5f0c1f3+changes")
    assert provenance.git_commit.__wrapped__() == "5f0c1f3+changes"


def test_a_checkout_knows_its_commit_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    own = provenance.git_commit.__wrapped__()
    monkeypatch.setenv("GENBENCH_COMMIT", "5f0c1f3+changes")
    assert provenance.git_commit.__wrapped__() == (own or "5f0c1f3+changes")
