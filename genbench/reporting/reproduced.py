"""The page's section that compares its results with the reference results of the suite."""

from functools import cached_property

from genbench.records.reference import Reference
from genbench.references.verdicts import DIFFERS, Verdict, Verification, verify
from genbench.reporting.columns import Column, metric_columns, own_metrics
from genbench.reporting.recorded import record_of
from genbench.reporting.results import Results


class Reproduction:
    """Results beside the record `reference` of the same suite."""

    def __init__(self, results: Results, reference: Reference) -> None:
        self.verification: Verification = verify(record_of(results), reference)
        self.column = column_of(reference, self.verification.metric)

    @cached_property
    def rows(self) -> list[dict[str, str]]:
        """The rows of the table: name, verdict, both numbers, their difference, and the reasons."""
        return [
            {
                "name": row.name,
                "verdict": row.verdict,
                "ours": self.text(row.ours),
                "theirs": self.text(row.theirs),
                "difference": relative(row),
                "why": "; ".join([*row.notes, *self.verification.own(row)]),
            }
            for row in self.verification.rows
        ]

    @property
    def differs(self) -> bool:
        """Whether any row differs from the reference."""
        return self.verification.count(DIFFERS) > 0

    def text(self, value: float | None) -> str:
        """A number as the table of results prints it."""
        return "–" if value is None else self.column.text(value * self.column.scale)


def column_of(record: Reference, metric: str) -> Column:
    """The column of a metric of a record: its label and number format."""
    own = own_metrics({"own_metrics": record.own_metrics or {}})
    dataset = record.dataset.content() if record.dataset else {}
    return metric_columns([metric], record.num_samples, dataset, own)[0]


def relative(row: Verdict) -> str:
    """A difference as a share of the record's number."""
    return "–" if row.relative is None else f"{row.relative:+.1%}"
