"""The lines of a file of results as Markdown, one table for each kind of work."""

import json
from pathlib import Path
from typing import Any

LABELS = ("phase", "what", "model", "peer", "precision")
# By phase: the head of a column, and the key of the line that it shows; "a.b" is key b of the value of key a.
COLUMNS: dict[str, dict[str, str]] = {
    "equality": {
        "bits": "bits_equal",
        "uniform": "uniform_equal",
        "normal": "normal_equal",
        "resumed": "resumed_equal",
        "run again": "again_equal",
        "largest difference": "largest_difference",
        "any split": "split_equal",
        "grey levels, other batch": "batch_size_grey_levels",
        "grey levels, CPU": "grey_levels",
        "share of pixels": "differing_share",
    },
    "training": {
        "batch": "batch_size",
        "images/s": "images_per_second",
        "without graph": "without_graph",
        "TFLOP/s": "flops_per_second",
        "of the peak": "share_of_peak",
        "peak memory": "peak_memory_bytes",
        "first iteration, s": "first_iteration_seconds",
    },
    "sampling": {
        "batch": "batch_size",
        "images/s": "images_per_second",
        "50,000 in s": "seconds_per_50k",
        "drawn": "images",
        "one image, s": "one_image_seconds",
        "peak memory": "peak_memory_bytes",
        "normal, 500, ms": "normal_500_ms",
        "randn, 500, ms": "randn_500_ms",
        "normal, 1, ms": "normal_1_ms",
        "randn, 1, ms": "randn_1_ms",
    },
    "features": {"batch": "batch_size", "images/s": "images_per_second", "images": "images", "s": "seconds"},
    "peers": {
        "batch": "batch_size",
        "theirs, images/s": "images_per_second.theirs",
        "tf32": "images_per_second.tf32",
        "bf16": "images_per_second.bf16",
        "times as fast, tf32": "ratio.tf32",
        "times as fast, bf16": "ratio.bf16",
    },
    "real": {
        "s": "seconds",
        "iterations": "iterations",
        "images/s": "images_per_second",
        "samples": "samples",
        "FD-classifier": "fd_classifier",
        "that of real images": "fd_classifier_of_real_images",
    },
}


def read(path: Path) -> list[dict[str, Any]]:
    """The last line of each piece: later measurements replace earlier ones."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        batch = line["batch_size"] if line["phase"] == "features" and "batch_size" in line else None
        key = (*(line.get(label) for label in LABELS), batch)
        found.pop(key, None)
        found[key] = line
    return list(found.values())


def _value(line: dict[str, Any], path: str) -> Any:
    for key in path.split("."):
        line = line.get(key) if isinstance(line, dict) else None
    return line


def _shown(path: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "equal" if value else "**differs**"
    if path == "share_of_peak":
        return f"{100 * value:.0f} %"
    if path == "peak_memory_bytes":
        return f"{value / 2**30:.2f} GiB"
    if path == "flops_per_second":
        value /= 1e12
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def markdown(path: Path) -> str:
    """All tables of a file; lines without numbers follow with their reason."""
    lines = read(path)
    parts = []
    for line in lines:
        if line["phase"] == "circumstances":
            versions = ", ".join(f"{key} {line[key]}" for key in ("torch", "cuda", "cudnn") if line[key])
            parts.append(f"{line['device']}, {line['size']} size; {versions}; {line['time'][:10]}.")
    for phase, columns in COLUMNS.items():
        tables: dict[tuple[str, ...], list[list[str]]] = {}  # rows that fill the same columns share a table
        for line in lines:
            if line["phase"] == phase and "what" in line and "reason" not in line:
                filled = [head for head, key in columns.items() if _value(line, key) is not None]
                row = [line["what"], line.get("model", ""), line.get("precision", "")]
                row += [_shown(columns[head], _value(line, columns[head])) for head in filled]
                tables.setdefault(tuple(filled), []).append(row)
        for heads, rows in tables.items():
            table = [["work", "model", "precision", *heads], ["---"] * (3 + len(heads)), *rows]
            parts.append("\n".join(f"| {' | '.join(row)} |" for row in table))
        for line in lines:
            if line["phase"] == phase and "reason" in line:
                work = ", ".join(str(line[label]) for label in LABELS[1:] if label in line) or phase
                parts.append(f"Not measured: {work}: {line['reason']}.")
    return "\n\n".join(parts)
