"""What differs upstream of a row between two records: data, recipe, evaluation, precision, code, versions, processor.

Each cause is a short text. There is none for what is equal, or unknown in one of the two.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from genbench.records.reference import RecordedDraw, RecordedTraining, Reference

MOST_KEYS = 6  # keys of a recipe in one cause
LONGEST = 80  # characters of a value: names of processors are long, and differ at their ends
STAGES = ("training", "sampling", "evaluation")
MISSING = object()


def causes(ours: Reference, theirs: Reference, model: str, sampler: str) -> list[str]:
    """What differs upstream of one row, with our value first; the most influential causes come first."""
    sides = [Side(ours, model, sampler), Side(theirs, model, sampler)]
    return [*_data(*sides), *_recipe(*sides), *_evaluation(*sides), *_how(*sides)]


class Side:
    """The parts of one record that belong to a row."""

    def __init__(self, record: Reference, model: str, sampler: str) -> None:
        self.record, self.model, self.sampler = record, model, sampler
        self.draws = [draw for draw in record.draws if (draw.model, draw.sampler) == (model, sampler)]
        self.trainings = [training for training in record.trainings if training.model == model]
        self.origins = [origin for origin in record.origins if model in origin.models and origin.stage in STAGES]

    def of_draws(self, value: Callable[[RecordedDraw], Any]) -> list[str]:
        """The distinct values of the row's draws."""
        return sorted({str(found) for draw in self.draws if (found := value(draw)) is not None})

    def of_trainings(self, value: Callable[[RecordedTraining], Any]) -> list[str]:
        """The distinct values of the model's trainings."""
        return sorted({str(found) for training in self.trainings if (found := value(training)) is not None})

    def versions(self) -> dict[str, str]:
        """The versions of Python and of packages that made the row."""
        found: dict[str, dict[str, None]] = {}
        for origin in self.origins:
            for name, version in {"Python": origin.python, **origin.packages}.items():
                if version is not None:
                    found.setdefault(name, {})[version] = None
        return {name: " and ".join(versions) for name, versions in found.items()}

    def recipe(self) -> dict[str, Any]:
        """The entry by dotted keys, with the options of only this sampler."""
        spec = dict(self.record.models[self.model].spec)
        samplers = spec.pop("samplers", {})
        options = samplers.get(self.sampler, {}) if isinstance(samplers, Mapping) else {}
        return dict(leaves({**spec, "sampler": options}))


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every leaf of nested mappings."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves(part, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def _data(a: Side, b: Side) -> Iterator[str]:
    ours = a.of_trainings(lambda found: found.data_sha256 or a.record.data_sha256)
    yield from _other(
        "other training images", ours, b.of_trainings(lambda found: found.data_sha256 or b.record.data_sha256)
    )
    real = a.of_draws(lambda found: found.reference_sha256 or a.record.reference_sha256)
    yield from _other(
        "other real images", real, b.of_draws(lambda found: found.reference_sha256 or b.record.reference_sha256)
    )


def _recipe(a: Side, b: Side) -> Iterator[str]:
    found = _changes(a.recipe(), b.recipe())
    if found:
        yield f"other recipe: {found}"


def _evaluation(a: Side, b: Side) -> Iterator[str]:
    yield from _told("samples", a.of_draws(lambda draw: draw.num_samples), b.of_draws(lambda draw: draw.num_samples))
    options = [{key: part for key, part in side.record.evaluation.items() if key != "headline"} for side in (a, b)]
    if found := _changes(*(dict(leaves(part)) for part in options)):
        yield f"other evaluation: {found}"
    for name in sorted(a.record.extractors.keys() & b.record.extractors.keys()):
        hashes = [side.record.extractors[name].get("sha256") for side in (a, b)]
        if None not in hashes and hashes[0] != hashes[1]:
            yield f"other weights of the features {_short(name)}"


def _how(a: Side, b: Side) -> Iterator[str]:
    yield from _told("precision of training", *(side.of_trainings(lambda found: found.precision) for side in (a, b)))
    yield from _told("precision of sampling", *(side.of_draws(lambda found: found.precision) for side in (a, b)))
    for stage in STAGES:
        codes = [sorted({o.code_sha256 for o in side.origins if o.stage == stage and o.code_sha256}) for side in (a, b)]
        yield from _other(f"other code of {stage}", *codes)
    ours, theirs = a.versions(), b.versions()
    changed = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    if changed:
        pairs = [f"{_short(name)} {_short(ours[name])}, there {_short(theirs[name])}" for name in changed[:MOST_KEYS]]
        yield f"other versions: {'; '.join(pairs)}"
    yield from _told("trained on", *(side.of_trainings(lambda found: found.device) for side in (a, b)))
    yield from _told("sampled on", *(side.of_draws(lambda found: found.device) for side in (a, b)))
    yield from _told("training seeds", *(side.of_draws(lambda found: found.seed) for side in (a, b)))
    yield from _told("sample seeds", *(side.of_draws(lambda found: found.seeds) for side in (a, b)))


def _other(text: str, ours: list[str], theirs: list[str]) -> Iterator[str]:
    if ours and theirs and ours != theirs:
        yield text


def _told(text: str, ours: list[str], theirs: list[str]) -> Iterator[str]:
    if ours and theirs and ours != theirs:
        yield f"{text}: {_short(', '.join(ours))}, there {_short(', '.join(theirs))}"


def _changes(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """The keys whose values differ, with both values."""
    keys = [key for key in {**ours, **theirs} if ours.get(key, MISSING) != theirs.get(key, MISSING)]
    told = [f"{_short(key)} {_value(ours, key)}, there {_value(theirs, key)}" for key in keys[:MOST_KEYS]]
    return "; ".join(told + [f"and {len(keys) - MOST_KEYS} more"] * (len(keys) > MOST_KEYS))


def _value(values: Mapping[str, Any], key: str) -> str:
    return _short(str(values[key])) if key in values else "not given"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
