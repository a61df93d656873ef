"""The history of a training: losses and validation, line by line."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genbench.files.artifacts import atomic_path


class History:
    """history.jsonl: a line every `log_every` steps with the means since the last line; sums stay on the device.

    With `writes` false no file is touched: of several ranks, only the first writes.
    """

    def __init__(self, path: Path, step: int, writes: bool = True) -> None:
        self.path, self.writes = path, writes
        self.watch: Callable[[Mapping[str, Any]], None] | None = None  # called with each line that is written
        if writes:
            lines = path.read_text(errors="replace").splitlines() if path.exists() else []
            kept = [line for line in lines if _step_of(line) <= step]
            with atomic_path(path) as temporary:  # a new file: the old one may be linked to as a published result
                temporary.write_text("".join(line + "\n" for line in kept))
        self.sums: dict[str, dict[str, tuple[Tensor, int]]] = {"losses": {}, "metrics": {}}
        self.bad_step: Tensor | None = None

    def add(self, step: int, losses: Mapping[str, Tensor], metrics: Mapping[str, Tensor]) -> None:
        for kind, values in (("losses", losses), ("metrics", metrics)):
            for name, value in values.items():
                total, count = self.sums[kind].get(name, (torch.zeros_like(value), 0))
                self.sums[kind][name] = (total + value, count + 1)
        bad = ~torch.stack([value.isfinite() for value in losses.values()]).all()
        first = self.bad_step if self.bad_step is not None else torch.full_like(bad, -1, dtype=torch.int64)
        self.bad_step = torch.where(bad & (first < 0), step, first)

    def first_bad_step(self) -> int | None:
        """The first step whose loss was NaN or infinite, if any since the last line. Synchronises with the device."""
        found = -1 if self.bad_step is None else int(self.bad_step)
        return None if found < 0 else found

    def state(self) -> tuple[dict[str, Tensor], dict[str, int]]:
        """The sums since the last line: with them, a resumed run writes the same line as an uninterrupted one."""
        flat = {f"history.{kind}.{name}": entry for kind, sums in self.sums.items() for name, entry in sums.items()}
        return {key: total for key, (total, _) in flat.items()}, {key: count for key, (_, count) in flat.items()}

    def restore(self, tensors: Mapping[str, Tensor], counts: Mapping[str, int]) -> None:
        for key, count in counts.items():
            _, kind, name = key.split(".", 2)
            self.sums[kind][name] = (tensors[key], count)

    def write(self, **values: Any) -> dict[str, Any]:
        means = {
            kind: {name: float(total) / count for name, (total, count) in sums.items()}
            for kind, sums in self.sums.items()
        }
        line = {"step": values.pop("step"), **means, **values}
        self.append(**line)
        self.sums, self.bad_step = {"losses": {}, "metrics": {}}, None
        return line

    def append(self, **line: Any) -> None:
        """Write a separate line, such as a validation's."""
        if not self.writes:
            return
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:  # such as a full disk, an error that names no file
            error.filename = str(self.path)
            raise
        if self.watch:
            self.watch(line)

    def sha256(self) -> str:
        """SHA-256 of the lines so far, which are first flushed to the disk, where they survive a crash."""
        with open(self.path, "rb") as file:
            os.fsync(file.fileno())
            return hashlib.file_digest(file, "sha256").hexdigest()


def _step_of(line: str) -> float:
    """The step of a line; infinity for a line cut short by a crash, which is always after the last save."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
