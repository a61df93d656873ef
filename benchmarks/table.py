"""Measurements, kept line by line as they come, and the newest of them as a Markdown table."""

import json
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmarks.comparison import Work
from genbench.machine.devices import device_label

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
BEGIN, END = "<!-- written by python -m benchmarks -->", "<!-- until here -->"


def machine() -> str:
    """The processor's name."""
    return re.sub(r"^CPU \((.+), \d+ threads?\)$", r"\1", device_label(torch.device("cpu")))


def results_file() -> Path:
    """The file for this kind of machine."""
    return RESULTS / f"{re.sub(r'[^a-z0-9]+', '-', f'cpu {machine()}'.lower()).strip('-')}.jsonl"


def commit(checkout: Path = ROOT) -> str:
    """A checkout's commit, with "+changes" if files differ from it, other than those that this program writes."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True)
    changed = ["git", "diff", "--quiet", "HEAD", "--", ".", ":!benchmarks/results", ":!docs/speed.md"]
    if head.returncode:
        return "unknown"
    return head.stdout.strip()[:12] + ("+changes" if subprocess.run(changed, cwd=checkout).returncode else "")


def circumstances(before: Path | None) -> dict[str, Any]:
    """What a row depends on besides the timed code. before: checkout of an earlier genbench, if there is one."""
    return {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "packages": {name: metadata.version(name) for name in ("torch", "numpy", "scipy")},
        "commit": commit(),
        "before": commit(before) if before else None,
        "start": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def keep(row: dict[str, Any]) -> None:
    """Append a row at once: a run that is cut short loses nothing."""
    path = results_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def newest() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """By file of a kind of machine, and by work, the rows of its last measurement there."""
    machines: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for path in sorted(RESULTS.glob("cpu-*.jsonl")):
        found: dict[str, list[dict[str, Any]]] = {}
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            same = [other for other in found.get(row["name"], []) if other["start"] == row["start"]]
            found[row["name"]] = [*same, row]
        machines[path.stem] = found
    return machines


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def markdown(works: Sequence[Work], missing: dict[str, str]) -> str:
    """A table for each kind of machine with rows of these works, then the works that no machine has measured.

    missing: by name, why a work was not measured now.
    """
    kept = newest()
    parts = [_table(works, found) for found in kept.values() if any(work.name in found for work in works)]
    missed = [
        f"- {work.title}, beside {work.peer}, was "
        f"not measured: {missing.get(work.name, 'only on request' if work.on_request else 'not asked for')}"
        for work in works
        if not any(work.name in found for found in kept.values())
    ]
    return "\n\n".join([*parts, "\n".join(missed)]).rstrip()


def _table(works: Sequence[Work], found: dict[str, list[dict[str, Any]]]) -> str:
    """The works measured on one kind of machine, one row per precision, then the machine, versions and commits."""
    lines = [
        "| work | peer | genbench in | batch | peer takes | genbench takes | ratio | of the rounds | at 8ba2e59 | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for work in works:
        for row in found.get(work.name, []):
            times = f"{_seconds(row['theirs'])} | {_seconds(row['ours'])}"
            ratio = f"**{row['ratio']:.2f}** | {row['low']:.2f}-{row['high']:.2f}"
            batch = row["batch_size"] or ""
            lines.append(
                f"| {work.title} | {work.peer} | {row['precision']} | {batch} | {times} | {ratio} | {work.before} "
                f"| {row['remark']} |"
            )
    return "\n".join([*lines, "", _made_on([row for work in works for row in found.get(work.name, [])])])


def _made_on(rows: Sequence[dict[str, Any]]) -> str:
    """Under a table: the machine, the versions and the commits."""
    versions: dict[str, set[str]] = {}
    for row in rows:
        for name, version in row["packages"].items():
            versions.setdefault(name, set()).add(version)
    stated = ", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items()))
    commits, before = (sorted({row[key] for row in rows if row[key]}) for key in ("commit", "before"))
    days = sorted({row["start"][:10] for row in rows})
    ours = f"genbench {', '.join(commits)}" + (f" beside {', '.join(before)}" if before else "")
    return f"{rows[0]['machine']}, {rows[0]['threads']} thread; {ours}; {', '.join(days)}; {stated}."


def write(path: Path, table: str) -> None:
    """Put the table between the two marks of a document."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"error: {path}: found no lines '{BEGIN}' and '{END}', between which the table goes")
    path.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", encoding="utf-8")
