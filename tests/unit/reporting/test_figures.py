"""Published figures of an entry's recipe, beside ours."""

import json
from pathlib import Path

import pytest
from made_up import EVIL, MODELS, check_page, render, report_of, write_results

from genbench.files.artifacts import read_json, write_json

FEW = {name: MODELS[name] for name in ("vae", "ddpm")}
SOURCE = "Ho et al. 2020, arXiv 2006.11239"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results with published figures, one of which has no counterpart yet."""
    folder = write_results(tmp_path, models=FEW, seeds=(0, 1))
    plan = read_json(folder / "preflight.json")
    figures = [
        {"quantity": "fd_classifier", "value": 11.47, "sampler": "ddpm-100"},
        {"quantity": "seconds", "value": 4920, "images": 1024, "sampler": "dpm-solver-10", "note": EVIL},
        {"quantity": "training_seconds", "value": 100, "sampler": "ddpm-100"},
        {"quantity": "loss", "value": 0.0532, "sampler": "ddpm-100"},
        {"quantity": "fd_classifier", "value": 20, "sampler": "ddpm-100", "checkpoint": "step-7"},
    ]
    plan["models"]["ddpm"]["published"] = [{"source": SOURCE, **figure} for figure in figures]
    write_json(folder / "preflight.json", plan)
    return folder


def test_each_figure_stands_beside_ours_with_the_difference(folder: Path) -> None:
    fd, time, training, loss, nothing = report_of(folder).figures
    assert (fd.quantity, fd.of) == ("FD-classifier (2k)", "ddpm-100")
    assert (fd.published, fd.here, fd.difference) == ("11.47", "11.95", "+0.48")  # the mean of 11.7 and 12.2
    assert (time.quantity, time.published) == ("Time for 1,024 images", "1:22:00")
    assert (time.here, time.difference) == ("8.93 s", "−1:21:51")  # from 436 s for 50,000 images
    assert (training.published, training.here, training.difference, training.of) == (
        "0:01:40",
        "0:02:28",
        "+47.5 s",
        "",
    )
    run = [json.loads(line) for line in (folder / "ddpm/seed0/history.jsonl").read_text().splitlines()]
    other = [json.loads(line) for line in (folder / "ddpm/seed1/history.jsonl").read_text().splitlines()]
    # The last epoch has 4,000 / 64 = 62.5 steps: the lines from step 540 on.
    last = [line["losses"]["denoiser"] for line in [*run, *other] if line["step"] >= 540 and "losses" in line]
    assert len(last) == 14
    assert loss.here == f"{sum(last) / 14:.4f}"
    assert (nothing.of, nothing.published, nothing.here, nothing.difference) == ("ddpm-100, 7 steps", "20", "", "")


def test_the_page_has_them_where_there_are_some(folder: Path, tmp_path: Path) -> None:
    page = check_page(render(folder) / "demo.html")
    assert "Published numbers" in page.text
    assert "11.47 11.95 +0.48 Ho et al. 2020, arXiv 2006.11239" in page.text
    without = write_results(tmp_path / "other", models=FEW)
    assert not report_of(without).figures
