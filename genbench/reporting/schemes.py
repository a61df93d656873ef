"""Quantised networks beside the float32 network of the same model: size, speed, and loss of quality.

All comparisons are paired: both networks draw the same seeds with the same sampler.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from genbench.records.paired import Paired
from genbench.records.plan import ModelPlan
from genbench.records.timing import Timing
from genbench.reporting.averages import compare
from genbench.reporting.columns import RATE, Column
from genbench.reporting.numerals import duration, memory
from genbench.reporting.table import Row

DRAW = ["model", "seed", "checkpoint", "sampler"]
SIZE = Column("network_bytes", "Size on disk", "size of a file with the network's weights", "lower", memory)
LATENCY = Column(
    "latency_per_nfe_seconds",
    "Latency per NFE",
    "time to draw a single image (batch size 1), divided by the network's evaluations",
    "lower",
    duration,
)
PSNR = Column(
    "psnr",
    "PSNR to fp32 (dB)",
    "mean over images of 10 log10(255² / mean squared difference) to the float32 network's images of the same seeds",
    "higher",
)


@dataclass(frozen=True)
class Quantised:
    """One row: a quantisation scheme of a sampler, or fp32 for the network that it is compared with.

    unavailable: why nothing was drawn, or None.
    """

    row: Row
    scheme: str
    unavailable: str | None


@dataclass(frozen=True)
class Schemes:
    """The table: for each model the float32 network, then its schemes, in the suite's order."""

    columns: Sequence[Column]
    rows: Sequence[Quantised]


def paired_columns(paired: Paired | None, timing: Timing) -> dict[str, Any]:
    """The columns of a quantised network, from the records of a sample set."""
    found: dict[str, Any] = {} if timing.unavailable is None else {"unavailable": timing.unavailable}
    if record := timing.quantisation:
        found |= {key: getattr(record, key) for key in ("network_bytes", "network_bytes_fp32", "conversion_seconds")}
        found["calibration_seconds"] = record.calibration.seconds if record.calibration else None
    if timing.latency_batch1_seconds and timing.nfe:
        found["latency_per_nfe_seconds"] = timing.latency_batch1_seconds / timing.nfe
    if paired:
        values = {key: getattr(paired, key) for key in ("psnr", "psnr_std", "psnr_min", "identical_images")}
        found |= {key: value for key, value in values.items() if value is not None}
    return found


def add_differences(rows: Sequence[dict[str, Any]], distances: Sequence[str]) -> None:
    """Add {key}_delta of `distances` to the rows of quantised networks: their value minus the float32 network's.

    distances: keys of metrics. The float32 network's row gets the size of its file from their rows.
    """
    by_draw = {tuple(row[key] for key in DRAW): row for row in rows}
    for row in rows:
        if "reference_sampler" not in row:
            continue
        reference = by_draw[row["model"], row["seed"], row["checkpoint"], row["reference_sampler"]]
        for metric in distances:
            value, other = row.get(metric), reference.get(metric)
            if value is not None and other is not None:
                row[f"{metric}_delta"] = value - other
        if "network_bytes_fp32" in row:
            reference["network_bytes"] = row["network_bytes_fp32"]


def scheme_table(rows: pd.DataFrame, models: Mapping[str, ModelPlan], lead: Column) -> Schemes | None:
    """The quantised rows among the compared `rows`, and their float32 rows; None if there are none.

    models: from the preflight. lead: the headline metric.
    """
    if "quantisation" not in rows:
        return None
    references = set(zip(rows["model"], rows["reference_sampler"], strict=True))
    is_reference = [pair in references for pair in zip(rows["model"], rows["sampler"], strict=True)]
    rows = rows[rows["quantisation"].notna() | pd.Series(is_reference, index=rows.index)]
    columns = [SIZE, LATENCY, RATE, PSNR, lead]
    if f"{lead.key}_delta" in rows:
        name, text = f"Δ {lead.label}", "the same minus that of the float32 network"
        columns.append(replace(lead, key=f"{lead.key}_delta", label=name, definition=text, direction=None))
    compared = compare(rows, columns)
    listed = [(model, name) for model, entry in models.items() for name in entry.samplers]
    places = {of_row: place for place, of_row in enumerate(listed)}
    found = []
    for row in sorted(compared.rows, key=lambda row: places[row.model, row.sampler]):
        first = rows[(rows["model"] == row.model) & (rows["sampler"] == row.sampler)].iloc[0]
        scheme, reason = first["quantisation"], first.get("unavailable")
        found.append(Quantised(row, scheme if pd.notna(scheme) else "fp32", reason if pd.notna(reason) else None))
    return Schemes(columns, found)
