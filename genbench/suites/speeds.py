"""How many FLOPs per second a device computes for a network: from earlier runs, records, or `genbench check`.

Every run writes results/report/SUITE/record.json, and genbench comes with records of the same form. They state the
device and duration of every training and draw. resources/.preflight/speeds.json has the measurements of `check`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from genbench.errors import InputError, unknown_name
from genbench.files.artifacts import sha256_json, write_json
from genbench.machine.checkout import ROOT
from genbench.machine.devices import processor_name
from genbench.suites.families import first_stage_key

MEASURED = Path("resources/.preflight/speeds.json")
CPU_CORE = 30e9  # FLOPs per second of small networks on a server's core in float32: 27 to 50 G in docs/equal.md
# Dense tera-FLOPs per second from data sheets, with TensorFloat-32, or float32 if a GPU lacks it.
PEAKS = {"t4": 8.1, "v100": 15.7, "rtx3090": 35.6, "l4": 60, "a10": 62.5, "rtx4090": 82.6, "a100": 156, "l40s": 183}
PEAKS |= {"h100": 494.5, "h200": 494.5}
SHARE = 0.15  # of the peak, assumed for small networks without measurements
SHORTEST = 10.0  # seconds: shorter trainings say nothing about speed; for samples a tenth of it
TRAINING, SAMPLING = "training", "sampling"


class Speed(NamedTuple):
    """FLOPs per second, and the source of the number in words."""

    flops: float
    source: str


class Seen(NamedTuple):
    """An observed speed: its device, its kind (training or sampling), its network, and its source."""

    device: str
    kind: str
    network: str
    flops: float
    source: str


def network_key(model: Mapping[str, Any]) -> str:
    """The key of a network: the hash of a model's entry."""
    return sha256_json(dict(model))[:16]


@dataclass(frozen=True)
class Device:
    """The device of a run's jobs. `name` is part of its name in records."""

    name: str
    typical: Speed

    @classmethod
    def processor(cls) -> "Device":
        """A core of this machine's processor."""
        return cls(f"CPU ({processor_name()},", Speed(CPU_CORE, "typical of a processor's core"))

    @classmethod
    def gpu(cls, name: str) -> "Device":
        """A GPU by a name such as h100, or by its driver's name. Raises InputError for an unknown GPU."""
        plain = "".join(name.lower().split()).replace("-", "")
        found = max((known for known in PEAKS if known in plain), key=len, default=None)
        if found is None:
            raise unknown_name("--gpu", name, PEAKS)
        return cls(found, Speed(SHARE * PEAKS[found] * 1e12, f"{SHARE:.0%} of its peak, an assumption"))

    def is_of(self, label: str) -> bool:
        """Whether a record's device is this one."""
        plain = "".join(label.lower().split()).replace("-", "")
        return self.name in plain or label.startswith(self.name)


class Speeds:
    """The known speeds of a device."""

    def __init__(self, device: Device, seen: Iterable[Seen]) -> None:
        self.device = device
        self.seen = [one for one in seen if device.is_of(one.device)]

    def of(self, model: Mapping[str, Any], kind: str) -> Speed:
        """The speed of this network, else the median of other networks in this kind of work, else a typical speed."""
        key = network_key(model)
        for chosen in (
            [one for one in self.seen if (one.network, one.kind) == (key, kind)],
            [one for one in self.seen if one.network == key],
            [one for one in self.seen if one.kind == kind],
        ):
            if chosen:
                same = chosen[0].network == key
                return Speed(median(one.flops for one in chosen), chosen[0].source if same else "of other networks")
        return self.device.typical

    def knows(self, model: Mapping[str, Any]) -> bool:
        """Whether a speed of exactly this network is known."""
        return any(one.network == network_key(model) for one in self.seen)


def seen_speeds(results: Path = Path("results")) -> Iterator[Seen]:
    """All observed speeds: from the runs of this folder, genbench's records, and `genbench check`."""
    for path in sorted(results.glob("report/*/record.json")):
        yield from _of_record(path, "of earlier runs")
    for path in sorted((ROOT / "reference").glob("*.json")):
        yield from _of_record(path, "of records")
    yield from measured()


def measured() -> list[Seen]:
    """The speeds that `genbench check` has measured here; none if their file is missing or invalid."""
    try:
        found = json.loads(MEASURED.read_text())["speeds"]
        return [Seen(*one) for one in found]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def keep_measured(new: Iterable[Seen]) -> None:
    """Keep measurements, which replace earlier ones of the same networks."""
    kept = {one[:3]: one for one in (*measured(), *new)}
    write_json(MEASURED, {"speeds": list(kept.values())})


def _of_record(path: Path, source: str) -> Iterator[Seen]:
    """The speeds in a record; none if it is damaged or has no FLOPs."""
    try:
        record = json.loads(path.read_text())
        models = record["models"]
        for training in record.get("trainings", ()):
            model = models[training["model"]]
            whole, seconds = model.get("training_flops"), training.get("seconds")
            spec = model.get("spec", {}).get("model")
            if (
                whole and seconds and seconds >= SHORTEST and spec and first_stage_key(spec) is None
            ):  # with a first stage, the FLOPs are those of both stages
                key = network_key(spec)
                yield Seen(training.get("device") or "", TRAINING, key, whole / seconds, source)
        for draw in record.get("draws", ()):
            model = models[draw["model"]]
            flops = model.get("samplers", {}).get(draw["sampler"], {}).get("flops_per_image")
            took = (draw.get("seconds_per_50k") or 0) * (draw.get("num_samples") or 0) / 50_000
            if flops and took >= SHORTEST / 10 and "model" in model.get("spec", {}):
                key = network_key(model["spec"]["model"])
                yield Seen(draw.get("device") or "", SAMPLING, key, flops * 50_000 / draw["seconds_per_50k"], source)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, InputError):
        return
