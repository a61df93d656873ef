"""The results of an evaluation: a record, as in metrics.json, and a table for readers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from genbench.metrics import METRICS, MetricInfo, extractor_of
from genbench.records.metrics import Metric, Metrics
from genbench.reporting.cells import Cell, print_cell
from genbench.reporting.columns import Column, info_of, metric_columns, stated
from genbench.reporting.numerals import significant
from genbench.reporting.row import measured
from genbench.reporting.table import letters

if TYPE_CHECKING:
    import pandas as pd


class Line(NamedTuple):
    """One metric as it is shown. std: the spread within its computation; interval: of 95 %; "" if there is none.

    extractor: that of its features.
    """

    column: Column
    cell: Cell
    std: str
    interval: str
    extractor: str
    metric: Metric


@dataclass(frozen=True)
class Evaluation:
    """All metrics of an evaluation: `record` is the content of metrics.json, `table` a pandas DataFrame.

    missing: a line for each extractor that was left out because its weights are unavailable. dataset, image_shape:
    those of the real images, if known.
    """

    record: Metrics
    missing: list[str]
    dataset: str | None = None
    image_shape: tuple[int, int, int] | None = None

    def __getitem__(self, key: str) -> float:
        """The value of a metric by its key, such as `fid_clean`."""
        return self.record.metrics[key].value

    def _repr_html_(self) -> str:
        return str(self.table.to_html())

    @property
    def warnings(self) -> list[str]:
        """Sentences that belong beside the numbers."""
        return list(self.record.warnings)

    @property
    def table(self) -> "pd.DataFrame":
        """A row for each metric: label, value, low, high, std, better (a direction), features, n_real, n_fake, note."""
        import pandas as pd

        rows = {
            line.column.key: {
                "label": line.column.label.partition(" ×10")[0],
                "value": line.metric.value,
                "low": line.metric.interval[0] if line.metric.interval else None,
                "high": line.metric.interval[1] if line.metric.interval else None,
                "std": line.metric.std,
                "better": line.column.direction,
                "features": line.extractor,
                "n_real": line.metric.n_real,
                "n_fake": line.metric.n_fake,
                "note": "; ".join(line.cell.notes) or None,
            }
            for line in self.lines
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")

    @cached_property
    def lines(self) -> list[Line]:
        """The metrics as they are printed, in the order of tables."""
        found = self.record.metrics
        own = {key: stated(key, metric.about) for key, metric in found.items() if metric.about is not None}
        keys = sorted(found, key=lambda key: self._place(key, own))
        data = {"name": self.dataset, "image_shape": None if self.image_shape is None else list(self.image_shape)}
        columns = metric_columns(keys, self.record.num_fake, data, own)
        known = measured(self.record, found).items()
        values = {key: [value] for key, value in known if not key.endswith("_without")}  # the interval is shown instead
        lines = []
        for column in columns:
            cell, metric = print_cell(values, column), found[column.key]
            cell.notes = list(dict.fromkeys([*column.notes, *cell.notes]))
            std = "" if metric.std is None else significant(metric.std * column.scale)
            ends = [column.text(end * column.scale) for end in metric.interval or ()]
            lines.append(Line(column, cell, std, " to ".join(ends), self.extractor_of(column.key), metric))
        return lines

    @cached_property
    def footnotes(self) -> dict[str, str]:
        """The mark of every note, in reading order."""
        texts = [note for line in self.lines for note in line.cell.notes]
        return {text: letters(number) for number, text in enumerate(dict.fromkeys(texts), start=1)}

    def marks(self, notes: Sequence[str]) -> list[str]:
        """The marks of some notes."""
        return [self.footnotes[note] for note in notes]

    def extractor_of(self, key: str) -> str:
        """The extractor of a metric's features; "" if its key does not name it."""
        return extractor_of(key, self.record.extractors)

    def _place(self, key: str, own: Mapping[str, MetricInfo]) -> tuple[Any, ...]:
        """The sort key: by extractor, then in the order of a comparison."""
        names = list(self.record.extractors)
        extractor = self.extractor_of(key)
        order = {name: number for number, name in enumerate(METRICS)}
        info = info_of(key, own)
        compared = 99 if info.compared is None else info.compared
        return (names.index(extractor) if extractor else len(names), compared, order.get(info.name, len(order)))

    def texts(self) -> Iterator[str]:
        """The notes with their marks, the warnings, and what is missing, one per line."""
        yield from (f"{mark} {note}" for note, mark in self.footnotes.items())
        yield from self.warnings
        yield from (f"left out: {line}" for line in self.missing)
