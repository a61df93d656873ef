"""Compare results with a record, row by row: identical, reproduced, differs, undecided or absent.

A row is one sampler of one final model, over its seeds. It is judged by the suite's headline metric.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean

from genbench.errors import unknown_name
from genbench.metrics import extractor_of
from genbench.metrics.intervals import GROUPS, QUANTILE
from genbench.records.reference import RecordedDraw, Reference
from genbench.references.causes import Side, causes
from genbench.references.same import Difference, Runs, alike, are_different, by_errors, difference

IDENTICAL, REPRODUCED, DIFFERS, UNDECIDED, ABSENT = "identical", "reproduced", "differs", "undecided", "absent"
VERDICTS = (DIFFERS, UNDECIDED, ABSENT, REPRODUCED, IDENTICAL)
OTHER_FEATURES = "measured in the features of another network: further apart than with one"
LARGEST_SHARE = 1e4  # a difference of more than 1,000,000 % of a number is not stated as a share of it
Place = tuple[str, str]  # model and sampler


@dataclass(frozen=True)
class Verdict:
    """The verdict on one row.

    ours, theirs: means over seeds. difference: between these, for rows in both. notes: the basis of the verdict.
    causes: what differs upstream.
    """

    name: str
    verdict: str
    ours: float | None = None
    theirs: float | None = None
    difference: Difference | None = None
    notes: Sequence[str] = ()
    causes: Sequence[str] = ()

    @property
    def relative(self) -> float | None:
        """The difference as a share of the record's number; None if that is zero, or far too small for a share."""
        if self.difference is None or not self.theirs:
            return None
        share = self.difference.size / abs(self.theirs)
        return share if abs(share) < LARGEST_SHARE else None


@dataclass(frozen=True)
class Verification:
    """The verdicts on all rows of a suite; `metric` is the metric that they are judged by."""

    suite: str
    metric: str
    rows: Sequence[Verdict]
    by: str | None = field(default=None)

    def count(self, verdict: str) -> int:
        """How many rows have a verdict."""
        return sum(row.verdict == verdict for row in self.rows)

    @cached_property
    def shared(self) -> list[str]:
        """The causes common to all rows that both have, if these are several."""
        both = [row for row in self.rows if row.verdict != ABSENT]
        if len(both) < 2:  # a single row has them as its own
            return []
        return [cause for cause in both[0].causes if all(cause in row.causes for row in both)]

    def own(self, row: Verdict) -> list[str]:
        """The causes of a row that are not common to all."""
        return [cause for cause in row.causes if cause not in self.shared]

    @property
    def sentence(self) -> str:
        """The summary."""
        both = self.count(IDENTICAL) + self.count(REPRODUCED)
        rows = "row" if len(self.rows) == 1 else "rows"
        parts = [f"{both} of {len(self.rows)} {rows} of {self.suite} reproduced"]
        if identical := self.count(IDENTICAL):
            parts[0] += f", {identical} of them with identical samples"
        differ = self.count(DIFFERS)
        parts += [f"{differ} {'differs' if differ == 1 else 'differ'}"] * bool(differ)
        for verdict, text in ((UNDECIDED, "cannot be decided"), (ABSENT, "only in one of the two")):
            if number := self.count(verdict):
                parts.append(f"{number} {text}")
        return "; ".join(parts) + "."


def verify(ours: Reference, theirs: Reference, metric: str | None = None) -> Verification:
    """Compare results with a record of the same suite. metric: by default the headline of that record.

    Raises InputError for another suite, and for a metric that the record does not have.
    """
    if ours.suite != theirs.suite:
        raise unknown_name("record: suite", theirs.suite, [ours.suite])
    metric = metric or theirs.headline
    if not any(metric in draw.metrics for draw in theirs.draws):
        raise unknown_name("metric", metric, {key for draw in theirs.draws for key in draw.metrics})
    here, there = rows_of(ours, metric), rows_of(theirs, metric)
    both = [place for place in there if place in here]
    found = {place: compared(ours, theirs, place, here[place], there[place], metric) for place in both}
    tested = [place for place in both if not are_identical(here[place], there[place], metric)]
    judged = judge([found[place] for place in tested], [(ours, theirs, place) for place in tested], metric)
    differ = dict(zip(tested, judged, strict=True))
    names, others = names_of(ours) | names_of(theirs), other_weights(ours, theirs, metric)
    rows = []
    for place in [*there, *(place for place in here if place not in there)]:
        if place not in found:
            where = "the record has no such row" if place in here else "these results have no such row"
            number = mean((here | there)[place], metric)
            rows.append(
                Verdict(
                    names[place],
                    ABSENT,
                    ours=number if place in here else None,
                    theirs=number if place in there else None,
                    notes=[where],
                )
            )
            continue
        verdict = {True: DIFFERS, False: REPRODUCED, None: UNDECIDED}[differ[place]] if place in differ else IDENTICAL
        notes = notes_of(verdict, found[place], here[place], there[place], others)
        upstream = [] if verdict == IDENTICAL else causes(ours, theirs, *place)
        sides, size = [here[place], there[place]], found[place]
        if verdict == IDENTICAL:  # only the seeds that both have were compared
            sides = of_both(*sides)
            size = difference(runs_of(sides[0], metric), runs_of(sides[1], metric))
        averages = [mean(side, metric) for side in sides]
        rows.append(Verdict(names[place], verdict, averages[0], averages[1], size, notes, upstream))
    rows.sort(key=lambda row: VERDICTS.index(row.verdict))
    return Verification(ours.suite, metric, rows, theirs.name)


def rows_of(record: Reference, metric: str) -> dict[Place, list[RecordedDraw]]:
    """The draws of each row that have this metric."""
    found: dict[Place, list[RecordedDraw]] = {}
    for draw in record.draws:
        if metric in draw.metrics:
            found.setdefault((draw.model, draw.sampler), []).append(draw)
    return found


def names_of(record: Reference) -> dict[Place, str]:
    """The name of each row: its model, and its sampler if the model has several."""
    found = {}
    for name, model in record.models.items():
        for sampler, option in model.samplers.items():
            label = model.label or name
            found[name, sampler] = f"{label}, {option.label or sampler}" if len(model.samplers) > 1 else label
    return found


def mean(draws: Sequence[RecordedDraw], metric: str) -> float:
    """The mean of a row over its seeds."""
    return fmean(draw.metrics[metric] for draw in draws)


def of_both(ours: Sequence[RecordedDraw], theirs: Sequence[RecordedDraw]) -> list[list[RecordedDraw]]:
    """The draws of the training seeds that both have."""
    seeds = {draw.seed for draw in ours} & {draw.seed for draw in theirs}
    return [[draw for draw in side if draw.seed in seeds] for side in (ours, theirs)]


def are_identical(ours: Sequence[RecordedDraw], theirs: Sequence[RecordedDraw], metric: str) -> bool:
    """Whether the samples of all common seeds are bitwise equal, and their values agree in three digits."""
    there = {draw.seed: draw for draw in theirs}
    pairs = [(draw, there[draw.seed]) for draw in ours if draw.seed in there]
    return bool(pairs) and all(
        a.samples_sha256 is not None
        and a.samples_sha256 == b.samples_sha256
        and alike(a.metrics[metric], b.metrics[metric])
        for a, b in pairs
    )


def compared(
    ours: Reference,
    theirs: Reference,
    place: Place,
    here: Sequence[RecordedDraw],
    there: Sequence[RecordedDraw],
    metric: str,
) -> Difference:
    """The difference between the two values of a row, over trainings, or over the draws of one common training.

    For one training each, it is computed from their intervals if both have one. These do not include the variance
    between trainings.
    """
    if len(here) == len(there) == 1 and _same_weights(ours, theirs, place[0], here[0].seed, there[0].seed):
        of_draws = [runs_of_draws(here[0], metric), runs_of_draws(there[0], metric)]
        if min(map(len, of_draws)) > 1:
            return difference(of_draws[0], of_draws[1])
    if len(here) == len(there) == 1:
        ends = [(draw.intervals or {}).get(metric, []) for draw in (here[0], there[0])]
        if all(len(found) == 2 for found in ends):
            errors = [(((found[1] - found[0]) / (2 * QUANTILE)) ** 2, GROUPS - 1.0) for found in ends]
            return by_errors(here[0].metrics[metric], there[0].metrics[metric], *errors)
    return difference(runs_of(here, metric), runs_of(there, metric))


def judge(
    found: Sequence[Difference], rows: Sequence[tuple[Reference, Reference, Place]], metric: str
) -> list[bool | None]:
    """Which differences between rows of two records are significant, at one level; None where they mean nothing.

    A difference means nothing if the two used different features. The same holds for different trainings that are
    compared only by their images, because two trainings of one recipe differ by more.
    """

    def says_something(one: Difference, ours: Reference, theirs: Reference, place: Place) -> bool:
        alike = not one.of_images or same_training(ours, theirs, *place)
        return alike and not other_weights(ours, theirs, metric)

    return [
        None if differs and not says_something(one, *row) else differs
        for differs, one, row in zip(are_different(found), found, rows, strict=True)
    ]


def other_weights(ours: Reference, theirs: Reference, metric: str) -> bool:
    """Whether two records computed a metric in the features of different networks."""
    name = extractor_of(metric, ours.extractors)
    hashes = [record.extractors.get(name, {}).get("sha256") for record in (ours, theirs)]
    return None not in hashes and hashes[0] != hashes[1]


def same_training(ours: Reference, theirs: Reference, model: str, sampler: str) -> bool:
    """Whether the training of each has the same seed, precision and kind of processor; recipes may differ.

    Rounding differs between kinds of processors, and training amplifies these differences.
    """
    sides = [Side(record, model, sampler) for record in (ours, theirs)]
    of_both = [
        (side.of_draws(lambda draw: draw.seed), side.of_trainings(lambda one: (one.precision, one.device)))
        for side in sides
    ]
    return of_both[0] == of_both[1]


def runs_of(draws: Sequence[RecordedDraw], metric: str) -> Runs:
    """The value of each training, by its seed and the seeds of its samples."""
    return {(draw.seed, draw.seeds): draw.metrics[metric] for draw in draws}


def runs_of_draws(draw: RecordedDraw, metric: str) -> Runs:
    """The value of each draw of one training, by the seeds of all draws and its index among them."""
    return {(draw.seeds, number): value for number, value in enumerate((draw.values or {}).get(metric, []))}


def _same_weights(ours: Reference, theirs: Reference, model: str, seed: int, other: int) -> bool:
    hashes = [
        {training.model_sha256 for training in record.trainings if (training.model, training.seed) == (model, number)}
        for record, number in ((ours, seed), (theirs, other))
    ]
    return hashes[0] == hashes[1] != set() and None not in hashes[0]


def notes_of(
    verdict: str,
    found: Difference,
    ours: Sequence[RecordedDraw],
    theirs: Sequence[RecordedDraw],
    other_features: bool = False,
) -> list[str]:
    """The basis of a verdict. other_features: whether the two were measured in the features of different networks."""
    same = {draw.seed for draw in ours} & {draw.seed for draw in theirs}
    if verdict == IDENTICAL:
        seeds = len({draw.seed for draw in (*ours, *theirs)})
        return [f"{len(same)} of {seeds} training seeds are in both"] if len(same) < seeds else []
    if verdict == UNDECIDED and found.p is None:
        return ["one run each: nothing is known of chance"]
    if verdict == UNDECIDED and not other_features:
        return ["one training each, and not the same: further apart than their images explain"]
    features = [OTHER_FEATURES] if verdict == UNDECIDED else []
    by_images = ["by the images of one training each"] if found.of_images else []
    there = {draw.seed: draw.samples_sha256 for draw in theirs}
    hashes = [(draw.samples_sha256, there[draw.seed]) for draw in ours if draw.seed in same]
    equal = hashes and all(a is not None and a == b for a, b in hashes)
    return features + by_images + (["the samples are identical, their evaluation is not"] if equal else [])
