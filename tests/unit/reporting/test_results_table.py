"""From the files of a suite to the tidy table."""

import json
import re
import shutil
from contextlib import contextmanager

import pandas as pd
import pytest
from made_up import FEW, MODELS, check_page, render, report_of, table_of, write_results

from genbench.errors import InputError
from genbench.files.artifacts import read_json, write_json
from genbench.reporting.columns import TIME
from genbench.reporting.missing import NOT_BEGUN
from genbench.reporting.outcome import made
from genbench.reporting.recorded import record_of
from genbench.reporting.results import LOSSY, read_results
from genbench.reporting.times import BESIDE_OTHERS, cores


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


def test_a_row_of_copies_comes_last_and_is_never_the_best(demo, tmp_path):
    folder = shutil.copytree(demo, tmp_path / "demo")
    path = folder / "ddpm/seed0/final/ddpm-100/metrics.json"
    for copies, generates in ((999, True), (1000, False), (2000, False)):
        found = read_json(path)
        note = f"against 1,000 test images; {copies:,} of 2,000 are copies of a training image"
        found["metrics"]["memorised_classifier"] = {"value": 0.9, "note": note}
        write_json(path, found)
        rows = {row.name: row for row in table_of(folder).rows}
        row = rows["DDPM, ddpm-100"]
        assert row.generates == generates
        assert row.cells["fd_classifier"].best == generates
        remark = f"{copies:,} of 2,000 are copies of a training image, so the row is never the best"
        assert (remark in row.remarks) != generates
    assert list(rows)[-1] == "DDPM, ddpm-100"


def test_times_are_those_of_a_timing_without_other_work_and_otherwise_say_so(demo, tmp_path):
    folder = shutil.copytree(demo, tmp_path / "demo")
    cells = {row.model: row.cells[TIME.key] for row in table_of(folder).rows}
    assert not any(cell.notes for cell in cells.values())
    speed = read_json(folder / "gan/speed.json")
    speed["samplers"]["default"] |= {"seconds_per_50k": 40.0, "seconds_per_50k_range": [38.0, 42.0], "other_work": 0.8}
    write_json(folder / "gan/speed.json", speed)
    (folder / "vae/speed.json").unlink()  # earlier versions did not write it
    cells = {row.model: row.cells[TIME.key] for row in table_of(folder).rows}
    assert cells["gan"].value == 40
    assert cells["gan"].notes == ["timed while other processes kept 0.8 cores busy"]
    assert (cells["vae"].value, cells["vae"].notes) == (MODELS["vae"][2]["default"][1], [BESIDE_OTHERS])
    row = read_results(folder / "preflight.json", folder).rows.set_index("model").loc["gan"]
    assert (row["images_per_second"], row["seconds_per_image"]) == (50_000 / 31.2, 40 / 50_000)
    assert row["time_spread"] == pytest.approx(0.1)
    assert row["timed_images"] == 3 * 500
    assert [cores(number) for number in (0.55, 1.1, 1.4, 1.6)] == [
        "0.6 cores",
        "about 1 core",
        "about 1 core",
        "about 2 cores",
    ]


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
    assert "Images of GAN come from elsewhere" in text
    render(write_results(tmp_path, "other", models={"vae": MODELS["vae"]}))
    index = check_page(out / "index.html").text
    assert index.count("The same seeds, every model") == 1  # the other suite's
    assert "except for images from elsewhere, which are marked" in index


def test_a_missing_plan_is_named(tmp_path):
    folder = write_results(tmp_path, models=FEW, optional=False)
    (folder / "preflight.json").unlink()
    with pytest.raises(InputError, match=re.escape(f"{folder / 'preflight.json'}: no such file")):
        render(folder)


DIVERGED = "the loss is not finite at step 12: training stopped; last good save: none yet. clip_norm may help"
RUN, DRAW = "gan/seed0", "gan/seed0/final/default"


@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize(
    ("record", "log", "text", "reason"),
    [
        (f"{RUN}/training.json", "train", f"12:00 step 10\nerror: {DIVERGED}\n", f"training failed: {DIVERGED}"),
        (f"{RUN}/training.json", "import", "error: x.pt: no such file", "training failed: x.pt: no such file"),
        (f"{RUN}/training.json", "train", "1 of 600\n", "training is not finished; its log ends with: 1 of 600"),
        (f"{RUN}/training.json", None, "", "training has not begun: there is no training.json"),
        (
            f"{DRAW}/timing.json",
            "sample",
            "Trace\ntorch.MemoryError: CUDA.",
            "sampling failed: torch.MemoryError: CUDA.",
        ),
        (f"{DRAW}/metrics.json", "features-classifier", "error: f.npz: damaged", "evaluation failed: f.npz: damaged"),
        (f"{DRAW}/metrics.json", None, "", "evaluation has not begun: there is no metrics.json"),
    ],
)
def test_what_is_missing_is_a_row_with_its_reason(tmp_path, optional, record, log, text, reason):
    folder = write_results(tmp_path, models=FEW, optional=optional)
    (folder / record).unlink()
    if log:
        (folder / record).with_name("logs").mkdir()
        (folder / record).with_name("logs").joinpath(f"{log}.log").write_text(text)
    results = read_results(folder / "preflight.json", folder)
    table = report_of(folder).table
    last = table.rows[-1]
    assert (last.model, last.remarks, last.cells["fd_classifier"].text) == ("gan", [reason], "–")
    assert not any(row.remarks for row in table.rows[:-1])
    assert results.rows["missing"].dropna().tolist() == [reason]
    if optional:
        page = check_page(render(folder) / "demo.html").text
        assert reason in page
        assert ("The log of seed 0" in page) == ("This command does the rest" in page) == bool(log)
        assert all(line in page for line in text.splitlines())  # the end of the log
        csv = pd.read_csv(folder.parent / "report/demo.csv").set_index("model")
        assert csv.loc["gan", "remarks"] == reason
        assert f"without numbers: GAN: {reason}" in made(folder.parent / "report", ["demo"])


def test_a_record_without_a_finite_number_is_one_row_s_fault(tmp_path):
    """Other programs write NaN. The command that the row advises can be typed."""
    folder = write_results(tmp_path, models=FEW)
    path = folder / DRAW / "metrics.json"
    path.write_text(path.read_text().replace("61.3", "NaN"))
    gan = next(row for row in table_of(folder).rows if row.model == "gan")
    assert gan.remarks[0].startswith(f"its result cannot be read: {DRAW}/metrics.json: damaged, or changed by hand: ")
    assert gan.remarks[0].endswith(f"; delete it and run again: rm {path}")


def test_a_broken_file_beside_the_pages_stops_none_of_them(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report/notes.json").write_text("[1, 2")
    report = render(write_results(tmp_path, models=FEW))
    assert (report / "index.html").read_text() == (report / "demo.html").read_text()
    assert (report / "notes.json").read_text() == "[1, 2"


def test_a_report_can_be_made_before_anything_is_trained(tmp_path):
    folder = write_results(tmp_path, models=FEW)
    for part in folder.iterdir():
        if part.is_dir():
            shutil.rmtree(part)
    page = check_page(render(folder) / "demo.html")
    assert "training has not begun" in page.text
    assert render(write_results(tmp_path, "other", models={"vae": MODELS["vae"]}))  # beside a finished suite


def test_one_failed_seed_leaves_the_mean_of_the_others_and_is_named(tmp_path):
    folder = write_results(tmp_path, models=FEW, seeds=(0, 1, 2))
    (folder / "gan/seed0/training.json").unlink()
    gan = next(row for row in table_of(folder).rows if row.model == "gan")
    assert gan.cells["fd_classifier"].value == pytest.approx(61.3 + 0.75)
    assert gan.remarks == [f"seed 0: {NOT_BEGUN}"]
    assert "seed 0: training has not begun" in check_page(render(folder) / "demo.html").text


def test_numbers_of_a_training_that_is_gone_are_not_shown(tmp_path):
    """They may belong to other weights."""
    folder = write_results(tmp_path, models=FEW)
    (folder / "gan/seed0/final/default/timing.json").unlink()
    gan = next(row for row in table_of(folder).rows if row.model == "gan")
    assert all(cell.value is None for key, cell in gan.cells.items() if key.startswith(("fd", "kid", "seconds")))


DAMAGE = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "binary": lambda data: bytes(range(256)),
    "changed": lambda data: data.replace(b"1", b"2"),
}


@contextmanager
def damaged(path, damage):
    """Damage a file within this context like a crash, a full disk or an edit by hand."""
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[damage](whole))
    yield
    path.write_bytes(whole)


@pytest.mark.parametrize("record", [f"{RUN}/training.json", f"{DRAW}/timing.json", f"{DRAW}/metrics.json"])
def test_a_row_whose_record_is_damaged_says_so_and_leaves_the_others_as_they_are(tmp_path, record):
    folder = write_results(tmp_path, models={name: MODELS[name] for name in ("gan", "vae")})
    for damage in DAMAGE:
        with damaged(folder / record, damage):
            vae, gan = table_of(folder).rows
        assert (gan.model, gan.cells["fd_classifier"].text) == ("gan", "–")
        step = "training" if record == f"{RUN}/training.json" else "result"
        (reason,) = gan.remarks
        assert reason.startswith(f"its {step} cannot be read: {record}")
        assert (vae.cells["fd_classifier"].text, vae.remarks) == ("44.9", [])


@pytest.mark.parametrize(
    "name",
    [f"{RUN}/history.jsonl", f"{RUN}/final/pictures/interpolation.png", f"{DRAW}/grid.png", f"{DRAW}/neighbours.png"],
)
def test_a_row_keeps_its_numbers_without_a_curve_or_picture_that_is_damaged(tmp_path, name):
    folder = write_results(tmp_path, models={name: MODELS[name] for name in ("gan", "vae")})
    path = folder / name
    if path.name == "neighbours.png":
        path.write_bytes((folder / f"{DRAW}/grid.png").read_bytes())
    for damage in DAMAGE:
        if damage == "changed" or (path.suffix, damage) == (".jsonl", "empty"):  # not detectable
            continue
        with damaged(path, damage):
            results = read_results(folder / "preflight.json", folder)
        gan = results.rows.set_index("model").loc["gan"]
        assert gan["fd_classifier"] == 61.3
        (remark,) = gan["remarks"]
        assert remark.startswith(f"{path.name} is left out, since it cannot be read: {name}")
        assert path not in [*results.grids.values(), *results.pictures.get("gan", {}).values()]
        assert ("gan" in results.histories) == (path.name != "history.jsonl")


def test_the_page_of_damaged_files_names_them(tmp_path):
    folder = write_results(tmp_path, models=FEW)
    (folder / "real/metrics.json").write_text("{")
    (folder / "real/grid.png").write_bytes(b"")
    (folder / f"{DRAW}/metrics.json").unlink()
    (folder / f"{DRAW}/metrics.json").mkdir()
    (folder / "vae/seed0/history.jsonl").write_text('{"step": 1, "losses": {"generator": 0.5}}\n{"step": 2, "los')
    text = check_page(render(folder) / "demo.html").text
    for told in (
        "Real images: metrics.json is left out, since it cannot be read: real/metrics.json: not valid JSON",
        "Real images: grid.png is left out, since it cannot be read: real/grid.png: damaged, or not a PNG picture",
        f"its result cannot be read: {DRAW}/metrics.json: is a directory, expected a JSON file",
        "history.jsonl is left out, since it cannot be read: vae/seed0/history.jsonl, line 2: expected a JSON object",
    ):
        assert told in text


def test_a_missing_key_is_named_in_its_row(tmp_path):
    folder = write_results(tmp_path, models=FEW, optional=False)
    write_json(folder / f"{DRAW}/timing.json", {"seconds_per_50k": 1.0})
    (reason,) = report_of(folder).table.rows[-1].remarks
    assert reason == f"its result cannot be read: {DRAW}/timing.json: key 'images_per_second' is missing"


def test_a_step_that_was_logged_twice_counts_once(tmp_path):
    folder = write_results(tmp_path, models={"gan": MODELS["gan"]}, optional=False)
    lines = [
        json.dumps({"step": step, "losses": {"generator": value}}) for step, value in ((10, 3.0), (20, 2.0), (10, 1.0))
    ]
    (folder / "gan/seed0/history.jsonl").write_text("\n".join(lines))
    history = read_results(folder / "preflight.json", folder).histories["gan"]
    assert list(zip(history["step"], history["value"], strict=True)) == [(10, 1.0), (20, 2.0)]


def test_one_training_per_row_has_bars_ties_and_places_from_groups_of_its_images(tmp_path):
    folder = write_results(tmp_path, models=FEW, seeds=(0,))
    for path in folder.glob("*/seed0/final/*/metrics.json"):
        content = read_json(path)
        value = content["metrics"]["fd_classifier"]["value"]
        content["metrics"]["fd_classifier"] |= {
            "without": [value + 0.01 * (group % 5 - 2) for group in range(20)],
            "interval": [value - 0.2, value + 0.2],
        }
        write_json(path, content)
    table = table_of(folder)
    cells = [row.cells["fd_classifier"] for row in table.rows]
    assert all(cell.estimated and cell.std == pytest.approx(0.0616, rel=0.01) for cell in cells)
    assert all("95 % interval" in cell.title and "±" in cell.text for cell in cells)
    assert [row.place for row in table.rows] == [str(number) for number in range(1, len(cells) + 1)]
    assert [cell.best for cell in cells] == [True] + [False] * (len(cells) - 1)
    assert "groups of images" in table.bars
    assert "place 1" in render(folder).joinpath("demo.html").read_text()
    assert "_without" not in render(folder).joinpath("demo.csv").read_text().splitlines()[0]
    drawn = read_results(folder / "preflight.json", folder)
    assert all(draw.intervals["fd_classifier"] for draw in record_of(drawn).draws)
