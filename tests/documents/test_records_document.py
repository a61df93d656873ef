"""The commands of docs/records.md, run on results with made-up numbers."""

import json
import re
import shlex
from pathlib import Path

import pytest
from checkouts import ROOT, documented
from made_up import FEW, Page, check_page, write_results

from genbench.commands import app
from genbench.references.files import read_reference, write_reference
from genbench.reporting.recorded import write_record

PAGE = (ROOT / "docs/records.md").read_text(encoding="utf-8")
VERIFY = [
    "genbench verify results/demo demo.json",
    "genbench verify results/demo demo.json --metric kid_classifier --json",
    "genbench verify mine.json demo.json",
]
MERGE = "genbench merge demo.json mine.json --out both.html"
RECORD = 'genbench record results/demo --out demo.json --name "Chair of Statistics"'


def genbench(line: str, capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    """Run a documented command in this process; returns its output. Fails unless it ends with `status`."""
    with pytest.raises(SystemExit) as ended:
        app.call(shlex.split(documented(line))[1:])
    assert (ended.value.code or 0) == status
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run, and two records of them; the second has other samples and no name."""
    folder = tmp_path_factory.mktemp("records")
    write_results(folder / "results", models=FEW, seeds=(0, 1, 2))
    record, _ = write_record(folder / "results/demo", folder / "demo.json", "Ann <b>")
    draws = [
        draw.model_copy(
            update={"samples_sha256": "other", "metrics": {"fd_classifier": draw.metrics["fd_classifier"] + 9}}
        )
        if draw.model == "gan"
        else draw
        for draw in record.draws
    ]
    write_reference(folder / "mine.json", record.model_copy(update={"name": None, "draws": draws}))
    return folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def test_every_example_of_the_page_is_run_here() -> None:
    lines = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert sorted(lines) == sorted([RECORD, *VERIFY, MERGE])


def test_results_beside_their_own_record_are_identical(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = genbench(VERIFY[0], capsys)
    assert len(re.findall(r" identical  +\d", said)) == 5
    assert said.endswith("5 of 5 rows of demo reproduced, 5 of them with identical samples.\n")
    found = json.loads(genbench(VERIFY[1], capsys))
    assert (found["metric"], {row["verdict"] for row in found["rows"]}) == ("kid_classifier", {"identical"})


def test_a_row_that_differs_is_status_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = genbench(VERIFY[2], capsys, status=1)
    assert re.search(r"GAN +differs +70\.8 +61\.8 +\+14\.6%", said)
    assert "4 of 5 rows of demo reproduced, 4 of them with identical samples; 1 differs." in said


def test_records_become_a_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert genbench(MERGE, capsys) == (
        "both.html: 5 of 5 rows are in several of the 2 records; in 1 of them they disagree.\n"
    )
    page = Page(folder / "both.html")
    assert "differs from Ann <b>" in page.text
    assert page.text.count("same samples as mine") == 4
    check_page(folder / "both.html")


def test_results_become_a_record(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.match(r"demo\.json: 15 rows of demo, \d+ kB\n", genbench(RECORD, capsys))
    assert read_reference(folder / "demo.json").name == "Chair of Statistics"
