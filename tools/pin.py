"""Write the exact versions of all dependencies, direct or not, into pyproject.toml and envs/*.yaml.

The version of torch's CUDA goes into the Dockerfile and docs/clusters.md.

    uv run --no-project tools/pin.py                   # after editing dependencies: what is pinned stays
    uv run --no-project tools/pin.py --upgrade         # the newest versions that the ranges in pyproject.toml allow
    uv run --no-project tools/pin.py "torch==2.8.*"    # another version of some packages: a torch for an older driver
    git checkout pyproject.toml envs Dockerfile docs/clusters.md  # back to the committed pins

uv.lock would also pin versions, but it stores download addresses, which ties a clone to one mirror. It is git-ignored
and made again from the pins.
"""

import argparse
import re
import subprocess
import tempfile
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {
    "pytorch": "torch",
    "matplotlib-base": "matplotlib",
    "huggingface_hub": "huggingface-hub",
}  # conda-forge's names that differ from the index's


def resolve(sources: list[str], pinned: list[str], constraints: list[str], upgrade: bool = False) -> list[str]:
    """Resolve for all platforms and Pythons at once, preferring what is pinned; keep markers where versions differ."""
    # In another directory, since uv would obey the pins of the project it runs in.
    with tempfile.TemporaryDirectory() as directory:
        output, constraint_file = Path(directory, "pins.txt"), Path(directory, "constraints.txt")
        output.write_text("\n".join(pinned), encoding="utf-8")
        constraint_file.write_text("\n".join(constraints), encoding="utf-8")
        command = "uv pip compile --universal --python-version=3.11 --no-header --no-annotate --quiet".split()
        command += [*sources, f"--constraints={constraint_file}", f"--output-file={output}", *["--upgrade"] * upgrade]
        subprocess.run(command, cwd=directory, check=True)
        lines = output.read_text(encoding="utf-8").split("\n")
    pins = [line.partition(" ; ") for line in lines if line]
    times = Counter(pin.partition("==")[0] for pin, _, _ in pins)
    return [pin + sep + marker if times[pin.partition("==")[0]] > 1 else pin for pin, sep, marker in pins]


def replace_list(text: str, key: str, values: list[str]) -> str:
    """Replace a top-level TOML list that has one value per line."""
    lines = "".join(f'  "{value}",\n' for value in values)
    text, count = re.subn(rf"(?ms)^{key} = \[.*?^\]$", lambda _: f"{key} = [\n{lines}]", text)
    assert count == 1, f"pyproject.toml has no list {key}"
    return text


def replace_conda_pins(text: str, versions: dict[str, str]) -> str:
    """Replace the versions in an environment file, conda's `name=version` and pip's `name==version` alike."""

    def pin(match: re.Match[str]) -> str:
        name = match["name"]
        return f"- {name}{match['equals']}{versions.get(CONDA_NAMES.get(name, name), match['version'])}"

    return re.sub(r"- (?P<name>[\w.-]+)(?P<equals>={1,2})(?P<version>[\w.]+)", pin, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("constraints", nargs="*", metavar="REQUIREMENT", help="pin these differently: 'torch==2.8.*'")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions, not the pinned ones")
    arguments = parser.parse_args()

    path = ROOT / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    project = tomllib.loads(text)
    with tempfile.TemporaryDirectory() as directory:
        # The same project without its [tool] tables: uv reads the pins of any pyproject.toml that it is given.
        bare = Path(directory, "pyproject.toml")
        bare.write_text(re.sub(r"(?ms)^\[\[?tool\..*", "", text), encoding="utf-8")
        build = Path(directory, "build.txt")
        # hatchling asks for editables to install the checkout; connection-pool has no wheel, setuptools builds it.
        build.write_text("\n".join([*project["build-system"]["requires"], "editables", "setuptools"]), encoding="utf-8")
        uv = project["tool"]["uv"]
        sources = [str(bare), "--all-extras", f"--group={bare}:dev"]
        pins = resolve(sources, uv["constraint-dependencies"], arguments.constraints, arguments.upgrade)
        build_pins = resolve([str(build)], uv["build-constraint-dependencies"], [], arguments.upgrade)
    text = replace_list(text, "constraint-dependencies", pins)
    path.write_text(replace_list(text, "build-constraint-dependencies", build_pins), encoding="utf-8")

    # The environments have the oldest supported Python: if versions differ, the first is for it.
    versions = dict(pin.partition(" ; ")[0].split("==") for pin in reversed(pins))
    for environment in sorted(ROOT.glob("envs/*.yaml")):
        environment.write_text(replace_conda_pins(environment.read_text(encoding="utf-8"), versions), encoding="utf-8")
    # The CUDA that torch asks for. For CUDA 12 it asks for single libraries; the runtime's version has the release.
    cuda = versions.get("cuda-toolkit") or ".".join([*versions["nvidia-cuda-runtime-cu12"].split(".")[:2], "0"])
    places = {"Dockerfile": ("ARG CUDA=", cuda), "docs/clusters.md": ("CONDA_OVERRIDE_CUDA=", cuda.rpartition(".")[0])}
    for name, (before, version) in places.items():
        changed = re.sub(rf"(?<={before})[\d.]+", version, (ROOT / name).read_text(encoding="utf-8"))
        (ROOT / name).write_text(changed, encoding="utf-8")
    print(f"{len(pins)} pins and {len(build_pins)} for builds in pyproject.toml; envs/*.yaml and Dockerfile agree")


if __name__ == "__main__":
    main()
