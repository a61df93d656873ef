"""The whole demo, from a finished installation to the report, and the dry run of a demo that was checked before, both
compared with an earlier version."""

import csv
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.comparison import Comparison, Setting, Work, cpu_seconds
from benchmarks.table import RESULTS, ROOT

QUALITY = "fd_classifier"


def copy_of(checkout: Path, folder: Path) -> Path:
    """The current files that git tracks in a checkout, copied to a folder in which nothing has been run."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (checkout / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, folder / name)
    return folder


def snakemake(folder: Path, *arguments: str) -> str:
    """Run the workflow of a checkout on the suite demo, with all cores of this machine; returns its output."""
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    environment |= {"PYTHONPATH": str(folder), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--resources", "gpu=1", *arguments]
    job = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if job.returncode:
        raise RuntimeError(f"{' '.join(command)} in {folder} failed:\n{job.stdout[-2000:]}")
    return job.stdout


def whole_run(checkout: Path, folder: Path) -> Callable[[], dict[str, Any]]:
    """The demo in a new copy of a checkout: its jobs, the unused share of the cores' time, its rows."""

    def run() -> dict[str, Any]:
        shutil.rmtree(folder, ignore_errors=True)
        copy_of(checkout, folder)
        used, start = cpu_seconds(), time.perf_counter()
        said = snakemake(folder)
        seconds = time.perf_counter() - start
        cores = len(os.sched_getaffinity(0))
        with (folder / "results/report/demo.csv").open(newline="", encoding="utf-8") as file:
            rows = {f"{row['model']} {row['sampler']}": row for row in csv.DictReader(file)}
        jobs = re.search(r"^total +(\d+)$", said, re.MULTILINE)
        idle = 1 - (cpu_seconds() - used) / (cores * seconds)
        return {"jobs": int(jobs[1]) if jobs else 0, "idle": idle, "rows": rows}

    return run


def side_by_side(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """Write the quality of every row to a table beside the results; returns a summary."""

    def cells(row: dict[str, str]) -> str:
        speed = 1e3 / float(row["images_per_second"]) if row.get("images_per_second") else float("nan")
        return f"{float(row.get(QUALITY) or 'nan'):.1f} | {speed:.3g}"

    shared = [name for name in theirs["rows"] if name in ours["rows"]]
    lines = [f"| row | {QUALITY} before | ms per image before | {QUALITY} | ms per image |", "|---|---|---|---|---|"]
    lines += [f"| {name} | {cells(theirs['rows'][name])} | {cells(ours['rows'][name])} |" for name in shared]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "demo.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pairs = [(theirs["rows"][name].get(QUALITY), ours["rows"][name].get(QUALITY)) for name in shared]
    ratios = sorted(float(after) / float(before) for before, after in pairs if before and after)
    return (
        f"{theirs['jobs']} and {ours['jobs']} jobs; cores unused {theirs['idle']:.0%} and {ours['idle']:.0%}; "
        f"{QUALITY} {ratios[0]:.2f} to {ratios[-1]:.2f} times that of before, row by row (demo.md)"
    )


def demo(setting: Setting) -> Comparison:
    return Comparison(
        theirs=whole_run(setting.earlier(), setting.folder / "before"),
        ours={"as the suite says": whole_run(ROOT, setting.folder / "now")},
        rounds=1,
        warm_up=False,
        clock="wall",
        remark=side_by_side,
    )


def dry_run(setting: Setting) -> Comparison:
    folders = copy_of(setting.earlier(), setting.folder / "dry-before"), copy_of(ROOT, setting.folder / "dry")
    before, now = (lambda folder=folder: snakemake(folder, "--dry-run") for folder in folders)
    return Comparison(theirs=before, ours={"": now}, rounds=3)


WORKS = (
    Work("dry-run", "snakemake -n of the demo, which was checked before", "the build of 8ba2e59", dry_run, before="1"),
    Work(
        "demo",
        "the demo, from a finished installation to the report",
        "the build of 8ba2e59",
        demo,
        before="1",
        on_request=True,
    ),
)
