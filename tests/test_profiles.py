"""Profiles and rules ask for what Snakemake and clusters understand."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

ROOT = Path(__file__).parents[1]
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
    assert re.search(r"mem_mb=growing\(\d+\)", RULES[name])
    assert re.search(r"runtime=growing\(\d+\)", RULES[name])
    assert ("gpu=gpu" in RULES[name]) == ("--device {resources.device}" in RULES[name])


def resources(tmp_path: Path, *options: str) -> dict[str, dict[str, str]]:
    """What a dry run of the demo says that each rule asks for."""
    shutil.copy(ROOT / "config.yaml", tmp_path)
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--snakefile", str(ROOT / "Snakefile"), *options]
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    resources: (.*)", output, re.MULTILINE)
    return {rule: dict(part.split("=", 1) for part in text.split(", ")) for rule, text in found}


@pytest.mark.parametrize(("attempt", "memory", "minutes"), [(1, 8000, 1440), (3, 24000, 4320)])
def test_each_attempt_asks_for_more_memory_and_time(tmp_path, attempt, memory, minutes):
    train = resources(tmp_path, "--attempt", str(attempt))["train"]
    assert (train["mem_mb"], train["runtime"]) == (str(memory), str(minutes))


@pytest.mark.parametrize(("device", "expected"), [("auto", ("cuda", "1")), ("cpu", ("cpu", "0"))])
def test_jobs_elsewhere_ask_for_a_gpu_unless_the_user_wants_none(tmp_path, device, expected):
    found = resources(tmp_path, "--jobs", "1", "--config", f"device={device}")
    assert (found["sample"]["device"], found["sample"]["gpu"]) == expected
    assert "gpu" not in found["evaluate"]
