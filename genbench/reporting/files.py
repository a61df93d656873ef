"""The files behind each row, as links from its page: its records, its images and its logs."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from genbench.reporting.averages import groups_of
from genbench.reporting.table import Row, row_key

# By kind, the files in the folders of the row, of its training run and of its model.
FILES = {
    "Record": (("metrics.json", "timing.json", "paired.json"), ("training.json", "history.jsonl"), ("speed.json",)),
    "Images": (("samples.npz", "grid.png", "neighbours.png"), (), ()),
    "Log": (("logs/*.log",), ("logs/*.log",), ("logs/*.log",)),
}


@dataclass(frozen=True)
class RowFiles:
    """The files of one row. id: of the element that lists them; seeds: each training seed with its links by kind."""

    id: str
    name: str
    seeds: Sequence[tuple[int, Sequence[tuple[str, Sequence[tuple[str, str]]]]]]


def files_of(rows: pd.DataFrame, root: Path, pages: Path | None) -> dict[str, RowFiles]:
    """The files of each row of the tidy table, by its key. root: results/{suite}. pages: the folder of the page, to
    which the addresses are relative; without it, the result is empty."""
    found: dict[str, RowFiles] = {}
    if rows.empty or pages is None:
        return found
    for number, group in enumerate(groups_of(rows), start=1):
        model, checkpoint, sampler = (str(group[key][0]) for key in ("model", "checkpoint", "sampler"))
        seeds = []
        for seed in group["seed"]:
            run = root / model / f"seed{seed}"
            folders = (run / checkpoint / sampler, run, root / model)
            kinds = [(kind, list(links(folders, patterns, pages))) for kind, patterns in FILES.items()]
            seeds.append((int(seed), [(kind, there) for kind, there in kinds if there]))
        parts = [group["label"][0], group["sampler_label"][0], *([checkpoint] if checkpoint != "final" else [])]
        if any(kinds for _, kinds in seeds):
            found[row_key(model, checkpoint, sampler)] = RowFiles(f"files-{number}", ", ".join(parts), seeds)
    return found


def links(folders: Sequence[Path], patterns: Sequence[Sequence[str]], pages: Path) -> Iterator[tuple[str, str]]:
    """(name, address) of each file that exists."""
    for folder, names in zip(folders, patterns, strict=True):
        for path in (path for name in names for path in sorted(folder.glob(name))):
            yield path.name.removesuffix(".log"), address(path, pages)


def address(path: Path, pages: Path) -> str:
    """The address of a file relative to the folder of the pages."""
    return quote(Path(os.path.relpath(path, pages)).as_posix())


def linked(rows: Sequence[Row], files: Mapping[str, RowFiles]) -> list[Row]:
    """The rows, with the id of the list of their files, which a click on their numbers opens."""
    return [replace(row, files=files[row.key].id) if row.key in files else row for row in rows]
