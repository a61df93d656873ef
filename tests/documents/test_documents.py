"""The content of README.md, CONTRIBUTING.md and docs/: suites, examples, links, hosts, keys and messages."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from urllib.parse import urlparse

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from checkouts import COMMANDS, DOCUMENTS, ROOT

from genbench import own_code
from genbench.data import datasets
from genbench.sampling.draw import draw_samples
from genbench.suites.keys import Suite
from genbench.suites.language import LanguageSuite
from genbench.training.folder import train
from tools import document

NAMES_A_SUITE = [line for line in COMMANDS if line.startswith("uv run snakemake ") and "suite=" in line]


@pytest.fixture(scope="module")
def planning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for dry runs, in which only the first dry run of a suite checks the suite."""
    folder = tmp_path_factory.mktemp("planning")
    (folder / "my").mkdir()
    shutil.copy(ROOT / "suites/demo.yaml", folder / "my/suite.yaml")
    shutil.copy(ROOT / "config.yaml", folder)
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("line", NAMES_A_SUITE)
def test_snakemake_would_run_the_suites_that_the_documents_name(line: str, planning: Path) -> None:
    """A dry run of the real suites; test_commands.py runs the same commands with small suites."""
    words = shlex.split(line)[3:]
    if "--profile" in words:
        place = words.index("--profile")
        profile = ROOT / words[place + 1]  # missing if users write it for their cluster
        known = profile.exists() and importlib.util.find_spec("snakemake_executor_plugin_slurm") is not None
        words[place : place + 2] = ["--profile", str(profile)] if known else []
    config = words.index("--config")  # it takes all following words
    default = str(ROOT / "profiles/default")
    options = ["--dry-run", "--snakefile", str(ROOT / "Snakefile"), "--workflow-profile", default]
    job = subprocess.run(
        [sys.executable, "-m", "snakemake", *words[:config], *options, *words[config:]],
        cwd=planning,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert job.returncode == 0, job.stdout[-2000:]
    assert "Traceback" not in job.stdout


@pytest.fixture(scope="module")
def written() -> dict[Path, str]:
    """The expected content of the documents and schemas that are written from the code."""
    return document.contents()


def test_documents_written_from_the_code_are_up_to_date(written: dict[Path, str]) -> None:
    for path, text in written.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run tools/document.py"


def test_every_suite_names_its_schema_for_editors(written: dict[Path, str]) -> None:
    for path in [*(ROOT / "suites").glob("*.yaml"), ROOT / "config.yaml"]:
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
        assert found, path.name
        assert (path.parent / found[1]).resolve() in written, path.name
        validator((path.parent / found[1]).resolve()).validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@cache
def validator(path: Path) -> jsonschema.Draft202012Validator:
    """The validator of a schema, which is checked itself once."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("models.gan.model.latent_sise", 8),
        ("models.gan.model.latent_size", "8"),
        ("models.gan.model.generator.channles", 8),
        ("models.wgan-gp.model.penalty", {"name": "gp", "gamma": 1}),
        ("models.gan.training.stepz", 8),
        ("models.gan.training.optimizer", {"learning_rate": 1}),
        ("models.gan.samplers", {"default": {"eta": 1}}),
        ("dataset.image_size", 8),
        ("evaluation.options.kid", 8),
        ("models.gan.pretrained", {"format": "dcgan", "path": "x", "timesteps": 4}),
    ],
)
def test_an_editor_sees_a_wrong_key_inside_an_entry(place: str, value: object) -> None:
    suite = part = yaml.safe_load((ROOT / "suites/demo.yaml").read_text(encoding="utf-8"))
    *parents, last = place.split(".")
    for key in parents:
        part = part.setdefault(key, {})
    part[last] = value
    (error,) = validator(ROOT / "schemas/suite.schema.json").iter_errors(suite)
    assert list(error.absolute_path)[: len(parents)] == parents


def test_the_keys_of_a_docstring_and_their_meanings() -> None:
    text = "Draws: at once.\n\nMore of size.\n\nsize: Its side (see\n    above), in pixels: odd.\nlow: Its\n    end."
    rest, found = document.meanings(text, ["size", "low", "high"])
    assert rest == "Draws: at once.\n\nMore of size."
    assert found == {"size": "Its side (see above), in pixels: odd.", "low": "Its end."}


def test_a_key_without_a_meaning_and_a_meaning_without_a_key_are_errors() -> None:
    def draw(*, size: int = 3) -> None:
        """Draws."""

    with pytest.raises(
        document.InputError, match=r"draw: key 'size' has no meaning, expected a line 'size: Meaning\.'"
    ):
        list(document.describe(draw, "draw"))
    with pytest.raises(document.InputError, match="draw: found a line 'sise:' in its docstring"):
        list(document.describe(draw, "draw", docstring="Draws.\n\nsise: Its side.\nsize: Its side."))


def test_links_lead_somewhere() -> None:
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]+)(#[\w-]+)?\)", text):
            found = (path.parent / target).resolve()
            assert found.exists(), f"{path.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)", found.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {"#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in slugs, f"{path.name}: {target}{anchor}"


def test_every_document_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in (ROOT / "docs").glob("*.md") if f"(docs/{path.name})" not in readme] == []


def test_files_that_the_documents_name_exist() -> None:
    for path in DOCUMENTS:
        names = set(
            re.findall(r"`((?:genbench|suites|scripts|envs|tools|schemas|tests|rules)/[\w/.-]*)`", path.read_text())
        )
        assert [name for name in names if "NAME" not in name and not (ROOT / name).exists()] == [], path.name


# --- Examples ---------------------------------------------------------------------------------------------------------


def block(name: str, language: str, containing: str) -> str:
    """Return the code block of a document that contains a text."""
    text = (ROOT / name).read_text(encoding="utf-8")
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) if containing in code]
    return str(found)


def test_the_data_set_of_the_documents_is_one(tmp_path: Path) -> None:
    (tmp_path / "small_digits.py").write_text(block("docs/extending.md", "python", "def small_digits"))
    entry = yaml.safe_load(block("docs/extending.md", "yaml", "enlarge: 4"))["dataset"]
    entry = own_code.complete(entry, tmp_path)
    described, splits = datasets.describe(entry, tmp_path), datasets.prepare(entry, tmp_path)
    assert described.image_shape == (1, 32, 32)
    assert (described.num_train, described.num_test) == tuple(len(splits[name].images) for name in ("train", "test"))
    images = splits["test"].images
    assert images.shape == (360, 32, 32, 1)
    assert images.max() == 255
    assert np.array_equal(images[:, 0::4, 0::4], images[:, 3::4, 3::4])  # squares of 4 x 4 pixels
    assert np.bincount(splits["train"].labels, minlength=10).min() > 130  # all ten digits
    with pytest.raises(document.InputError, match=r"unknown key: found 'enlarged' \(did you mean 'enlarge'\?\)"):
        datasets.describe({"source": entry["source"], "enlarged": 2}, tmp_path)


def test_the_conditional_model_of_the_documents_learns_its_classes(tmp_path: Path) -> None:
    (tmp_path / "naive_bayes.py").write_text(block("docs/extending.md", "python", "class NaiveBayes"))
    entry = yaml.safe_load(block("docs/extending.md", "yaml", "NaiveBayes"))["naive-bayes"]
    entry = own_code.complete(entry, tmp_path)
    random = np.random.default_rng(0)
    labels = np.arange(400) % 10
    levels = 20 * labels[:, None, None, None] + random.integers(0, 30, (400, 8, 8, 1))  # a grey of its own
    out = tmp_path / "model.safetensors"
    train(entry, levels.astype(np.uint8), labels, data_sha256="d", seed=0, out=out, device=torch.device("cpu"))
    draw_samples(out, tmp_path / "samples.npz", seeds=range(40), batch_size=40, device=torch.device("cpu"))
    with np.load(tmp_path / "samples.npz") as samples:
        assert samples["labels"].tolist() == [seed % 10 for seed in range(40)]
        means = samples["arr_0"].mean((1, 2, 3))
    assert np.abs(means - (20 * (np.arange(40) % 10) + 14.5)).max() < 8


PYTHON = [
    (path.name, number, code)
    for path in DOCUMENTS
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL), 1)
]


@pytest.mark.parametrize(("name", "number", "code"), PYTHON, ids=[f"{name}-{number}" for name, number, _ in PYTHON])
def test_an_example_has_all_its_imports(name: str, number: int, code: str) -> None:
    """In an empty file, the example has no undefined name. Other tests run the examples with the files they read."""
    command = ["ruff", "check", "--isolated", "--no-cache", "--select", "F", "--output-format", "concise", "-"]
    done = subprocess.run([sys.executable, "-m", *command], input=code, capture_output=True, text=True)
    assert done.returncode == 0, f"{name}, example {number}: {done.stdout}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_pieces_of_suites_in_the_documents_fit_the_schema(path: Path) -> None:
    model = {"model": {"class": "vae.VAE"}, "training": {"steps": 1, "batch_size": 1}}
    for code in re.findall(r"```yaml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        piece = yaml.safe_load(code)
        if "text" in piece:
            LanguageSuite.complete({"kind": "language", "title": "x"} | piece, path.name)
            continue
        if not set(piece) & {"dataset", "models"}:
            piece = {"models": piece} if "model" in next(iter(piece.values())) else {}
        Suite.complete({"title": "x", "dataset": {"source": "demo"}, "models": {"x": model}} | piece, path.name)


def test_results_are_read_as_the_document_shows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "results/demo/ddpm/seed0/final/ddim-20"
    folder.mkdir(parents=True)
    (tmp_path / "results/report").mkdir()
    pd.DataFrame({"model": ["ddpm"]}).to_csv(tmp_path / "results/report/demo.csv", index=False)
    np.savez(folder / "samples.npz", arr_0=np.zeros((2, 4, 4, 1), np.uint8), seeds=np.arange(2))
    (folder / "metrics.json").write_text(json.dumps({"metrics": {"fd_classifier": {"value": 1.5}}}))
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(block("docs/results.md", "python", "read_csv"), names)
    assert names["fd"] == 1.5
    assert names["images"].shape == (2, 4, 4, 1)
    assert list(names["seeds"]) == [0, 1]
    assert len(names["table"]) == 1
    demo = yaml.safe_load((ROOT / "suites/demo.yaml").read_text())
    assert "ddim-20" in demo["models"]["ddpm"]["samplers"]


# --- Messages and hosts in the code -----------------------------------------------------------------------------------


def source() -> str:
    """Return the program's whole source, with split strings joined."""
    files = [path for folder in ("genbench", "scripts", "rules") for path in (ROOT / folder).rglob("*")]
    texts = [path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".smk")]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(texts))


def test_messages_that_troubleshooting_explains_are_in_the_code() -> None:
    import snakemake

    folder = Path(snakemake.__file__).parent
    others = {
        "Out of jobs ready to be started": (folder / "scheduling/job_scheduler.py").read_text(),
        "Directory cannot be locked": (folder / "exceptions.py").read_text(),
        "CUDA out of memory": "CUDA out of memory",  # the message is in PyTorch's C++
    }
    text = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    assert len(messages) >= 15
    code = source()
    assert [message for message in messages if message not in others.get(message, code)] == []


def test_offline_names_every_host_and_no_other_document_does() -> None:
    code = source()
    hosts = {str(urlparse(url).hostname) for url in re.findall(r"https?://[\w./-]+", code)}
    hosts -= {"arxiv.org", "www.w3.org"}  # links to papers, and SVG's namespace
    hosts |= {"huggingface.co"}  # a constant of the library huggingface_hub
    offline = (ROOT / "docs/offline.md").read_text(encoding="utf-8")
    assert {host for host in hosts if f"`{host}`" not in offline} == set()
    table = {
        host for row in re.findall(r"^\| (`.*?) \|", offline, re.MULTILINE) for host in re.findall(r"`([^`]+)`", row)
    }
    assert table == hosts
    for path in DOCUMENTS:
        if path.name != "offline.md":
            assert [host for host in hosts - {"github.com"} if host in path.read_text()] == [], path.name


def test_citation_and_changelog_are_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]
    headings = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])


def test_the_workflow_catalog_is_told_flags_that_snakemake_has() -> None:
    from snakemake.cli import get_argument_parser

    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    parsed, rest = get_argument_parser().parse_known_args(shlex.split(usage["mandatory-flags"]["flags"]))
    assert parsed.resources
    assert rest == []
    assert usage["software-stack-deployment"]["conda"] is True
    assert usage["report"] is True


def test_pictures_of_the_documents_are_small() -> None:
    assert [path.name for path in (ROOT / "docs/images").glob("*") if path.stat().st_size > 600_000] == []
