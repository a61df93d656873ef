"""A record in pieces: a long suite can be run part by part, on several machines."""

from collections.abc import Iterable, Mapping
from typing import Any

from genbench.errors import InputError
from genbench.records.reference import RecordedDraw, RecordedOrigin, RecordedTraining, Reference

SAME = ("suite", "headline", "num_samples", "data_sha256", "reference_sha256", "evaluation", "own_metrics")


def joined(new: Reference, earlier: Reference, where: str) -> Reference:
    """`new`, with the rows that only `earlier` has. If both trained a model with the same seed, all its rows are new.

    Raises InputError that begins with `where` unless both have the same data, recipes and evaluation.
    """
    check_same(new, earlier, where)
    made = {_key(one) for one in new.draws}
    kept = [one for one in earlier.draws if _key(one) not in made]
    runs = {_key(one) for one in kept}
    draws = [*kept, *new.draws]
    trainings = [*(one for one in earlier.trainings if _key(one) in runs), *new.trainings]
    left = {one.model for one in kept}
    earlier_origins = [
        one.model_copy(update={"models": [name for name in one.models if name in left]}) for one in earlier.origins
    ]
    order = {name: number for number, name in enumerate(new.models)}
    return new.model_copy(
        update={
            "draws": sorted(draws, key=lambda one: (order[one.model], one.seed)),
            "trainings": sorted(trainings, key=lambda one: (order[one.model], one.seed)),
            "origins": list(_origins([*new.origins, *earlier_origins])),
        }
    )


def check_same(new: Reference, earlier: Reference, where: str) -> None:
    """Raise InputError unless the rows of both can stand in one table."""
    for key in SAME:
        _check(getattr(earlier, key), getattr(new, key), f"{where}: {key}")
    for name in earlier.extractors.keys() | new.extractors.keys():
        found, expected = (record.extractors.get(name, {}).get("sha256") for record in (earlier, new))
        _check(found, expected, f"{where}: extractors: {name}: sha256")
    for name in dict.fromkeys(one.model for one in earlier.draws):
        if name not in new.models:
            raise InputError(f"{where}: models: found {name!r}, which the suite lacks; expected one of its models")
        _check(earlier.models[name].spec, new.models[name].spec, f"{where}: models: {name}")


def _check(found: Any, expected: Any, where: str) -> None:
    """Raise InputError, with the first key that differs, unless two values are equal."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in {**found, **expected}:
            _check(found.get(key), expected.get(key), f"{where}: {key}")
    elif found != expected:
        raise InputError(
            f"{where}: found {found!r}, expected {expected!r} as in the new rows: they cannot be in one table"
        )


def _origins(origins: Iterable[RecordedOrigin]) -> Iterable[RecordedOrigin]:
    """Each origin once, with all models whose results it made; origins without models are left out."""
    found: dict[str, RecordedOrigin] = {}
    for one in origins:
        key = one.model_copy(update={"models": []}).model_dump_json()
        names = [*(found[key].models if key in found else []), *one.models]
        if names:
            found[key] = one.model_copy(update={"models": list(dict.fromkeys(names))})
    return found.values()


def _key(one: RecordedDraw | RecordedTraining) -> tuple[str, int]:
    return one.model, one.seed
