"""From the files of a suite to the tidy table."""

import json
import re
import shutil

import pandas as pd
import pytest
from made_up import FEW, MODELS, check_page, render, table_of, write_results

from genbench.errors import InputError
from genbench.files.artifacts import read_json, write_json
from genbench.reporting.columns import TIME
from genbench.reporting.results import LOSSY, read_results


def test_the_tidy_table_has_a_row_for_each_draw_with_the_numbers_of_its_files(demo):
    results = read_results(demo / "preflight.json", demo)
    assert len(results.rows) == 5 + 3 + 2 * 3  # lsgan: three checkpoints; ddpm: two checkpoints, three samplers
    row = results.rows.set_index(["model", "seed", "checkpoint", "sampler"]).loc["ddpm", 0, "step-300", "ddim-25"]
    assert row["fd_classifier"] == 13.9 * 2.5
    assert row["kid_classifier_std"] == 0.01
    assert row["seconds_per_50k"] == 1067
    assert row["training_seconds"] == 95 + 13 * 4
    assert row["parameters"] == 512_000
    assert row["images_per_second"] != row["training_images_per_second"]
    history = results.histories["vae"]
    assert set(history["name"]) == {"autoencoder", "reconstruction", "kl"}
    assert history["step"].max() == 600


def test_the_csv_keeps_every_seed_in_full(tmp_path):
    out = render(write_results(tmp_path, models=FEW, seeds=(0, 1)))
    table = pd.read_csv(out / "demo.csv")
    values = table[(table["model"] == "ddpm") & (table["checkpoint"] == "final") & (table["sampler"] == "ddpm-100")]
    assert list(values["fd_classifier"]) == [11.7, 12.2]
    assert list(values["kid_classifier"]) == [11.7 / 900] * 2
    assert len(table) == 2 * (2 + 6)


def test_samples_drawn_elsewhere_have_a_row_without_training_or_time(tmp_path):
    folder = write_results(tmp_path, models=FEW, seeds=(0, 1))
    preflight = read_json(folder / "preflight.json")
    given = {"seeds": [0], "spec": {"samples": "s.npz"}, "parameters": {}, "description": None}
    preflight["models"]["gan"] |= given
    write_json(folder / "preflight.json", preflight)
    shutil.rmtree(folder / "gan/seed1")
    (folder / "gan/seed0/training.json").unlink()
    timing, note = (
        folder / "gan/seed0/final/default/timing.json",
        "500 of 2,000 samples: a random part, always the same",
    )
    write_json(timing, {"seconds_per_50k": None, "images_per_second": None, "lossy": True, "notes": [note]})
    row = next(row for row in table_of(folder).rows if row.model == "gan")
    assert (row.cells["fd_classifier"].text, row.cells[TIME.key].text) == ("61.3", "–")
    assert row.remarks == [LOSSY, note]
    text = check_page(render(folder) / "demo.html").text
    assert LOSSY in text
    assert note in text


def test_the_same_seeds_are_not_said_of_images_from_elsewhere(tmp_path):
    folder = write_results(tmp_path, models=FEW)
    out = render(folder)
    assert "The same seeds, every model" in check_page(out / "demo.html").text
    preflight = read_json(folder / "preflight.json")
    preflight["models"]["gan"] |= {"spec": {"samples": "s.npz"}}
    write_json(folder / "preflight.json", preflight)
    text = check_page(render(folder) / "demo.html").text
    assert "The same seeds, every model" not in text
    assert "Not so GAN: images from elsewhere" in text
    render(write_results(tmp_path, "other", models={"vae": MODELS["vae"]}))
    index = check_page(out / "index.html").text
    assert index.count("The same seeds, every model") == 1  # of the other suite
    assert "but for images from elsewhere, which say so" in index


@pytest.mark.parametrize(
    "name",
    [
        "preflight.json",
        "gan/seed0/training.json",
        "gan/seed0/final/default/timing.json",
        "vae/seed0/final/default/metrics.json",
    ],
)
def test_a_missing_file_is_named(tmp_path, name):
    folder = write_results(tmp_path, models=FEW, optional=False)
    (folder / name).unlink()
    with pytest.raises(InputError, match=re.escape(f"{folder / name}: no such file")):
        render(folder)


def test_a_missing_key_and_a_broken_line_are_named(tmp_path):
    folder = write_results(tmp_path, models=FEW, optional=False)
    history = folder / "gan/seed0/history.jsonl"
    history.write_text('{"step": 1, "losses": {"generator": 0.5}}\n{"step": 2, "los')
    with pytest.raises(InputError, match="line 2"):
        render(folder)
    history.unlink()
    timing = folder / "gan/seed0/final/default/timing.json"
    write_json(timing, {"seconds_per_50k": 1.0})
    with pytest.raises(InputError, match=f"{timing}: key 'images_per_second' is missing"):
        render(folder)


def test_a_step_that_was_logged_twice_counts_once(tmp_path):
    folder = write_results(tmp_path, models={"gan": MODELS["gan"]}, optional=False)
    lines = [
        json.dumps({"step": step, "losses": {"generator": value}}) for step, value in ((10, 3.0), (20, 2.0), (10, 1.0))
    ]
    (folder / "gan/seed0/history.jsonl").write_text("\n".join(lines))
    history = read_results(folder / "preflight.json", folder).histories["gan"]
    assert list(zip(history["step"], history["value"], strict=True)) == [(10, 1.0), (20, 2.0)]
