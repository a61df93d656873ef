"""Profiles and rules ask for what Snakemake and clusters understand."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "profiles").glob("*/config.yaml"))
RULES = {
    name: body
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for name, body in re.findall(r"(?ms)^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_keys_of_a_profile_are_options_of_snakemake(path):
    options = {option for action in get_argument_parser()._actions for option in action.option_strings}
    profile = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {f"--{key}" for key in profile} <= options


@pytest.mark.parametrize("key", ["groups", "set-resources", "set-threads"])
@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_a_profile_names_rules_that_there_are(path, key):
    assert set(yaml.safe_load(path.read_text(encoding="utf-8")).get(key, {})) <= set(RULES)


def test_the_profiles_do_not_contradict_each_other():
    default, slurm = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in PROFILES)
    assert not set(default) & set(slurm)  # the default one would win


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_where_it_runs_and_what_it_needs(name):
    assert re.search(r'conda:\n +"\.\./envs/\w+\.yaml"', RULES[name])
    assert re.search(r"threads: \w+", RULES[name])
    assert re.search(r"mem_mb=growing\(\d+\b", RULES[name])
    assert re.search(r"runtime=growing\(\d+\b", RULES[name])
    assert ("gpu=gpu" in RULES[name]) == ("--device {resources.device}" in RULES[name])


def test_each_attempt_asks_for_as_much_again():
    (growing,) = (
        node
        for node in ast.parse((ROOT / "rules/resources.smk").read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == "growing"
    )
    names: dict = {}
    exec(ast.unparse(growing), names)
    assert [names["growing"](8000)(wildcards=None, attempt=attempt) for attempt in (1, 2, 3)] == [8000, 16000, 24000]


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(("options", "expected"), [(["--jobs", "1"], "cuda"), ([], "auto")], ids=["elsewhere", "here"])
def test_auto_means_cuda_where_jobs_run_elsewhere(tmp_path, options, expected):
    shutil.copy(ROOT / "config.yaml", tmp_path)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--printshellcmds",
        "--snakefile",
        str(ROOT / "Snakefile"),
    ]
    output = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"--device (\w+)", output)) == {expected}
