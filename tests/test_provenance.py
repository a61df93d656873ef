"""Where a result came from."""

import pytest

from genbench import provenance


def test_a_job_with_the_files_alone_is_told_their_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENBENCH_COMMIT", "5f0c1f3+changes")
    assert provenance.git_commit.__wrapped__() == "5f0c1f3+changes"
