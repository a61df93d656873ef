"""A table of results: its rows, the order of its footnotes, and which rows are visible at first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from genbench.reporting.cells import Cell, bars_of
from genbench.reporting.columns import Column

MANY_ROWS = 60  # of more rows, some are folded
OPEN_MODELS = 40
MANY_WAITING = 5  # of more rows whose training has not begun, all are folded


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


def letters(number: int) -> str:
    """The mark of footnote 1, 2, ...: a, b, ... z, aa."""
    text = ""
    while number:
        number, digit = divmod(number - 1, 26)
        text = chr(ord("a") + digit) + text
    return text
