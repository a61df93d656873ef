"""The forecast of a suite in words and as a table: hours, disk, memory and downloads, per model and in total."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from genbench.features import EXTRACTORS
from genbench.features.published_weights import weights_root
from genbench.machine.devices import gpu_name, kind_of_device
from genbench.machine.memory import in_words
from genbench.records.plan import Plan
from genbench.suites.checked import Checked
from genbench.suites.forecast import SLOW, Job, by_model, duration, jobs, left, seconds_of
from genbench.suites.load import find_suite, load_suite
from genbench.suites.needs import evaluation_memory, files, sampling_memory
from genbench.suites.runs import runs
from genbench.suites.speeds import Device, Speeds, keep_measured, seen_speeds

# Approximate sizes of downloads, in bytes: data sets by their source, weights by their extractor.
DATA = {"mnist": 11.6e6, "fashion-mnist": 30.9e6, "cifar10": 170e6, "cub": 1.15e9}
WEIGHTS = {"inception": 96e6, "dinov2": 1.22e9}


class Forecast:
    """The remaining work of a complete and checked suite, on a device.

    known: `facts` of the check. device: as in config.yaml. gpu: the name of another GPU, instead of device.
    """

    def __init__(self, suite: Mapping[str, Any], known: Mapping[str, Any], device: str, gpu: str | None = None) -> None:
        self.suite, self.known = suite, known
        self.on_gpu = gpu is not None or kind_of_device(device) != "cpu"
        self.device = Device.gpu(gpu or gpu_name() or "a100") if self.on_gpu else Device.processor()
        self.speeds = Speeds(self.device, seen_speeds())
        self.cores = 1 if self.on_gpu else os.cpu_count() or 1
        self.all: list[Job] = list(jobs(suite, known, self.speeds, Device.processor().typical)) if self.is_known else []
        self.jobs = left(self.all)

    @property
    def is_known(self) -> bool:
        """Whether the FLOPs of all trained models are known; without them there is no forecast."""
        names = {place.split("/")[2] for place, _ in runs(self.suite, "training")}
        return all(self.known.get("costs", {}).get(name, {}).get("training") for name in names)

    @property
    def seconds(self) -> float:
        return seconds_of(self.jobs, self.cores)

    def where(self) -> str:
        """The device in words, and the source of its speed."""
        sources = {self.speeds.of(entry["model"], "training").source for entry in self._trained()}
        sources |= set() if sources else {self.device.typical.source}
        name = self.device.name.removeprefix("CPU (").rstrip(",") or "this processor"
        beside = f"{self.cores} cores of {name}" if not self.on_gpu else f"one {name}"
        return f"on {beside} (speed {' and '.join(sorted(sources))})"

    def _trained(self) -> list[Mapping[str, Any]]:
        return [entry for entry in self.suite["models"].values() if "training" in entry]

    def disk(self) -> dict[str, int]:
        """Bytes that will still be written, by model; "" for shared files."""
        names = self.suite["models"]
        found: dict[str, int] = {}
        for _, path, size in files(self.suite, self.known):
            if not os.path.exists(path):
                name = path.split("/")[2] if path.startswith("results/") else ""
                found[name if name in names else ""] = found.get(name, 0) + size
        return found

    def memory(self, name: str) -> int:
        """Memory of a model's largest job in bytes, without evaluation, which is estimated for all rows at once."""
        entry = self.suite["models"][name]
        drawn = 0 if "samples" in entry else sampling_memory(entry, name, self.known)
        return max(self.known["training"].get(name, 0), drawn)

    def downloads(self) -> dict[str, float]:
        """About how many bytes may be downloaded, by data set and extractor: unprepared data and missing weights."""
        source, name = self.suite["dataset"]["source"], self.suite["dataset"]["name"]
        found = {source: DATA[source]} if source in DATA and not Path(f"resources/{name}/train.npz").exists() else {}
        for extractor in self.suite["evaluation"]["extractors"]:
            file, size = EXTRACTORS[extractor].weights, WEIGHTS.get(extractor.partition("-")[0])
            if file is not None and size and not (weights_root() / file.name).exists():
                found[extractor] = size
        return found

    def lines(self) -> Iterator[str]:
        """The forecast of the whole suite, for the end of a dry run and for a run on a processor."""
        name = self.suite["name"]
        if not self.is_known:
            yield f"{name}: genbench check states what it will cost"
            return
        if not self.jobs:
            return
        kinds: dict[str, float] = {}
        for job in self.jobs:
            kinds[job.kind] = kinds.get(job.kind, 0) + job.seconds
        parts = ", ".join(f"{kind} {duration(seconds)}" for kind in KINDS_SHOWN if (seconds := kinds.get(kind)))
        side = f"; {self.cores} side by side" if self.cores > 1 else ""
        yield f"{name}: about {duration(self.seconds)} {self.where()}: {parts} of work{side}"
        yield f"{name}: {in_words(sum(self.disk().values()))} will be written{self._downloaded()}"

    def _downloaded(self) -> str:
        found = self.downloads()
        parts = ", ".join(f"{name} {in_words(int(size))}" for name, size in found.items())
        return f", up to {in_words(int(sum(found.values())))} downloaded ({parts})" if found else ""

    def too_slow(self) -> str | None:
        """A warning with a remedy, if a processor would take more than a day; otherwise None."""
        if self.on_gpu or not self.is_known or self.seconds <= SLOW:
            return None
        return (
            f"device: about {duration(self.seconds)} {self.where()}: this suite is made for GPUs; for a smaller one, "
            "--config scale=0.01; for what a GPU would take, genbench check SUITE --gpu h100"
        )

    def show(self) -> None:
        """Print the table, with a line for each model and the totals."""
        table = Table(title=escape(f"{self.suite['name']}: what is left to do, {self.where()}"))
        for column in ("model", "training", "sampling", "evaluation", "disk", "memory"):
            table.add_column(column, no_wrap=True, justify="left" if column == "model" else "right")
        times, disk = by_model(self.jobs), self.disk()
        for name in ["", *self.suite["models"]]:
            cells = [duration(times[name][kind]) if times.get(name, {}).get(kind) else "-" for kind in KINDS_SHOWN]
            memory = self.memory(name) if name else evaluation_memory(self.suite, self.known)
            label = name or "real images; metrics"
            table.add_row(escape(label), *cells, in_words(disk.get(name, 0)), in_words(memory) if memory else "-")
        totals = [sum(times[name][kind] for name in times) for kind in KINDS_SHOWN]
        table.add_section()
        table.add_row("in all", *map(duration, totals), in_words(sum(disk.values())), "")
        Console(width=None if os.isatty(1) else 120).print(table)

    def record(self) -> dict[str, Any]:
        """The forecast for programs: seconds by model and kind, bytes, and the device and its speeds."""
        return {
            "device": self.device.name,
            "where": self.where(),
            "seconds": self.seconds,
            "by_model": {name: dict(kinds) for name, kinds in by_model(self.jobs).items()},
            "disk_bytes": self.disk(),
            "download_bytes": self.downloads(),
        }


def planned_forecast(
    plan: Plan, given: Mapping[str, Any], data_root: Path, gpu: str | None, measured: bool
) -> Forecast | None:
    """The forecast of a suite that was just checked, with these keys of config.yaml; None if no check was kept.

    measured: whether to measure networks of unknown speed first, and keep their speeds.
    """
    assert plan.suite_argument is not None
    suite = load_suite(find_suite(plan.suite_argument), given)
    checked = Checked(suite, data_root)
    if not checked.holds():
        return None
    forecast = Forecast(suite, checked.facts, given.get("device", "auto"), gpu)
    unknown = {name: entry for name, entry in suite["models"].items() if "training" in entry}
    unknown = {name: entry for name, entry in unknown.items() if not forecast.speeds.knows(entry["model"])}
    if measured and unknown:
        from genbench.machine.devices import pick_device
        from genbench.suites.measured import measure  # and with it torch

        shape = tuple(checked.facts["image_shape"])
        keep_measured(measure(unknown, shape, pick_device(given.get("device", "auto"), 1)))
        return Forecast(suite, checked.facts, given.get("device", "auto"), gpu)
    return forecast


KINDS_SHOWN: Sequence[str] = ("training", "sampling", "evaluation")
