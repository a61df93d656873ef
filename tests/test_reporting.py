"""The report: numbers from files to table to page; hostile names stay text; nothing is loaded from anywhere."""

import base64
import copy
import hashlib
import io
import json
import math
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import jinja2
import numpy as np
import pandas as pd
import pytest
from docutils.core import publish_parts
from PIL import Image

from genbench.artifacts import read_json, write_json
from genbench.errors import InputError
from genbench.reporting import numerals
from genbench.reporting.columns import COSTS, DETAILS, TIME, Column, comparison_columns, detail_columns
from genbench.reporting.curves import CURVE_POINTS, compare_curves, learning_curve, thin
from genbench.reporting.diffusion import MOST_TERMS, bound_terms, distinct_schedules, few_terms, noise_schedules
from genbench.reporting.page import cite, sentence
from genbench.reporting.pictures import embed, first_row, first_tiles, read_grid, reduce_colours
from genbench.reporting.plots import on_front, quality_against_time
from genbench.reporting.progress import held_out, quality_over_training, snapshot_points
from genbench.reporting.publish import publish, publish_index
from genbench.reporting.report import Report, abbreviate, anchors
from genbench.reporting.results import LOSSY, read_results
from genbench.reporting.sampling import SIGMA_HAT_SIGN, settings
from genbench.reporting.sections import flatten, remarks, shown_checkpoints
from genbench.reporting.table import Cell, Table, compare, final_rows, letters, mark_best

ROOT = Path(__file__).parent.parent

# label, family, {sampler: (NFE, seconds for 50k, FD, precision, recall)}, {submodule: parameters}, {metric of training}
MODELS = {
    "gan": (
        "GAN",
        "GAN",
        {"default": (1, 31.2, 61.3, 0.61, 0.42)},
        {"generator": 442_000, "discriminator": 260_000},
        [],
    ),
    "lsgan": (
        "LSGAN",
        "GAN",
        {"default": (1, 30.9, 55.8, 0.64, 0.44)},
        {"generator": 442_000, "discriminator": 260_000},
        [],
    ),
    "wgan-gp": (
        "WGAN-GP",
        "GAN",
        {"default": (1, 78.4, 38.2, 0.7, 0.58)},
        {"generator": 391_000, "discriminator": 301_000},
        [],
    ),
    "autoencoder": (
        "Autoencoder",
        "VAE",
        {"default": (1, 14.1, 96.4, 0.48, 0.31)},
        {"autoencoder": 213_000},
        ["reconstruction"],
    ),
    "vae": ("VAE", "VAE", {"default": (1, 14.3, 44.9, 0.72, 0.4)}, {"autoencoder": 213_000}, ["reconstruction", "kl"]),
    "ddpm": (
        "DDPM",
        "Diffusion",
        {
            "ddpm-100": (100, 4210.0, 11.7, 0.81, 0.74),
            "ddim-25": (25, 1067.0, 13.9, 0.83, 0.7),
            "dpm-solver-10": (10, 436.0, 14.6, 0.83, 0.69),
        },
        {"denoiser": 512_000},
        [],
    ),
    "cold": ("Cold diffusion", "Cold diffusion", {"blur-20": (20, 861.0, 29.5, 0.66, 0.49)}, {"denoiser": 512_000}, []),
}
PROVENANCE = {
    "genbench_commit": "5f0c1f3a9b8e4d2c7a6b5e4f3d2c1b0a99887766",
    "code_sha256": "ab" * 32,
    "python": "3.11.7",
    "platform": "Linux-6.1-x86_64-with-glibc2.36",
    "packages": {"torch": "2.8.0", "numpy": "2.3.1"},
    "command": "sample.py",
    "time": "2025-01-02T03:04:05+00:00",
}
CHECKPOINTS = {"ddpm": ["step-300", "final"], "lsgan": ["step-200", "step-400", "final"]}
PICTURES = {
    "gan": ["interpolation"],
    "vae": ["reconstructions", "interpolation"],
    "ddpm": ["denoising", "denoising_strip"],
}
PRIOR = "prior: a Gaussian fitted to the latents of the training images"
STAND_IN = "features of a classifier of this data set, a stand-in for Inception's: no FID"
DEVICE = "CPU (toy processor, 1 threads)"


def write_grid(path: Path, images: np.ndarray) -> None:
    """What images.grid makes of uint8 (N, H, W), without torch: ten tiles a row, white gaps of two pixels."""
    count, height, width = images.shape
    rows = -(-count // 10)
    sheet = np.full((rows * (height + 2) - 2, 10 * (width + 2) - 2, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // 10 * (height + 2), i % 10 * (width + 2)
        sheet[top : top + height, left : left + width] = image[..., None]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)


def write_results(
    root: Path,
    suite: str = "demo",
    models: dict = MODELS,
    seeds: tuple = (0,),
    optional: bool = True,
    images: np.ndarray | None = None,
) -> Path:
    """Write the files of a suite as the rules do, with numbers that are made up; returns results/{suite}.

    `optional=False` leaves out every file and field that may be absent. images: (N, 28, 28) to make grids of.
    """
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (300, 28, 28), dtype=np.uint8) if images is None else images
    folder = root / suite
    entries = {}
    for name, (label, family, samplers, parameters, logged) in models.items():
        reduced = {} if not optional else {
            "label": label,
            "family": family,
            "class": f"{family.lower()}.{label}",
            "description": f"{label} at a quarter of its usual width",
            "paper": "Ho et al. 2020, arXiv 2006.11239",
            "budget": "toy size",
            "spec": {
                "model": {"class": "diffusion.Diffusion", "denoiser": {"channels": 32, "channel_mult": [1, 2]}},
                "training": {"steps": 600, "batch_size": 64, "optimizer": {"lr": 2e-4, "betas": [0.5, 0.999]}},
                "samplers": {sampler: {} for sampler in samplers},
                "sample_batch_size": 500,
            },
            "parameters": parameters,
            "training_memory_bytes": 310_000_000,
            "training_steps": 600,
            "checkpoints": CHECKPOINTS.get(name, ["final"]),
            "pictures": PICTURES.get(name, []),
        }  # fmt: skip
        entries[name] = reduced | {
            "samplers": {
                sampler: {
                    "label": sampler,
                    "options": {},
                    "nfe": nfe,
                    "flops_per_nfe": 10_000_000,
                    "flops_per_image": nfe * 10_000_000,
                    "remarks": [PRIOR] if name == "autoencoder" else [],
                }
                if optional
                else {}
                for sampler, (nfe, *_) in samplers.items()
            }
        }
        for seed in seeds:
            run = folder / name / f"seed{seed}"
            training = {
                "steps": 600,
                "images_seen": 38_400,
                "seconds": 95.0 + 13 * len(name) + seed,
                "images_per_second": 404.2,
                "batch_size": 64,
                "precision": "fp32",
                "device": DEVICE,
                "weights": "ema",
                "ema_decay": 0.98,
                "data_sha256": "da" * 32,
                "model_sha256": "0d" * 32,
                "resumed": 0,
                "provenance": PROVENANCE,
            }
            write_json(run / "training.json", training if optional else {})
            if optional:
                steps = range(10, 601, 10)
                lines = [
                    {
                        "step": step,
                        "losses": {part: 2 * math.exp(-step / 150) + random.normal(0.5, 0.03) for part in parameters},
                        "metrics": {metric: 40 * math.exp(-step / 90) + random.normal(20, 0.3) for metric in logged},
                        "images_seen": 64 * step,
                    }
                    for step in steps
                ]
                lines += [
                    {
                        "step": step,
                        "validation": {metric: 40 * math.exp(-step / 90) + 22 + seed for metric in logged},
                        "images_seen": 64 * step,
                    }
                    for step in range(60, 601, 60)
                    if logged
                ]
                (run / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
                for picture in reduced["pictures"]:
                    write_grid(run / f"final/pictures/{picture}.png", images[random.permutation(len(images))[:100]])
            for checkpoint in reduced.get("checkpoints", ["final"]):
                early, fakes = (1.0, 2000) if checkpoint == "final" else (2.5, 500)
                for sampler, (nfe, seconds, distance, precision, recall) in samplers.items():
                    place = run / checkpoint / sampler
                    timing = {"seconds_per_50k": seconds, "images_per_second": 50_000 / seconds, "extrapolated": True}
                    values = {"fd_classifier": (distance + 0.5 * seed) * early}
                    if optional:
                        timing |= {
                            "timed_images": 1500,
                            "latency_batch1_seconds": nfe * 0.0031,
                            "warmup_seconds": seconds / 100,
                            "io_seconds": 0.02,
                            "batch_size": 500,
                            "nfe": nfe,
                            "device": DEVICE,
                            "precision": "fp32",
                            "threads": 1,
                            "peak_memory_bytes": 410_000_000,
                            "seeds": "0:2000",
                            "samples_sha256": f"{len(name):02x}" * 32,
                            "provenance": PROVENANCE,
                        }
                        values |= {
                            "kid_classifier": distance * early / 900,
                            "precision_classifier": precision,
                            "recall_classifier": recall / early,
                            "density_classifier": precision * 0.93,
                            "coverage_classifier": recall * 1.1,
                            "classifier_score": 9.7 - distance / 20,
                            "classifier_confidence": 1 - distance / 200,
                            "classes_found": 10,
                        }
                    notes = {
                        "fd_classifier": "biased upward at this number of images: compare only with values from 2000",
                        "precision_classifier": "k = 3",
                        "recall_classifier": "k = 3",
                        "kid_classifier": "50 subsets of 500",
                    }
                    metrics = {
                        key: {
                            "value": value,
                            "std": 0.01 if key[:3] == "kid" else None,
                            "n_real": 4000,
                            "n_fake": fakes,
                        }
                        | {"note": notes.get(key)}
                        for key, value in values.items()
                    }
                    extractor = {"name": "classifier", "dim": 128, "sha256": "ce" * 32, "test_accuracy": 0.981}
                    evaluation = {"metrics": metrics}
                    if optional:
                        evaluation |= {
                            "extractors": {"classifier": extractor},
                            "reference_sha256": "4e" * 32,
                            "num_real": 4000,
                            "num_fake": fakes,
                            "warnings": ["the covariance has rank 120 of 128"] if name == "gan" else [],
                            "provenance": PROVENANCE,
                        }
                    write_json(place / "timing.json", timing)
                    write_json(place / "metrics.json", evaluation)
                    if optional:
                        write_grid(place / "grid.png", images[random.permutation(len(images))[:100]])
    if optional:
        floor = {"fd_classifier": 3.4, "precision_classifier": 0.93, "recall_classifier": 0.92, "classifier_score": 9.8}
        write_json(folder / "real/metrics.json", {"metrics": {key: {"value": value} for key, value in floor.items()}})
        write_grid(folder / "real/grid.png", images[:100])
    preflight = {"suite": suite, "models": entries, "seeds": list(seeds), "headline": "fd_classifier"}
    if optional:
        preflight |= {
            "title": "Handwritten digits, toy size",
            "description": "Small versions of every family, trained for a minute each on 4,000 MNIST digits.",
            "dataset": {
                "name": "demo",
                "label": "MNIST, 5,000 digits",
                "image_shape": [1, 28, 28],
                "num_classes": 10,
                "num_train": 4000,
                "notes": ["toy data set: 4,000 images to train, 1,000 to test"],
            },
            "num_samples": 2000,
            "snapshot_samples": 500,
            "evaluation": {"extractors": ["classifier"]},
            "provenance": PROVENANCE,
        }
    write_json(folder / "preflight.json", preflight)
    return folder


FEW = {name: MODELS[name] for name in ("gan", "vae", "ddpm")}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)></style></svg> $x_1^ &amp; {{ 7 * 7 }} \x00\u202e"
HOSTILE = {
    "vae": MODELS["vae"],
    "\"><i onclick='x'>": (EVIL, EVIL, {"<b>": (3, 50.0, 20.0, 0.5, 0.5)}, {"_</svg><script>": 1000}, ["<u>"]),
}


def render(folder: Path) -> Path:
    """Publish the results of a suite; returns the folder of pages."""
    out = folder.parent / "report"
    publish(folder / "preflight.json", folder, out, ROOT / "report")
    publish_index(out, ROOT / "report")
    return out


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def pages(demo):
    return render(demo)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The pages of two suites, one of them hostile."""
    root = tmp_path_factory.mktemp("hostile")
    render(write_results(root, "plain", {"vae": MODELS["vae"], "gan": MODELS["gan"]}))
    return render(write_results(root, "hostile", HOSTILE))


class Page(HTMLParser):
    """What a browser would see: the elements with their attributes, and the text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements, self.texts, self.scripts = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        (self.scripts if self.cdata_elem == "script" else self.texts).append(data)

    def values(self, attribute, *tags):
        return [found[attribute] for tag, found in self.elements if attribute in found and (not tags or tag in tags)]


def table_of(folder: Path) -> Table:
    """The comparison of a suite."""
    results = read_results(folder / "preflight.json", folder)
    columns = comparison_columns(results.metrics, "fd_classifier", 2000)
    return compare(final_rows(results.rows), columns, results.floor, 2000)


# --- Numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (numerals.significant, 12.345, "12.3"),
        (numerals.significant, 0.95, "0.950"),
        (numerals.significant, 0.99951, "1.00"),
        (numerals.significant, 1234.5, "1,234"),
        (numerals.significant, -0.0123, "-0.0123"),
        (numerals.significant, 1.234e-5, "1.23e-05"),
        (numerals.significant, 0, "0.00"),
        (numerals.significant, math.inf, "inf"),
        (numerals.proportion, 0.00123, "0.001"),
        (numerals.count, 999, "999"),
        (numerals.count, 999.9, "1k"),
        (numerals.count, 2000, "2k"),
        (numerals.count, 50_000, "50k"),
        (numerals.count, 1_234_567, "1.23M"),
        (numerals.count, 4.2e15, "4.2e+03T"),
        (numerals.memory, 512, "512 B"),
        (numerals.memory, 3 * 2**30, "3 GiB"),
        (numerals.duration, 0.0042, "4.20 ms"),
        (numerals.duration, 8.2, "8.20 s"),
        (numerals.duration, 59.96, "0:01:00"),
        (numerals.duration, 4210, "1:10:10"),
        (numerals.duration, 1e6, "277:46:40"),
    ],
)
def test_numbers_are_short(function, value, text):
    assert function(value) == text


def test_a_standard_deviation_has_as_many_digits_as_its_mean():
    assert numerals.plus_minus("12.3", 0.0678) == "12.3 ± 0.1"
    assert numerals.plus_minus("0.812", 0.0678) == "0.812 ± 0.068"
    assert numerals.plus_minus("1,234", 1000.4) == "1,234 ± 1,000"
    assert numerals.plus_minus("1.23e-05", 2e-6) == "1.23e-05 ± 2.00e-06"


# --- From files to the tidy table -------------------------------------------------------------------------------------


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
    timing = folder / "gan/seed0/final/default/timing.json"
    write_json(timing, {"seconds_per_50k": None, "images_per_second": None, "lossy": True})
    row = next(row for row in table_of(folder).rows if row.model == "gan")
    assert (row.cells["fd_classifier"].text, row.cells[TIME.key].text) == ("61.3", "–")
    assert row.remarks == [LOSSY]
    assert LOSSY in check_page(render(folder) / "demo.html").text


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
    with pytest.raises(InputError, match=f"{timing}: the key 'images_per_second' is missing"):
        render(folder)


def test_a_step_that_was_logged_twice_counts_once(tmp_path):
    folder = write_results(tmp_path, models={"gan": MODELS["gan"]}, optional=False)
    lines = [
        json.dumps({"step": step, "losses": {"generator": value}}) for step, value in ((10, 3.0), (20, 2.0), (10, 1.0))
    ]
    (folder / "gan/seed0/history.jsonl").write_text("\n".join(lines))
    history = read_results(folder / "preflight.json", folder).histories["gan"]
    assert list(zip(history["step"], history["value"], strict=True)) == [(10, 1.0), (20, 2.0)]


# --- The comparison ---------------------------------------------------------------------------------------------------


def marked(values, direction, stds=None):
    """Which of the values are marked as the best."""
    texts = ["–" if value is None else numerals.significant(value) for value in values]
    stds = stds or [None] * len(values)
    cells = [Cell(text, "", value, std) for text, value, std in zip(texts, values, stds, strict=True)]
    mark_best(cells, Column("x", "X", "", direction))
    return [cell.best for cell in cells]


def test_the_best_of_a_column_depends_on_its_direction():
    assert marked([3.0, 1.0, 2.0], "lower") == [False, True, False]
    assert marked([3.0, 1.0, 2.0], "higher") == [True, False, False]
    assert marked([3.0, 1.0, 2.0], None) == [False] * 3
    assert marked([None, 4.0, 5.0], "lower") == [False, True, False]


def test_what_is_printed_alike_ties_and_so_does_what_is_within_two_standard_deviations():
    assert marked([0.91234, 0.91198, 0.5], "higher") == [True, True, False]
    assert marked([10.0, 10.9, 11.1], "lower", [0.5, 0.2, 0.2]) == [True, True, False]
    assert marked([10.0, 10.9, 11.1], "lower", [0.1, 0.5, 0.1]) == [True, True, False]
    assert marked([10.0, 11.0, 20.0], "lower", [0.4, 0.4, 0.0]) == [True, True, False]  # 2·√(0.4² + 0.4²) = 1.13
    assert marked([10.0, 11.0, 20.0], "lower", [0.4, 0.2, 0.0]) == [True, False, False]  # 2·√(0.4² + 0.2²) = 0.89


def test_nothing_is_the_best_where_all_tie():
    assert marked([1.0, 1.0], "higher") == [False, False]
    assert marked([1.0], "higher") == [False]
    assert marked([None, None], "higher") == [False, False]


def test_rows_are_sorted_by_the_headline_and_only_final_checkpoints_are_compared(demo):
    table = table_of(demo)
    assert [row.name for row in table.rows][:4] == [
        "DDPM, ddpm-100",
        "DDPM, ddim-25",
        "DDPM, dpm-solver-10",
        "Cold diffusion",
    ]
    assert {row.checkpoint for row in table.rows} == {"final"}
    assert [column.label for column in table.columns][:3] == ["FD-classifier (2k)", "Classifier score", "KID ×10³"]
    best = {key: [row.name for row in table.rows if row.cells[key].best] for key in ("fd_classifier", TIME.key, "nfe")}
    assert best == {"fd_classifier": ["DDPM, ddpm-100"], TIME.key: ["Autoencoder"], "nfe": []}
    first = table.rows[0].cells
    assert (first["fd_classifier"].text, first["kid_classifier"].text, first[TIME.key].text) == (
        "11.7",
        "13.0",
        "≈ 1:10:10",
    )
    assert first["kid_classifier"].value == 11.7 / 900
    assert table.floor["fd_classifier"].text == "3.40"
    assert table.floor[TIME.key].text == "–"


def test_several_seeds_give_mean_and_standard_deviation(tmp_path):
    table = table_of(write_results(tmp_path, models=FEW, seeds=(0, 1, 2)))
    cell = table.rows[0].cells["fd_classifier"]
    assert cell.text == "12.2 ± 0.5"
    assert cell.std == pytest.approx(0.5)
    assert "from 11.7, 12.2, 12.7" in cell.title
    assert "3 training seeds" in " ".join(table.remarks)


def test_notes_stand_where_they_hold(demo):
    table = table_of(demo)
    assert table.notes["precision_classifier"] == [STAND_IN, "k = 3"]
    gan = next(row for row in table.rows if row.model == "gan")
    assert gan.cells["fd_classifier"].notes == ["the covariance has rank 120 of 128"]
    assert not any(row.cells["fd_classifier"].notes for row in table.rows if row.model != "gan")
    assert list(table.footnotes.values()) == list("abcdef")
    rows = read_results(demo / "preflight.json", demo).rows
    rows = final_rows(rows.assign(fd_classifier_note=[f"rank {number}; biased" for number in range(len(rows))]))
    table = compare(rows, table.columns)
    assert table.notes["fd_classifier"] == [STAND_IN, "biased"]
    assert [row.cells["fd_classifier"].notes[0] for row in table.rows if row.model in ("gan", "lsgan")] == [
        "rank 3",
        "rank 0",
    ]
    assert [letters(number) for number in (1, 26, 27, 52, 53, 703)] == ["a", "z", "aa", "az", "ba", "aaa"]


def test_a_row_from_another_number_of_samples_says_so(demo):
    results = read_results(demo / "preflight.json", demo)
    rows = results.rows.assign(num_fake=[1000.0] + [2000.0] * (len(results.rows) - 1))
    table = compare(final_rows(rows), comparison_columns(results.metrics, "fd_classifier"), None, 2000)
    said = {row.model: row.cells["fd_classifier"].notes for row in table.rows}
    assert "from 1k samples, where the suite asks for 2k" in said["gan"]
    assert said["vae"] == []


def test_reconstructions_of_real_images_are_never_the_best(demo):
    results = read_results(demo / "preflight.json", demo)
    columns = comparison_columns(results.metrics, "fd_classifier")
    first, *others = compare(final_rows(results.rows), columns).rows
    second = next(row for row in others if row.model != first.model)
    rows = results.rows.assign(generates=results.rows["model"] != first.model)
    table = compare(final_rows(rows), columns)
    assert table.rows[0].name == second.name
    assert table.rows[0].cells["fd_classifier"].best
    given = [row for row in table.rows if row.model == first.model]
    assert table.rows[-len(given) :] == given
    assert not any(cell.best for row in given for cell in row.cells.values())


def test_no_time_is_the_best_across_devices(demo):
    results = read_results(demo / "preflight.json", demo)
    rows = results.rows.assign(device=["GPU"] + [DEVICE] * (len(results.rows) - 1))
    table = compare(final_rows(rows), comparison_columns(results.metrics, "fd_classifier"))
    assert not any(row.cells[TIME.key].best for row in table.rows)
    assert any(row.cells["fd_classifier"].best for row in table.rows)
    assert "different devices" in " ".join(table.remarks)


def test_labels_name_the_features_where_there_are_several():
    keys = ["fd_classifier", "fid_clean", "fid_infinity_clean", "kid_clean", "kid_efficientnet"]
    keys += ["precision_classifier", "precision_dinov2", "recall_classifier", "fd_inception-clean-unofficial"]
    keys += ["inception_score_clean", "inception_score_legacy"]
    labels = {column.key: column.label for column in detail_columns(keys, "fd_efficientnet", 50_000)}
    assert labels == {
        "fd_efficientnet": "FD-EfficientNet (50k)",
        "fd_classifier": "FD-classifier (50k)",
        "fid_clean": "FID (clean, 50k)",
        "fid_infinity_clean": "FID∞ (clean)",
        "kid_clean": "KID (clean) ×10³",
        "kid_efficientnet": "KID-EfficientNet ×10³",
        "precision_classifier": "Precision-classifier",
        "precision_dinov2": "Precision-DINOv2",
        "recall_classifier": "Recall",
        "fd_inception-clean-unofficial": "FD-inception-clean (other weights, 50k)",
        "inception_score_clean": "IS (clean)",
        "inception_score_legacy": "IS (legacy)",
    } | {column.key: column.label for column in COSTS + DETAILS}


def test_the_comparison_has_every_distance_and_other_metrics_in_the_features_of_the_headline():
    keys = ["fid_clean", "fid_legacy", "fd_efficientnet", "fid_infinity_clean", "fid_infinity_legacy"]
    keys += ["kid_clean", "kid_legacy", "inception_score_clean", "classifier_score"]
    columns = [column.label for column in comparison_columns(keys, "fid_legacy", 50_000) if column not in COSTS]
    assert columns == [
        *("FID (legacy, 50k)", "FID (clean, 50k)", "FD-EfficientNet (50k)", "FID∞ (legacy)"),
        *("IS", "Classifier score", "KID ×10³"),
    ]


def test_numbers_that_are_no_fid_or_say_little_are_marked_as_such():
    def notes(key, **dataset):
        return " | ".join(comparison_columns([key], key, None, dataset)[0].notes)

    cifar = {"name": "cifar10", "num_classes": 10, "image_shape": [3, 32, 32]}
    digits = {"name": "mnist", "num_classes": 10, "image_shape": [1, 28, 28]}
    birds = {"name": "cub", "num_classes": 200, "image_shape": [3, 32, 32]}
    assert notes("fd_classifier", **digits) == STAND_IN
    assert "EfficientNet-Lite0" in notes("fd_efficientnet", **cifar)
    assert "no FID" in notes("fd_inception-legacy-unofficial", **cifar)
    assert [notes("fid_clean", **dataset) for dataset in (cifar, birds)] == ["", ""]
    assert "greyscale images are outside" in notes("fid_clean", **digits)
    assert [bool(notes("inception_score_clean", **dataset)) for dataset in (cifar, birds, digits)] == [0, 1, 1]
    row = {"family": "GAN", "checkpoint": "final", "sampler": "default", "sampler_label": "default", "seed": 0}
    scores = {"a": 5.0, "b": 6.0}
    rows = pd.DataFrame([row | {"model": m, "label": m, "inception_score_clean": scores[m]} for m in scores])
    best = [
        [row.cells["inception_score_clean"].best for row in compare(rows, columns).rows]
        for columns in (comparison_columns([], "inception_score_clean", None, dataset) for dataset in (cifar, birds))
    ]
    assert best == [[True, False], [False, False]]


def test_remarks_stand_at_the_names_of_their_rows(demo, pages):
    table = table_of(demo)
    assert {row.model: row.remarks for row in table.rows if row.remarks} == {"autoencoder": [PRIOR]}
    assert PRIOR in table.footnotes
    source = (pages / "demo.html").read_text()
    mark = f'<sup class="marks"><a href="#note-{table.footnotes[PRIOR]}">{table.footnotes[PRIOR]}</a></sup>'
    assert re.search(
        rf'<th scope="row" class="text"><a href="#model-autoencoder">Autoencoder</a>{re.escape(mark)}', source
    )
    assert f'<p class="note">{sentence(PRIOR)}</p>' in source
    rows = pd.read_csv(pages / "demo.csv").set_index("model")["remarks"]
    assert rows["autoencoder"] == PRIOR
    assert rows[["vae"]].isna().all()
    summary = {row["model"]: row["remarks"] for row in read_json(pages / "demo.json")["rows"]}
    assert (summary["autoencoder"], summary["vae"]) == ([PRIOR], [])


def test_a_remark_of_some_samplers_names_them():
    samplers = {
        "a": {"label": "A", "remarks": ["x", "y"]},
        "b": {"label": "B", "remarks": ["x"]},
        "c": {"remarks": ["x"]},
    }
    assert remarks({"samplers": samplers}) == ["x", "A: y"]
    assert remarks({"samplers": {"default": {}}}) == []


# --- Plots and pictures -----------------------------------------------------------------------------------------------


def test_the_pareto_front_is_what_nothing_beats(demo):
    table = table_of(demo)
    front = [row.model for row, on in zip(table.rows, on_front(table.rows, table), strict=True) if on]
    assert front == ["ddpm", "ddpm", "ddpm", "wgan-gp", "vae", "autoencoder"]


def test_a_plot_takes_its_colours_from_the_page_and_has_a_tooltip_for_each_point(demo):
    table = table_of(demo)
    svg = str(quality_against_time(table, (10, 5)))
    assert not re.search(r"#0[12]00|https?:|url\(| id=", svg)
    assert "var(--hue-1)" in svg
    assert all(f"<title>{row.name}: {row.cells['fd_classifier'].text}, " in svg for row in table.rows)
    assert quality_against_time(compare(pd.DataFrame(), table.columns), (10, 5)) is None


def test_a_plot_has_the_unit_of_its_label(demo):
    results = read_results(demo / "preflight.json", demo)
    table = compare(final_rows(results.rows), comparison_columns(results.metrics, "kid_classifier"))
    svg = str(quality_against_time(table, (10, 5)))
    assert "KID ×10³, lower is better" in svg
    assert re.findall(r">(\d+)</text>", svg)[-1] == "100"  # the autoencoder's is 107


def test_real_images_far_off_do_not_squeeze_the_points(demo):
    table = table_of(demo)
    assert ">real images<" in str(quality_against_time(table, (10, 5)))
    for value, text in ((-1000.0, "↓ real images -1,000"), (2345.0, "↑ real images 2,345")):
        table.floor["fd_classifier"].value = value
        assert f">{text}<" in str(quality_against_time(table, (10, 5)))
    table.rows[0].cells["fd_classifier"].value = 0.5  # now the axis is logarithmic
    table.floor["fd_classifier"].value = 0.0
    assert ">↓ real images 0.00<" in str(quality_against_time(table, (10, 5)))


def test_long_names_do_not_squeeze_the_points(demo):
    table = table_of(demo)
    far = [replace(row, name=f"{row.label} {'with a very long name ' * 3}") for row in table.rows]
    svg = str(quality_against_time(replace(table, rows=far), (4.9, 5.4)))  # a warning of a collapsed layout is an error
    left, right = (float(x) for x in re.findall(r'd="M ([\d.]+) [\d.]+  L ([\d.]+) [\d.]+  "', svg)[-1])
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
    """The points of quality over training, and its plots."""
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
    without = replace(results, preflight=results.preflight | {"dataset": {"num_train": None}})
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
    shown = shown_checkpoints({"checkpoints": checkpoints})
    assert shown == ["step-100", "step-700", "step-1300", "step-1900", "step-2500", "final"]
    assert shown_checkpoints({"checkpoints": checkpoints[-3:]}) == checkpoints[-3:]
    assert shown_checkpoints({}) == ["final"]


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
    with pytest.raises(InputError, match=r"grid.png: expected a PNG picture"):
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
    assert re.fullmatch(f"{remark}at [0-9]+% of their size", picture.remark)


def test_fewer_colours_leave_transparent_what_is(tmp_path):
    write_grid(tmp_path / "grid.png", np.random.default_rng(0).integers(0, 256, (100, 8, 8), dtype=np.uint8))
    grid = read_grid(tmp_path / "grid.png", (3, 8, 8)).convert("RGBA")
    reduced = reduce_colours(grid)
    assert reduced.mode == "P"
    assert (np.asarray(reduced.convert("RGBA"))[:, :, 3] == np.asarray(grid)[:, :, 3]).all()


# --- Diffusion: samplers, schedules, likelihood -----------------------------------------------------------------------

ETAS = [0.0, 0.2, 0.5, 1.0, "sigma-hat"]
DDIM_TABLE = {  # of the paper's table 1, by S and in the order of ETAS: FID on CIFAR-10
    10: [13.36, 14.04, 16.66, 41.07, 367.43],
    50: [4.67, 4.77, 5.25, 8.01, 32.72],
    1000: [4.04, 4.09, 4.29, 4.73, 3.17],
}
OPTIONS = {
    f"ddim-{steps}-{eta}": {"step": "ddim", "steps": steps, "eta": eta} for steps in DDIM_TABLE for eta in ETAS
} | {"heun-18": {"step": "heun", "steps": 18}}


def write_study(root: Path, options: dict = OPTIONS, seeds: tuple = (0,), **given: object) -> Path:
    """Results of one diffusion model, "ddim", with these options of its samplers; `given` goes into its entry."""
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
        entry["samplers"][name]["options"] = chosen
    entry |= given
    write_json(folder / "preflight.json", preflight)
    return folder


def schedule(T: int = 1000, power: float = 2.0, default: str = "linear") -> dict:
    """What preflight tells of a schedule; this one is made up."""
    t = sorted({round(part * T / 100) for part in range(101)})
    abar = [math.cos(math.pi / 2 * time / T) ** power for time in t]
    return {"T": T, "default": default, "t": t, "alphas_cumprod": abar}


def write_likelihood(folder: Path, model: str = "ddim", seed: int = 0, bits: float = 3.75, **changes: object) -> None:
    """A likelihood.json as its rule writes it."""
    t = list(range(1000, 0, -1))
    terms = {"t": t, "bits_per_dim": [bits / 10 / time for time in t]}
    record = {"bits_per_dim": bits, "standard_error": 0.004, "prior": 1e-5, "terms": terms, "images": 2000}
    record |= {"split": "test", "steps": 1000, "provenance": PROVENANCE}
    write_json(folder / model / f"seed{seed}/final/likelihood.json", record | changes)


def report_of(folder: Path) -> Report:
    return Report(read_results(folder / "preflight.json", folder), folder)


def settings_of(options: dict, root: Path, **given: object) -> list[tuple[str, int]]:
    """Name and S of each of a model's samplers."""
    folder = write_study(root, options, **given)
    entry = read_json(folder / "preflight.json")["models"]["ddim"]
    return [(setting.name, setting.steps) for setting in settings(entry, table_of(folder).rows)]


def test_settings_are_told_by_kind_eta_and_what_differs(tmp_path):
    options = {
        "a": {},
        "b": {"step": "ddpm", "variance": "large", "clip": False, "steps": 100},
        "c": {"step": "ddim", "steps": 50, "spacing": "quadratic"},
        "d": {"step": "ddim", "steps": 20, "spacing": "uniform", "eta": 0.5},
        "e": {"step": "ddim", "steps": 20, "spacing": "quadratic", "eta": "sigma-hat"},
        "f": {"step": "dpm-solver++", "steps": 20},
        "g": {"step": "heun", "respacing": "30"},
        "gg": {"step": "heun", "respacing": "10,15,20"},
        "h": {"step": "heun", "respacing": "ddim25"},
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
    assert settings_of({"a": {"prior": "standard"}, "b": {}}, tmp_path) == []
    assert settings_of({"a": {"steps": 50}, "b": {"step": "ddim"}}, tmp_path) == [("Diffusion", 50), ("DDIM, η = 0", 7)]


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


def test_sigma_hat_stands_apart_at_the_right_end_and_is_not_joined(tmp_path):
    options = {name: chosen for name, chosen in OPTIONS.items() if chosen["steps"] == 50 and chosen["step"] == "ddim"}
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
    ends = [float(re.findall(r"L ([\d.]+)", line)[-1]) for line in dashed]
    assert places["1"] in [pytest.approx(end, abs=0.1) for end in ends]


@pytest.mark.parametrize(
    ("names", "plots"),
    [
        (["ddim-10-0.0", "ddim-50-0.0"], 0),  # two numbers of steps are no curve
        (["ddim-10-0.0", "ddim-50-0.2", "ddim-1000-0.5"], 0),  # three, but no line
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
    assert "Bars are ± one standard deviation over seeds." in several.caption
    bars = [len(re.findall(r"stroke-width: 1\.2\b", str(plot.wide))) for plot in (single, several)]
    assert bars == [0, len(OPTIONS)]


def test_models_are_compared_over_steps_by_the_first_sampler_of_each_kind(tmp_path):
    options = {f"ddim-{steps}-0.0": OPTIONS[f"ddim-{steps}-0.0"] for steps in DDIM_TABLE}
    options |= {"ddim-50-1.0": OPTIONS["ddim-50-1.0"]}  # noise is another line of a study, and none here
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
    assert "Samples of the same seeds" in page.text
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
    assert noise_schedules({"d": {}}, labels) is None


def test_the_legend_of_schedules_breaks_long_lists_of_models():
    models = {f"model-{number}": {"noise_schedule": schedule()} for number in range(12)}
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
    with pytest.raises(InputError, match=re.escape(f"{path}: terms: found 2 times and 1 values")):
        render(folder)
    write_json(path, {"standard_error": 0.1})
    with pytest.raises(InputError, match=f"{re.escape(str(path))}: the key 'bits_per_dim' is missing"):
        render(folder)


def test_hostile_options_and_schedules_are_text(tmp_path):
    options = {
        f"s{steps}": {"step": EVIL, "steps": steps, EVIL: EVIL if steps > 5 else "<b>"} for steps in (5, 10, 20, 40)
    }
    folder = write_study(tmp_path, options, label=EVIL, noise_schedule=schedule(default=EVIL))
    write_likelihood(folder)
    page = check_page(render(folder) / "demo.html")
    assert page.text.count("<script>alert(1)") > 10


# --- Pages ------------------------------------------------------------------------------------------------------------


def check_page(path: Path) -> Page:
    """A page loads nothing, runs only its own script, and every link inside it leads somewhere."""
    page = Page(path)
    policy = page.values("content", "meta")[0]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert [tag for tag, _ in page.elements].count("script") == 1
    digest = base64.b64encode(hashlib.sha256("".join(page.scripts).encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert not [name for _, found in page.elements for name in found if name.startswith("on") or name == "srcset"]
    assert {value[:22] for value in page.values("src")} <= {"data:image/png;base64,"}
    assert not {"iframe", "object", "embed", "base", "form", "i", "u"} & {tag for tag, _ in page.elements}
    assert page.values("href", "link") == ["data:,"]
    outside = [link for link in page.values("href", "a") if not re.match(r"#|[\w%.-]+\.(html|csv)(#|$)", link)]
    assert all(link.startswith("https://arxiv.org/abs/") for link in outside)
    source = path.read_text(encoding="utf-8")
    assert "@import" not in source
    assert not re.search(r"url\((?!#)", source)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.values("href") if link[:1] == "#"} <= set(ids)
    return page


def test_the_page_has_everything_in_it(pages):
    page = check_page(pages / "demo.html")
    for text in [
        STAND_IN,
        PRIOR,
        "Handwritten digits, toy size",
        "FD-classifier (2k)",
        "≈ 1:10:10",
        "toy size",
        "How to reproduce",
        "ab" * 6,
    ]:
        assert text in page.text
    assert "uv run snakemake" in page.text
    assert f"git checkout {PROVENANCE['genbench_commit']}" in page.text
    assert "the covariance has rank 120 of 128" in page.text
    assert "optimizer.betas 0.5, 0.999" in page.text
    assert page.values("aria-sort") == ["ascending"]
    # Strips and grids, with the real images; checkpoints; pictures.
    assert len(page.values("src", "img")) == 2 * (9 + 1) + (5 + 3 + 6) + 5
    assert all(page.values("alt", "img"))


def test_definitions_stand_at_headings_and_in_their_section(pages):
    page = check_page(pages / "demo.html")
    assert any("Share of generated images inside the manifold" in title for title in page.values("title", "th"))
    assert "Share of generated images inside the manifold of the real ones." in page.text
    assert f"{11.7!r}" in page.values("title", "span")


def test_pictures_have_captions_and_can_be_enlarged(pages):
    page = check_page(pages / "demo.html")
    for caption in (
        "Held-out images, and below each its reconstruction",
        "The first two latent dimensions",
        "From noise to images: a sample in each row",
        "Denoising strip",
    ):
        assert caption in page.text
    assert {f"picture-{number}" for number in ("1-1",)} <= set(page.values("id"))
    assert "VAE: Held-out images, and below each its reconstruction" in page.values("alt", "img")


def test_curves_of_training_and_of_held_out_images_stand_in_the_section_of_a_model(demo):
    results = read_results(demo / "preflight.json", demo)
    curves = dict(next(section for section in Report(results, demo).sections if section.name == "VAE").curves)
    assert list(curves) == ["Losses", "kl", "reconstruction"]
    assert all(f">{name}<" in curves["kl"] for name in ("training", "held-out images"))


def test_columns_of_snapshots_say_how_many_samples_judged_them(pages):
    page = check_page(pages / "demo.html")
    assert "step-200 500 samples" in page.text
    assert "where the suite asks for" not in page.text


@pytest.mark.slow
def test_a_page_of_twenty_models_with_many_snapshots_is_below_ten_megabytes(tmp_path, monkeypatch):
    names = [f"model-{number}" for number in range(20)]
    monkeypatch.setitem(globals(), "CHECKPOINTS", dict.fromkeys(names, ("step-100", "step-200", "final")))
    monkeypatch.setitem(globals(), "PICTURES", dict.fromkeys(names, ("reconstructions", "interpolation")))
    path = render(write_results(tmp_path, models={name: (name, *MODELS["vae"][1:]) for name in names})) / "demo.html"
    assert 2_000_000 < path.stat().st_size < 10_000_000
    check_page(path)


def test_the_index_of_one_suite_is_its_page(pages):
    assert (pages / "index.html").read_bytes() == (pages / "demo.html").read_bytes()


def test_pages_are_a_function_of_the_results(demo, pages):
    before = {path.name: path.read_bytes() for path in pages.iterdir()}
    render(demo)
    assert {path.name: path.read_bytes() for path in pages.iterdir()} == before


def test_the_index_shows_every_suite(hostile):
    index = check_page(hostile / "index.html")
    links = index.values("href", "a")
    assert {"plain.html", "hostile.html", "plain.csv", "plain.html#model-vae", "hostile.html#model-vae"} <= set(links)
    assert index.text.count("Handwritten digits, toy size") == 4  # navigation and heading
    assert len(index.values("src", "img")) == 2 * (2 + 1)


def test_the_index_passes_over_what_is_not_a_summary(tmp_path, caplog):
    folder = write_results(tmp_path, models={"gan": MODELS["gan"]}, optional=False)
    write_json(tmp_path / "report/other.json", {"format": "something else"})
    out = render(folder)
    assert (out / "index.html").read_bytes() == (out / "demo.html").read_bytes()
    assert "other.json" in caplog.text


@pytest.mark.parametrize("name", ["hostile.html", "index.html"])
def test_hostile_names_are_text(hostile, name):
    page = check_page(hostile / name)
    shown = " ".join(EVIL.replace("\x00", "\ufffd").split())
    assert shown in page.text.replace("\x00", "\ufffd")
    assert any("<script>alert(1)" in title for title in page.texts if title.endswith("50.0 s"))  # a point's tooltip
    assert read_json(hostile / "hostile.json")["rows"][-1]["label"] == EVIL


def test_a_suite_without_any_optional_data_renders(tmp_path):
    out = render(write_results(tmp_path, models=FEW, optional=False))
    page = check_page(out / "demo.html")
    assert "61.3" in page.text
    assert "nan" not in page.text.lower().split()
    assert not page.values("src", "img")


def test_a_model_that_is_not_sampled_is_told_of_all_the_same(tmp_path):
    folder = write_results(tmp_path, models={"gan": ("GAN", "GAN", {}, {"generator": 1000}, [])})
    assert "No model of this suite is sampled." in check_page(render(folder) / "demo.html").text


def test_a_suite_needs_a_name_that_a_file_can_have(tmp_path):
    folder = write_results(tmp_path, models={"gan": MODELS["gan"]}, optional=False)
    write_json(folder / "preflight.json", read_json(folder / "preflight.json") | {"suite": "../demo"})
    with pytest.raises(InputError, match=r"\.\./demo"):
        render(folder)


def test_only_web_addresses_become_links():
    assert str(cite({"title": "<b>", "url": "javascript:alert(1)"})) == "&lt;b&gt;"
    assert 'href="https://example.org/&#34;"' in str(cite({"title": "a", "url": 'https://example.org/"'}))
    assert 'href="https://arxiv.org/abs/1706.08500"' in str(cite("Heusel et al. 2017, arXiv 1706.08500"))
    assert str(cite("<i> arXiv 1")) == "&lt;i&gt; arXiv 1"


def test_names_become_anchors_that_all_differ():
    assert anchors(["wgan-gp", "a b", "a<b", "a-b"]) == {
        "wgan-gp": "model-wgan-gp",
        "a b": "model-a-b",
        "a<b": "model-a-b-2",
        "a-b": "model-a-b-3",
    }
    assert abbreviate("0123456789abcdef+changes") == "0123456789ab+changes"


def test_a_recipe_is_flat():
    spec = {"a": {"b": [1, 2.5], "c": None, "d": {}}, "e": True, "f": []}
    assert list(flatten(spec)) == [("a.b", "1, 2.5"), ("a.c", "none"), ("a.d", "defaults"), ("e", "yes"), ("f", "none")]
    assert [sentence(text) for text in ("", "a b", "Is it?")] == ["", "A b.", "Is it?"]


def test_the_script_says_in_one_line_what_is_missing(tmp_path):
    command = [
        sys.executable,
        ROOT / "scripts/render_report.py",
        "--out-dir",
        tmp_path / "report",
        "--results",
        tmp_path,
    ]
    command += ["--preflight", tmp_path / "preflight.json"]
    job = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path)
    assert (job.returncode, job.stderr) == (2, f"error: {tmp_path / 'preflight.json'}: no such file\n")


def test_templates_that_are_not_there_are_named(demo, tmp_path):
    shutil.copy(ROOT / "report/style.css", tmp_path)
    with pytest.raises(InputError, match=r"sort\.js: no such file"):
        publish(demo / "preflight.json", demo, tmp_path / "out", tmp_path)


@pytest.mark.parametrize("path", sorted((ROOT / "report/captions").glob("*.rst")), ids=lambda path: path.stem)
def test_captions_are_valid_for_the_names_that_a_suite_can_have(path):
    wildcards = SimpleNamespace(suite="demo", model="wgan-gp_", seed="0", checkpoint="step-300_", sampler="ddim+25.0_")
    wildcards.picture, wildcards.labels = "reconstructions", "new_test"
    snakemake = SimpleNamespace(wildcards=wildcards, params={"results": "results/demo"})
    text = (
        jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(path.read_text()).render(snakemake=snakemake)
    )
    body = publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["body"]
    assert "{" not in body
