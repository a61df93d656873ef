"""Hand-ins of a class: each becomes an entry with its name, and a faulty one a row that states the reason."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from entries import blobs
from PIL import Image

from genbench.commands import import_samples
from genbench.data import load_images
from genbench.data.image_set import make_image_set, save_image_set
from genbench.errors import InputError
from genbench.importing import import_pretrained
from genbench.records.record import read_record
from genbench.records.timing import Timing
from genbench.reporting.averages import compare
from genbench.reporting.cells import Cell, mark_expected
from genbench.reporting.columns import Column
from genbench.reporting.exports import as_json, comma_separated
from genbench.sampling.draw import draw_samples
from genbench.sampling.speed import measure_speed
from genbench.suites.load import load_suite

IMAGES = blobs(30)[0]  # uint8 (30, 16, 16, 1)
LATE = 1_900_000_000  # in 2030


def load(folder: Path, **keys: Any) -> dict[str, Any]:
    """Load a suite with the hand-ins of the folder `hand-ins`."""
    suite = {"title": "T", "dataset": {"source": "demo"}, "models": {"base": {"samples": "base.npz"}}}
    (folder / "s.yaml").write_text(yaml.safe_dump({**suite, "submissions": "hand-ins", **keys}))
    return load_suite(folder / "s.yaml")


@pytest.fixture
def hand_ins(tmp_path: Path) -> Path:
    folder = tmp_path / "hand-ins"
    folder.mkdir()
    np.savez(folder / "anna.npz", IMAGES)
    (folder / "anna.yaml").write_text("author: Anna M.\nnote: A DCGAN.\nparameters: 1200\n")
    (folder / "Team Delta!").mkdir()
    Image.fromarray(IMAGES[0, ..., 0]).save(folder / "Team Delta!/0.png")
    (folder / "Team Delta!/card.yaml").write_text("channels: 1\n")
    (folder / "base.zip").write_bytes(b"PK")
    (folder / "weights.pkl").write_bytes(b"")
    (folder / "evil.py").write_text("raise SystemExit\n")
    (folder / ".DS_Store").write_bytes(b"")
    np.save(folder / "ben.npy", IMAGES)
    (folder / "ben.yaml").write_text("autor: Ben\n")
    return folder


def test_every_file_and_folder_is_an_entry_by_its_name(hand_ins: Path) -> None:
    models = load(hand_ins.parent)["models"]
    assert list(models) == ["base", "Team-Delta", "anna", "base.zip", "ben", "evil", "weights"]
    assert models["anna"]["description"] == "By Anna M. A DCGAN."
    assert models["anna"]["hand_in"] == {"file": "anna.npz", "parameters": 1200, "refused": None}
    assert Path(models["Team-Delta"]["samples"]["path"]).resolve() == hand_ins / "Team Delta!"
    assert models["Team-Delta"]["samples"]["channels"] == 1
    assert models["Team-Delta"]["label"] == "Team Delta!"
    assert "hand_in" not in models["base"]


def test_what_is_wrong_before_it_is_read_is_its_reason(hand_ins: Path) -> None:
    os.utime(hand_ins / "anna.npz", (LATE, LATE))
    suite = load(hand_ins.parent, submissions={"path": "hand-ins", "deadline": "2029-12-01 23:59"})
    reasons = {name: entry["hand_in"]["refused"] for name, entry in suite["models"].items() if "hand_in" in entry}
    assert reasons["anna"].startswith("late: changed 2030-03-17 ")
    assert reasons["anna"].endswith("the deadline was 2029-12-01 23:59")
    assert reasons["ben"].startswith("ben.yaml: unknown key: found 'autor' (did you mean 'author'?)")
    assert reasons["weights"].startswith("weights.pkl: found .pkl, expected one of .npz, .npy, .zip")
    assert reasons["evil"] == "evil.py: found code, which genbench does not run; expected images or an ONNX program"
    assert reasons["base.zip"] is None  # its fault is found only when it is read
    trusting = load(hand_ins.parent, submissions={"path": "hand-ins", "run_code": True})
    assert trusting["models"]["evil"]["pretrained"]["format"] == "callable"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"submissions": "elsewhere"}, "submissions: found 'elsewhere', and no such folder in"),
        ({"submissions": {"path": "hand-ins", "deadline": "soon"}}, "deadline: found 'soon', expected a date and"),
        (
            {"expect": {"fd_classifier": "about 60"}},
            "expect: fd_classifier: found 'about 60', expected a bound",
        ),
    ],
)
def test_what_is_wrong_with_the_suite_stops_it(hand_ins: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(hand_ins.parent, **keys)


def test_a_broken_hand_in_is_a_record_of_its_reason(hand_ins: Path) -> None:
    real, labels = blobs(8)
    data = make_image_set(real, labels, list("abcd"), dataset="b", split="test", source="t", source_sha256="s")
    save_image_set(hand_ins / "test.npz", data)
    out = {name: hand_ins / name for name in ("s.npz", "t.json", "g.png")}
    common = ["--limit", "30", "--like", str(hand_ins / "test.npz"), "--out", str(out["s.npz"])]
    common += ["--timing", str(out["t.json"]), "--grid", str(out["g.png"]), "--hand-in"]
    np.save(hand_ins / "flat.npy", np.full((30, 16, 16, 1), 7, np.uint8))
    for name, more, reason in [
        ("base.zip", [], "base.zip: "),
        ("anna.npz", ["--limit", "31"], "anna.npz: found 30 images, expected at least 31"),
        ("flat.npy", [], "7"),
        ("anna.npz", ["--refused", "late: yesterday"], "late: yesterday"),
        ("anna.npz", [], None),
    ]:
        import_samples.main(["--in", str(hand_ins / name), *common, *more])
        record = read_record(out["t.json"], Timing)
        images, info = load_images(out["s.npz"])
        assert out["g.png"].exists()
        if reason is None:
            assert record.unavailable is None
            assert np.array_equal(images, IMAGES)
        else:
            assert reason in str(record.unavailable)
            assert info["unavailable"] == record.unavailable
            assert images.shape == (0, 16, 16, 1)


def test_a_broken_generator_draws_nothing_and_says_why(hand_ins: Path) -> None:
    model = hand_ins / "model.safetensors"
    options = {"latent": {"size": 3}, "range": [0, 1]}
    with pytest.raises(InputError, match=r"weights\.pkl: not an ONNX program"):
        import_pretrained("onnx", model, path=hand_ins / "weights.pkl", options=options)
    info = import_pretrained("onnx", model, path=hand_ins / "weights.pkl", options=options, hand_in=True)
    assert "weights.pkl: not an ONNX program" in info["imported"]["note"]
    record = draw_samples(model, hand_ins / "s.npz", {}, seeds=range(8), sheet=hand_ins / "g.png")
    assert record is not None
    assert "weights.pkl: not an ONNX program" in str(record.unavailable)
    speed = measure_speed(model, {"default": {}})
    assert speed is not None
    assert speed.samplers["default"].unavailable == record.unavailable


@pytest.mark.parametrize(
    ("bound", "expected"),
    [("< 60", [True, False, None]), (">=60", [False, True, None]), ("<= 60", [True, True, None])],
)
def test_a_bound_is_met_or_not(bound: str, expected: list[bool | None]) -> None:
    cells = [Cell(value=59.9), Cell(value=60.0), Cell()]
    mark_expected(cells, bound)
    assert [cell.met for cell in cells] == expected


def test_a_table_of_hand_ins_has_ticks_roles_and_places() -> None:
    common = {"checkpoint": "final", "sampler": "given", "sampler_label": "given", "seed": 0, "family": "F"}
    numbers = {"anna": (12.0, "hand-in", "a"), "base": (70.0, "baseline", "b"), "ben": (None, "hand-in", "")}
    rows = pd.DataFrame(
        {**common, "model": name, "label": name, "fd_classifier": value, "role": role, "samples_sha256": digest}
        | ({"unavailable": "late", "samples_sha256": "empty"} if value is None else {})
        for name, (value, role, digest) in numbers.items()
    )
    late = rows.assign(model="carla", label="carla")[rows["model"] == "ben"]
    lead = Column("fd_classifier", "FD-classifier", "a distance", direction="lower")
    found = compare(pd.concat([rows, late]), [lead], expect={"fd_classifier": "< 60"})
    met = {row.model: (row.role, row.cells["fd_classifier"].met) for row in found.rows}
    assert met["anna"] == ("hand-in", True)
    assert met["base"] == ("baseline", False)
    assert met["ben"] == met["carla"] == ("hand-in", None)
    assert not any("identical" in remark for row in found.rows for remark in row.remarks)  # both have no samples
    assert "Expected: FD-classifier < 60." in found.remarks
    assert found.expects
    written = list(csv.DictReader(io.StringIO(comma_separated(found))))
    assert [(row["model"], row["role"]) for row in written[:2]] == [("anna", "hand-in"), ("base", "baseline")]
    values = [row["values"].get("fd_classifier", {}).get("met") for row in json.loads(as_json(found))["rows"]]
    assert values == [True, False, None, None]
