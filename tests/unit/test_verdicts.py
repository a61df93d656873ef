"""Results compared with a record: the test of equality, each row's verdict, and the reasons for it."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from benchmarks import false_alarms
from genbench.errors import InputError
from genbench.records.reference import FORMAT, Reference
from genbench.references.files import GREATEST
from genbench.references.same import are_different, difference, difference_by_images, ranks
from genbench.references.verdicts import Verification, verify

NUMBERS = {"gan": [61.3, 61.8, 60.9], "vae": [44.9, 45.2, 44.4], "ddpm": [11.7, 11.9, 11.4]}


def record(numbers: dict[str, list[float]] = NUMBERS, seeds: tuple[int, ...] = (0, 1, 2), tag: str = "a") -> Reference:
    """Return a record of models with one sampler; tag: other tags stand for other samples."""
    models = {name: {"label": name.upper(), "samplers": {"default": {}}, "spec": spec(600)} for name in numbers}
    trainings = [
        {"model": name, "seed": seed, "device": "CPU (A)", "precision": "fp32", "model_sha256": f"{name} {seed} {tag}"}
        for name, values in numbers.items()
        for seed, _ in zip(seeds, values, strict=False)
    ]
    draws = [
        {"model": name, "seed": seed, "sampler": "default", "metrics": {"fd": value, "kid": value / 900}}
        | {"seeds": "0:2000", "num_samples": 2000, "samples_sha256": f"{name} {seed} {tag}"}
        | {"device": "CPU (A)", "precision": "fp32"}
        for name, values in numbers.items()
        for seed, value in zip(seeds, values, strict=False)
    ]
    origins = [
        {
            "stage": stage,
            "models": list(numbers),
            "code_sha256": "c0de",
            "python": "3.11.7",
            "packages": {"torch": "2.8"},
        }
        for stage in ("training", "sampling", "evaluation")
    ]
    content = {"models": models, "trainings": trainings, "draws": draws, "origins": origins, "extractors": {"net": {}}}
    content |= {"format": FORMAT, "suite": "toy", "headline": "fd", "data_sha256": "da", "reference_sha256": "4e"}
    return Reference(**content)


def spec(steps: int) -> dict[str, Any]:
    return {"training": {"steps": steps, "optimizer": {"lr": 2e-4}}, "samplers": {"default": {"steps": 20}}}


def with_each(found: Reference, key: str, **changes: Any) -> Reference:
    """Return a copy with other values in each of its trainings, draws or origins (key)."""
    return found.model_copy(update={key: [part.model_copy(update=changes) for part in getattr(found, key)]})


def verdicts(found: Verification) -> dict[str, str]:
    return {row.name: row.verdict for row in found.rows}


def noise(scale: float, seed: int = 0, **shift: float) -> dict[str, list[float]]:
    random = np.random.default_rng(seed)
    return {
        name: [value + shift.get(name, 0) + scale * random.normal() for value in values]
        for name, values in NUMBERS.items()
    }


def test_the_test_is_students_t() -> None:
    a, b, c = [10.0, 10.5, 9.7], [11.2, 12.0, 10.9], [11.5, 11.0]

    def runs(values: list[float], first: int = 0) -> dict[int, float]:
        return dict(enumerate(values, start=first))

    assert difference(runs(a), runs(b)).p == pytest.approx(ttest_rel(a, b).pvalue)
    assert difference(runs(a), runs(b, 5)).p == pytest.approx(ttest_ind(a, b, equal_var=False).pvalue)
    assert difference(runs(a), runs(c)).p == pytest.approx(ttest_ind(a, c, equal_var=False).pvalue)
    assert difference(runs(a), runs(b), paired=False).p == pytest.approx(ttest_ind(a, b, equal_var=False).pvalue)
    assert difference(runs(a), runs([12.0])).p == pytest.approx(ttest_ind(a, [12.0]).pvalue)  # 2 degrees of freedom
    assert difference(runs([1.0]), runs([1.0])).p is None
    assert difference(runs([1.0, 1.0]), runs([1.0004, 1.0])).p == 1  # printed alike
    assert difference(runs([1.0, 1.0]), runs([2.0, 2.0])).p == 0
    assert difference(runs([1.0, 1.0]), runs([2.0, 2.0], 5)).p == 0
    assert difference(runs([0.001]), runs([0.0, 0.0, 0.0])).p is None  # equal runs are no sign of certainty


def test_holms_level_is_one_for_all() -> None:
    def of(*chances: float | None) -> list[bool | None]:
        found = difference({0: 1.0, 1: 2.0}, {0: 2.0, 1: 2.5})
        return are_different([type(found)(1.0, chance, (3, 3), False) for chance in chances])

    assert of(0.04) == [True]
    assert of(0.04, 0.9) == [False, False]
    assert of(0.9, 0.02, 0.04, None) == [False, False, False, None]  # 0.02 > 0.05 / 3
    assert of(0.9, 0.01, 0.02, None) == [False, True, True, None]  # 0.01 < 0.05 / 3 and 0.02 < 0.05 / 2
    assert of(None, None) == [None, None]


def test_honest_suites_pass_and_a_moved_row_is_found() -> None:
    assert false_alarms.passes("normal", rows=10, seeds=3, trials=300) > 0.95 - 0.026  # 0.026: two standard errors
    assert false_alarms.passes("skewed", rows=10, seeds=3, trials=100) > 0.95 - 0.044
    assert false_alarms.misses(rows=10, seeds=3, shift=32.0, trials=100) < 0.05
    assert false_alarms.misses(rows=10, seeds=5, shift=8.0, trials=100) < 0.05


def test_the_same_samples_are_identical() -> None:
    found = verify(record(), record())
    assert set(verdicts(found).values()) == {"identical"}
    assert found.sentence == "3 of 3 rows of toy reproduced, 3 of them with identical samples."
    fewer = verify(record(seeds=(0,)), record())
    assert set(verdicts(fewer).values()) == {"identical"}
    assert fewer.rows[0].notes == ["1 of 3 training seeds are in both"]
    assert (fewer.rows[0].ours, fewer.rows[0].theirs, fewer.rows[0].relative) == (61.3, 61.3, 0)


@pytest.mark.parametrize("seeds", [(0, 1, 2), (3, 4, 5)], ids=["paired", "other seeds"])
def test_what_is_within_chance_is_reproduced_and_what_is_beyond_differs(seeds: tuple[int, ...]) -> None:
    found = verify(record(noise(0.5), seeds, "b"), record())
    assert set(verdicts(found).values()) == {"reproduced"}
    found = verify(record(noise(0.1, ddpm=9.0), seeds, "b"), record())
    assert verdicts(found) == {"DDPM": "differs", "GAN": "reproduced", "VAE": "reproduced"}
    assert found.rows[0].relative == pytest.approx(9 / 11.67, rel=0.02)
    assert found.sentence == "2 of 3 rows of toy reproduced; 1 differs."
    assert found.rows[0].causes == ([] if seeds[0] == 0 else ["training seeds: 3, 4, 5, there 0, 1, 2"])


def test_the_largest_and_the_smallest_numbers_of_records_are_compared() -> None:
    huge, tiny = record({"gan": [GREATEST, -GREATEST, GREATEST]}, tag="b"), record({"gan": [1e-310, 2e-310, 3e-310]})
    (row,) = verify(huge, tiny).rows
    assert (row.verdict, row.ours, row.relative) == ("reproduced", pytest.approx(GREATEST / 3), None)  # no "+inf%"
    (row,) = verify(tiny, huge).rows
    assert (row.verdict, row.theirs, row.relative) == ("reproduced", pytest.approx(GREATEST / 3), pytest.approx(-1))
    (row,) = verify(record({"gan": [3.0]}, tag="b"), record({"gan": [1e-3]})).rows
    assert row.relative == pytest.approx(2999)


def test_one_run_each_decides_nothing() -> None:
    found = verify(record(noise(0.5), (0,), "b"), record(seeds=(0,)))
    assert set(verdicts(found).values()) == {"undecided"}
    assert found.rows[0].notes == ["one run each: nothing is known of chance"]
    assert found.sentence == "0 of 3 rows of toy reproduced; 3 cannot be decided."
    one_beside_three = verify(record(noise(0.1, ddpm=30.0), (7,), "b"), record())
    assert verdicts(one_beside_three) == {"DDPM": "differs", "GAN": "reproduced", "VAE": "reproduced"}


def test_draws_of_one_training_count_only_where_both_have_its_weights() -> None:
    several = {"values": {"fd": [10.0, 10.2, 9.9]}}
    ours = with_each(record({"gan": [10.0]}, (0,), "b"), "draws", values={"fd": [12.0, 12.3, 11.8]}, seeds="9:99")
    theirs = with_each(record({"gan": [10.0]}, (0,)), "draws", **several)
    assert verdicts(verify(ours, theirs)) == {"GAN": "undecided"}
    ours = with_each(ours, "trainings", model_sha256="gan 0 a")
    assert verdicts(verify(ours, theirs)) == {"GAN": "differs"}


def test_rows_of_one_side_are_absent() -> None:
    ours, theirs = record({"gan": NUMBERS["gan"], "new": [1.0]}), record()
    found = verify(ours, theirs)
    assert verdicts(found) == {"VAE": "absent", "DDPM": "absent", "NEW": "absent", "GAN": "identical"}
    assert [row.notes[0] for row in found.rows[:3]] == ["these results have no such row"] * 2 + [
        "the record has no such row"
    ]
    assert (
        found.sentence == "1 of 4 rows of toy reproduced, 1 of them with identical samples; 3 only in one of the two."
    )
    assert verify(ours.model_copy(update={"draws": []}), theirs).count("absent") == 3


def test_identical_samples_with_other_numbers_are_told() -> None:
    numbers = {name: [value + 9 for value in values] for name, values in NUMBERS.items()}
    found = verify(record(numbers), record())
    assert set(verdicts(found).values()) == {"differs"}
    assert found.rows[0].notes == ["the samples are identical, their evaluation is not"]


def test_numbers_by_other_networks_can_agree_but_not_differ() -> None:
    def by(weights: str, found: Reference) -> Reference:
        draws = [draw.model_copy(update={"metrics": {"fd_net": draw.metrics["fd"]}}) for draw in found.draws]
        return found.model_copy(
            update={"extractors": {"net": {"sha256": weights}}, "headline": "fd_net", "draws": draws}
        )

    ours = record(noise(0.1, ddpm=30.0), tag="b")
    found = verify(by("1", ours), by("2", record()))
    assert verdicts(found) == {"DDPM": "undecided", "GAN": "reproduced", "VAE": "reproduced"}
    assert found.rows[0].notes == ["measured in the features of another network: further apart than with one"]
    assert found.shared == ["other weights of the features net"]
    assert verdicts(verify(by("1", ours), by("1", record())))["DDPM"] == "differs"


CAUSES = {
    "data": (lambda one: one.model_copy(update={"data_sha256": "other"}), ["other training images"]),
    "real images": (lambda one: one.model_copy(update={"reference_sha256": "other"}), ["other real images"]),
    "recipe": (
        lambda one: one.model_copy(
            update={"models": {key: part.model_copy(update={"spec": spec(300)}) for key, part in one.models.items()}}
        ),
        ["other recipe: training.steps 300, there 600"],
    ),
    "evaluation": (
        lambda one: one.model_copy(update={"evaluation": {"options": {"kid_subsets": 50}}}),
        ["other evaluation: options.kid_subsets 50, there not given"],
    ),
    "samples": (lambda one: with_each(one, "draws", num_samples=500), ["samples: 500, there 2000"]),
    "precision of training": (
        lambda one: with_each(one, "trainings", precision="bf16"),
        ["precision of training: bf16, there fp32"],
    ),
    "precision of sampling": (
        lambda one: with_each(one, "draws", precision="int8"),
        ["precision of sampling: int8, there fp32"],
    ),
    "code": (
        lambda one: with_each(one, "origins", code_sha256="new"),
        ["other code of training", "other code of sampling", "other code of evaluation"],
    ),
    "versions": (
        lambda one: with_each(one, "origins", packages={"torch": "2.15"}, python="3.12.1"),
        ["other versions: Python 3.12.1, there 3.11.7; torch 2.15, there 2.8"],
    ),
    "processor": (
        lambda one: with_each(with_each(one, "trainings", device="GPU (B)"), "draws", device="CPU (C)"),
        ["trained on: GPU (B), there CPU (A)", "sampled on: CPU (C), there CPU (A)"],
    ),
    "seeds of samples": (lambda one: with_each(one, "draws", seeds="1:2001"), ["sample seeds: 1:2001, there 0:2000"]),
}


@pytest.mark.parametrize("what", CAUSES)
def test_the_verdict_states_why(what: str) -> None:
    change, expected = CAUSES[what]
    found = verify(change(record(noise(0.1, ddpm=30.0), tag="b")), record())
    assert verdicts(found)["DDPM"] == "differs"
    assert found.rows[0].causes == expected
    assert found.shared == expected
    assert [found.own(row) for row in found.rows] == [[], [], []]


def test_the_causes_of_a_single_row_are_its_own() -> None:
    change, expected = CAUSES["recipe"]
    ours = change(record(noise(0.1, ddpm=30.0), tag="b"))
    ours = ours.model_copy(update={"draws": [draw for draw in ours.draws if draw.model == "ddpm"]})
    found = verify(ours, record())
    assert found.shared == []
    assert [found.own(row) for row in found.rows if row.verdict != "absent"] == [expected]


def test_keys_that_are_only_there_come_in_their_order() -> None:
    options = {"subsets": 50, "size": 300, "k": 3}
    theirs = record(noise(0.1, ddpm=30.0), tag="b").model_copy(update={"evaluation": options})
    expected = "other evaluation: subsets not given, there 50; size not given, there 300; k not given, there 3"
    assert verify(record(), theirs).shared == [expected]


def test_another_metric_and_another_suite() -> None:
    assert verify(record(), record(), "kid").metric == "kid"
    with pytest.raises(InputError, match=r"metric: found 'kdi' \(did you mean 'kid'\?\); expected one of: fd, kid"):
        verify(record(), record(), "kdi")
    with pytest.raises(InputError, match=r"suite: found 'mnist'; expected one of: toy"):
        verify(record(), record().model_copy(update={"suite": "mnist"}))


def test_one_training_each_is_compared_by_its_images() -> None:
    """Their intervals are compared; with another seed or device, a difference decides nothing."""

    def single(value: float, seed: int, tag: str) -> Reference:
        return with_each(record({"gan": [value]}, (seed,), tag), "draws", intervals={"fd": [value - 2, value + 2]})

    def verdict(value: float, seed: int) -> tuple[str, list[str]]:
        (row,) = verify(single(value, seed, "b"), single(60, 0, "a")).rows
        return row.verdict, list(row.notes)

    assert verdict(61, 0) == ("reproduced", ["by the images of one training each"])
    assert verdict(64, 0) == ("differs", ["by the images of one training each"])
    assert verdict(61, 1)[0] == "reproduced"
    far = "one training each, and not the same: further apart than their images explain"
    assert verdict(64, 1) == ("undecided", [far])
    (row,) = verify(with_each(single(64, 0, "b"), "trainings", device="CPU (B)"), single(60, 0, "a")).rows
    assert (row.verdict, row.notes) == ("undecided", [far])


def test_pairs_of_groups_find_what_single_groups_do_not() -> None:
    random = np.random.default_rng(0)
    shared = random.normal(0, 0.1, 20)
    a, b = list(10 + shared), list(10.2 + shared + random.normal(0, 0.01, 20))
    paired = difference_by_images(10, 10.2, a, b, paired=True)
    assert are_different([paired, difference_by_images(10, 10.2, a, b)]) == [True, False]
    assert (paired.paired, paired.of_images, paired.runs) == (True, True, (1, 1))


def test_places_with_ties_count_who_is_better_and_who_is_worse() -> None:
    numbers = [10.0, 10.1, 13.0]
    found = {
        (i, j): difference_by_images(a, b, [a - 0.01, a + 0.01] * 10, [b - 0.01, b + 0.01] * 10)
        for j, b in enumerate(numbers)
        for i, a in enumerate(numbers[:j])
    }
    assert ranks(found, 3, lower=True) == [(1, 2), (1, 2), (3, 3)]
    assert ranks(found, 3, lower=False) == [(2, 3), (2, 3), (1, 1)]
