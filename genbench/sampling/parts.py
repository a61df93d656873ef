"""The batches of a set of samples: kept on disk when they are finished, and shared among the ranks."""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genbench.errors import InputError
from genbench.files.artifacts import array_sha256, atomic_path
from genbench.files.npz import read_npz
from genbench.machine.progress import Progress
from genbench.machine.ranks import Ranks
from genbench.tensors import Pixels

log = logging.getLogger(__name__)


class Part(NamedTuple):
    """A finished batch: images (N, H, W, C) uint8, their seconds (NaN for a warm-up), and the rank that drew them."""

    images: np.ndarray
    seconds: float
    rank: int
    ranks: int

    def sha256(self, start: int) -> str:
        """The SHA-256 of all fields, as the batch that starts at seed `start`."""
        return array_sha256(np.array(start), self.images, np.array(self[1:]))


class Parts:
    """Finished batches on disk beside the output: a killed run continues from them, with any number of ranks."""

    def __init__(self, folder: Path, fingerprint: str, team: Ranks) -> None:
        self.folder = folder
        if team.first:
            stamp = folder / "fingerprint"
            if folder.exists() and not (stamp.exists() and stamp.read_text(errors="replace") == fingerprint):
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(stamp) as temporary:
                temporary.write_text(fingerprint)

    def load(self, start: int) -> Part | None:
        """The batch that starts at seed `start`."""
        path = self.folder / f"{start}.npz"
        if not path.exists():
            return None
        names = (*Part._fields, "sha256")
        try:
            read = read_npz(path, names)
            if read.keys() < set(names):
                raise InputError(f"{path}: damaged")
            part = Part(read["images"], float(read["seconds"]), int(read["rank"]), int(read["ranks"]))
            if str(read["sha256"]) != part.sha256(start):
                raise InputError(f"{path}: damaged")
        except InputError as error:
            log.warning("drawing images from seed %d on again, since %s", start, error)
            path.unlink()
            return None
        return part

    def save(self, start: int, part: Part) -> None:
        with atomic_path(self.folder / f"{start}.npz") as temporary:
            np.savez(temporary, **part._asdict(), sha256=np.array(part.sha256(start)))


class Batches:
    """The batches that start at `starts`: those that earlier runs have finished, and the others, each with its rank.

    starts: first seeds. batch_size: images per batch.
    """

    warmup_seconds: float | None = None  # of the first batch that this rank has drawn
    io_seconds = 0.0

    def __init__(self, starts: range, batch_size: int, parts: Parts, team: Ranks) -> None:
        self.starts, self.batch_size, self.parts, self.team = starts, batch_size, parts, team
        self.drawn = {start: part for start in starts if team.first and (part := parts.load(start)) is not None}
        self.missing: list[int] = team.share([start for start in starts if start not in self.drawn])
        self.owners = {start: number % team.size for number, start in enumerate(self.missing)}
        self.own = [start for start in self.missing if self.owners[start] == team.rank]

    def draw(self, draw: Callable[[int, int], tuple[Pixels, float]]) -> None:
        """Draw this rank's batches and save each at once. draw: takes a first seed and a number of images."""
        ranks = self.team.size
        total, initial = (number * self.batch_size for number in (len(self.starts), len(self.drawn)))
        with Progress(total, "images", initial=initial) as progress:
            for number, start in enumerate(self.own):
                pixels, seconds = draw(start, self.batch_size)
                if self.warmup_seconds is None:
                    self.warmup_seconds, seconds = seconds, float("nan")
                io_started = time.perf_counter()
                self.drawn[start] = Part(pixels.cpu().numpy(), seconds, self.team.rank, ranks)
                self.parts.save(start, self.drawn[start])
                self.io_seconds += time.perf_counter() - io_started
                # Also the images of the other ranks, which are about as fast.
                progress.update(self.batch_size * min(ranks, len(self.missing) - number * ranks))

    def gather_seconds(self) -> dict[int, list[float]]:
        """The seconds of each rank's batches without its first, or of the first if it is the only one.

        Batches of an earlier run with another number of ranks do not count: they had another speed.
        """
        found = [(part.rank, part.seconds) for part in self.drawn.values() if part.ranks == self.team.size]
        found = [(rank, seconds) for rank, seconds in found if np.isfinite(seconds)]
        warm = {rank for of_rank in self.team.gather(found) for rank, _ in of_rank}
        if self.team.rank not in warm and self.warmup_seconds is not None:
            found.append((self.team.rank, self.warmup_seconds))
        seconds: dict[int, list[float]] = {}
        for rank, taken in (one for of_rank in self.team.gather(found) for one in of_rank):
            seconds.setdefault(rank, []).append(taken)
        return seconds

    def gather_images(self) -> None:
        """Send this rank's images to the first rank, which receives those of all ranks."""
        if not self.team.first:
            for start in self.own:
                self.team.send_to_first(self.drawn[start].images)
            return
        for start in self.missing:
            if start not in self.drawn:
                owner = self.owners[start]
                self.drawn[start] = Part(self.team.receive(owner), float("nan"), owner, self.team.size)

    def images(self, seeds: range) -> np.ndarray:
        """The images of these seeds, in order: (N, H, W, C), on the first rank."""
        offset = seeds.start - self.starts[0]
        return np.concatenate([self.drawn[start].images for start in self.starts])[offset : offset + len(seeds)]
