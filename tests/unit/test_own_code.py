"""Own code beside a suite: which texts are references, which code may run, and errors after an edit."""

from pathlib import Path

import pytest

from genbench import own_code
from genbench.errors import InputError
from genbench.own_code import Reference, allow, allowed, complete, load, parse

CODE = """
from dataclasses import dataclass
from pathlib import Path

@dataclass
class Flow:
    steps: "int" = 3

with Path("runs").open("a") as runs:
    RUNS = runs.write("x")
"""


@pytest.fixture(autouse=True)
def told_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process in an empty folder, without permission to run own code."""
    monkeypatch.setattr(own_code, "_allowed", {})
    monkeypatch.setattr(own_code, "_modules", {})
    monkeypatch.delenv(own_code.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)


def test_a_reference_is_a_path_a_name_and_a_hash() -> None:
    digest = "0123456789abcdef"
    assert parse("./my flow.py:Flow") == Reference("./my flow.py", "Flow")
    assert parse(f"C:/own/flow.py:Flow#{digest}") == Reference("C:/own/flow.py", "Flow", digest)
    assert str(Reference("a.py", "f", digest)) == f"a.py:f#{digest}"
    others = [
        "gan.GAN",
        "my.py",
        "my.py:",
        "my.py:a.b",
        "my.py:1",
        "my.py:f#12",
        "a#b.py:f",
        "a\nb.py:f",
        "{a}.py:f",
        3,
    ]
    assert [text for text in others if parse(text)] == []


def test_a_suite_completes_every_reference_in_it_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "my").mkdir()
    (tmp_path / "my/flow.py").write_text(CODE)
    entry = {"class": "./flow.py:Flow", "parts": [{"class": "unet.UNet"}, "../my/flow.py:RUNS"], "steps": 3}
    found = complete(entry, Path("my"))
    flow = found["class"]
    assert flow.startswith("my/flow.py:Flow#")
    assert found == {**entry, "class": flow, "parts": [{"class": "unet.UNet"}, flow.replace("Flow", "RUNS")]}
    assert sorted(allowed()) == sorted([flow, flow.replace("Flow", "RUNS")])


def test_a_file_is_run_once_and_where_it_lies_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(CODE)
    flow = load(allow("flow.py:Flow"))
    (tmp_path / "moved").mkdir()
    (tmp_path / "flow.py").rename(tmp_path / "moved/flow.py")
    moved = allow("flow.py:Flow", "moved")
    assert load(moved) is flow
    assert flow().steps == 3
    assert (tmp_path / "runs").read_text() == "x"
    assert own_code.without_paths([moved]) == [f"own.py:Flow#{moved[-16:]}"]


def test_what_only_a_file_names_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flow.py").write_text(CODE)
    reference = allow("flow.py:Flow")
    own_code._allowed.clear()
    with pytest.raises(
        InputError, match=r"found flow.py:Flow#\w{16}, which .* may not run.*GENBENCH_OWN_CODE=flow.py:Flow$"
    ):
        load(reference)
    with pytest.raises(InputError, match=r"expected PATH.py:NAME#HASH"):
        load("flow.py:Flow")
    assert not (tmp_path / "runs").exists()
    for told in ("flow.py:Flow", reference, f"\n  {reference}\n{reference}"):
        monkeypatch.setenv(own_code.VARIABLE, told)
        assert load(reference).__name__ == "Flow"
        with pytest.raises(InputError, match="may not run"):
            load(reference.replace("Flow", "RUNS"))
    monkeypatch.setenv(own_code.VARIABLE, "flow.Flow")
    with pytest.raises(InputError, match=r"GENBENCH_OWN_CODE: found 'flow.Flow', expected PATH.py:NAME"):
        load(reference)


@pytest.mark.parametrize("told", ["before", "after", "by the environment"])
def test_an_edit_is_noticed(told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flow.py").write_text(CODE)
    reference = allow("flow.py:Flow")
    (tmp_path / "flow.py").write_text(CODE + "\n")
    if told != "before":
        own_code._allowed.clear()
    if told == "after":
        allow("flow.py:Flow")
    if told == "by the environment":
        monkeypatch.setenv(own_code.VARIABLE, "flow.py:Flow")
    with pytest.raises(InputError, match=r"^flow.py: found SHA-256 \w{16}..., expected \w{16}...: the file was edited"):
        load(reference)
    with pytest.raises(InputError, match=r"^flow.py: found SHA-256"):
        allow(reference)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\ny = 1 / 0\n", "^own.py: line 2: ZeroDivisionError: division by zero$"),
        ("def f():\n    raise ValueError('two\\nlines')\nf()\n", "^own.py: line 2: ValueError: two lines$"),
        ("import sys\nsys.exit()\n", "^own.py: line 2: SystemExit: $"),
        ("x = (\n", "^own.py: line 1: SyntaxError: '\\(' was never closed"),
        ("import beside\n", "^own.py: line 1: ModuleNotFoundError: .*; own code is one file, .* no file beside it$"),
        ("import missing_package\n", "^own.py: line 1: ModuleNotFoundError: No module named 'missing_package'$"),
        ("def floww():\n    pass\n", r"^own.py: found 'flow' \(did you mean 'floww'\?\); expected one of: floww$"),
        (
            "from datetime import date\nFLOWS = date(2000, 1, 1)\nimport os\nCOUNT = 3\n",
            r"^own.py: found 'flow' \(did you mean 'FLOWS'\?\); expected one of: FLOWS$",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line(code: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "own.py").write_text(code)
    with pytest.raises(InputError, match=message):
        load(allow("own.py:flow"))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"^own code: my/flow.py: no such file$"):
        allow("./flow.py:Flow", "my")
