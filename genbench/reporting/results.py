"""Read the results of one suite into one tidy table: a row for each model, seed, checkpoint and sampler."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from genbench.metrics import MetricInfo
from genbench.records.likelihood import Likelihood
from genbench.records.metrics import Metrics
from genbench.records.objects import Objects
from genbench.records.paired import Paired
from genbench.records.plan import ModelPlan, Plan
from genbench.records.record import read_record
from genbench.records.speed import Speed
from genbench.records.timing import Timing
from genbench.records.training import Training
from genbench.reporting.columns import info_of
from genbench.reporting.histories import read_history, terms_of
from genbench.reporting.missing import UNREADABLE, ending, left_out, undrawn, unreadable, untrained, without_numbers
from genbench.reporting.outdated import OutdatedError, check_draw, check_reference, differ, outdated_training
from genbench.reporting.pictures import open_picture
from genbench.reporting.row import (
    OF_SAMPLES,
    OF_TRAINING,
    TIMING,
    TRAINING,
    bounded,
    bounded_by,
    columns,
    copied,
    describe,
    imported,
    measured,
    origin,
    own_of,
    per_image,
)
from genbench.reporting.schemes import add_differences, paired_columns
from genbench.reporting.times import of_its_own, time_columns

LOSSY = "samples stored with losses (JPEG), which changes every metric"
T = TypeVar("T")


class Draw(NamedTuple):
    """The images that one sampler drew from one checkpoint of one training run."""

    model: str
    seed: int
    checkpoint: str
    sampler: str


@dataclass
class Results:
    """One suite as read from disk.

    rows: the tidy table; each metric `key` has columns key, key_std, key_n_fake and key_note.
    own: by key, the MetricInfo of metrics that are not genbench's.
    floor: the same columns for real images against real images, or None.
    histories: by model, a table of seed, step, images_seen (NaN if unknown), kind, name, value; the kinds are "losses",
    "metrics", and "validation" for metrics on held-out images.
    pictures: by model, its pictures by name, from its first seed that has them.
    bound_terms: by model with a likelihood, a table of seed, t, value (bits per dimension), t rising.
    provenance: one row per file: stage, model, device, and the keys of Provenance.
    remarks: which files of the real images could not be read, and why.
    endings: for each unfinished model, the last lines of its logs, by seed and sampler.
    """

    preflight: Plan
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    metrics: list[str] = field(default_factory=list)
    own: dict[str, MetricInfo] = field(default_factory=dict)
    floor: dict[str, Any] | None = None
    histories: dict[str, pd.DataFrame] = field(default_factory=dict)
    grids: dict[Draw, Path] = field(default_factory=dict)
    pictures: dict[str, dict[str, Path]] = field(default_factory=dict)
    bound_terms: dict[str, pd.DataFrame] = field(default_factory=dict)
    real_grid: Path | None = None
    extractors: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    provenance: pd.DataFrame = field(default_factory=pd.DataFrame)
    remarks: list[str] = field(default_factory=list)
    endings: dict[str, dict[str, list[str]]] = field(default_factory=dict)


def read_results(preflight_path: Path, root: Path) -> Results:
    """Read the suite of `preflight_path`, whose results lie under `root` (results/{suite}).

    Every draw that the preflight names is a row. A draw without timing, metrics or (unless it was drawn elsewhere)
    training, or with unreadable files, has no numbers but a reason. Histories, likelihoods, grids, pictures and the row
    of real images are optional; if one cannot be read, it is left out with a remark. Raises InputError for a preflight
    that cannot be read.
    """
    reader = Reader(read_record(preflight_path, Plan), root)
    found = reader.found
    for model, entry in found.preflight.models.items():
        reader.read_model(model, entry)
    add_differences(reader.rows, [key for key in found.metrics if info_of(key, found.own).distance])
    reader.read_real()
    found.rows, found.provenance = pd.DataFrame(reader.rows), pd.DataFrame(reader.origins)
    found.histories = {model: pd.concat(tables) for model, tables in reader.histories.items()}
    found.bound_terms = {model: pd.concat(tables) for model, tables in reader.bound_terms.items()}
    return found


class Reader:
    """The results `found` so far, and lists of rows that become tables at the end."""

    def __init__(self, preflight: Plan, root: Path) -> None:
        self.preflight, self.root, self.found = preflight, root, Results(preflight)
        self.origins = [origin("preflight", preflight)]
        self.rows: list[dict[str, Any]] = []
        self.histories: defaultdict[str, list[pd.DataFrame]] = defaultdict(list)  # by model
        self.bound_terms: defaultdict[str, list[pd.DataFrame]] = defaultdict(list)
        self.ceiling: dict[str, Any] = {}  # more columns for the row of real images
        dataset = preflight.dataset
        self.real: Metrics | None = None
        if dataset is None or dataset.num_test != 0:  # with none held out, any file there is from another run
            path = root / "real/metrics.json"
            self.real = self.attempt(path, lambda path: read_record(path, Metrics), self.found.remarks)

    def attempt(self, path: Path, read: Callable[[Path], T], complaints: list[str]) -> T | None:
        """What `read` returns for an optional file; None if it is absent or, with a complaint, cannot be read."""
        if not path.exists():
            return None
        try:
            return read(path)
        except UNREADABLE as error:
            complaints.append(left_out(path, error, self.root))
            return None

    def picture(self, path: Path, complaints: list[str]) -> Path | None:
        """The path of a picture if it exists and can be read."""
        return path if self.attempt(path, open_picture, complaints) else None

    def keep_picture(self, model: str, name: str, path: Path, complaints: list[str]) -> None:
        """Keep a picture if it exists and is the model's first of this name."""
        if picture := self.picture(path, complaints):
            self.found.pictures.setdefault(model, {}).setdefault(name, picture)

    def read_model(self, model: str, entry: ModelPlan) -> None:
        """Read the rows of one model; its speed.json holds for all training seeds."""
        complaints: list[str] = []
        path = self.root / model / "speed.json"
        speed = None
        if "samples" not in entry.spec:
            speed = self.attempt(path, lambda path: read_record(path, Speed), complaints)
        if speed:
            self.origins.append(origin("sampling", speed, model))
        for seed in entry.seeds or self.preflight.seeds:
            self.read_run(model, entry, seed, speed or Speed(samplers={}), list(complaints))

    def read_run(self, model: str, entry: ModelPlan, seed: int, speed: Speed, complaints: list[str]) -> None:
        """Read one training run and its rows; samples from elsewhere have rows but no training."""
        run = self.root / model / f"seed{seed}"
        given = "samples" in entry.spec
        why, outdated, training = None if given else untrained(run), None, Training()
        if not given and not why:
            try:
                training = read_record(run / "training.json", Training)
                why = outdated = outdated_training(self.preflight, model, training, self.first_stage(entry, seed))
            except UNREADABLE as error:
                why = unreadable("training", error, self.root)
            if not why:
                self.origins.append(origin("training", training, model))
        bound = {} if outdated else self.read_beside(model, entry, seed, training, complaints)
        for checkpoint, sampler in product(entry.checkpoints, entry.samplers):
            draw = Draw(model, seed, checkpoint, sampler)
            known = {"suite": self.preflight.suite, **draw._asdict()} | describe(model, entry, draw.sampler)
            known["remarks"] += complaints
            missing = why or undrawn(run / draw.checkpoint / draw.sampler)
            if not missing:
                try:
                    row = self.read_draw(draw, known, training, speed)
                    self.rows.append(row | (bound if draw.checkpoint == "final" else {}))
                    continue
                except OutdatedError as error:
                    missing = str(error)
                except UNREADABLE as error:
                    missing = unreadable("result", error, self.root)
            lines = ending(run, run / draw.checkpoint / draw.sampler)
            endings = self.found.endings.setdefault(model, {})
            if lines and lines not in endings.values():
                endings[f"seed {seed}" if why else f"seed {seed}, {draw.sampler}"] = lines
            self.rows.append(without_numbers(known, missing, len(entry.seeds or self.preflight.seeds) > 1))

    def read_beside(
        self, model: str, entry: ModelPlan, seed: int, training: Training, complaints: list[str]
    ) -> dict[str, Any]:
        """Read what lies beside a training: history, pictures and likelihood; returns the columns of the likelihood."""
        run = self.root / model / f"seed{seed}"
        history = self.attempt(
            run / "history.jsonl", lambda path: read_history(path, training.history_sha256, seed), complaints
        )
        if history is not None:
            self.histories[model].append(history)
        for name in entry.pictures:
            self.keep_picture(model, name, run / "final/pictures" / f"{name}.png", complaints)
        place = run / "final/likelihood.json"
        likelihood = self.attempt(place, lambda path: read_record(path, Likelihood), complaints)
        if likelihood and not differ(likelihood.model_sha256, training.model_sha256):
            self.origins.append(origin("likelihood", likelihood, model))
            self.bound_terms[model].append(terms_of(likelihood, seed))
            return bounded(likelihood)
        return {}

    def first_stage(self, entry: ModelPlan, seed: int) -> Training | None:
        """The training on whose weights a model of two stages builds; None if it has none, or it cannot be read."""
        path = self.root / (entry.first_stage or "") / f"seed{seed}/training.json"
        return self.attempt(path, lambda path: read_record(path, Training), []) if entry.first_stage else None

    def read_draw(self, draw: Draw, known: Mapping[str, Any], training: Training, speed: Speed) -> dict[str, Any]:
        """The row of one set of samples.

        Raises one of UNREADABLE if its timing or metrics cannot be read, OutdatedError if they are not the suite's.
        """
        model, place = draw.model, self.root / draw.model / f"seed{draw.seed}" / draw.checkpoint / draw.sampler
        drawing = read_record(place / "timing.json", Timing)
        timing = of_its_own(drawing, speed, draw.sampler)
        evaluation = read_record(place / "metrics.json", Metrics)
        check_draw(self.preflight, draw, training, drawing, evaluation)
        check_reference(evaluation, self.real)
        self.found.own |= own_of(evaluation.metrics, place / "metrics.json")
        self.origins.append(origin("sampling", timing, model))
        self.origins.append(origin("evaluation", evaluation, model))
        found, remarks, final = dict(evaluation.metrics), list(known["remarks"]), draw.checkpoint == "final"
        self.found.extractors |= evaluation.extractors
        for labels in (self.preflight.evaluation.get("objects") or {}).get("labels", ()):
            path = place / f"objects/{labels}.json"
            if accuracy := self.attempt(path, lambda path: read_record(path, Objects), remarks):
                self.origins.append(origin("object accuracy", accuracy, model))
                found |= {f"{key}_{labels}": value for key, value in accuracy.metrics.items()}
                self.ceiling |= bounded_by(accuracy, labels)
                if final:
                    self.keep_picture(model, f"objects-{labels}-{draw.sampler}", path.with_suffix(".png"), remarks)
        self.found.metrics += [key for key in found if key not in self.found.metrics]
        if timing.unavailable is None:
            if final:
                self.keep_picture(model, f"neighbours-{draw.sampler}", place / "neighbours.png", remarks)
            if grid := self.picture(place / "grid.png", remarks):
                self.found.grids[draw] = grid
        paired = self.attempt(place / "paired.json", lambda path: read_record(path, Paired), remarks)
        remarks += [LOSSY] * bool(timing.lossy) + (timing.notes or [])
        remarks += [] if timing.unavailable is None else [f"not drawn: {timing.unavailable}"]
        copies = copied(evaluation.metrics)
        remarks += [copies.pop("copies")] if copies else []
        return (
            {**known, "remarks": remarks}
            | columns(training, TRAINING, OF_TRAINING)
            | imported(training)
            | columns(timing, TIMING, OF_SAMPLES)
            | paired_columns(paired, timing)
            | per_image(timing)
            | time_columns(drawing, speed, draw.sampler)
            | measured(evaluation, found)
            | copies
        )

    def read_real(self) -> None:
        """Read the row of real images, and their grid."""
        if self.real:
            self.found.floor = measured(self.real, self.real.metrics) | self.ceiling
        self.found.real_grid = self.picture(self.root / "real/grid.png", self.found.remarks)
