"""Make a suite's section of docs/results-gallery.md: plots, first samples of every family at each budget, and costs.

Needs the results, report and reference/{suite}.json of each suite, and Chromium on the PATH. Sections of other suites
stay. Pictures are WebP, less than 1 MB in total.
"""

import argparse
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from PIL import Image

from genbench.errors import InputError
from genbench.machine.command_line import run
from genbench.records.reference import RecordedDraw, Reference
from genbench.references.files import read_reference
from genbench.references.verdicts import mean
from genbench.reporting.numerals import count, duration
from genbench.reporting.pictures import first_tiles, read_grid
from genbench.reporting.reproduced import column_of
from tools.picture import photograph
from tools.reference_results import best_rows, budgets_of, caption, name_of

ROOT = Path(__file__).parents[1]
PAGE, PICTURES = ROOT / "docs" / "results-gallery.md", ROOT / "docs" / "images" / "gallery"
PLOTS = ("quality-against-the-flops-of-training", "quality-against-the-seconds-of-training", "quality-against-time")
TILES = 10  # samples per row
LARGEST = 1_000_000  # bytes of all pictures
HEAD = """# Results: a gallery

What the suites with reference results look like. The numbers are in `reference/{suite}.json`;
`genbench verify results/{suite}` compares yours with them ([records](records.md)).
`tools/gallery.py` makes the section of a suite from its results.
"""
SECTION = re.compile(r"^## .*?^genbench run (?P<suite>\S+)$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, metavar="results/SUITE")
    args = parser.parse_args()
    sections = sections_of(PAGE.read_text(encoding="utf-8"))
    for path in args.results:
        record = read_reference(ROOT / "reference" / f"{path.name}.json", path.name)
        sections[path.name] = "\n".join(section(path, record))
    size = sum(path.stat().st_size for path in PICTURES.rglob("*.webp"))
    if size > LARGEST:
        raise InputError(f"{PICTURES}: found {size:,} bytes, expected at most {LARGEST:,}")
    PAGE.write_text("\n".join([HEAD, *sections.values()]), encoding="utf-8")


def sections_of(page: str) -> dict[str, str]:
    """The sections of the page, by suite."""
    return {found["suite"]: found[0].rstrip("\n") + "\n" for found in SECTION.finditer(page)}


def section(results: Path, record: Reference) -> Iterator[str]:
    """One suite: the command that makes it, its cost, its plots, and samples of every family; replaces its pictures."""
    shutil.rmtree(PICTURES / results.name, ignore_errors=True)
    (PICTURES / results.name).mkdir(parents=True)
    yield f"## {record.title or record.suite}\n"
    yield f"```bash\ngenbench run {record.suite}\n```\n"
    yield f"{cost(results, record)}\n"
    yield from plots(results)
    found = best_rows(record)
    if found:
        yield from strips(results, record, found)


def cost(results: Path, record: Reference) -> str:
    """The cost of the jobs behind the results, as Snakemake measured each."""
    tables = [pd.read_csv(path, sep="\t", na_values="-") for path in sorted(results.rglob("benchmarks/*.tsv"))]
    if not tables:
        raise InputError(f"{results}: found no benchmarks/*.tsv, expected those of its jobs")
    jobs = pd.concat(tables)
    devices = sorted({training.device for training in record.trainings if training.device})
    count_of = f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}"
    return (
        f"{len(record.trainings)} trainings and {len(record.draws)} sets of {record.num_samples:,} samples took "
        f"{duration(float(jobs['s'].sum()))}, if one job ran at a time: {count_of} "
        f"on {'; '.join(devices)}."
    )


def plots(results: Path) -> Iterator[str]:
    """The plots of quality against cost."""
    folder = results.parent / "report" / results.name / "plots"
    for name in PLOTS:
        source = folder / f"{name}.svg"
        if not source.exists():
            continue
        text = source.read_text(encoding="utf-8")
        size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
        label = re.search(r'aria-label="([^":]*)', text)
        if size is None or label is None:
            raise InputError(f"{source}: found no viewBox and aria-label, expected those of a plot of a report")
        picture = PICTURES / results.name / f"{name}.webp"
        photograph(source, picture, (round(float(size[1]) * 4 / 3), round(float(size[2]) * 4 / 3)))
        yield f"![{label[1]}](images/gallery/{results.name}/{picture.name})\n"


def strips(results: Path, record: Reference, found: dict[str, dict[float, list[RecordedDraw]]]) -> Iterator[str]:
    """A table of the first samples of every family's best row at each budget, from the first training."""
    column, budgets = column_of(record, record.headline), budgets_of(found)
    sign = -1 if column.direction == "higher" else 1
    order = sorted(found, key=lambda family: sign * mean(found[family][max(found[family])], record.headline))
    yield f"The first {TILES} samples of each family at {', '.join(map(count, budgets))} FLOPs, from top to bottom:\n"
    yield f"| | samples | {column.label} |\n|---|---|---|"
    for family in order:
        rows = [found[family][budget] for budget in budgets if budget in found[family]]
        if not rows:
            continue
        picture = PICTURES / results.name / f"{re.sub(r'[^a-z0-9]+', '-', family.lower())}.webp"
        stacked([grid_of(results, draws[0]) for draws in rows], record).save(picture, lossless=True, method=6)
        values = "<br>".join(column.text(mean(draws, record.headline) * column.scale) for draws in rows)
        name = name_of(record, family, rows[-1])
        yield f"| {name} | ![Samples of {family}](images/gallery/{results.name}/{picture.name}) | {values} |"
    yield f"\n{caption(record, [draws for of in found.values() for draws in of.values()], times=False)}\n"


def grid_of(results: Path, draw: RecordedDraw) -> Path:
    """The grid of one set of samples."""
    return results / draw.model / f"seed{draw.seed}" / "final" / draw.sampler / "grid.png"


def stacked(grids: list[Path], record: Reference) -> Image.Image:
    """The first samples of several grids, one row below the other."""
    shape = record.dataset.image_shape if record.dataset else None
    rows = [first_tiles(read_grid(path, shape), TILES, shape) for path in grids]
    gap = 2
    height = sum(row.height + gap for row in rows) - gap
    picture = Image.new("RGBA", (max(row.width for row in rows), height))
    top = 0
    for row in rows:
        picture.paste(row, (0, top))
        top += row.height + gap
    return picture


if __name__ == "__main__":
    run(main)
