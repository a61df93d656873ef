"""The comparison: means over seeds, the best of each column with its ties, and notes where a number needs them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import pandas as pd

from genbench.references.same import LEVEL
from genbench.reporting.cells import (
    BY_DRAWS,
    BY_GROUPS,
    Cell,
    Group,
    bars_of,
    mark_best,
    mark_expected,
    places,
    print_cell,
    rank,
    seen,
)
from genbench.reporting.columns import SPEEDS, TIME, Column
from genbench.reporting.missing import NOT_BEGUN
from genbench.reporting.numerals import count

MANY_ROWS = 60  # of more rows, some are folded
OPEN_MODELS = 40
MANY_WAITING = 5  # of more rows whose training has not begun, all are folded
ONE_TRAINING = "This does not include the differences between trainings."


@dataclass(frozen=True)
class Row:
    """One sampler at one checkpoint of one model, over its training seeds; `name` distinguishes it from the other rows.

    samples: how many were judged. remarks: what a reader must know about the row, whatever the column. generates:
    whether its images are new; a row that starts from real images comes last and is never the best. link: to the
    section of its model. suite: the title of its suite, in a table over several. place: in the first column, with ties.
    files: the id of the element that lists its files on the page. role: hand-in or baseline, in a suite with hand-ins.
    begun: whether the training of any of its seeds has begun.
    """

    name: str
    model: str
    label: str
    family: str
    checkpoint: str
    sampler: str
    sampler_label: str
    budget: str | None
    samples: int | None
    remarks: list[str]
    cells: Mapping[str, Cell]
    device: str = ""
    generates: bool = True
    link: str = ""
    suite: str = ""
    place: str = ""
    files: str = ""
    role: str = ""
    begun: bool = True

    @property
    def key(self) -> str:
        """A key that is unique in its suite and the same in another run."""
        return row_key(self.model, self.checkpoint, self.sampler)


@dataclass(frozen=True)
class Table:
    """Rows in the order of the first column, best first; `floor` holds the cells of real images.

    notes: by column, the notes that hold for all its numbers; a cell has only its own. remarks: sentences about the
    whole table. real_images: how many images the floor was computed from.
    """

    columns: Sequence[Column]
    notes: Mapping[str, Sequence[str]]
    rows: Sequence[Row]
    floor: Mapping[str, Cell] | None
    remarks: Sequence[str]
    real_images: int | None = None

    @property
    def families(self) -> list[str]:
        """The families of its rows, in alphabetical order."""
        return sorted({row.family for row in self.rows}, key=str.casefold)

    @property
    def suites(self) -> list[str]:
        """The suites of its rows, if it is over several."""
        return list(dict.fromkeys(row.suite for row in self.rows if row.suite))

    @property
    def devices(self) -> list[str]:
        """The devices of its rows. The page states a single one once, several in each row."""
        return sorted({row.device for row in self.rows if row.device})

    @property
    def expects(self) -> bool:
        """Whether any number has a bound that the suite expects."""
        return any(cell.met is not None for row in self.rows for cell in row.cells.values())

    @property
    def ties(self) -> bool:
        """Whether any number has a standard deviation, so that ties can be found."""
        return any(cell.std is not None for row in self.rows for cell in row.cells.values())

    @property
    def bars(self) -> str:
        """A sentence on what the bars of plots are; "" if nothing has a standard deviation."""
        return bars_of([cell for row in self.rows for cell in row.cells.values()])

    @cached_property
    def opened(self) -> list[bool]:
        """Which rows are visible at first, not folded: all if there are few.

        With more than MANY_ROWS: the best row of each of the best models, one row of each model without numbers, and
        the rows that are best in a column. More than MANY_WAITING rows whose training has not begun are folded, unless
        these are all rows.
        """
        waiting = [not row.begun for row in self.rows]
        seen_at_once = [not (wait and MANY_WAITING < sum(waiting) < len(waiting)) for wait in waiting]
        if len(self.rows) <= MANY_ROWS:
            return seen_at_once
        leading = [column.key for column in self.columns if sum(row.cells[column.key].best for row in self.rows) < 5]
        found, opened = set[tuple[str, str]](), []
        for row, shown in zip(self.rows, seen_at_once, strict=True):
            first = (row.suite, row.model) not in found
            found.add((row.suite, row.model))
            without = row.cells[self.columns[0].key].value is None
            best = any(row.cells[key].best for key in leading)
            opened.append(shown and (best or (first and (without or len(found) <= OPEN_MODELS))))
        return opened

    @property
    def unfolded(self) -> str:
        """Which rows are visible at first, in words."""
        if len(self.rows) <= MANY_ROWS:
            return "those whose training has begun"
        return "the best row of each of the best models, and the best rows of each column"

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The headings over columns, each with the number of its columns."""
        names = [column.group for column in self.columns]
        return [(name, len(list(run))) for name, run in groupby(names)]

    @cached_property
    def footnotes(self) -> dict[str, str]:
        """The mark of every note, in reading order: a, b, ... z, aa."""
        texts = [note for column in self.columns for note in self.notes[column.key]]
        rows = [(row.remarks, row.cells) for row in self.rows]
        for remarks, cells in [*rows, ((), self.floor or {})]:
            texts += remarks
            texts += [note for column in self.columns if column.key in cells for note in cells[column.key].notes]
        return {text: letters(number) for number, text in enumerate(dict.fromkeys(texts), start=1)}

    def marks(self, notes: Sequence[str]) -> list[str]:
        """The sorted marks of some notes."""
        marks = self.footnotes
        return sorted((marks[note] for note in notes), key=lambda mark: (len(mark), mark))


def row_key(model: str, checkpoint: str, sampler: str) -> str:
    """The key of a row, unique in its suite."""
    return f"{model}/{checkpoint}/{sampler}"


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


def remarks_on(
    compared: Sequence[Row], rows: pd.DataFrame, columns: Sequence[Column], expect: Mapping[str, str]
) -> list[str]:
    """The sentences about a whole table: its bounds, what ± and ties mean, and how times were measured."""
    lead, devices = columns[0], sorted(set(seen(rows, "device")))
    cells = [cell for row in compared for cell in row.cells.values()]
    remarks = []
    if expected := [f"{column.label} {expect[column.key]}" for column in columns if column.key in expect]:
        remarks.append(f"Expected: {' and '.join(expected)}.")
    trained = trainings_of(rows, lead)
    drawn = BY_DRAWS if any(cell.draws for cell in cells) else ""
    of_one = BY_GROUPS if any(cell.estimated for cell in cells) else drawn
    by_images = any(cell.without for cell in cells)
    if max(trained, default=1) > 1:
        single = f"; with a single training, s is {of_one}" if of_one and min(trained) == 1 else ""
        remarks.append(
            f"Mean ± standard deviation s over {max(trained)} training seeds{single}. {tie_rule('seed by seed')}"
        )
        if by_images and trained.count(1) > 1:
            remarks.append(f"Two single trainings are compared by their images. {ONE_TRAINING}")
    elif of_one:
        rule = tie_rule("group by group", "sample seeds") if by_images else tie_rule("draw by draw")
        remarks.append(f"± is the standard deviation s {of_one}. {ONE_TRAINING} {rule}")
    elif len(compared) > 1:
        remarks.append(
            "One training and one draw per row: there are no error bars, and small differences mean nothing."
        )
    if any(row.place for row in compared):
        remarks.append(
            f"The place in {lead.label} is a range, such as 2–4: how many rows are better, and how many are worse, by "
            "the same test for all pairs of rows."
        )
    if True in seen(rows, "extrapolated") and TIME in columns:
        remarks.append("≈ is extrapolated: fewer than 50,000 images were timed.")
    if len(devices) > 1:
        remarks.append(f"Times come from different devices, so that none is marked as the best: {'; '.join(devices)}.")
    return remarks


def trainings_of(rows: pd.DataFrame, lead: Column) -> list[int]:
    """For how many training seeds each row has a number in the first column; rows without any are left out."""
    if lead.key not in rows or "seed" not in rows:
        return []
    found = rows.dropna(subset=[lead.key]).groupby(["model", "checkpoint", "sampler"])["seed"].nunique()
    return found.tolist()


def tie_rule(pairs: str, seeds: str = "seeds") -> str:
    """The rule for ties, in words; also in docs/metrics.md. pairs: what is compared pairwise; seeds: if these agree."""
    return (
        "Ties, marked alike, are numbers that differ from the best by no more than chance explains: by Student's t, "
        f"{pairs} where two rows have the same {seeds}, at {LEVEL:.0%} for each column as a whole."
    )


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


def letters(number: int) -> str:
    """The mark of footnote 1, 2, ...: a, b, ... z, aa."""
    text = ""
    while number:
        number, digit = divmod(number - 1, 26)
        text = chr(ord("a") + digit) + text
    return text
