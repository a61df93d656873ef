"""Quality against compute: lines through budgets, and sentences about their numbers."""

from pathlib import Path

import pytest
from made_up import EVIL, Page, check_page, render, report_of, write_results

from genbench.files.artifacts import read_json, write_json
from genbench.reporting.cells import Cell
from genbench.reporting.columns import TRAINING_TIME, Column
from genbench.reporting.compute import Line, Point, gains_of, with_first_stages
from genbench.reporting.table import Row

# FD by series and budget in TFLOP. The three training seeds add 0, 0.5 and 1.
QUALITY = {"GAN": {1: 60.0, 4: 30.0, 16: 30.03}, "DDPM": {1: 90.0, 4: 30.04, 16: 5.0}, "VAE": {4: 40.0, 16: 50.0}}


def write_budgets(root: Path, seeds: tuple = (0, 1, 2), quality: dict = QUALITY, **given: object) -> Path:
    models = {
        f"{name.lower()}-{budget}": (
            f"{name} {budget}",
            "A",
            {"default": (1, 10.0 * budget, fd, 0.5, 0.5)},
            {"x": 1},
            [],
        )
        for name, of_budget in quality.items()
        for budget, fd in of_budget.items()
    }
    folder = write_results(root, models=models, seeds=seeds)
    plan = read_json(folder / "preflight.json")
    for name, entry in plan["models"].items():
        series, budget = name.split("-")
        entry["series"] = given.get("label", series.upper())
        entry["spec"]["training"] = {"flops": float(budget) * 1e12}
    write_json(folder / "preflight.json", plan)
    return folder


def test_the_page_shows_a_line_for_each_family_and_what_its_numbers_say(tmp_path: Path) -> None:
    folder = write_budgets(tmp_path)
    compute = report_of(folder).compute
    assert [line.name for line in compute.lines] == ["DDPM", "GAN", "VAE"]
    assert compute.budgets == [1e12, 4e12, 16e12]
    assert [plot.title for plot in compute.plots] == [
        "Quality against the FLOPs of training",
        "Quality against the seconds of training",
    ]
    four, more = "FD-classifier (2k): 4 times the compute (1T to 4T) took it", "4 times the compute (4T to 16T)"
    assert [line.finding for line in compute.lines] == [
        f"DDPM is the best at 16T FLOPs and ties with the best at 4T FLOPs. {four} from 90.5 ± 0.5 to 30.5 ± 0.5; "
        f"{more} took it from 30.5 ± 0.5 to 5.50 ± 0.50.",
        f"GAN is the best at 1T FLOPs and ties with the best at 4T FLOPs. {four} from 60.5 ± 0.5 to 30.5 ± 0.5; "
        f"{more} left it at 30.5 ± 0.5.",
        f"VAE is the best at no budget. FD-classifier (2k): {more} worsened it from 40.5 ± 0.5 to 50.5 ± 0.5.",
    ]
    page = render(folder) / "demo.html"
    check_page(page)
    assert "VAE is the best at no budget." in Page(page).text
    assert (page.parent / "demo/plots/quality-against-the-flops-of-training.svg").exists()


def test_a_first_stage_counts_in_the_time_of_training(tmp_path: Path) -> None:
    folder = write_budgets(tmp_path, quality={"GAN": {1: 60.0, 4: 30.0}})
    plan = read_json(folder / "preflight.json")
    plan["models"]["gan-4"]["first_stage"] = "gan-1"
    write_json(folder / "preflight.json", plan)
    seconds = [read_json(folder / f"gan-{budget}/seed1/training.json")["seconds"] for budget in (1, 4)]
    (_, plot) = report_of(folder).compute.plots
    assert f"at {sum(seconds):.3g} seconds of training" in plot.wide


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_without_two_budgets_of_a_family_there_is_no_such_part(seeds: tuple, tmp_path: Path) -> None:
    folder = write_budgets(tmp_path, seeds, {"GAN": {1: 60.0}, "VAE": {1: 50.0}})
    assert report_of(folder).compute is None
    assert report_of(write_results(tmp_path / "other", seeds=seeds)).compute is None


def test_one_training_has_no_bars_and_says_so(tmp_path: Path) -> None:
    folder = write_budgets(tmp_path, (0,), {"GAN": {1: 60.0, 4: 30.0}}, label=EVIL)
    (line,) = report_of(folder).compute.lines
    assert line.finding.startswith(f"{EVIL}. FD-classifier (2k): 4 times the compute (1T to 4T) took it from 60.0 to")
    page = render(folder) / "demo.html"
    check_page(page)
    assert "Each row has one training, so there are no error bars" in Page(page).text


def test_a_change_within_the_noise_of_the_seeds_is_chance() -> None:
    column = Column("fd", "FD", "", "lower")
    cells = [
        Cell(text, "", value, 2.0, runs={(seed, ""): value + off for seed, off in enumerate(offsets)})
        for text, value, offsets in (("10.0 ± 2.0", 10.0, (-2, 0, 2)), ("9.0 ± 2.0", 9.0, (2, 0, -2)))
    ]
    row = {"model": "x", "label": "", "family": "", "checkpoint": "final", "sampler": "", "sampler_label": ""}
    rows = [Row(name="", budget=None, samples=1, remarks=[], cells={"fd": cell}, **row) for cell in cells]
    line = Line("A", [Point(1e12, rows[0]), Point(4e12, rows[1])])
    assert gains_of(line, column) == (
        "FD: 4 times the compute (1T to 4T) changed it by no more than chance, from 10.0 ± 2.0 to 9.0 ± 2.0."
    )


def test_the_cost_of_a_training_includes_its_first_stage(tmp_path: Path) -> None:
    report = report_of(write_budgets(tmp_path))
    seconds = {row.model: row.cells[TRAINING_TIME.key].value for row in report.table.rows}
    models = dict(report.preflight.models)
    models["ddpm-4"] = models["ddpm-4"].model_copy(update={"first_stage": "gan-1"})
    models["ddpm-1"] = models["ddpm-1"].model_copy(update={"first_stage": "gone"})
    found = {row.model: row.cells[TRAINING_TIME.key].value for row in with_first_stages(models, report.table).rows}
    assert found == {name: time for name, time in seconds.items() if name != "ddpm-1"} | {
        "ddpm-4": seconds["ddpm-4"] + seconds["gan-1"]
    }
