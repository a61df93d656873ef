"""A run's output while it runs and at its end."""

import io
import itertools
import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genbench.machine import progress
from genbench.machine.progress import Progress
from genbench.records.plan import Plan
from genbench.reporting.outcome import FailedJob, failed, made, ranking, reason, without_numbers
from genbench.reporting.stops import Stop
from genbench.suites.cost_table import show

ROOT = Path(__file__).parents[2]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The current time in seconds, as a list of one number that the test increases."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_lines_and_never_a_bar(
    clock: list[float], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    caplog.set_level(logging.INFO)
    with Progress(1000, "steps", initial=200) as steps:
        for _ in range(240):
            clock[0] += 0.125
            steps.note("loss 0.5")
            steps.update()
    # Eight new steps per second: 80 after ten seconds, and 720 are left.
    assert caplog.messages == [
        "280 of 1,000 steps (28%), loss 0.5, 0:01:30 left",
        "360 of 1,000 steps (36%), loss 0.5, 0:01:20 left",
        "440 of 1,000 steps (44%), loss 0.5, 0:01:10 left",
    ]
    assert written.getvalue() == ""


def test_the_lines_of_a_long_job_become_rare(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    long = Progress(86_400, "steps")
    moments = []
    for _ in range(86_400):  # a day, at one step per second
        clock[0] += 1
        before = len(caplog.messages)
        long.update()
        if len(caplog.messages) > before:
            moments.append(clock[0] - 100)
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert moments[0] == 10
    assert max(gaps) == 600
    assert 100 < len(moments) < 250


def test_a_terminal_gets_a_bar_and_no_lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(progress, "FIRST", 0.0)
    assert list(Progress(3, "images", name="test").over("abc")) == ["a", "b", "c"]
    assert "test: 100%" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
    assert caplog.messages == []


def test_an_unknown_total_is_left_out(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    unknown = Progress(None, "bytes", name="file")
    clock[0] += 11
    unknown.update(2048)
    assert caplog.messages == ["file: 2,048 bytes"]


def row(model: str, sampler: str, seed: int, value: float | None, **others: Any) -> dict[str, Any]:
    base = {"model": model, "label": model.upper(), "checkpoint": "final", "sampler": sampler, "seed": seed}
    measured = {} if value is None else {"fd_classifier": value}
    return base | {"sampler_label": sampler, "nfe": 10, "seconds_per_50k": 90.0, "generates": True} | measured | others


ROWS = [
    row("gan", "default", 0, 30.0),
    row("gan", "default", 1, 10.0),  # the mean is 20
    row("ddpm", "few", 0, 25.0),
    row("ddpm", "many", 0, 12.345),
    row("copy", "default", 0, 0.5, generates=False),
    row("broken", "default", 0, None),
]


def summary(**changes: Any) -> dict[str, Any]:
    return {"suite": "toy", "title": "Toys", "headline": "fd_classifier", "num_samples": 1000, "rows": ROWS} | changes


def test_rows_are_ranked_by_their_mean_and_copies_come_last() -> None:
    ranked = ranking(summary())
    assert [name for name, _ in ranked] == ["DDPM, many", "GAN", "DDPM, few", "BROKEN", "COPY"]
    assert ranked[1][1]["fd_classifier"] == 20
    higher = [row("a", "x", 0, None, classifier_score=1.0), row("b", "x", 0, None, classifier_score=9.0)]
    assert [name for name, _ in ranking(summary(headline="classifier_score", rows=higher))] == ["B", "A"]


def test_rows_of_the_same_images_are_ranked_as_one(tmp_path: Path) -> None:
    rows = [row("a", "x", 0, 3.0, samples_sha256="aa"), row("b", "x", 0, 3.0, samples_sha256="aa"), ROWS[3], ROWS[4]]
    found = summary(rows=rows)
    assert [name for name, _ in ranking(found)] == ["A = B (identical samples)", "DDPM", "COPY"]
    (tmp_path / "toy.json").write_text(json.dumps(found))
    text = made(tmp_path, ["toy"])
    assert "(4 models, 4 rows)" in text
    assert "  1. A = B (identical samples)  FD-classifier (1k) 3.00" in text
    assert "  2. DDPM  " in text
    twins = [row("a", "x", 0, 3.0, label="Same"), row("b", "x", 0, 4.0, label="Same")]
    assert [name for name, _ in ranking(summary(rows=twins))] == ["Same", "Same"]  # their images are not known


def test_the_end_names_the_best_rows_and_the_report(tmp_path: Path) -> None:
    (tmp_path / "toy.json").write_text(json.dumps(summary()))
    (tmp_path / "toy.csv").write_text("")
    text = made(tmp_path, ["toy", "other"])
    lines = text.splitlines()
    assert "toy: Toys (4 models, 5 rows)" in lines
    assert "  1. DDPM, many  FD-classifier (1k) 12.3, 0:01:30 for 50k images, NFE 10" in lines
    assert "  2. GAN         FD-classifier (1k) 20.0, 0:01:30 for 50k images, NFE 10" in lines
    assert f"The report:  {tmp_path / 'index.html'}" in lines
    assert "Its numbers: toy.csv beside it" in lines


def test_a_failure_names_rule_model_log_and_the_way_on() -> None:
    text = failed([FailedJob("train", "toy/gan/seed0", ["results/toy/gan/seed0/logs/train.log"])])
    assert "Failed: train toy/gan/seed0\n" in text
    assert f"  its log: {Path('results/toy/gan/seed0/logs/train.log').absolute()}\n" in text
    assert "run the same command again" in text
    assert "Stopped" not in text
    assert "Stopped before the end.\n" in failed([])


def test_a_failure_with_a_reason_is_not_to_be_repeated(tmp_path):
    logs = [tmp_path / name for name in ("diverged", "killed", "crashed", "mended")]
    for path, text in zip(
        logs,
        (
            "22:45 step 3\nerror: the loss is not finite at step 4\n\n",
            "22:45 step 3\n",
            "Traceback\n  File\ntorch.OutOfMemoryError: CUDA out of memory\n",
            "error: from an earlier attempt\n22:47 step 4\n",
        ),
        strict=True,
    ):
        path.write_text(text)
    found = [FailedJob("train", path.name, [path]) for path in logs]
    assert [reason(job.logs) for job in found] == [
        "error: the loss is not finite at step 4", None, "torch.OutOfMemoryError: CUDA out of memory", None
    ]  # fmt: skip
    assert reason([tmp_path / "absent"]) is None
    text = failed(found[:1], tmp_path / "index.html")
    assert "Failed: train diverged\n  error: the loss is not finite at step 4\n" in text
    assert f"The report of what there is:  {tmp_path / 'index.html'}\n" in text
    assert "fails again until that has changed" in text
    assert "  | 22:45 step 3\n" in text  # the end of its log, without the reason
    assert text.count("the loss is not finite") == 1
    assert failed(found[:1], again="snakemake --cores 2").endswith("\nTo go on: snakemake --cores 2")
    assert "to continue" not in text
    text = failed(found[1:2])
    assert "run the same command again to continue" in text
    assert "fails again" not in text


def test_a_stop_reads_as_a_stop() -> None:
    said, log = [], logging.Logger("snakemake")
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    log.addFilter(stop := Stop())
    log.error("Error in rule train:")
    assert not stop.seen
    log.info("Terminating processes on user request, this might take some time.")
    log.error("Error in rule sample:")
    log.info("Complete log(s): x")
    assert stop.seen
    assert said == [
        "Error in rule train:", "Stopping: jobs save what they have, which may take a minute.", "Complete log(s): x"
    ]  # fmt: skip


def test_every_rule_says_in_one_line_what_it_does() -> None:
    for path in (ROOT / "rules").glob("*.smk"):
        for name, body in re.findall(r"(?ms)^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text()):
            assert re.search(rf'^    message:\n        f?"{name}\b[^"\n]*"$', body, re.MULTILINE), (
                f"{path.name}: {name}"
            )


def test_the_end_of_a_run_loads_nothing_heavy() -> None:
    code = "import genbench.reporting.outcome, sys; assert 'pandas' not in sys.modules and 'torch' not in sys.modules"
    job = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert job.returncode == 0, job.stderr


def test_the_table_of_preflight_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {"nfe": 1000, "flops_per_nfe": 6_952_320, "flops_per_image": 13_904_640}
    model = {
        "parameters": {"denoiser": 35_746_307},
        "samplers": {"dpm-solver-10": costs},
        "training_memory_bytes": 9_020_000,
    }
    plan = Plan(suite="toy", title="With [red]brackets[/red]", seeds=[0], headline="fd", models={"autoencoder": model})
    for columns, memory in ((80, False), (160, True)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("COLUMNS", str(columns))
        show(plan)
        text = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue())
        assert max(map(len, text.splitlines())) <= columns
        for cell in ("autoencoder", "dpm-solver-10", "35.7 M", "1000", "13.9 M", "With [red]brackets[/red]"):
            assert cell in text
        assert ("9.02 MB" in text) == memory


def test_models_without_numbers_are_one_line_each_until_many_have_the_same_reason():
    rows = [{"label": label, "seed": seed, "missing": "not begun"} for label in "ab" for seed in (0, 1)]
    rows += [{"label": "c", "seed": 0}, {"label": "c", "seed": 1, "missing": "not begun"}]
    assert list(without_numbers(rows)) == ["a: not begun", "b: not begun", "c, seed 1: not begun"]
    rows += [{"label": "d", "seed": 0, "missing": "not begun"}, {"label": "e", "seed": 0, "missing": "failed"}]
    assert list(without_numbers(rows)) == ["a and 3 other models: not begun", "e: failed"]
    refused = {"label": "f", "seed": 0, "unavailable": "f.npz: found 56x56 pixels"}
    assert list(without_numbers([*rows, refused]))[-1] == "f: f.npz: found 56x56 pixels"
    scheme = {"label": "c", "seed": 0, "unavailable": "torchao is not installed"}  # beside numbers of the same training
    assert list(without_numbers([*rows, scheme])) == list(without_numbers(rows))
