"""A metric is one file: the one in docs/extending.md is computed, recorded and shown without changing other files."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up import FEW, Page, render, report_of, write_results

from genbench.errors import InputError
from genbench.features import save_features
from genbench.features.evaluation import evaluate_files
from genbench.files.artifacts import read_json, write_json
from genbench.metrics import METRICS, Features, Metric, Value, evaluate_features, load_metric
from genbench.own_code import allow
from genbench.reporting.columns import UNKNOWN, comparison_columns
from genbench.reporting.outcome import made
from genbench.reporting.results import read_results

ROOT = Path(__file__).parents[2]
OPTIONS = {"kid_subsets": 2, "kid_subset_size": 50, "splits": 2, "fd_infinity_sizes": 0}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file as docs/extending.md shows it."""
    text = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "VENDI = Metric(" in code)
    path = tmp_path / "vendi.py"
    path.write_text(code, encoding="utf-8")
    return path


@pytest.fixture
def vendi(file: Path) -> Metric:
    return load_metric(allow(f"{file}:VENDI"))


def save(path: Path, scale: float, seed: int, count: int = 120) -> Path:
    random = np.random.default_rng(seed)
    array = (random.normal(size=(count, 6)) * [scale, 1, 1, 1, 1, 1]).astype(np.float32)
    info = {"extractor": {"name": "classifier", "sha256": "ce" * 32}, "images_sha256": f"{seed:064x}"}
    save_features(path, Features(array, random.normal(size=(count, 3)).astype(np.float32), info))
    return path


def test_the_lines_of_the_document_run_beside_its_file(file, tmp_path, monkeypatch):
    text = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "evaluate_files(" in code)
    save(tmp_path / "real.npz", 1, 0, 1000)
    save(tmp_path / "fake.npz", 2, 1, 1000)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)
    assert 1 < names["record"].metrics["vendi_classifier"].value < 6


def test_the_number_is_that_of_the_closed_form(vendi):
    three = np.repeat(np.eye(4, dtype=np.float32)[:3], 10, axis=0) * 7
    features = Features(three, None, {"extractor": {"name": "other"}})
    found = evaluate_features(features, features, metrics=[vendi])
    assert found["vendi_other"]["value"] == pytest.approx(3)
    assert found["vendi_other"]["note"] == "the real images have 3"


def test_it_goes_from_files_of_features_to_the_report(vendi, tmp_path):
    real, options = save(tmp_path / "real.npz", 1, 0), OPTIONS
    folder = write_results(tmp_path, models=FEW)
    values = {}
    for number, place in enumerate(sorted(folder.glob("*/seed0/*/*/metrics.json")), start=1):
        fake = save(tmp_path / "fake.npz", 1 + number, number)
        record = evaluate_files([real], [fake], options=options, metrics=[*METRICS.values(), vendi]).content()
        found = record["metrics"].pop("vendi_classifier")
        without = evaluate_files([real], [fake], options=options).content()
        assert record == without | {"provenance": record["provenance"]}  # only times in it may differ
        assert (found["n_real"], found["n_fake"], found["about"]["label"]) == (120, 120, "Vendi")
        record["metrics"]["vendi_classifier"] = found
        record["samples_sha256"] = read_json(place.with_name("timing.json"))["samples_sha256"]
        if "final" in place.parts:
            values[place.parts[-5], place.parts[-2]] = found
        write_json(place, record)

    plan = read_json(folder / "preflight.json")
    plan["evaluation"]["options"] = options
    write_json(folder / "preflight.json", plan)
    report = report_of(folder)
    (column,) = (column for column in report.table.columns if column.key == "vendi_classifier")
    assert (column.label, column.direction, column.source) == ("Vendi", "higher", vendi.source)
    best = max(report.table.rows, key=lambda row: row.cells["vendi_classifier"].value)
    assert best.cells["vendi_classifier"].best
    shown = {(row.model, row.sampler): row.cells["vendi_classifier"].value for row in report.table.rows}
    assert shown == {draw: found["value"] for draw, found in values.items()}

    preflight = read_json(folder / "preflight.json") | {"headline": "vendi_classifier"}
    write_json(folder / "preflight.json", preflight)
    page = Page(render(folder) / "demo.html")
    assert vendi.definition.capitalize() in page.text
    assert "Vendi" in page.text
    (first,) = re.findall(r"1\. .*", made(folder.parent / "report", ["demo"]))
    assert f"Vendi {max(found['value'] for found in values.values()):.2f}" in first


def test_a_file_in_the_package_is_a_metric_of_every_extractor(file, tmp_path):
    copy = tmp_path / "copy/genbench"
    shutil.copytree(ROOT / "genbench", copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(file, copy / "metrics")
    code = """
import json
from genbench.metrics import METRICS, metric_info, metric_keys
from genbench.reporting.columns import comparison_columns
keys = metric_keys("dinov2", logits=False)
labels = [column.label for column in comparison_columns(keys, "fd_dinov2")]
print(json.dumps([list(METRICS), metric_info("vendi_dinov2").name, keys, labels]))
"""
    job = subprocess.run([sys.executable, "-c", code], cwd=copy.parent, capture_output=True, text=True, env={})
    assert job.returncode == 0, job.stderr
    names, name, keys, labels = json.loads(job.stdout)
    assert names == [*METRICS, "vendi"]
    assert (name, keys[-1]) == ("vendi", "vendi_dinov2")
    assert "Vendi" in labels


def test_a_number_that_no_record_describes_is_shown_under_its_key(tmp_path):
    folder = write_results(tmp_path, models={"gan": FEW["gan"]})
    (path,) = folder.glob("gan/seed0/final/default/metrics.json")
    record = read_json(path)
    record["metrics"]["sharpness"] = {"value": 4.25}
    write_json(path, record)
    report = report_of(folder)
    (column,) = (column for column in report.table.columns if column.key == "sharpness")
    assert (column.label, column.definition, column.direction) == ("sharpness", UNKNOWN, None)
    assert [row.cells["sharpness"].text for row in report.table.rows] == ["4.25"]
    assert [column.key for column in comparison_columns(["sharpness"], "fd_classifier")][:2] == [
        "fd_classifier",
        "sharpness",
    ]

    record["metrics"]["sharpness"]["about"] = {"label": "Sharpness", "direction": "up"}
    write_json(path, record)
    (reason,) = read_results(folder / "preflight.json", folder).rows["missing"]
    assert "final/default/metrics.json: metrics: sharpness: about: key 'direction': found 'up'" in reason


def test_what_is_no_metric_or_has_the_name_of_another_is_refused(file, vendi):
    with pytest.raises(
        InputError, match=r"vendi\.py:compute#\w+: found function, expected a genbench\.metrics\.Metric"
    ):
        load_metric(allow(f"{file}:compute"))
    features = Features(np.eye(4, dtype=np.float32), None, {"extractor": {"name": "other"}})
    same = Metric(name="vendi", label="V", definition="", direction=None, compute=lambda inputs: Value(0.0))
    with pytest.raises(InputError, match="found two with the name 'vendi'"):
        evaluate_features(features, features, metrics=[vendi, same])
