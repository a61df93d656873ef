"""Records of results are written and read again, and refused if something in them is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_up import EVIL, FEW, MODELS, PROVENANCE, ROOT, check_page, write_results

from genbench.errors import InputError
from genbench.files.artifacts import RECORD_SHA256, read_json, sha256_json, write_json
from genbench.records.reference import FORMAT, Reference
from genbench.references import files
from genbench.references.files import read_reference, write_reference
from genbench.reporting.publish import publish
from genbench.reporting.recorded import write_record

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("results"), models=FEW, seeds=SEEDS)


@pytest.fixture(scope="module")
def path(results: Path) -> Path:
    out = results.parent / "record.json"
    write_record(results, out, "Ann")
    return out


def changed(path: Path, tmp_path: Path, *place: Any, to: Any) -> Path:
    """Copy a record with another value at `place` and, like a record made by hand, without its hash."""
    content = json.loads(path.read_text())
    del content[RECORD_SHA256]
    part = content
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = to
    (tmp_path / "other.json").write_text(json.dumps(content))
    return tmp_path / "other.json"


def test_a_record_holds_every_number_of_the_final_models(results: Path, path: Path) -> None:
    record = read_reference(path, "demo")
    assert (record.name, record.suite, record.headline) == ("Ann", "demo", "fd_classifier")
    assert len(record.draws) == 3 * 5  # no snapshots
    place = results / "ddpm/seed2/final/ddim-25"
    (draw,) = (draw for draw in record.draws if (draw.model, draw.seed, draw.sampler) == ("ddpm", 2, "ddim-25"))
    measured = read_json(place / "metrics.json")["metrics"]
    assert draw.metrics == pytest.approx({key: metric["value"] for key, metric in measured.items()}, rel=1e-8)
    assert draw.samples_sha256 == read_json(place / "timing.json")["samples_sha256"]
    assert draw.seeds == "0:2000"
    (training,) = (part for part in record.trainings if (part.model, part.seed) == ("ddpm", 2))
    assert (training.seconds, training.model_sha256) == (95.0 + 13 * 4 + 2, "0d" * 32)
    assert (record.data_sha256, record.reference_sha256, training.data_sha256) == ("da" * 32, "4e" * 32, None)
    assert record.models["ddpm"].spec["training"]["steps"] == 600
    assert {origin.stage for origin in record.origins} == {"training", "sampling", "evaluation"}
    assert record.origins[0].packages == PROVENANCE["packages"]


def test_it_is_small(tmp_path: Path) -> None:
    record = Reference(**json.loads(Path(write(tmp_path)).read_text()))
    record = record.model_copy(update={"draws": record.draws * (300 // len(record.draws) + 1)})
    write_reference(tmp_path / "many.json", record)
    assert (tmp_path / "many.json").stat().st_size < 300_000


def write(tmp_path: Path) -> Path:
    write_record(write_results(tmp_path, models=MODELS), tmp_path / "record.json")
    content = json.loads((tmp_path / "record.json").read_text())
    del content[RECORD_SHA256]
    (tmp_path / "record.json").write_text(json.dumps(content))
    return tmp_path / "record.json"


def test_it_says_nothing_of_the_machine_but_its_processor(results: Path, tmp_path: Path) -> None:
    plan = read_json(results / "preflight.json")
    spec = plan["models"]["gan"]["spec"]
    spec["samples"] = "/people/annika/samples"
    spec["model"]["class"] = "./own code/flow.py:Flow"
    spec["pretrained"] = {"format": "ddgan", "path": "annika/netG.pth"}
    plan["evaluation"]["statistics"] = {"inception-tensorflow": "C:\\Users\\annika\\stats.npz"}
    plan["models"]["gan"]["label"] = "G\u202eAN"
    plan["suite_argument"] = "/people/annika/demo.yaml"
    write_json(tmp_path / "demo/preflight.json", plan)
    for name in FEW:
        (tmp_path / "demo" / name).symlink_to(results / name)
    write_record(tmp_path / "demo", tmp_path / "record.json")
    text = (tmp_path / "record.json").read_text()
    assert not [word for word in ("annika", str(results), "people", "linux") if word in text.casefold()]
    record = read_reference(tmp_path / "record.json")
    assert record.models["gan"].label == "G AN"
    assert record.models["gan"].spec["samples"] == "samples"
    assert record.models["gan"].spec["model"]["class"] == "flow.py:Flow"
    assert record.models["gan"].spec["pretrained"]["path"] == "netG.pth"
    assert record.evaluation["statistics"] == {"inception-tensorflow": "stats.npz"}


def test_a_record_that_was_cut_off_or_changed_is_refused(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(path.read_text()[:-300])
    with pytest.raises(InputError, match=r"other\.json: found no valid JSON .*expected a whole record; is it cut off"):
        read_reference(other)
    other.write_text(path.read_text().replace('"fd_classifier": 11.7', '"fd_classifier": 9.7'))
    with pytest.raises(InputError, match=r"other\.json: record_sha256: found \w+, expected \w+: the file is damaged"):
        read_reference(other)
    with pytest.raises(InputError, match=r"nowhere\.json: no such file; expected a record"):
        read_reference(tmp_path / "nowhere.json")


BAD = [
    (("format",), "genbench-record-9", rf"format: found 'genbench-record-9', expected '{FORMAT}'"),
    (("suite",), "mnist", r"suite: found 'mnist', expected 'demo'"),
    (
        ("draws", 3, "metrics", "fd_classifier"),
        float("nan"),
        r"draws: 3: metrics: fd_classifier: found nan, expected a f",
    ),
    (
        ("draws", 3, "metrics", "fd_classifier"),
        "11",
        r"draws: 3: metrics: fd_classifier: found '11', expected a number",
    ),
    (
        ("draws", 3, "metrics", "fd_classifier"),
        1e200,
        r"draws: 3: metrics: fd_classifier: found 1e\+200, expected a number from -1e\+30 to 1e\+30$",
    ),
    (
        ("real", "fd_classifier"),
        -1e308,
        r"real: fd_classifier: found -1e\+308, expected a number from -1e\+30 to 1e\+30$",
    ),
    (("draws", 3, "seed"), 10**400, r"draws: 3: seed: found a number of more than 19 digits, expected fewer"),
    (("draws", 3, "model"), "other", r"draws: 3: model: found 'other', expected one of `models`"),
    (("draws", 3, "sampler"), "other", r"draws: 3: sampler: found 'other', expected one of its model's `samplers`"),
    (("draws", 3, "guess"), 1, r"draws: 3: unknown key: found 'guess'.*; expected one of: .*metrics"),
    (("models", "gan", "label"), "x" * 3000, r"models: gan: label: found 3,000 characters, expected at most 2,000"),
    (
        ("models", "gan", "label"),
        "\x1b[2J",
        r"models: gan: label: found the character U\+001B, expected only printable",
    ),
    (("models", "gan"), 1, r"models: gan: found 1, expected a mapping"),
    (("draws",), [], None),
]


@pytest.mark.parametrize(("place", "value", "message"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_what_is_wrong_in_a_record_is_named(
    place: tuple[Any, ...], value: Any, message: str | None, path: Path, tmp_path: Path
) -> None:
    other = changed(path, tmp_path, *place, to=value)
    if message is None:
        assert read_reference(other).draws == []
        return
    with pytest.raises(InputError, match=rf"other\.json: {message}"):
        read_reference(other, "demo")


def test_a_draw_stands_once(path: Path, tmp_path: Path) -> None:
    draws = json.loads(path.read_text())["draws"]
    with pytest.raises(InputError, match=r"draws: 15: found 'gan', seed 0 twice, expected once"):
        read_reference(changed(path, tmp_path, "draws", to=[*draws, draws[0]]))


def test_a_large_file_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "large.json").open("w") as file:
        file.truncate(100_000_000)
    monkeypatch.setattr(files.json, "loads", None)
    with pytest.raises(
        InputError, match=r"large\.json: found 100,000,000 bytes, expected a record of at most 10,000,000"
    ):
        read_reference(tmp_path / "large.json")


def test_deep_nesting_is_no_crash(path: Path, tmp_path: Path) -> None:
    other = changed(path, tmp_path, "models", "gan", "spec", to={})
    other.write_text(other.read_text().replace('"spec": {}', '"spec": ' + '{"a": ' * 500 + "1" + "}" * 500, 1))
    with pytest.raises(InputError, match=r"found more than 30 levels, expected fewer"):
        read_reference(other)
    other.write_text('{"a": ' * 100_000)
    with pytest.raises(InputError, match="found no valid JSON"):
        read_reference(other)


def test_a_later_version_may_know_more_keys(path: Path, tmp_path: Path) -> None:
    content = json.loads(changed(path, tmp_path, "later", to=1).read_text())
    content[RECORD_SHA256] = sha256_json(content)
    (tmp_path / "later.json").write_text(json.dumps(content))
    assert read_reference(tmp_path / "later.json") == read_reference(path)


def test_a_run_finds_its_record(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ROOT", tmp_path)
    assert files.references("demo") == []
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference/demo.json").write_bytes(path.read_bytes())
    there = [str(tmp_path / "reference/demo.json")]
    assert files.references("demo") == files.references("demo", str(tmp_path / "reference")) == there
    assert files.references("demo", stored=True) == files.references("other") == []
    assert files.references("other", str(tmp_path / "reference")) == []
    assert files.references("demo", "s3-folder/demo.json", stored=True) == ["s3-folder/demo.json"]
    with pytest.raises(InputError, match=r"config: reference: \S+demo\.json: suite: found 'demo', expected 'other'"):
        files.references("other", there[0])
    with pytest.raises(InputError, match=r"config: reference: nowhere\.json: no such file; expected a record"):
        files.references("demo", "nowhere.json")


def test_the_page_says_what_was_reproduced(results: Path, path: Path, tmp_path: Path) -> None:
    publish(
        results / "preflight.json", results, tmp_path, ROOT / "report", changed(path, tmp_path, "name", to=EVIL[:50])
    )
    page = check_page(tmp_path / "demo.html")
    assert "5 of 5 rows of demo reproduced, 5 of them with identical samples." in page.text
    assert EVIL[:50] in page.text
    assert read_reference(tmp_path / "demo/record.json").draws == read_reference(path).draws


def test_a_suite_that_was_run_piece_by_piece_is_one_record(path: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "record.json", read_reference(path)
    for seeds in ((0, 2), (1,)):
        write_record(write_results(tmp_path / str(seeds), models=FEW, seeds=seeds), out, "Ann", add=True)
    found = read_reference(out)
    assert [(draw.model, draw.seed) for draw in found.draws] == [(draw.model, draw.seed) for draw in whole.draws]
    assert (found.trainings, found.origins) == (whole.trainings, whole.origins)


def test_results_without_numbers_have_no_record(results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no preflight\.json, expected the results of a suite"):
        write_record(tmp_path, tmp_path / "record.json")
    (tmp_path / "demo").mkdir()
    (tmp_path / "report").mkdir()
    (tmp_path / "report/demo.html").touch()
    with pytest.raises(InputError, match=r"delete the suite's page, and run again: rm .*/report/demo\.html$"):
        write_record(tmp_path / "demo", tmp_path / "record.json")
    (tmp_path / "demo/preflight.json").write_bytes((results / "preflight.json").read_bytes())
    with pytest.raises(InputError, match="found no row with numbers, expected the results of a run"):
        write_record(tmp_path / "demo", tmp_path / "record.json")
