"""Numbers in README.md and in the comments of suites/, in words or digits, agree with the code."""

import re
import typing
from pathlib import Path

import pytest
import yaml
from checkouts import ROOT

from genbench.data import datasets
from genbench.models.diffusion import Diffusion
from genbench.reporting.columns import INCEPTION
from genbench.suites.load import load_suite
from genbench.suites.preflight import preflight

WORDS = dict(zip("one two three four five six seven eight nine ten".split(), range(1, 11), strict=True))
README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
SUITES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "suites").glob("*.yaml"))}
EVALUATIONS = [
    (suite, *found)
    for suite, text in SUITES.items()
    for found in re.findall(r"^ +([\w.-]+): \{.*\} # (\S+) evaluations$", text, re.MULTILINE)
]
EPOCHS = [
    (suite, *found)
    for suite, text in SUITES.items()
    for found in re.findall(r"steps: (\d+) # (?:\D*, )?([\d,.]+) epochs", text)
]


def number(text: str) -> float:
    return WORDS[text] if text in WORDS else float(text.replace(",", ""))


def said(before: str, after: str) -> float:
    """Return the only number in the README between two texts."""
    (found,) = re.findall(rf"{before} (\S+) {after}", README)
    return number(found)


def test_the_readme_counts_what_the_suites_and_the_code_have() -> None:
    models = {name: yaml.safe_load(text).get("models") for name, text in SUITES.items()}
    mnist = [entry["model"] for entry in models["mnist"].values()]
    plain = [model for model in mnist if model.get("denoiser", {}).get("class") == "plain_cnn.PlainCNN"]
    rows = [model for model in mnist if model.get("degradation", {}).get("name") == "rows"]
    assert said("DDPM with", "samplers") == len(models["cifar10"]["ddpm"]["samplers"])
    assert said("plain CNN in", "sets of hyper-parameters") == len(plain)
    assert said("cold diffusion in", "sets") == len(rows)
    spacing = typing.get_type_hints(Diffusion.walk)["spacing"]  # a Literal, or None
    (names,) = (part for part in [spacing, *typing.get_args(spacing)] if typing.get_origin(part) is typing.Literal)
    assert said("spaced in", "ways") == len(typing.get_args(names))
    assert said("FID in", "resizers") == len(INCEPTION)
    objects = datasets.describe({"source": "shapes"}, ROOT)
    assert said("three of", "objects on request") == objects.num_classes


@pytest.mark.parametrize("suite", {suite: None for suite, *_ in EVALUATIONS})
def test_a_suite_says_how_often_its_samplers_call_the_network(suite: str, tmp_path: Path) -> None:
    said = {sampler: number(count) for of, sampler, count in EVALUATIONS if of == suite}
    path = ROOT / f"suites/{suite}.yaml"
    found = load_suite(path)
    own = tuple(yaml.safe_load(SUITES[suite])["models"])  # excludes models of the suite that it extends
    entries = {
        name: entry
        | {"samplers": {key: entry["samplers"][key] for key in said if key in entry["samplers"]}, "published": []}
        for name, entry in found["models"].items()
        if name.startswith(own)  # a list of budgets expands ddpm to ddpm-1T and others
    }
    found["models"] = {name: entry for name, entry in entries.items() if entry["samplers"]}
    plan = preflight(found, str(tmp_path), str(path))
    counts: dict[str, set[int | None]] = {sampler: set() for sampler in said}
    for entry in plan.models.values():
        for sampler, planned in entry.samplers.items():
            counts[sampler].add(planned.nfe)
    assert counts == {sampler: {count} for sampler, count in said.items()}


@pytest.mark.parametrize(("suite", "steps", "epochs"), EPOCHS)
def test_a_suite_says_of_how_many_epochs_its_steps_are(suite: str, steps: str, epochs: str) -> None:
    found = load_suite(ROOT / f"suites/{suite}.yaml")
    images = datasets.describe(found["dataset"], ROOT).num_train
    trainings = [
        entry["training"] for entry in found["models"].values() if entry.get("training", {}).get("steps") == int(steps)
    ]
    for training in trainings:
        assert int(steps) * training["batch_size"] / images == pytest.approx(number(epochs), rel=0.005)
    assert trainings
