"""The pictures of a suite's page: first samples, grids, and the pictures that models provide."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import PIL

from genbench.reporting import pictures
from genbench.reporting.files import address
from genbench.reporting.kept import Kept
from genbench.reporting.pictures import COLUMNS as ROW
from genbench.reporting.pictures import Picture, caption, embed, first_tiles, read_grid
from genbench.reporting.results import Draw, Results
from genbench.reporting.sections import Strip, shown_checkpoints
from genbench.reporting.table import MANY_ROWS, Row, Table, row_key

# Totals for a page before base64 adds a third: with few rows, and with many rows, whose tables are long.
GRID_BYTES, STRIP_BYTES, SECTION_BYTES = (3_300_000, 550_000), (600_000, 180_000), (500_000, 330_000)
PICTURE_BYTES, STUDY_BYTES = (1_100_000, 250_000), (600_000, 150_000)
PICTURE_CODE = (Path(pictures.__file__).read_bytes(), PIL.__version__)  # versions of the code that makes a kept picture
STUDY_TILES = 5  # samples of each setting in the matrix of a study


class Samples:
    """The pictures that go with a table. If it has many rows, only open rows have theirs beside each other."""

    def __init__(self, results: Results, table: Table, kept: Kept, pages: Path | None = None) -> None:
        self.results, self.table, self.kept, self.pages = results, table, kept, pages
        dataset = results.preflight.dataset
        self.image_shape: Sequence[int] | None = dataset.image_shape if dataset else None
        self.places = {(row.model, row.checkpoint, row.sampler): place for place, row in enumerate(table.rows)}
        self.many = len(table.rows) > MANY_ROWS

    def share(self, totals: tuple[int, int], count: int) -> int:
        """The bytes that each of `count` pictures may have."""
        return totals[self.many] // max(1, count)

    @cached_property
    def shown(self) -> list[tuple[Row, Path]]:
        """The open rows of the table that have a grid, and the grid of their first seed that has one."""
        opened = (row for row, opened in zip(self.table.rows, self.table.opened, strict=True) if opened)
        return [(row, path) for row in opened if (path := self.grid_of(row))]

    def grid_of(self, row: Row) -> Path | None:
        """The grid of a row's first seed that has one."""
        draws = (Draw(row.model, seed, row.checkpoint, row.sampler) for seed in self.results.preflight.seeds)
        return next(filter(None, map(self.results.grids.get, draws)), None)

    @cached_property
    def strips(self) -> list[Strip]:
        """The first samples of the real images, then of each open row of the table."""
        share = self.share(STRIP_BYTES, len(self.shown) + 1)
        strips = [
            Strip(row.name, self.embedded(path, share, ROW), self.anchor(row), row=row.key) for row, path in self.shown
        ]
        if self.results.real_grid:
            strips.insert(0, Strip("Real images", self.embedded(self.results.real_grid, share, ROW), "grid-real"))
        return strips

    @cached_property
    def sheets(self) -> list[tuple[Strip, str, str]]:
        """The grids of the real images and of each open row: with alternative text, and the row's headline number."""
        share, lead = self.share(GRID_BYTES, len(self.shown) + 1), self.table.columns[0]
        sheets = [
            (
                Strip(row.name, self.embedded(path, share), self.anchor(row)),
                f"A grid of samples of {row.name}",
                f"{lead.label} {row.cells[lead.key].text}",
            )
            for row, path in self.shown
        ]
        if self.results.real_grid:
            real = Strip("Real images", self.embedded(self.results.real_grid, share), "grid-real")
            sheets.insert(0, (real, "A grid of samples of Real images", ""))
        return sheets

    def anchor(self, row: Row) -> str:
        """The anchor of a row's grid; "" if the page does not show it."""
        place = self.places[row.model, row.checkpoint, row.sampler]
        return f"grid-{place + 1}" if self.table.opened[place] and self.grid_of(row) else ""

    def of_study(self, row: Row) -> Picture | None:
        """The first samples of a row in the matrix of a study."""
        path, share = self.grid_of(row), self.share(STUDY_BYTES, len(self.table.rows))
        return self.embedded(path, share, STUDY_TILES) if path else None

    def of_model(self, model: str) -> list[Strip]:
        """The first samples of each sampler of a model at each shown checkpoint, from its first seed.

        If the page does not show the grid, the name is a link to its file.
        """
        entries = self.results.preflight.models
        strips = sum(len(entry.samplers) * len(shown_checkpoints(entry)) for entry in entries.values())
        share, seed = self.share(SECTION_BYTES, strips), self.results.preflight.seeds[0]
        found = []
        for sampler, option in entries[model].samplers.items():
            for checkpoint in shown_checkpoints(entries[model]):
                if path := self.results.grids.get(Draw(model, seed, checkpoint, sampler)):
                    name = ", ".join([option.label or sampler] + [checkpoint] * (checkpoint != "final"))
                    place = self.places.get((model, checkpoint, sampler))
                    folded = place is not None and not self.table.opened[place]
                    link = address(path, self.pages) if folded and self.pages else ""
                    key = row_key(model, checkpoint, sampler)
                    found.append(Strip(name, self.embedded(path, share, ROW), file=link, row=key))
        return found

    def pictures(self, model: str, number: int) -> list[Strip]:
        """The pictures that a model, the `number`-th of the page, provides, each with its caption."""
        share = self.share(PICTURE_BYTES, sum(map(len, self.results.pictures.values())))
        return [
            Strip(caption(name), self.embedded(path, share), f"picture-{number}-{place}")
            for place, (name, path) in enumerate(self.results.pictures.get(model, {}).items(), start=1)
        ]

    def embedded(self, path: Path, share: int, tiles: int | None = None) -> Picture:
        """A picture for the page, or the first `tiles` of a grid, from the cache if its bytes are the same."""
        data = path.read_bytes()

        def make() -> bytes:
            grid = read_grid(path, self.image_shape)
            part = grid if tiles is None else first_tiles(grid, tiles, self.image_shape)
            return json.dumps(vars(embed(part, share))).encode()

        options = json.dumps([tiles, share, self.image_shape])
        return Picture(**json.loads(self.kept.get(make, data, options, *PICTURE_CODE)))
