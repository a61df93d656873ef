"""Results of another version of the suite are shown without numbers, and enter no record."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up import FEW, table_of, write_results

from genbench.commands.record import command
from genbench.files.artifacts import read_json, sha256_json, write_json
from genbench.reporting.recorded import left_out, record_of, results_at

AGAIN = "run the suite again, without `only`"
DRAW = "vae/seed0/final/default"


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = read_json(path)
    change(content)
    write_json(path, content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results as this version writes them: each file names what it was made from."""
    folder = write_results(tmp_path, models=FEW)
    for name, entry in read_json(folder / "preflight.json")["models"].items():
        spec = {key: entry["spec"][key] for key in ("model", "training")}
        edit(
            folder / name / "seed0/training.json", lambda found, spec=spec: found.update(entry_sha256=sha256_json(spec))
        )
        for place in (folder / name / "seed0/final").iterdir():
            if not (place / "timing.json").exists():
                continue
            samples = read_json(place / "timing.json")["samples_sha256"]
            edit(place / "timing.json", lambda found: found.update(options={}, model_sha256="0d" * 32))
            about = {"samples_sha256": samples, "options": {}}
            edit(place / "metrics.json", lambda found, about=about: found.update(about))
    about = {"reference_sha256": "4e" * 32, "extractors": {"classifier": {"name": "classifier", "sha256": "ce" * 32}}}
    edit(folder / "real/metrics.json", lambda found: found.update(about))
    return folder


def test_results_of_the_suite_as_it_is_have_numbers(folder: Path) -> None:
    assert left_out(results_at(folder).rows) == {}
    assert len(record_of(results_at(folder)).draws) == 5


@pytest.mark.parametrize(
    ("file", "change", "why"),
    [
        (
            "preflight.json",
            lambda found: found["models"]["vae"]["spec"]["training"].update(steps=700),
            "its training is of another version of this entry",
        ),
        (
            "preflight.json",
            lambda found: found["models"]["vae"]["spec"]["model"].update(kl_weight=2),
            "its training is of another version of this entry",
        ),
        (
            "preflight.json",
            lambda found: found["models"]["vae"]["samplers"]["default"].update(options={"temperature": 0.7}),
            "its samples are of other options of the sampler",
        ),
        (
            "preflight.json",
            lambda found: found["models"]["vae"]["samplers"]["default"].update(precision="bf16"),
            "its samples are of other options of the sampler",
        ),
        (
            "preflight.json",
            lambda found: found["models"]["vae"]["spec"]["samplers"]["default"].update(ema_length=0.1),
            "its samples are of other options of the sampler",
        ),
        (
            "vae/seed0/training.json",
            lambda found: found.update(model_sha256="0e" * 32),
            "its samples are of other weights than those of its training",
        ),
        (
            f"{DRAW}/timing.json",
            lambda found: found.update(samples_sha256="0e" * 32),
            "its metrics are of other samples",
        ),
        (
            f"{DRAW}/metrics.json",
            lambda found: found.update(options={"kid_subsets": 10}),
            "its metrics are of other options of evaluation",
        ),
        (
            f"{DRAW}/metrics.json",
            lambda found: found.update(
                reference_sha256="0e" * 32, provenance=found["provenance"] | {"time": "2024-01-01"}
            ),
            "its metrics are against other real images, or in other features",
        ),
        (
            f"{DRAW}/metrics.json",
            lambda found: found.update(
                extractors={"classifier": {"sha256": "0e" * 32}},
                provenance=found["provenance"] | {"time": "2024-01-01"},
            ),
            "its metrics are against other real images, or in other features",
        ),
    ],
)
def test_a_row_of_another_version_has_no_numbers_but_a_reason(
    folder: Path, file: str, change: Callable[[dict[str, Any]], None], why: str
) -> None:
    edit(folder / "real/metrics.json", lambda found: found.update(provenance={"time": "2025-01-01"}))
    edit(folder / file, change)
    found = results_at(folder)
    ((reason, rows),) = left_out(found.rows).items()
    assert rows == ["vae/seed0/default"]
    assert reason.startswith(f"{why}: {AGAIN}")
    assert {draw.model for draw in record_of(found).draws} == {"gan", "ddpm"}
    (row,) = (row for row in table_of(folder).rows if row.model == "vae")
    assert all(cell.value is None for key, cell in row.cells.items() if key.startswith("fd_"))
    assert any(why in remark for remark in row.remarks)


def test_rows_are_of_the_suite_with_other_averages_under_earlier_names_or_if_nothing_could_be_drawn(
    folder: Path,
) -> None:
    def of_an_average(found: dict[str, Any]) -> None:
        found["models"]["vae"]["spec"]["samplers"]["default"]["ema_length"] = 0.05
        found["models"]["ddpm"]["samplers"]["ddim-25"]["options"] = {"method": "ddim"}
        found["models"]["gan"]["samplers"]["default"]["options"] = {"temperature": 0.7}

    edit(folder / "preflight.json", of_an_average)
    edit(folder / f"{DRAW}/timing.json", lambda found: found.update(ema_length=0.05, model_sha256="0e" * 32))
    edit(folder / "ddpm/seed0/final/ddim-25/timing.json", lambda found: found.update(options={"step": "ddim"}))
    edit(folder / "gan/seed0/final/default/timing.json", lambda found: found.update(unavailable="too old"))
    assert left_out(results_at(folder).rows) == {}


def test_a_likelihood_of_other_weights_is_not_shown(folder: Path) -> None:
    for weights, known in (("0d" * 32, True), ("0e" * 32, False)):
        found = {"bits_per_dim": 3.1, "standard_error": 0.1, "images": 50, "model_sha256": weights}
        write_json(folder / "ddpm/seed0/final/likelihood.json", found)
        rows = results_at(folder).rows
        assert ("bits_per_dim" in rows and bool(rows["bits_per_dim"].notna().any())) == known


def test_all_rows_of_older_options_or_of_a_first_stage_trained_again_have_no_numbers(folder: Path) -> None:
    edit(folder / "preflight.json", lambda found: found["models"]["ddpm"].update(first_stage="vae"))
    edit(folder / "ddpm/seed0/training.json", lambda found: found.update(first_stage_sha256="0e" * 32))
    ((reason, rows),) = left_out(results_at(folder).rows).items()
    assert reason.startswith("its training is on other weights of vae")
    assert rows == [f"ddpm/seed0/{name}" for name in FEW["ddpm"][2]]
    edit(folder / "ddpm/seed0/training.json", lambda found: found.update(first_stage_sha256="0d" * 32))
    assert left_out(results_at(folder).rows) == {}
    longer = {"steps": 700}
    edit(folder / "preflight.json", lambda found: found["models"]["vae"]["spec"]["training"].update(longer))
    why = left_out(results_at(folder).rows)
    assert sorted(map(len, why.values())) == [1, len(FEW["ddpm"][2])]
    assert [reason for reason in why if reason.startswith("its training is on another version of vae")]
    edit(folder / "preflight.json", lambda found: found["models"]["vae"]["spec"]["training"].update(steps=600))
    edit(folder / "preflight.json", lambda found: found["evaluation"].update(options={"kid_subsets": 7}))
    assert sum(map(len, left_out(results_at(folder).rows).values())) == 5


def test_newer_metrics_count_while_those_of_the_real_images_are_still_to_be_made_again(folder: Path) -> None:
    edit(folder / "real/metrics.json", lambda found: found.update(provenance={"time": "2024-01-01"}))
    edit(folder / f"{DRAW}/metrics.json", lambda found: found.update(reference_sha256="0e" * 32))
    assert left_out(results_at(folder).rows) == {}


def test_the_command_says_which_rows_a_record_leaves_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / DRAW / "metrics.json").write_text("")
    shutil.rmtree(folder / "gan/seed0")
    command(folder, tmp_path / "r.json")
    said = capsys.readouterr()
    assert "3 rows of demo" in said.out
    assert said.err.startswith(
        "left out: vae/seed0/default: its result cannot be read: vae/seed0/final/default/metrics"
    )
    assert "gan" not in said.err  # its training has not begun
