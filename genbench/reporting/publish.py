"""Write the report of a suite, and the index over every suite that has one."""

import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from genbench.errors import InputError
from genbench.files.artifacts import atomic_path, read_json, write_json
from genbench.references.files import packaged, read_reference, write_reference
from genbench.reporting.cells import seen
from genbench.reporting.drawing import Plot, characters_of, pdf_file, svg_file
from genbench.reporting.kept import Kept
from genbench.reporting.page import render_index, render_report
from genbench.reporting.recorded import record_of
from genbench.reporting.report import FORMAT, Report
from genbench.reporting.results import read_results

log = logging.getLogger(__name__)

SCORES = ("metrics.json", "perplexity.json")  # a report needs at least one of them
KEPT = ".report"  # a folder below the results: the cache of pictures and plots of the suite's page


def publish(preflight: Path, results: Path, out_dir: Path, template_dir: Path, reference: Path | None = None) -> None:
    """Write {suite}.html, {suite}.csv (the whole tidy table) and {suite}.json (what the index needs).

    The folder {suite}/ beside them gets, for a paper, the comparison as comparison.csv, .json, .tex and .md, and every
    plot as PDF and SVG in plots/; and record.json, with which others can compare their results.

    reference: the record that the page compares with; by default the one that comes with genbench, if there is one.
    Raises InputError, which names the file, for a missing file.
    """
    found = read_results(preflight, results)
    suite = found.preflight.suite
    if Path(suite).name != suite or suite == "index":
        raise InputError(
            f"{preflight}: suite: found {suite!r}, expected a name that a file can have, other than 'index'"
        )
    kept = Kept(results / KEPT)
    record = reference or packaged(suite)
    report = Report(found, results, kept, out_dir, read_reference(record, suite) if record else None)
    write_text(out_dir / f"{suite}.html", render_report(report, template_dir))
    lists = {key: found.rows[key].map(" | ".join) for key in ("warnings", "remarks") if key in found.rows}
    groups = [key for key in found.rows if str(key).endswith("_without")]  # long lists, which the intervals summarise
    table = found.rows.drop(columns=groups).assign(**lists)
    write_text(out_dir / f"{suite}.csv", table.to_csv(index=False))
    write_json(out_dir / f"{suite}.json", report.summary())
    write_reference(out_dir / suite / "record.json", record_of(found))
    for kind, text in report.exports.items():
        write_text(out_dir / suite / f"comparison.{kind}", text)
    write_plots(report.plots, out_dir / suite / "plots", kept)
    kept.forget()
    if without := len(seen(found.rows, "missing")):
        log.warning("%s: %d of %d rows have no numbers; each states its reason", suite, without, len(found.rows))
    log.info("%s: %d rows; the page is %s", suite, len(found.rows), out_dir / f"{suite}.html")


def publish_unfinished(
    sources: Mapping[str, Sequence[Path]],
    results: Path,
    out_dir: Path,
    template_dir: Path,
    others: Mapping[str, Callable[[], None]] | None = None,
) -> Path | None:
    """Publish the existing results of suites whose run has failed, and an index.

    sources: by suite, the files that its report is made from, of which some exist. results: the folder of all suites.
    others: by suite, what publishes it if it is not of images. Returns the path of the index, or None if there is no
    page. Each page gets a time stamp older than its sources: Snakemake, which did not make it, takes it for outdated.
    """
    published = []
    for suite, paths in sources.items():
        there = [path for path in paths if path.exists()]
        if not any(path.name in SCORES for path in there):
            continue
        try:
            if others and suite in others:
                others[suite]()
            else:
                publish(results / suite / "preflight.json", results / suite, out_dir, template_dir)
        except InputError as error:
            log.warning("no report of %s: %s", suite, error)
            continue
        page = out_dir / f"{suite}.html"
        before_all = min(path.stat().st_mtime for path in there) - 1
        os.utime(page, (before_all, before_all))
        published.append(page)
    if not published:
        return None
    publish_index(out_dir, template_dir)
    return out_dir / "index.html"


def write_plots(plots: Mapping[str, Plot], folder: Path, kept: Kept) -> None:
    """Write plots as PDF and SVG into a folder and delete all others there. A PDF is made once for each SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.suffix in (".pdf", ".svg") and path.stem not in plots:
            path.unlink()
    characters = characters_of(plots.values())
    for name, plot in plots.items():
        svg = svg_file(plot)
        write_text(folder / f"{name}.svg", svg)
        with atomic_path(folder / f"{name}.pdf") as temporary:
            draw = functools.partial(pdf_file, plot, characters)
            temporary.write_bytes(kept.get(draw, svg, characters, matplotlib.__version__))


def publish_index(out_dir: Path, template_dir: Path) -> None:
    """Write index.html over all suites published in a folder; for a single suite, a copy of its page.

    Raises InputError for a folder without any.
    """
    summaries = read_summaries(out_dir)
    if not summaries:
        raise InputError(f"{out_dir}: found no suite's summary, expected SUITE.json from render_report.py")
    if len(summaries) == 1:
        page = (out_dir / f"{summaries[0]['suite']}.html").read_text(encoding="utf-8")
    else:
        page = render_index(summaries, template_dir)
    write_text(out_dir / "index.html", page)
    log.info("the first page of %d suites is %s", len(summaries), out_dir / "index.html")


def read_summaries(out_dir: Path) -> list[Mapping[str, Any]]:
    """The summaries in a folder, in the order of their names. Other JSON files are skipped with a warning."""
    summaries: list[Mapping[str, Any]] = []
    for path in sorted(out_dir.glob("*.json")):
        try:
            summary = read_json(path)
        except InputError as error:  # perhaps a file of the user's, which must not stop the other pages
            log.warning("%s; left out of the index", error)
            continue
        if isinstance(summary, dict) and summary.get("format") == FORMAT:
            summaries.append(summary)
        else:
            log.warning("%s is not a summary that this version can read; left out of the index", path)
    return summaries


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically. A lone surrogate, which cannot be encoded, becomes a question mark."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")
