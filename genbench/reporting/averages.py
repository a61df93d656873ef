"""The comparison: means over seeds, the best of each column with its ties, and notes where a number needs them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from genbench.reporting.cells import Group, mark_best, mark_expected, places, print_cell, rank, seen
from genbench.reporting.columns import SPEEDS, Column
from genbench.reporting.missing import NOT_BEGUN
from genbench.reporting.numerals import count
from genbench.reporting.remarks import remarks_on
from genbench.reporting.table import Row, Table


def final_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The compared rows: those of each model's checkpoint `final`, or else of its last checkpoint."""
    if rows.empty:
        return rows
    checkpoints = {model: list(names) for model, names in rows.groupby("model")["checkpoint"]}
    chosen = {model: "final" if "final" in names else names[-1] for model, names in checkpoints.items()}
    return rows[rows["checkpoint"] == rows["model"].map(chosen)]


def compare(
    rows: pd.DataFrame,
    columns: Sequence[Column],
    floor: Mapping[str, Any] | None = None,
    num_samples: int | None = None,
    links: Mapping[str, str] | None = None,
    expect: Mapping[str, str] | None = None,
) -> Table:
    """Average the tidy `rows` over seeds, print each number, mark the best of each column, sort by the first column.

    num_samples: what the suite asks for; a row with another number of samples gets a note. expect: the suite's bounds.
    """
    groups, models = groups_of(rows), defaultdict[str, list[Group]](list)
    for group in groups:
        models[group["model"][0]].append(group)
    compared = [summarise(group, models[group["model"][0]], columns, num_samples, links or {}) for group in groups]
    mark_identical(compared, [images_of(group) for group in groups])
    lead, devices = columns[0], sorted(set(seen(rows, "device")))
    compared.sort(key=lambda row: (not row.generates, rank(row.cells[lead.key], lead)))
    found = places([row.cells[lead.key] for row in compared if row.generates], lead)
    found += [""] * (len(compared) - len(found))
    compared = [replace(row, place=place) for row, place in zip(compared, found, strict=True)]
    for column in columns:
        if len(devices) <= 1 or column not in SPEEDS:
            mark_best([row.cells[column.key] for row in compared if row.generates], column)
        if bound := (expect or {}).get(column.key):
            mark_expected([row.cells[column.key] for row in compared], bound)

    remarks = remarks_on(compared, rows, columns, expect or {})
    if common := share_remarks(compared):
        remarks.append(f"Every row: {'; '.join(common)}.")
    shared = share_notes(compared, columns)
    real = None
    if floor:
        real = {column.key: print_cell({key: [value] for key, value in floor.items()}, column) for column in columns}
        real[lead.key].notes = [*real[lead.key].notes, *floor.get("warnings", [])]
        for key, cell in real.items():
            cell.notes = [note for note in cell.notes if note not in shared[key]]
    return Table(columns, shared, compared, real, remarks, (floor or {}).get("num_fake"))


def groups_of(rows: pd.DataFrame) -> list[Group]:
    """The tidy rows grouped by model, checkpoint and sampler, in their order."""
    if rows.empty:
        return []
    places: dict[tuple[str, ...], list[int]] = {}
    for place, draw in enumerate(zip(rows["model"], rows["checkpoint"], rows["sampler"], strict=True)):
        places.setdefault(draw, []).append(place)
    values = {str(key): rows[key].tolist() for key in rows}
    return [{key: [column[place] for place in chosen] for key, column in values.items()} for chosen in places.values()]


def summarise(
    group: Group,
    siblings: Sequence[Group],
    columns: Sequence[Column],
    num_samples: int | None,
    links: Mapping[str, str],
) -> Row:
    """One row from the tidy rows of its seeds. Its warnings become notes on the first number, by which rows are judged.

    siblings: all rows of its model.
    """
    first = {key: values[0] for key, values in group.items()}
    warnings = [warning for found in seen(group, "warnings") for warning in found]
    samples = seen(group, "num_fake")
    for fakes in sorted(set(samples) - {num_samples}):
        if num_samples is not None:
            warnings.append(f"from {count(fakes)} samples, where the suite asks for {count(num_samples)}")
    cells = {column.key: print_cell(group, column) for column in columns}
    lead = cells[columns[0].key]
    lead.notes = list(dict.fromkeys([*lead.notes, *warnings]))
    several = {key: len({other[key][0] for other in siblings}) > 1 for key in ("sampler", "checkpoint")}
    parts = {"label": True, "sampler_label": several["sampler"], "checkpoint": several["checkpoint"]}
    return Row(
        name=", ".join(first[key] for key, shown in parts.items() if shown),
        **{key: first[key] for key in ("model", "label", "family", "checkpoint", "sampler", "sampler_label")},
        budget=next(iter(seen(group, "budget")), None),
        samples=int(samples[0]) if samples else None,
        remarks=list(dict.fromkeys(remark for found in seen(group, "remarks") for remark in found)),
        cells=cells,
        device="; ".join(sorted(set(seen(group, "device")))),
        link=links.get(first["model"], ""),
        generates=bool(first.get("generates", True)),
        role=next(iter(seen(group, "role")), ""),
        begun=seen(group, "missing") != [NOT_BEGUN] * len(group["model"]),
    )


def images_of(group: Group) -> tuple[str, ...]:
    """The hashes of a row's samples; none if that of any seed is unknown."""
    if seen(group, "unavailable"):
        return ()
    found = sorted(seen(group, "samples_sha256"))
    return tuple(found) if len(found) == len(group["model"]) else ()


def mark_identical(rows: Sequence[Row], images: Sequence[tuple[str, ...]]) -> None:
    """Add a remark to each row whose `images` other rows share."""
    alike: dict[tuple[str, ...], list[Row]] = {}
    for row, own in zip(rows, images, strict=True):
        alike.setdefault(own, []).append(row)
    for own, same in alike.items():
        for row in same if own and len(same) > 1 else []:
            others = " and ".join(other.name for other in same if other is not row)
            row.remarks.append(f"the same images as {others}: identical samples, not two results")


def share_remarks(rows: Sequence[Row]) -> list[str]:
    """The remarks that several rows all have; these are removed from the rows."""
    common = [remark for remark in rows[0].remarks if all(remark in row.remarks for row in rows)] if rows[1:] else []
    for row in rows:
        row.remarks[:] = [remark for remark in row.remarks if remark not in common]
    return common


def share_notes(rows: Sequence[Row], columns: Sequence[Column]) -> dict[str, list[str]]:
    """The notes of each column: its own, and those that all its numbers have, which are removed from its cells."""
    shared = {}
    for column in columns:
        cells = [row.cells[column.key] for row in rows if row.cells[column.key].value is not None]
        first = cells[0].notes if cells else []
        common = [note for note in first if all(note in cell.notes for cell in cells)]
        for cell in cells:
            cell.notes = [note for note in cell.notes if note not in common]
        shared[column.key] = list(dict.fromkeys([*column.notes, *common]))
    return shared
