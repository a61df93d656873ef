"""Diffusion: samplers, schedules, likelihood."""

import base64
import copy
import io
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from entries import DDPM
from made_up import (
    EVIL,
    FEW,
    PROVENANCE,
    check_page,
    render,
    report_of,
    table_of,
    write_grid,
    write_results,
)
from PIL import Image

from genbench.files.artifacts import read_json, write_json
from genbench.models import build
from genbench.records.plan import ModelPlan, Plan
from genbench.records.record import read_record
from genbench.reporting.noise_schedules import MOST_TERMS, bound_terms, distinct_schedules, few_terms, noise_schedules
from genbench.reporting.pictures import first_tiles, read_grid
from genbench.reporting.results import read_results
from genbench.reporting.sampler_studies import SIGMA_HAT_SIGN, calls_per_step, settings

ETAS = [0.0, 0.2, 0.5, 1.0, "sigma-hat"]
DDIM_TABLE = {  # FID on CIFAR-10 by S, in the order of ETAS: the paper's table 1
    10: [13.36, 14.04, 16.66, 41.07, 367.43],
    50: [4.67, 4.77, 5.25, 8.01, 32.72],
    1000: [4.04, 4.09, 4.29, 4.73, 3.17],
}
OPTIONS = {
    f"ddim-{steps}-{eta}": {"method": "ddim", "steps": steps, "eta": eta} for steps in DDIM_TABLE for eta in ETAS
} | {"heun-18": {"method": "heun", "steps": 18}}


def walks_of(options: dict, T: int) -> dict:
    """Return what preflight records about the samplers of a diffusion model with T steps."""
    with torch.device("meta"):
        model = build(DDPM | {"timesteps": T}, (1, 16, 16))
    return {name: model.describe_walk(model.check_sampler(chosen)) for name, chosen in options.items()}


def write_study(
    root: Path, options: dict = OPTIONS, seeds: tuple = (0,), walks: dict | None = None, **given: object
) -> Path:
    """Write the results of one diffusion model, "ddim", with these options of its samplers; returns the folder.

    walks: what preflight records about the samplers, if not walks_of(options). given: further keys of the entry.
    """
    if walks is None:
        walks = walks_of(options, given.get("noise_schedule", {"T": 1000})["T"])
    table = {f"ddim-{s}-{eta}": (s, value) for s in DDIM_TABLE for eta, value in zip(ETAS, DDIM_TABLE[s], strict=True)}
    table["heun-18"] = (35, 4.5)
    samplers = {}
    for name, chosen in options.items():
        nfe, distance = table.get(name, (chosen.get("steps", 7), 9.0))
        samplers[name] = (nfe, 4.0 * nfe, distance, 0.6, 0.6)
    folder = write_results(root, models={"ddim": ("DDIM", "Diffusion", samplers, {"denoiser": 1000}, [])}, seeds=seeds)
    preflight = read_json(folder / "preflight.json")
    entry = preflight["models"]["ddim"]
    for name, chosen in options.items():
        entry["samplers"][name] |= {"options": chosen, "walk": walks.get(name)}
    entry |= given
    write_json(folder / "preflight.json", preflight)
    return folder


def schedule(T: int = 1000, power: float = 2.0, default: str = "linear") -> dict:
    """Return a made-up schedule as preflight records it."""
    t = sorted({round(part * T / 100) for part in range(101)})
    abar = [math.cos(math.pi / 2 * time / T) ** power for time in t]
    return {"T": T, "default": default, "t": t, "alphas_cumprod": abar}


def write_likelihood(folder: Path, model: str = "ddim", seed: int = 0, bits: float = 3.75, **changes: object) -> None:
    """Write a likelihood.json like the rule's."""
    t = list(range(1000, 0, -1))
    terms = {"t": t, "bits_per_dim": [bits / 10 / time for time in t]}
    record = {"bits_per_dim": bits, "standard_error": 0.004, "prior": 1e-5, "terms": terms, "images": 2000}
    record |= {"split": "test", "steps": 1000, "provenance": PROVENANCE}
    write_json(folder / model / f"seed{seed}/final/likelihood.json", record | changes)


def settings_of(options: dict, root: Path, **given: object) -> list[tuple[str, int]]:
    """Return the name and S of each sampler of a model."""
    folder = write_study(root, options, **given)
    entry = read_record(folder / "preflight.json", Plan).models["ddim"]
    return [(setting.name, setting.steps) for setting in settings(entry, table_of(folder).rows)]


def test_samplers_in_bf16_are_a_line_of_their_own(tmp_path):
    options = {name: {"method": "ddim", "steps": steps} for name, steps in {"a": 10, "b": 20, "c": 10}.items()}
    folder = write_study(tmp_path, options)
    record = read_json(folder / "preflight.json")
    record["models"]["ddim"]["samplers"]["c"]["precision"] = "bf16"
    write_json(folder / "preflight.json", record)
    entry = read_record(folder / "preflight.json", Plan).models["ddim"]
    names = [setting.name for setting in settings(entry, table_of(folder).rows)]
    assert names == ["DDIM, η = 0", "DDIM, η = 0", "DDIM in bf16, η = 0"]


def test_settings_are_told_by_kind_eta_and_what_differs(tmp_path):
    options = {
        "a": {},
        "b": {"method": "ddpm", "variance": "large", "clip": False, "steps": 100},
        "c": {"method": "ddim", "steps": 50, "spacing": "quadratic"},
        "d": {"method": "ddim", "steps": 20, "spacing": "uniform", "eta": 0.5},
        "e": {"method": "ddim", "steps": 20, "spacing": "quadratic", "eta": "sigma-hat"},
        "f": {"method": "dpm-solver++", "steps": 20},
        "g": {"method": "heun", "respacing": "30"},
        "gg": {"method": "heun", "respacing": "10,15,20"},
        "h": {"method": "heun", "respacing": "ddim25"},
    }
    assert settings_of(options, tmp_path, noise_schedule=schedule(4000)) == [
        ("DDPM", 4000),
        ("DDPM large variance not clipped", 100),
        ("DDIM quadratic, η = 0", 50),
        ("DDIM uniform, η = 0.5", 20),
        (f"DDIM quadratic, η = {SIGMA_HAT_SIGN}", 20),
        ("DPM-Solver++", 20),
        ("Heun", 30),
        ("Heun 3 sections", 45),
        ("Heun equal strides", 25),
    ]


def test_samplers_that_take_no_steps_are_no_settings(tmp_path):
    assert settings_of({"a": {"prior": "standard"}, "b": {}}, tmp_path, walks={}) == []
    walks = {"a": {"steps": 50}, "b": {"method": "ddim", "label": "DDIM", "steps": 7, "eta": 0.0}}
    options = {"a": {"steps": 50}, "b": {"method": "ddim"}}
    assert settings_of(options, tmp_path, walks=walks) == [("Diffusion", 50), ("DDIM, η = 0", 7)]


def test_a_plan_that_does_not_record_how_samplers_walk_is_still_a_page(tmp_path):
    folder = write_study(tmp_path)
    preflight = read_json(folder / "preflight.json")
    for option in preflight["models"]["ddim"]["samplers"].values():
        del option["walk"]
        if "method" in option["options"]:
            option["options"]["step"] = option["options"].pop("method")
    write_json(folder / "preflight.json", preflight)
    assert report_of(folder).studies == []
    assert "DDIM" in check_page(render(folder) / "demo.html").text


def test_quality_is_plotted_against_steps_and_against_eta(tmp_path):
    steps, eta = report_of(write_study(tmp_path)).studies[0].plots
    for svg in map(str, (steps.wide, steps.narrow)):
        assert "<title>DDIM, η = 0.2: 4.77 at 50 sampling steps</title>" in svg
        assert f"<title>DDIM, η = {SIGMA_HAT_SIGN}: 3.17 at 1k sampling steps</title>" in svg
        assert "<title>Heun: 4.50 at 18 sampling steps</title>" in svg
        assert len(re.findall("<title>", svg)) == 16
        assert all(f">{tick}<" in svg for tick in ("10", "50", "1k"))
    assert "A step of Heun calls the network twice." in steps.caption
    for svg in map(str, (eta.wide, eta.narrow)):
        assert "<title>1k steps: 4.29 at η 0.5</title>" in svg
        assert f"<title>10 steps: 367 at η {SIGMA_HAT_SIGN}</title>" in svg
        assert f">{SIGMA_HAT_SIGN}: larger noise<" in svg
        assert len(re.findall("<title>", svg)) == 15
    assert "Lower is better." in eta.caption
    assert "standard deviation" not in steps.caption


@pytest.mark.parametrize(
    ("nfe", "steps", "words"),
    [
        ([19, 39], [10, 20], "twice"),  # Heun
        ([20, 40], [10, 20], "twice"),  # the midpoint method
        ([30, 60], [10, 20], "3 times"),
        ([14], [5], "2.8 times on average"),  # PNDM, with nine calls more in its first three steps
        ([14, 19, 59], [5, 10, 50], "1.18 to 2.8 times on average"),
    ],
)
def test_calls_of_the_network_per_step_are_what_all_settings_have(nfe, steps, words):
    assert calls_per_step(pd.Series(nfe), pd.Series(steps)) == words


def test_sigma_hat_stands_apart_at_the_right_end_and_is_not_joined(tmp_path):
    options = {name: chosen for name, chosen in OPTIONS.items() if chosen["steps"] == 50 and chosen["method"] == "ddim"}
    (eta,) = report_of(write_study(tmp_path, options)).studies[0].plots
    svg = str(eta.wide)
    marks = re.findall(
        r'<path [^>]*transform="translate\(([\d.]+) [\d.]+\)"[^>]*style="([^"]*)"><title>[^<]* at η ([^<]*)<', svg
    )
    places = {name: float(x) for x, _, name in marks}
    assert list(places) == ["0", "0.2", "0.5", "1", SIGMA_HAT_SIGN]
    assert list(places.values()) == sorted(places.values())
    assert ["fill-opacity: 0" in style for _, style, _ in marks] == [False] * 4 + [True]
    dashed = [line for line in re.findall(r'<path d="([^"]*)"[^>]*stroke-width: 1.6', svg) if line.count("L") == 3]
    ends = [float(re.findall(r"L([\d.]+)", line)[-1]) for line in dashed]
    assert places["1"] in [pytest.approx(end, abs=0.1) for end in ends]


@pytest.mark.parametrize(
    ("names", "plots"),
    [
        (["ddim-10-0.0", "ddim-50-0.0"], 0),  # two numbers of steps make no curve
        (["ddim-10-0.0", "ddim-50-0.2", "ddim-1000-0.5"], 0),  # three, but on different lines
        (["ddim-10-0.0", "ddim-50-0.0", "heun-18"], 1),
        (["ddim-10-0.0", "ddim-10-0.2"], 1),
        (["ddim-10-0.0", "ddim-10-0.2", "ddim-50-0.0", "heun-18"], 2),
    ],
)
def test_a_study_is_shown_where_there_is_enough_to_see(tmp_path, names, plots):
    folder = write_study(tmp_path, {name: OPTIONS[name] for name in names})
    assert [len(study.plots) for study in report_of(folder).studies] == [plots] * bool(plots)
    assert ('href="#diffusion"' in (render(folder) / "demo.html").read_text()) == bool(plots)


def test_several_seeds_have_bars_and_one_has_none(tmp_path):
    single, several = (
        report_of(write_study(tmp_path / str(len(seeds)), seeds=seeds)).studies[0].plots[0]
        for seeds in ((0,), (0, 1, 2))
    )
    assert "Bars are ± one standard deviation over seeds or draws." in several.caption
    bars = [len(re.findall(r"stroke-width: 1\.2\b", str(plot.wide))) for plot in (single, several)]
    assert bars == [0, len(OPTIONS)]


def test_models_are_compared_over_steps_by_the_first_sampler_of_each_kind(tmp_path):
    options = {f"ddim-{steps}-0.0": OPTIONS[f"ddim-{steps}-0.0"] for steps in DDIM_TABLE}
    options |= {"ddim-50-1.0": OPTIONS["ddim-50-1.0"]}  # noise makes another line in a study, but none here
    folder = write_study(tmp_path, options)
    assert report_of(folder).speed is None  # one model: its study shows it
    preflight = read_json(folder / "preflight.json")
    other = copy.deepcopy(preflight["models"]["ddim"]) | {"label": "DiffuseVAE"}
    other["samplers"] = {"mixture-10": other["samplers"]["ddim-10-0.0"]} | other["samplers"]
    preflight["models"]["diffusevae"] = other
    write_json(folder / "preflight.json", preflight)
    shutil.copytree(folder / "ddim", folder / "diffusevae")
    place = folder / "diffusevae/seed0/final"
    shutil.copytree(place / "ddim-10-0.0", place / "mixture-10")
    metrics = read_json(place / "mixture-10/metrics.json")
    metrics["metrics"]["fd_classifier"]["value"] = 5.55
    write_json(place / "mixture-10/metrics.json", metrics)
    speed = report_of(folder).speed
    for svg in map(str, (speed.wide, speed.narrow)):
        assert "<title>DDIM, DDIM: 13.4 at 10 sampling steps</title>" in svg
        assert "<title>DiffuseVAE, DDIM: 5.55 at 10 sampling steps</title>" in svg
        assert "<title>DiffuseVAE, DDIM: 4.67 at 50 sampling steps</title>" in svg
        assert len(re.findall("<title>", svg)) == 6


def test_samples_of_a_study_stand_side_by_side_from_the_same_seeds(tmp_path):
    folder = write_study(tmp_path)
    matrix = report_of(folder).studies[0].matrix
    assert matrix.steps == [10, 18, 50, 1000]
    assert [name for name, _ in matrix.rows] == [
        *(f"DDIM, η = {eta}" for eta in ("0", "0.2", "0.5", "1", SIGMA_HAT_SIGN)),
        "Heun",
    ]
    assert [[cell is not None for cell in cells] for _, cells in matrix.rows] == [[1, 0, 1, 1]] * 5 + [[0, 1, 0, 0]]
    setting, picture = matrix.rows[1][1][2]
    assert setting.row.sampler == "ddim-50-0.2"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))))[..., 0]
    grid = np.asarray(Image.open(folder / "ddim/seed0/final/ddim-50-0.2/grid.png"))[..., 0]
    assert shown.shape == (28, 5 * 30 - 2)
    for left in range(0, 150, 30):
        assert (shown[:, left : left + 28] == grid[:28, left : left + 28]).all()
    page = check_page(render(folder) / "demo.html")
    assert "The samples have the same seeds" in page.text
    for path in folder.rglob("grid.png"):
        path.unlink()
    assert report_of(folder).studies[0].matrix is None


def test_the_first_tiles_of_a_row_need_no_shape(tmp_path):
    write_grid(tmp_path / "grid.png", np.zeros((10, 8, 8), np.uint8))
    grid = read_grid(tmp_path / "grid.png")
    assert first_tiles(grid, 3, (1, 8, 8)).size == (28, 8)
    assert first_tiles(grid, 30, (1, 8, 8)).size == grid.size


def test_schedules_stand_once_with_the_models_that_have_them():
    given = {"name": "linear", "beta_start": 0.001, "beta_end": 0.2}
    models = {
        "a": {"noise_schedule": schedule(), "spec": {"model": {"schedule": "cosine"}}},
        "b": {"noise_schedule": schedule(100), "spec": {"model": {"schedule": given}}},
        "c": {"noise_schedule": schedule()},
        "d": {},
        "e": {"noise_schedule": schedule(4, default="vp"), "spec": {"model": {}}},
        "f": {"noise_schedule": schedule(), "spec": {"model": {"schedule": {"name": "betas", "values": [0.1, 0.2]}}}},
    }
    models = {name: ModelPlan(**entry) for name, entry in models.items()}
    labels = {name: name.upper() for name in models}
    found = [(noise.name, noise.T, noise.models) for noise in distinct_schedules(models, labels)]
    assert found == [
        ("cosine", 1000, ["A", "C", "F"]),
        ("linear (beta_start 0.001, beta_end 0.2)", 100, ["B"]),
        ("vp", 4, ["E"]),
    ]
    assert distinct_schedules({"f": models["f"]}, labels)[0].name == "betas"
    plot = noise_schedules(models, labels)
    for svg in map(str, (plot.wide, plot.narrow)):
        assert ">cosine, T = 1,000: A · C · F<" in svg
        assert all(f">{kind}<" in svg for kind in ("signal", "noise", "t / T"))
    assert noise_schedules({"d": models["d"]}, labels) is None


def test_the_legend_of_schedules_breaks_long_lists_of_models():
    models = {f"model-{number}": ModelPlan(noise_schedule=schedule()) for number in range(12)}
    plot = noise_schedules(models, {name: name for name in models})
    words = re.findall(r">([^<]*model-[^<]*)</text>", str(plot.narrow))
    assert len(words) > 1
    assert max(map(len, words)) <= 51


def test_the_schedules_of_a_suite_are_on_its_page(tmp_path, pages):
    folder = write_study(tmp_path, {"a": {}}, noise_schedule=schedule())
    page = check_page(render(folder) / "demo.html")
    assert "linear, T = 1,000: DDIM" in page.text
    assert "#diffusion" in page.values("href", "a")
    assert "#diffusion" not in check_page(pages / "demo.html").values("href", "a")


def test_bits_per_dimension_are_a_column_where_a_model_has_them(tmp_path):
    folder = write_study(tmp_path)
    assert "Bits/dim" not in check_page(render(folder) / "demo.html").text
    write_likelihood(folder)
    report = report_of(folder)
    column = next(column for column in report.table.columns if column.key == "bits_per_dim")
    assert (column.label, column.direction) == ("Bits/dim", "lower")
    assert report.table.notes["bits_per_dim"] == ["from 2,000 test images and 1,000 steps"]
    cell = report.table.rows[0].cells["bits_per_dim"]
    assert (cell.text, cell.title) == ("3.75", "3.75 ± 0.004")
    page = check_page(render(folder) / "demo.html")
    assert "Variational bound on the negative log-likelihood of held-out images" in page.text
    assert "Nichol and Dhariwal 2021" in page.text
    assert pd.read_csv(folder.parent / "report/demo.csv")["bits_per_dim"].tolist() == [3.75] * len(OPTIONS)
    assert "likelihood" in {stage["stage"] for stage in report.stages}


def test_bits_per_dimension_are_those_of_the_final_model_and_averaged_over_seeds(tmp_path):
    folder = write_results(tmp_path, models=FEW, seeds=(0, 1))
    for seed in (0, 1):
        write_likelihood(folder, "ddpm", seed, 3.5 + 0.1 * seed)
    results = read_results(folder / "preflight.json", folder)
    final = results.rows["checkpoint"] == "final"
    assert results.rows["bits_per_dim"].notna().equals(final & (results.rows["model"] == "ddpm"))
    texts = {row.model: row.cells["bits_per_dim"].text for row in report_of(folder).table.rows}
    assert texts == {"ddpm": "3.55 ± 0.07", "vae": "–", "gan": "–"}


def test_the_terms_of_the_bound_are_plotted_and_the_first_ones_kept(tmp_path):
    folder = write_study(tmp_path)
    write_likelihood(folder)
    results = read_results(folder / "preflight.json", folder)
    plot = bound_terms(results.bound_terms, {"ddim": "DDIM", "other": "Other"})
    assert "<title>DDIM: 0.375 at 1 t</title>" in plot.wide
    assert "<title>DDIM: 0.000375 at 1k t</title>" in plot.wide
    kept = few_terms(results.bound_terms["ddim"])
    assert len(kept) <= MOST_TERMS
    assert kept["t"].tolist()[:10] == list(range(1, 11))
    assert kept["t"].iloc[-1] == 1000
    assert bound_terms(results.bound_terms, {"other": "Other"}) is None
    write_likelihood(folder, terms={})
    assert bound_terms(read_results(folder / "preflight.json", folder).bound_terms, {"ddim": "DDIM"}) is None


def test_a_likelihood_that_does_not_fit_is_named(tmp_path):
    folder = write_study(tmp_path, {"a": {}})
    path = folder / "ddim/seed0/final/likelihood.json"
    write_likelihood(folder, terms={"t": [1, 2], "bits_per_dim": [0.1]})
    name = "ddim/seed0/final/likelihood.json"
    for told in ("terms: found 2 times and 1 values", "key 'bits_per_dim' is missing"):
        (row,) = report_of(folder).table.rows
        (remark,) = row.remarks
        assert remark.startswith(f"likelihood.json is left out, since it cannot be read: {name}: {told}")
        assert row.cells["fd_classifier"].value is not None
        write_json(path, {"standard_error": 0.1})


def test_hostile_options_and_schedules_are_text(tmp_path):
    options = {
        f"s{steps}": {"method": EVIL, "steps": steps, EVIL: EVIL if steps > 5 else "<b>"} for steps in (5, 10, 20, 40)
    }
    walks = {name: {"label": EVIL, "steps": chosen["steps"]} for name, chosen in options.items()}
    folder = write_study(tmp_path, options, walks=walks, label=EVIL, noise_schedule=schedule(default=EVIL))
    write_likelihood(folder)
    page = check_page(render(folder) / "demo.html")
    assert page.text.count("<script>alert(1)") > 10
