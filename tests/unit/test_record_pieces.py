"""Records in pieces: each run adds its rows; rows that do not fit into one table are refused."""

import pytest
from test_verdicts import record, spec, with_each

from genbench.errors import InputError
from genbench.records.reference import RecordedModel, RecordedSampler, Reference
from genbench.references.pieces import joined


def rows(found: Reference) -> list[tuple[str, int, float]]:
    return [(draw.model, draw.seed, draw.metrics["fd"]) for draw in found.draws]


def with_models_of(found: Reference, other: Reference) -> Reference:
    """Return `found` with the models of `other`: a record of a part of a suite lists all models of the suite."""
    return found.model_copy(update={"models": other.models})


def test_rows_are_added_and_those_of_a_training_made_again_replaced() -> None:
    both = record({"gan": [1.0, 2.0], "vae": [3.0]}, (0, 1), "a")
    new = with_models_of(record({"gan": [9.0]}, (1,), "b"), both)
    found = joined(new, both, "file.json")
    assert rows(found) == [("gan", 0, 1.0), ("gan", 1, 9.0), ("vae", 0, 3.0)]
    assert [one.model_sha256 for one in found.trainings] == ["gan 0 a", "gan 1 b", "vae 0 a"]
    assert [one.models for one in found.origins] == [["gan", "vae"]] * 3
    later = joined(with_each(new, "origins", code_sha256="new"), both, "file.json")
    assert [(one.code_sha256, one.models) for one in later.origins] == [("new", ["gan"])] * 3 + [
        ("c0de", ["gan", "vae"])
    ] * 3


def test_a_row_of_which_nothing_is_kept_leaves_no_training_and_no_origin() -> None:
    earlier = record({"gan": [1.0]}, (0,), "a")
    earlier = with_each(with_each(earlier, "trainings", steps=5), "origins", code_sha256="old")
    found = joined(record({"gan": [9.0]}, (0,), "b"), earlier, "file.json")
    assert rows(found) == [("gan", 0, 9.0)]
    assert [one.code_sha256 for one in found.origins] == ["c0de"] * 3
    assert [(one.model_sha256, one.steps) for one in found.trainings] == [("gan 0 b", None)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_sha256": "other"}, "data_sha256: found 'other', expected 'da' as in the new rows"),
        ({"evaluation": {"options": {"k": 3}}}, "evaluation: options: found {'k': 3}, expected None"),
        ({"extractors": {"net": {"sha256": "1"}}}, "extractors: net: sha256: found '1', expected None"),
        (
            {"models": {"gan": RecordedModel(spec=spec(300), samplers={"default": RecordedSampler()})}},
            "models: gan: training: steps: found 300, expected 600",
        ),
    ],
)
def test_what_makes_no_one_table_is_refused(changes: dict, message: str) -> None:
    earlier = record({"gan": [1.0]}, (0,))
    with pytest.raises(InputError, match=rf"^file\.json: {message.replace('{', '.').replace('}', '.')}"):
        joined(record({"gan": [2.0]}, (1,)), earlier.model_copy(update=changes), "file.json")


def test_a_model_that_the_suite_no_longer_has_is_refused() -> None:
    with pytest.raises(InputError, match=r"file\.json: models: found 'vae', which the suite lacks"):
        joined(record({"gan": [2.0]}, (1,)), record({"vae": [1.0]}, (0,)), "file.json")
