"""The project is consistent: pins, environments, names, and imports."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import grimp
import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tools.pin import CONDA_NAMES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def pins(python: str | None = None) -> dict[str, str]:
    """Return the pinned version of every distribution, for this Python or the given one."""
    environment = {**default_environment(), **({"python_full_version": python} if python else {})}
    requirements = map(Requirement, PROJECT["tool"]["uv"]["constraint-dependencies"])
    chosen = [r for r in requirements if r.marker is None or r.marker.evaluate(environment)]
    versions = {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in chosen}
    assert len(versions) == len(chosen), "a distribution is pinned twice"
    return versions


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in listing.split("\0") if name]


def test_every_installed_distribution_is_pinned_at_its_version():
    installed = {canonicalize_name(d.name): d.version for d in metadata.distributions()}
    del installed["genbench"]
    pinned = pins()
    assert {name: pinned.get(name) for name in installed} == installed


@pytest.mark.parametrize("python", ["3.11.0", "3.12.0", "3.14.0"])
def test_pins_lie_within_the_ranges_of_the_dependencies(python):
    groups = [*PROJECT["project"]["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    for requirement in map(Requirement, sum(groups, PROJECT["project"]["dependencies"])):
        version = pins(python)[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is pinned at {version}"


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environment_files_agree_with_the_pins(path):
    environment = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    entries = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    for entry in environment["dependencies"]:
        entries += [] if isinstance(entry, str) else entry["pip"]
    versions = dict(re.fullmatch(r"([\w.-]+)==?([\w.]+)", entry).groups() for entry in entries)
    python = versions.pop("python")
    assert SpecifierSet(PROJECT["project"]["requires-python"]) == SpecifierSet(f">={python}")
    pinned = pins(f"{python}.0")
    expected = {name: pinned[CONDA_NAMES.get(name, name)] for name in versions if name != "pip"}
    assert {name: version for name, version in versions.items() if name != "pip"} == expected


def test_the_image_and_the_conda_line_have_the_cuda_of_the_pinned_torch():
    cuda = pins("3.12.0")["cuda-toolkit"]
    assert re.findall(r"(?m)^ARG CUDA=(.*)$", (ROOT / "Dockerfile").read_text()) == [cuda]
    lines = (ROOT / "docs/clusters.md").read_text()
    assert set(re.findall(r"CONDA_OVERRIDE_CUDA=(\S+)", lines)) == {cuda.rpartition(".")[0]}
    needed = [Requirement(text) for text in metadata.requires("torch") or ()]
    assert [str(one.specifier) for one in needed if one.name == "cuda-toolkit"] in ([], [f"=={cuda}"])  # none: for CPUs


def rules() -> dict[str, tuple[str, str]]:
    """Return the environment file and the script of every rule that has both."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for name, body in re.findall(r"(?ms)^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(encoding="utf-8")):
            environment, script = re.search(r"envs/(\w+\.yaml)", body), re.search(r"/(\w+\.py)", body)
            if environment and script:
                found[name] = (environment[1], script[1])
    return found


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("genbench", include_external_packages=True)


@cache
def third_party(script: Path) -> set[str]:
    """Return the distributions that a script imports, directly or through genbench, at its start or in a function."""
    graph = import_graph()
    imported = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names} & graph.modules or {node.module}
    for module in imported & graph.modules:
        imported |= graph.find_upstream_modules(module)
    modules = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names - {"genbench"}
    distributions = metadata.packages_distributions()
    return {canonicalize_name(distributions[module][0]) for module in modules}


def test_everything_imported_is_a_declared_dependency():
    extras = PROJECT["project"]["optional-dependencies"].values()
    requirements = sum(extras, PROJECT["project"]["dependencies"])
    declared = {canonicalize_name(Requirement(text).name) for text in requirements}
    imported = set().union(*(third_party(script) for script in (ROOT / "scripts").glob("*.py")))
    assert imported <= declared, f"pyproject.toml lacks {sorted(imported - declared)}"


@pytest.mark.parametrize("rule", rules())
def test_a_rules_environment_has_what_its_script_imports(rule):
    environment, script = rules()[rule]
    listed = yaml.safe_load((ROOT / "envs" / environment).read_text(encoding="utf-8"))["dependencies"]
    entries = [line for entry in listed for line in ([entry] if isinstance(entry, str) else entry["pip"])]
    names = {CONDA_NAMES.get(name, name) for name in (re.split("=", entry)[0] for entry in entries)}
    needed = third_party(ROOT / "scripts" / script)
    if script not in ("train.py", "sample.py", "measure_speed.py"):  # the others are never launched with ranks
        needed -= {"mpi4py"}
    assert needed <= names, f"{environment} lacks {sorted(needed - names)}"


WITHOUT_TORCH = [
    "genbench.reporting",
    "genbench.metrics",
    "genbench.data",
    "genbench.machine.provenance",
    "scripts.evaluate",
    "scripts.prepare_data",
    "scripts.render_report",
]


def test_what_needs_no_torch_does_not_load_it():
    """Import them one after the other in one process, and name the first that loads it."""
    code = f"""
import importlib, sys
for name in {WITHOUT_TORCH}:
    importlib.import_module(name)
    assert "torch" not in sys.modules, name
"""
    job = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert job.returncode == 0, job.stderr


def test_modules_are_named_for_what_they_hold():
    modules = [path for path in tracked_files() if path.suffix == ".py"]
    assert not [
        path for path in modules if path.stem.strip("_") in {"utils", "util", "helpers", "common", "base", "misc"}
    ]


def test_nothing_that_a_run_makes_is_tracked():
    assert not [path for path in tracked_files() if path.parts[0] in {"results", "resources", ".snakemake", "uv.lock"}]


def test_no_tracked_file_names_a_machine_or_a_package_index():
    addresses = re.compile(rb"/(root|work|home/\w+|Users/\w+)/|\b(pypi|pythonhosted|anaconda)\.org")
    offenders = [
        path for path in tracked_files() if (ROOT / path).is_file() and addresses.search((ROOT / path).read_bytes())
    ]
    assert not offenders
