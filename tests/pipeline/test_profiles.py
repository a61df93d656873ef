"""Profiles and rules use options and resources that Snakemake and clusters understand."""

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
ALL_RULES = RULES | {
    other: RULES[name]
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for name, other in re.findall(r"(?m)^use rule (\w+) as (\w+)", path.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_keys_of_a_profile_are_options_of_snakemake(path):
    options = {option for action in get_argument_parser()._actions for option in action.option_strings}
    profile = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {f"--{key}" for key in profile} <= options


@pytest.mark.parametrize("key", ["groups", "set-resources", "set-threads"])
@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_a_profile_names_rules_that_there_are(path, key):
    assert set(yaml.safe_load(path.read_text(encoding="utf-8")).get(key, {})) <= set(ALL_RULES)


def test_the_profiles_do_not_contradict_each_other():
    default, *others = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in PROFILES)
    assert not set(default) & set().union(*others)  # the default profile would take precedence
    slurm, *fitted = others
    for profile in fitted:
        assert {key: profile.get(key) for key in slurm} == slurm | {"retries": profile["retries"]}


def profile_resources(name):
    """Return the resources that a profile sets, by rule, including rules that inherit from another rule."""
    return yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text(encoding="utf-8"))["set-resources"]


def test_where_gpus_are_asked_for_as_gres_every_rule_with_a_gpu_does():
    found = profile_resources("slurm-gres")
    assert set(found) == {name for name, body in ALL_RULES.items() if "gpu=gpu" in body}
    several = {name for name, body in ALL_RULES.items() if "gpu=gpus" in body}
    for name, resources in found.items():
        assert resources == {"gpu": 0, "gres": "f'gpu:{threads}'" if name in several else "'gpu:1'"}


def test_where_jobs_end_after_four_hours_no_rule_asks_for_more():
    found = profile_resources("slurm-short")
    for name, body in ALL_RULES.items():
        (minutes,) = map(int, re.findall(r"runtime=growing\((\d+)", body))
        assert (4 * minutes <= 240) == (name not in found), name
    grouped = set(yaml.safe_load((ROOT / "profiles/slurm-short/config.yaml").read_text())["groups"])  # two per job
    assert {name for name, resources in found.items() if resources == {"runtime": 120}} == grouped
    assert all(resources == {"runtime": 240} for name, resources in found.items() if name not in grouped)


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
    assert names["growing"](8000)(wildcards=None, attempt=30) == 32_000  # bounded, since a training may restart often


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
