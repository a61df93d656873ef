"""Plots and pictures."""

import base64
import io
import json
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up import (
    FEW,
    MODELS,
    table_of,
    write_grid,
    write_results,
)
from matplotlib.collections import LineCollection
from PIL import Image

from genbench.errors import InputError
from genbench.records.plan import ModelPlan
from genbench.reporting.averages import compare, final_rows
from genbench.reporting.columns import comparison_columns
from genbench.reporting.curves import CURVE_POINTS, MARKED_POINTS, compare_curves, learning_curve, thin
from genbench.reporting.drawing import HUES, MARKERS, around
from genbench.reporting.pictures import embed, first_row, read_grid, reduce_colours
from genbench.reporting.plots import on_front, quality_against_cost
from genbench.reporting.report import Report
from genbench.reporting.results import read_results
from genbench.reporting.sections import shown_checkpoints
from genbench.reporting.snapshots import held_out, quality_over_training, snapshot_points


def test_the_pareto_front_is_what_nothing_beats(demo):
    table = table_of(demo)
    front = [row.model for row, on in zip(table.rows, on_front(table.rows, table), strict=True) if on]
    assert front == ["ddpm", "ddpm", "ddpm", "wgan-gp", "vae", "autoencoder"]


def test_a_plot_takes_its_colours_from_the_page_and_has_a_tooltip_for_each_point(demo):
    table = table_of(demo)
    svg = str(quality_against_cost(table, (10, 5)))
    assert not re.search(r"#0[12]00|https?:|url\(| id=", svg)
    assert "var(--hue-1)" in svg
    assert all(f"<title>{row.name}: {row.cells['fd_classifier'].text}, " in svg for row in table.rows)
    front = {row.name for row, on in zip(table.rows, on_front(table.rows, table), strict=True) if on}
    families = set(table.families)  # the legend names these
    assert {row.name for row in table.rows if f">{row.name}</text>" in svg} - families == front - families
    assert quality_against_cost(compare(pd.DataFrame(), table.columns), (10, 5)) is None


def test_a_plot_has_the_unit_of_its_label(demo):
    results = read_results(demo / "preflight.json", demo)
    table = compare(final_rows(results.rows), comparison_columns(results.metrics, "kid_classifier"))
    svg = str(quality_against_cost(table, (10, 5)))
    assert "KID ×10³, lower is better" in svg
    assert re.findall(r">(\d+)</text>", svg)[-1] == "100"  # the largest value is the autoencoder's 107


def test_real_images_far_off_do_not_squeeze_the_points(demo):
    table = table_of(demo)
    plain = str(quality_against_cost(table, (10, 5)))
    assert ">real images<" in plain
    table.floor["fd_classifier"].std = 0.4
    banded = str(quality_against_cost(table, (10, 5)))
    assert banded.count("fill: var(--line)") == plain.count("fill: var(--line)") + 1
    for value, text in ((-1000.0, "↓ real images -1,000"), (2345.0, "↑ real images 2,345")):
        table.floor["fd_classifier"].value = value
        assert f">{text}<" in str(quality_against_cost(table, (10, 5)))
    table.rows[0].cells["fd_classifier"].value = 0.5  # now the axis is logarithmic
    table.floor["fd_classifier"].value = 0.0
    assert ">↓ real images 0.00<" in str(quality_against_cost(table, (10, 5)))


def test_long_names_do_not_squeeze_the_points(demo):
    table = table_of(demo)
    far = [replace(row, name=f"{row.label} {'with a very long name ' * 3}") for row in table.rows]
    svg = str(quality_against_cost(replace(table, rows=far), (4.9, 5.4)))  # fails on a warning of a collapsed layout
    left, right = (float(x) for x in re.findall(r'd="M([\d.]+) [\d.]+L([\d.]+) [\d.]+"', svg)[-1])
    assert right - left > 200
    assert max(map(len, re.findall(r">([^<]*…)</text>", svg))) == 34


def test_a_long_curve_is_thinned_to_the_means_of_blocks():
    curve = pd.DataFrame({"step": range(10_000), "value": [0.0, 2.0] * 5000})
    thinned = thin(curve)
    assert len(thinned) == CURVE_POINTS
    assert (thinned["value"] == 1).all()
    assert thinned["step"].iloc[0] == 24.5
    assert (thin(curve[:7]).to_numpy() == curve[:7].to_numpy()).all()
    assert learning_curve(curve.assign(seed=0, name="generator", value=math.nan), "Losses") is None


def curves_of(demo):
    """Return the points and the plots of quality over training."""
    results = read_results(demo / "preflight.json", demo)
    rows, columns = table_of(demo).rows, comparison_columns(results.metrics, "fd_classifier")
    return snapshot_points(results, columns[0], rows), quality_over_training(results, rows)


def test_snapshots_are_compared_over_training_and_finals_from_more_samples_stand_apart(demo):
    points, plot = curves_of(demo)
    assert set(points["name"]) == {"LSGAN", "DDPM, ddpm-100", "DDPM, ddim-25", "DDPM, dpm-solver-10"}
    lsgan = points[points["name"] == "LSGAN"].sort_values("x")
    assert lsgan["x"].tolist() == [200, 400, 600]
    assert lsgan["value"].tolist() == [55.8 * 2.5, 55.8 * 2.5, 55.8]
    assert lsgan["samples"].tolist() == [500, 500, 2000]
    assert lsgan["apart"].tolist() == [False, False, True]
    assert "judged by 500 samples each" in plot.caption
    assert "compare hollow marks with hollow ones only" in plot.caption
    assert "An epoch is 62 steps." in plot.caption  # 4000 / 64
    for svg in map(str, (plot.wide, plot.narrow)):
        assert ">FD-classifier, lower is better<" in svg
        assert ">final model, 2k samples<" in svg
        assert "<title>LSGAN: 55.8 at 600 training steps</title>" in svg
        assert len(re.findall("<title>", svg)) == 3 + 3 * 2


def test_finals_from_as_many_samples_end_their_lines(demo):
    results = read_results(demo / "preflight.json", demo)
    results.rows["fd_classifier_n_fake"] = 2000
    plot = quality_over_training(results, table_of(demo).rows)
    assert "The last point of a line is the final model." in plot.caption
    assert "2k samples<" not in plot.wide
    results.rows["training_batch_size"] = [64, 32] * (len(results.rows) // 2) + [64] * (len(results.rows) % 2)
    assert "An epoch" not in quality_over_training(results, table_of(demo).rows).caption
    none = replace(results, rows=final_rows(results.rows))
    assert quality_over_training(none, table_of(demo).rows) is None


def test_held_out_quantities_stand_on_one_axis_against_epochs(demo):
    results = read_results(demo / "preflight.json", demo)
    names = {"vae": "VAE", "gan": "GAN", "autoencoder": "Autoencoder"}
    reconstruction, kl = held_out(results, names)
    assert [reconstruction.title, kl.title] == ["Reconstruction error", "KL divergence"]
    assert ">epochs<" in reconstruction.wide
    assert "<title>VAE: 42.5 at 0.96 epochs</title>" in reconstruction.wide  # step 60: 60 * 64 / 4000 epochs
    assert all(f">{name}<" in reconstruction.wide for name in ("VAE", "Autoencoder"))
    assert ">Autoencoder<" not in kl.wide
    without = replace(results, preflight=results.preflight.model_copy(update={"dataset": None}))
    assert "<title>VAE: 42.5 at 60 training steps</title>" in held_out(without, names)[0].wide
    assert held_out(results, {"gan": "GAN"}) == []


def test_older_histories_have_steps_only(tmp_path):
    folder = write_results(tmp_path, models={"vae": MODELS["vae"]})
    path = folder / "vae/seed0/history.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(
        "".join(json.dumps(line | {"images_seen": 64.0} if n else line) + "\n" for n, line in enumerate(lines))
    )
    for line in lines:
        del line["images_seen"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    plot = held_out(read_results(folder / "preflight.json", folder), {"vae": "VAE"})[0]
    assert ">training steps<" in plot.wide


def test_several_seeds_are_thin_lines_around_their_mean():
    points = pd.DataFrame({"name": "A", "seed": [0, 0, 1, 1], "x": [1.0, 2.0] * 2, "value": [1.0, 2.0, 3.0, 6.0]})
    svg = str(compare_curves(points, "steps", "FD", (6, 3)))
    assert re.findall("<title>(.*?)</title>", svg) == ["A: 2.00 at 1 steps", "A: 4.00 at 2 steps"]
    assert svg.count("opacity: 0.5") == 2
    assert "opacity: 0.5" not in str(compare_curves(points[:2], "steps", "FD", (6, 3)))
    assert compare_curves(points.assign(value=math.nan), "steps", "FD", (6, 3)) is None


def test_twenty_curves_all_look_different():
    points = pd.DataFrame({"name": [f"model {n}" for n in range(20)], "seed": 0, "x": 1.0, "value": np.arange(20.0)})
    svg = str(compare_curves(points, "steps", "FD", (12, 4)))
    looks = re.findall(r'<path d="([^"]*)"[^>]*style="[^"]*stroke: (var\(--hue-\d\))[^"]*"><title>', svg)
    assert len(looks) == len(set(looks)) == 20


def test_models_of_the_same_name_are_told_apart(tmp_path):
    twins = dict.fromkeys(("one", "two"), ("Twin", *MODELS["vae"][1:]))
    folder = write_results(tmp_path, models=twins)
    plots = Report(read_results(folder / "preflight.json", folder), folder).held_out
    assert all(f">Twin ({name})<" in plots[0].wide for name in twins)


def test_a_section_shows_some_of_many_checkpoints():
    checkpoints = [f"step-{step}" for step in range(100, 3100, 100)] + ["final"]
    shown = shown_checkpoints(ModelPlan(checkpoints=checkpoints))
    assert shown == ["step-100", "step-700", "step-1300", "step-1900", "step-2500", "final"]
    assert shown_checkpoints(ModelPlan(checkpoints=checkpoints[-3:])) == checkpoints[-3:]
    assert shown_checkpoints(ModelPlan()) == ["final"]


def test_the_gaps_of_a_grid_become_transparent_and_its_first_row_is_the_first_ten_images(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 6, 8), dtype=np.uint8)
    write_grid(tmp_path / "grid.png", images)
    grid = read_grid(tmp_path / "grid.png", (1, 6, 8))
    assert (grid.mode, grid.size) == ("LA", (98, 22))
    row = np.asarray(first_row(grid, (1, 6, 8)))
    assert row.shape == (6, 98, 2)
    opaque = np.arange(98) % 10 < 8
    assert (row[:, :, 1] == 255 * opaque).all()
    assert (row[:, opaque, 0] == np.concatenate(images[:10], axis=1)).all()
    (tmp_path / "grid.png").write_text("no picture")
    with pytest.raises(InputError, match=r"grid.png: damaged, or not a PNG picture"):
        read_grid(tmp_path / "grid.png")


@pytest.mark.parametrize(
    ("mode", "remark"), [("L", ""), ("LA", ""), ("RGB", "in 255 colours, "), ("RGBA", "in 255 colours, ")]
)
def test_a_picture_keeps_to_its_share_of_the_page(mode, remark):
    pixels = np.random.default_rng(0).integers(0, 256, (320, 320, len(mode)), dtype=np.uint8)
    image = Image.fromarray(pixels.squeeze())
    assert image.mode == mode
    assert embed(image).remark == ""
    picture = embed(image, 40_000)
    data = base64.b64decode(picture.uri.partition(",")[2])
    assert 25_000 < len(data) <= 40_000
    assert Image.open(io.BytesIO(data)).size == (picture.width, picture.height)
    assert re.fullmatch(f"{remark}shrunk to [0-9]+%", picture.remark)


def test_fewer_colours_leave_transparent_what_is(tmp_path):
    write_grid(tmp_path / "grid.png", np.random.default_rng(0).integers(0, 256, (100, 8, 8), dtype=np.uint8))
    grid = read_grid(tmp_path / "grid.png", (3, 8, 8)).convert("RGBA")
    reduced = reduce_colours(grid)
    assert reduced.mode == "P"
    assert (np.asarray(reduced.convert("RGBA"))[:, :, 3] == np.asarray(grid)[:, :, 3]).all()


def bars(plot):
    """Return a plot's vertical error bars as (x, low, high) and its horizontal ones as (y, left, right)."""
    segments = [
        segment
        for collection in plot.figure.axes[0].collections
        if isinstance(collection, LineCollection)
        for segment in collection.get_segments()
    ]
    upright = [(x, low, high) for (x, low), (other, high) in segments if x == other]
    return upright, [(y, left, right) for (left, y), (right, other) in segments if y == other]


def test_quality_against_cost_has_bars_over_seeds(tmp_path):
    one = table_of(write_results(tmp_path / "one", models=FEW))
    plot = quality_against_cost(one, (10, 5))
    assert bars(plot) == ([], [])
    assert plot.figure.axes[0].get_yscale() == "log"  # a distance, even if it spans less than a factor of 20
    table = table_of(write_results(tmp_path / "three", models=FEW, seeds=(0, 1, 2)))
    upright, along = bars(quality_against_cost(table, (10, 5)))
    cells = [row.cells["fd_classifier"] for row in table.rows]
    assert sorted(low for _, low, _ in upright) == pytest.approx(sorted(cell.value - cell.std for cell in cells))
    assert sorted(high for _, _, high in upright) == pytest.approx(sorted(cell.value + cell.std for cell in cells))
    assert along == []  # the three times are equal
    for row in table.rows:
        row.cells["seconds_per_50k"].std = 2 * row.cells["seconds_per_50k"].value
    _, along = bars(quality_against_cost(table, (10, 5)))
    assert len(along) == len(table.rows)
    assert all(left > 0 for _, left, _ in along)  # the axis is logarithmic
    assert "Bars are ± one standard deviation" in table.bars
    assert one.bars == ""


def test_curves_of_several_seeds_have_bars_at_their_marks():
    points = pd.DataFrame(
        [{"name": "a", "seed": seed, "x": float(x), "value": x + seed} for seed in range(3) for x in range(1, 301)]
    )
    upright, _ = bars(compare_curves(points, "steps", "FD", (6, 3)))
    assert len(upright) == MARKED_POINTS
    assert all(high - low == pytest.approx(2) for _, low, high in upright)  # ± 1
    assert bars(compare_curves(points[points["seed"] == 0], "steps", "FD", (6, 3)))[0] == []


def test_snapshots_have_bars_over_draws(demo):
    results = read_results(demo / "preflight.json", demo)
    results = replace(results, rows=results.rows.assign(fd_classifier_draw_std=2.0))
    plot = quality_over_training(results, table_of(demo).rows)
    upright, _ = bars(plot.wide)
    assert len(upright) == 3 + 3 * 2
    assert "Bars are ± one standard deviation over draws" in plot.caption


def test_snapshots_of_one_set_of_images_have_bars_from_its_groups(demo):
    results = read_results(demo / "preflight.json", demo)
    groups = [[value + number % 2 for number in range(20)] for value in results.rows["fd_classifier"]]
    results = replace(results, rows=results.rows.assign(fd_classifier_without=groups))
    plot = quality_over_training(results, table_of(demo).rows)
    upright, _ = bars(plot.wide)
    assert len(upright) == 3 + 3 * 2
    assert all(
        high - low == pytest.approx(2 * np.sqrt(19 / 4)) for _, low, high in upright
    )  # from ten zeros and ten ones
    assert "Bars are ± one standard deviation between draws, estimated from groups of images" in plot.caption


def test_more_families_than_colours_differ_in_their_marks():
    names = [f"family {number}" for number in range(20)]
    hues, markers = around(HUES, names), around(MARKERS, names, shift=1)
    assert len({(hues[name], markers[name]) for name in names}) == 20
    assert list(markers.values())[:8] == MARKERS
