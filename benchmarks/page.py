"""The page of a suite with many rows, compared with an earlier version: made-up results, five samplers per model."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.comparison import Comparison, Setting, Work
from benchmarks.table import ROOT

SAMPLERS = 5
FAMILIES = ("GAN", "VAE", "Diffusion", "DDGAN", "Cold diffusion", "DiffuseVAE")


def write_rows(folder: Path, rows: int) -> Path:
    """Results of so many rows, as the rules write them, with random numbers; returns results/{suite}."""
    sys.path.append(str(ROOT / "tests/support"))
    from made_up import write_results  # from the tests

    random = np.random.default_rng(0)
    models = {}
    for number in range(rows // SAMPLERS):
        family = FAMILIES[number % len(FAMILIES)]
        samplers = {
            f"sampler-{place}": (
                int(random.integers(1, 1000)),
                float(np.exp(random.uniform(2, 9))),
                float(np.exp(random.uniform(1.5, 5))),
                random.uniform(0.4, 0.9),
                random.uniform(0.3, 0.8),
            )
            for place in range(SAMPLERS)
        }
        models[f"model-{number:03}"] = (f"{family} {number}", family, samplers, {"network": 1_000_000 + number}, [])
    coarse = random.integers(0, 256, (300, 4, 4), dtype=np.uint8)
    smooth = [np.asarray(Image.fromarray(image).resize((28, 28), Image.Resampling.BICUBIC)) for image in coarse]
    return write_results(folder, models=models, images=np.stack(smooth))


def render(checkout: Path, results: Path, out: Path) -> Callable[[], int]:
    """Make the page with a checkout, for the first time; returns its bytes."""

    def run() -> int:
        shutil.rmtree(results / ".report", ignore_errors=True)  # kept by an earlier round
        command = [sys.executable, checkout / "scripts/render_report.py", "--preflight", results / "preflight.json"]
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        where = "--report" if checkout == ROOT else "--out-dir"  # as it was called at 8ba2e59
        subprocess.run([*command, where, out], cwd=checkout, env=environment, capture_output=True, check=True)
        return (out / "demo.html").stat().st_size

    return run


def page(setting: Setting, rows: int) -> Comparison:
    before, results = setting.earlier(), write_rows(setting.folder / f"rows-{rows}", rows)
    return Comparison(
        theirs=render(before, results, setting.folder / "pages-before"),
        ours={"": render(ROOT, results, setting.folder / "pages")},
        rounds=1,
        warm_up=False,
        remark=lambda theirs, ours: f"{theirs / 1e6:.1f} and {ours / 1e6:.1f} MB",
    )


WORKS = tuple(
    Work(
        f"page-{rows}",
        f"the page of {rows} rows",
        "the build of 8ba2e59",
        functools.partial(page, rows=rows),
        before="1",
        on_request=rows > 200,
    )
    for rows in (100, 200, 500)
)
