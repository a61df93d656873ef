"""Results of several people or machines on one page: row by row the number of each, and where they disagree.

The records are untrusted input: references/files.py limits them, and the template escapes their text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev

from genbench.errors import InputError, unknown_name
from genbench.records.reference import Reference
from genbench.references.files import read_reference
from genbench.references.verdicts import Place, are_identical, compared, judge, mean, names_of, rows_of
from genbench.reporting.columns import TIME, Column
from genbench.reporting.numerals import plus_minus
from genbench.reporting.page import environment
from genbench.reporting.publish import write_text
from genbench.reporting.reproduced import column_of

MOST = 20  # records


@dataclass(frozen=True)
class Line:
    """One record's number of one row. differs, undecided, identical: the records whose number is another, of which this
    cannot be decided, and which have the same samples."""

    by: str
    device: str
    text: str
    title: str
    seeds: str
    time: str
    differs: Sequence[str]
    undecided: Sequence[str]
    identical: Sequence[str]


class Merged:
    """Records of one suite, row by row. metric: by default the headline of the first record.

    Raises InputError for fewer than two or more than MOST records, for different suites, and for an unknown metric.
    """

    def __init__(self, records: Mapping[str, Reference], metric: str | None = None) -> None:
        if not 2 <= len(records) <= MOST:
            raise InputError(f"records: found {len(records)}, expected from 2 to {MOST}")
        first, *others = records.items()
        for source, record in others:
            if record.suite != first[1].suite:
                raise InputError(
                    f"{source}: suite: found {record.suite!r}, expected {first[1].suite!r} as in {first[0]}"
                )
        self.records = dict(zip(labels(records), records.values(), strict=True))
        self.first = first[1]
        self.metric = metric or self.first.headline
        known = {key for record in self.records.values() for draw in record.draws for key in draw.metrics}
        if self.metric not in known:
            raise unknown_name("metric", self.metric, known)
        self.column: Column = column_of(self.first, self.metric)
        self.found = {label: rows_of(record, self.metric) for label, record in self.records.items()}

    @cached_property
    def places(self) -> list[Place]:
        """The rows, sorted by the best number of each."""
        sign = -1 if self.column.direction == "higher" else 1
        best: dict[Place, float] = {}
        for rows in self.found.values():
            for row, draws in rows.items():
                best[row] = min(best.get(row, float("inf")), sign * mean(draws, self.metric))
        return sorted(best, key=lambda row: best[row])

    @cached_property
    def verdicts(self) -> dict[tuple[Place, str, str], bool | None]:
        """Whether two records' numbers of a row differ, tested at one level for all pairs; None if undecided.

        Pairs with the same samples are left out.
        """
        pairs = [
            (row, a, b)
            for row in self.places
            for a, b in combinations(self.records, 2)
            if row in self.found[a] and row in self.found[b] and not self.same_samples(row, a, b)
        ]
        differences = [
            compared(self.records[a], self.records[b], row, self.found[a][row], self.found[b][row], self.metric)
            for row, a, b in pairs
        ]
        judged = judge(differences, [(self.records[a], self.records[b], row) for row, a, b in pairs], self.metric)
        return dict(zip(pairs, judged, strict=True))

    def against(self, row: Place, label: str, verdict: bool | None) -> list[str]:
        """The records against whose number of a row a record's number has this verdict."""
        pairs = [{a, b} for (where, a, b), found in self.verdicts.items() if where == row and found is verdict]
        return [other for other in self.records if {label, other} in pairs]

    def same_samples(self, row: Place, a: str, b: str) -> bool:
        """Whether two records have identical samples of a row."""
        return are_identical(self.found[a][row], self.found[b][row], self.metric)

    @cached_property
    def names(self) -> dict[Place, str]:
        """The name of each row."""
        found: dict[Place, str] = {}
        for record in self.records.values():
            found = names_of(record) | found
        return found

    @cached_property
    def rows(self) -> list[tuple[str, list[Line]]]:
        """Each row's name, and the numbers of all records that have it."""
        return [
            (self.names[row], [self.line(row, label) for label in self.records if row in self.found[label]])
            for row in self.places
        ]

    def line(self, row: Place, label: str) -> Line:
        """The number of one record."""
        draws = self.found[label][row]
        values = [draw.metrics[self.metric] for draw in draws]
        text = self.column.text(mean(draws, self.metric) * self.column.scale)
        if len(values) > 1:
            text = plus_minus(text, stdev(values) * self.column.scale)
        times = [draw.seconds_per_50k for draw in draws if draw.seconds_per_50k is not None]
        others = [other for other in self.records if other != label and row in self.found[other]]
        return Line(
            by=label,
            device="; ".join(sorted({draw.device for draw in draws if draw.device})) or "–",
            text=text,
            title=", ".join(map(repr, values)),
            seeds=", ".join(str(draw.seed) for draw in draws),
            time=TIME.text(fmean(times)) if times else "–",
            differs=self.against(row, label, True),
            undecided=self.against(row, label, None),
            identical=[other for other in others if self.same_samples(row, label, other)],
        )

    def versions(self, label: str) -> str:
        """The versions of Python and of the packages that one record has."""
        found: dict[str, None] = {}
        for origin in self.records[label].origins:
            given = {"Python": origin.python, **origin.packages}
            found |= {f"{name} {version}": None for name, version in given.items() if version}
        return ", ".join(found)

    @property
    def sentence(self) -> str:
        """The summary."""
        differ = {row for (row, _, _), verdict in self.verdicts.items() if verdict}
        undecided = {row for (row, _, _), verdict in self.verdicts.items() if verdict is None} - differ
        several = sum(sum(row in found for found in self.found.values()) > 1 for row in self.places)
        text = f"{several} of {len(self.places)} rows are in several of the {len(self.records)} records"
        if not several:
            return f"{text}."
        text += f"; in {len(differ)} of them they disagree" if differ else "; nowhere do they disagree"
        return f"{text}, and {len(undecided)} cannot be decided." if undecided else f"{text}."


def labels(records: Mapping[str, Reference]) -> list[str]:
    """A distinct name for each record: who made it, or else its file."""
    names = [record.name or Path(source).stem for source, record in records.items()]
    return [name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names, start=1)]


def merge(paths: Sequence[Path], out: Path, template_dir: Path, metric: str | None = None) -> Merged:
    """Write the page of several records. Raises InputError, with file and key, for an invalid record."""
    records: dict[str, Reference] = {}
    for path in paths:
        if str(path) in records:
            raise InputError(f"{path}: found twice, expected each record once")
        records[str(path)] = read_reference(path)
    merged = Merged(records, metric)
    page = environment(template_dir).get_template("merged.html.j2").render(merged=merged, suite=merged.first)
    write_text(out, page)
    return merged
