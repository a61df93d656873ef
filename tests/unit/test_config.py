"""The values after --config on Snakemake's command line are read as the user means them."""

import pytest
from snakemake.cli import parse_config

from genbench.errors import InputError
from genbench.suites.config import Config


def typed(*entries: str) -> dict:
    """The configuration from a command line only, through Snakemake's own parser."""
    return Config.from_snakemake(parse_config(list(entries)))


@pytest.mark.parametrize("seeds", ["[0,1,2]", "[0, 1, 2]", "[ 0 ,1 , 2 ]", '["0", "1", "2"]', "['0',1,2]"])
def test_lists_of_numbers(seeds: str) -> None:
    assert typed("suite=demo", "num_samples=10000", f"seeds={seeds}", "device=cpu") == {
        "suite": "demo", "num_samples": 10000, "seeds": [0, 1, 2], "device": "cpu", "data_root": "resources/downloads",
        "weights_root": "resources/weights", "jobs_per_gpu": 1, "container": "genbench.sif", "track": None,
        "only": None, "reference": None, "scale": None, "extractors": None,
        "keep_features": None, "results_root": None, "resources_root": None, "scratch": None,
    }  # fmt: skip


def test_a_list_of_suites_stays_text() -> None:
    assert typed("suite=[demo, 'demo-shapes']")["suite"] == ["demo", "demo-shapes"]
    assert typed("suite=[2024, 2025.yaml]")["suite"] == ["2024", "2025.yaml"]
    assert typed("suite=2024", "data_root=7")["suite"] == "2024"


@pytest.mark.parametrize(
    ("given", "only"),
    [
        ("*", "*"),
        ("*-1T/seed0", "*-1T/seed0"),
        ("[*-1T/seed0]", ["*-1T/seed0"]),
        ("[*-1T/seed0, vae-250G/seed0]", ["*-1T/seed0", "vae-250G/seed0"]),
        ("[gan, '*-1T', \"*/seed1\"]", ["gan", "*-1T", "*/seed1"]),
        ("[ gan ,[ab]*,!x]", ["gan", "[ab]*", "!x"]),
        ("7", "7"),
        ("[007, 7]", ["007", "7"]),
    ],
)
def test_a_list_of_patterns_that_is_no_yaml_is_a_list(given: str, only: str | list[str]) -> None:
    assert typed(f"only={given}")["only"] == only


def test_a_smaller_one_of_a_suite() -> None:
    found = typed("scale=0.01", "extractors=[classifier, inception-clean]")
    assert (found["scale"], found["extractors"]) == (0.01, ["classifier", "inception-clean"])
    assert typed("scale=null", "extractors=classifier")["extractors"] == ["classifier"]


@pytest.mark.parametrize("nothing", ["null", "~", ""])
def test_nothing_is_the_suites(nothing: str) -> None:
    found = typed("suite=demo", f"seeds={nothing}", f"num_samples={nothing}", f"reference={nothing}")
    assert (found["seeds"], found["num_samples"], found["reference"]) == (None, None, None)


def test_what_is_absent_has_its_default() -> None:
    assert typed()["suite"] == "demo"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("seeds=3", "config: seeds: found 3, expected a list such as [0, 1, 2]"),
        ("seeds=0,1", "config: seeds: found '0,1', expected a list such as [0, 1, 2]"),
        ("seeds=true", "config: seeds: found 'true', expected a list such as [0, 1, 2]"),
        ("seeds=[]", "config: seeds: found [], expected at least 1 in it"),
        ("seeds=[0,a]", "config: seeds: 1: found 'a', expected an integer"),
        ("seeds=[0,*]", "config: seeds: 1: found '*', expected an integer"),
        ("only=[*,]", "config: only: 1: found '', expected some text"),
        ("seeds=[0,-1]", "config: seeds: 1: found '-1', expected an integer"),
        ("seeds=[1,1]", "config: seeds: found 1 twice, expected it once"),
        ("seeds=[5000000000]", "config: seeds: 0: found 5000000000, expected at most 4294967295"),
        ("num_samples=1e4", "config: num_samples: found 10000.0, expected an integer"),
        ("num_samples=[10]", "config: num_samples: found [10], expected an integer"),
        ("scale=1", "config: scale: found 1, expected less than 1"),
        ("scale=0", "config: scale: found 0, expected more than 0"),
        ("scale=small", "config: scale: found 'small', expected a number"),
        ("jobs_per_gpu=0", "config: jobs_per_gpu: found 0, expected at least 1"),
    ],
)
def test_what_is_expected_is_said(entry: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        typed("suite=demo", entry)
    assert str(error.value).startswith(message)
