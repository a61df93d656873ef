"""What a run prints when it ends: the best rows of each suite and where the report is, or what failed and how to go on.

It reads results/report/SUITE.json without pandas, since a user waits for it.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from genbench.files.artifacts import read_json
from genbench.reporting.columns import NFE, TIME, metric_columns, own_metrics
from genbench.reporting.numerals import count

SHOWN = 3  # rows of each suite
LAST = 5  # lines of a failed job's log


class FailedJob(NamedTuple):
    """A job that failed: its rule, the label of its output, and its logs."""

    rule: str
    label: str
    logs: Sequence[str]


def ranking(summary: Mapping[str, Any]) -> list[tuple[str, dict[str, float]]]:
    """The rows of a suite's summary, best first by its headline: their names, and their means over training seeds.

    As in the report's table, rows that start from real images come last. Rows with identical images are merged under
    all their names.
    """
    headline = metric_columns([summary["headline"]], own=own_metrics(summary))[0]
    draws: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in summary["rows"]:
        draws[row["model"], row["checkpoint"], row["sampler"]].append(row)
    several = {model: sum(other == model for other, _, _ in draws) > 1 for model, _, _ in draws}
    sign = -1 if headline.direction == "higher" else 1
    ranked = []
    names: dict[object, list[str]] = defaultdict(list)  # by the hashes of the images
    for draw, rows in draws.items():
        first = rows[0]
        name = f"{first['label']}, {first['sampler_label']}" if several[draw[0]] else first["label"]
        means = {
            key: fmean(row[key] for row in rows if key in row)
            for key in (headline.key, NFE.key, TIME.key)
            if any(key in row for row in rows)
        }
        hashes = tuple(sorted(row.get("samples_sha256", "") for row in rows))
        images = hashes if all(hashes) else draw
        names[images].append(name)
        if len(names[images]) > 1:
            continue
        last = not first.get("generates", True), headline.key not in means
        ranked.append((*last, sign * means.get(headline.key, 0.0), images, means))
    ranked.sort(key=lambda row: row[:3])
    return [
        (" = ".join(names[images]) + " (identical samples)" * (len(names[images]) > 1), means)
        for *_, images, means in ranked
    ]


def made(report: Path, suites: Iterable[str]) -> str:
    """The message of a finished run: the best rows of its suites, and the page to open. `report` is results/report."""
    lines = []
    for suite in suites:
        path = report / f"{suite}.json"
        if not path.exists():
            continue
        summary = read_json(path)
        if "kind" in summary:  # of another kind than images
            lines += ["", f"{suite}: {summary['title']}", *summary["lines"]]
            continue
        samples, dataset, own = summary.get("num_samples"), summary.get("dataset"), own_metrics(summary)
        headline = metric_columns([summary["headline"]], samples, dataset, own)[0]
        rows = ranking(summary)
        models = len({row["model"] for row in summary["rows"]})
        number = len({(row["model"], row["checkpoint"], row["sampler"]) for row in summary["rows"]})
        counts = f"{models} {'model' if models == 1 else 'models'}, {number} {'row' if number == 1 else 'rows'}"
        lines += ["", f"{suite}: {summary['title']} ({counts})"]
        best = [(name, means) for name, means in rows if headline.key in means][:SHOWN]
        width = max([len(name) for name, _ in best], default=0)
        for place, (name, means) in enumerate(best, start=1):
            parts = [f"{headline.label} {headline.text(means[headline.key] * headline.scale)}"]
            parts += [f"{TIME.text(means[TIME.key])} for 50k images"] if TIME.key in means else []
            parts += [f"NFE {count(means[NFE.key])}"] if NFE.key in means else []
            lines.append(f"  {place}. {name:<{width}}  {', '.join(parts)}")
        lines += [f"  without numbers: {line}" for line in without_numbers(summary["rows"])]
    lines += ["", f"The report:  {report.resolve() / 'index.html'}"]
    tables = ", ".join(f"{suite}.csv" for suite in suites if (report / f"{suite}.csv").exists())
    return "\n".join([*lines, f"Its numbers: {tables} beside it"] if tables else lines)


def without_numbers(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Which models or seeds have no numbers, and why; one line if many have the same reason."""
    rows = list(rows)
    drawn = {(row["label"], row["seed"]) for row in rows if not row.keys() & {"missing", "unavailable"}}
    # An unavailable scheme is no row without numbers if its float32 original has some.
    rows = [row for row in rows if "unavailable" not in row or (row["label"], row["seed"]) not in drawn]
    rows = [{**row, "missing": row.get("missing", row.get("unavailable"))} for row in rows]
    finished = {row["label"] for row in rows if row["missing"] is None}
    found: dict[str, dict[str, set[int]]] = {}  # by reason and label: the seeds
    for row in rows:
        if row["missing"] is not None:
            found.setdefault(row["missing"], {}).setdefault(row["label"], set()).add(row["seed"])
    for reason, labels in found.items():
        names = [
            f"{label}, seed {', '.join(map(str, sorted(seeds)))}" if label in finished else label
            for label, seeds in labels.items()
        ]
        if len(names) > SHOWN:
            yield f"{names[0]} and {len(names) - 1} other models: {reason}"
        else:
            yield from (f"{name}: {reason}" for name in names)


def failed(jobs: Iterable[FailedJob], report: Path | None = None, again: str | None = None) -> str:
    """The message of a failed run: its failed jobs with reasons and logs, and how to go on; no jobs: it was stopped.

    report: the first page of the report of what there is, if it could be made. again: the command that goes on, if
    known.
    """
    lines, reasons = [""], []
    for job in sorted(jobs):
        reasons.append(reason(job.logs))
        lines.append(f"Failed: {job.rule} {job.label}".rstrip())
        lines += [f"  {reasons[-1]}"] if reasons[-1] else []
        lines += [f"  | {line}" for line in ending(job.logs) if line != reasons[-1]]
        lines += [f"  its log: {os.path.abspath(log)}" for log in job.logs]
    if not reasons:
        lines.append("Stopped before the end.")
    if report is not None:
        lines.append(f"The report of what there is:  {report.resolve()}")
    if any(reasons):
        lines.append(
            "What is finished is kept. A job with a reason fails again until that has changed: mend it, or take its "
            "entry out of the suite. Then the same command does the rest, and with --keep-going all other jobs."
        )
    else:
        lines.append(
            "What is finished is kept, and a training goes on from its last save: "
            "run the same command again to continue."
        )
    return "\n".join([*lines, f"To go on: {again}"] if again else lines)


def ending(logs: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The last lines of the first of these logs that can be read."""
    for log in logs:
        try:
            lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        return [line.rstrip() for line in lines if line.strip()][-LAST:]
    return []


def reason(logs: Iterable[str | os.PathLike[str]]) -> str | None:
    """The error at the end of a job's log; None if there is none, as after a kill."""
    last = "".join(ending(logs)[-1:])
    return last if re.match(r"(error|[\w.]+(Error|Exception)): ", last) else None
