"""The command `genbench`: how it reads its command line, and its messages about a bad one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from genbench.commands import app
from genbench.errors import InputError
from genbench.suites import workflow

ROOT = Path(__file__).parents[2]


def genbench(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command and return what it prints; fails unless its status is 0."""
    with pytest.raises(SystemExit) as ended:
        app.call(list(arguments))
    assert not ended.value.code
    return capsys.readouterr().out


def test_help_and_completion_import_nothing_heavy() -> None:
    code = """
import sys
from genbench.commands import app
for name in app.MODULES:
    app.load(name)
heavy = {"torch", "snakemake", "pandas", "scipy", "sklearn", "diffusers", "genbench.suites.load"}
print(heavy & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_the_help_shows_every_command_in_its_section(capsys: pytest.CaptureFixture[str]) -> None:
    shown = genbench("--help", capsys=capsys)
    words = [[f" {section} ─", *(f"│ {name} " for name in names)] for section, names in app.SECTIONS.items()]
    places = [shown.index(word) for section in words for word in section]
    assert places == sorted(places)
    for name in app.MODULES:
        assert f"genbench {name}" in genbench(name, "--help", capsys=capsys)
    assert "Train one model of a suite" in shown


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rnu", r"^genbench: found 'rnu' \(did you mean 'run'\?\); expected one of: check, "),
        ("--vresion", "^genbench: No such option: --vresion"),
        ("run dmo", r"suite'?: found 'dmo' \(did you mean 'demo'\?\)"),
        ("run demo seeds=[1]", r"found 'seeds=\[1\]' among the suites, expected it after --config"),
        ("run demo --confg seeds=[1]", "^genbench run: No such option: --confg"),
        ("run demo -- --config seeds=[1]", "^genbench run: found --config after --, expected it before"),
        ("list modles", r"^genbench list: found 'modles' \(did you mean 'models'\?\)"),
        ("check", "^genbench check: Missing argument 'SUITE'"),
        ("check no/suite.yaml", "^no/suite.yaml: no such file$"),
        ("train --seed 1", "^genbench train: the following arguments are required: --spec, --train/--data, --out"),
        ("train --seed one", "^genbench train: argument --seed: found one, expected a whole number"),
        ("features --divece cpu", "^genbench features: the following arguments are required"),
        ("prefetch", "^found no suite, expected at least one"),
        ("prefetch cifar1", r"found 'cifar1' \(did you mean 'cifar10'\?\)"),
    ],
)
def test_a_bad_command_line_is_refused_in_one_line(line: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        app.call(line.split())
    assert "\n" not in str(refused.value)


def test_what_is_run_has_defaults_which_options_of_snakemake_override(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found: list[tuple[list[str], list[str], list[str]]] = []
    monkeypatch.setattr(workflow, "run_workflow", lambda *given: found.append(given) or 0)
    with pytest.raises(SystemExit):
        app.call("run demo my.yaml --config seeds=[0,1] device=cpu -C num_samples=9 -- --cores 2 -n".split())
    suites, config, options = found.pop()
    assert (suites, options) == (["demo", "my.yaml"], ["--cores", "2", "-n"])
    assert config == ["seeds=[0,1]", "device=cpu", "num_samples=9"]

    monkeypatch.setattr(workflow, "count_gpus", lambda: 3)
    monkeypatch.setattr(workflow, "cores", lambda: 5)
    monkeypatch.chdir(tmp_path)
    snakefile = ["--snakefile", str(ROOT / "Snakefile")]
    assert workflow.snakemake_arguments(suites, config, options) == [
        *snakefile, "--resources", "gpu=3", "--config", 'suite=["demo", "my.yaml"]', *config, *options,
    ]  # fmt: skip
    assert workflow.snakemake_arguments([], [], []) == [*snakefile, "--cores", "5", "--resources", "gpu=3"]
    assert workflow.snakemake_arguments([], [], ["--profile=p"]) == [*snakefile, "--profile=p"]
    monkeypatch.chdir(ROOT)
    assert workflow.snakemake_arguments([], [], ["-j1"]) == ["--resources", "gpu=3", "-j1"]


@pytest.mark.parametrize(
    ("kind", "heading", "some"),
    [
        ("suites", "suite", {"demo", "cifar10"}),
        ("models", "class", {"gan.GAN", "diffusevae.DiffuseVAE"}),
        ("samplers", "method", {"ddim", "naive"}),
        ("extractors", "extractor", {"classifier", "inception-clean"}),
        ("metrics", "metric", {"fid", "object_missing"}),
        ("datasets", "source", {"demo", "folder"}),
    ],
)
def test_names_are_listed_for_people_and_for_programs(
    kind: str, heading: str, some: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(genbench("list", kind, "--json", capsys=capsys))
    assert some <= {row[heading] for row in rows}
    shown = genbench("list", kind, capsys=capsys)
    assert all(row[heading] in shown for row in rows)
    assert all(row.keys() == rows[0].keys() for row in rows)


def test_what_goes_on_after_a_failure_is_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert workflow.how_to_go_on(["run", "my suite.yaml", "--", "-k"]) == "To go on: genbench run 'my suite.yaml' -- -k"
    assert workflow.how_to_go_on(["run", "demo"], "When it is mended") == "When it is mended: genbench run demo"
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").touch()
    unlock = "If no other run is alive: genbench run demo -- --unlock, and then: genbench run demo"
    assert workflow.how_to_go_on(["run", "demo"]) == unlock
    assert "genbench run demo -- -k --unlock, and then" in workflow.how_to_go_on(["run", "demo", "--", "-k"])
