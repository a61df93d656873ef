"""The comparison: means, ties, notes."""

import re

import pandas as pd
import pytest
from made_up import DEVICE, FEW, PRIOR, STAND_IN, Page, render, table_of, write_results

from genbench.files.artifacts import read_json
from genbench.records.plan import ModelPlan
from genbench.reporting import numerals
from genbench.reporting.averages import compare, final_rows
from genbench.reporting.cells import Cell, mark_best
from genbench.reporting.columns import COSTS, DETAILS, TIME, Column, comparison_columns, detail_columns
from genbench.reporting.missing import NOT_BEGUN
from genbench.reporting.overview import highlights
from genbench.reporting.page import sentence
from genbench.reporting.results import read_results
from genbench.reporting.sections import remarks
from genbench.reporting.table import letters

FD = comparison_columns(["fd_classifier"], "fd_classifier")[:1]


def marked(values, direction, runs=None):
    """Return for each value whether it is marked as the best."""
    texts = ["–" if value is None else numerals.significant(value) for value in values]
    runs = [{(seed,): value for seed, value in enumerate(found)} for found in runs or [[]] * len(values)]
    cells = [Cell(text, "", value, runs=found) for text, value, found in zip(texts, values, runs, strict=True)]
    mark_best(cells, Column("x", "X", "", direction))
    return [cell.best for cell in cells]


def test_the_best_of_a_column_depends_on_its_direction():
    assert marked([3.0, 1.0, 2.0], "lower") == [False, True, False]
    assert marked([3.0, 1.0, 2.0], "higher") == [True, False, False]
    assert marked([3.0, 1.0, 2.0], None) == [False] * 3
    assert marked([None, 4.0, 5.0], "lower") == [False, True, False]


def test_what_is_printed_alike_ties_and_so_does_what_differs_by_no_more_than_chance():
    assert marked([0.91234, 0.91198, 0.5], "higher") == [True, True, False]
    runs = [[9.5, 10.0, 10.5], [10.6, 11.4, 11.0], [19.0, 21.0, 20.0]]
    assert marked([10.0, 11.0, 20.0], "lower", runs) == [True, True, False]  # p = 0.063 and 0.0025
    runs[1] = [10.6, 11.0, 11.4]
    assert marked([10.0, 11.0, 20.0], "lower", runs) == [True, False, False]  # 1.1, 1.0, 0.9: p = 0.0033
    one_run = [[10.0], [10.9], [20.0]]
    assert marked([10.0, 10.9, 20.0], "lower", one_run) == [True, False, False]  # one run does not show chance


def rows_of(values):
    """Return the tidy rows of models that have these values, one per training seed."""
    first = {"family": "GAN", "checkpoint": "final", "sampler": "default", "sampler_label": "default", "remarks": []}
    return pd.DataFrame(
        [
            first | {"model": model, "label": model, "seed": seed, "fd_classifier": value, "sample_seeds": "0:2000"}
            for model, numbers in values.items()
            for seed, value in enumerate(numbers)
        ]
    )


def best_of(rows):
    return [row.name for row in compare(rows, FD).rows if row.cells["fd_classifier"].best]


def test_rows_of_the_same_seeds_are_compared_seed_by_seed():
    values = {"euler-10": [31.0, 45.0, 20.0], "euler-5": [35.5, 49.1, 23.6], "other": [80.0, 82.0, 81.0]}
    assert best_of(rows_of(values)) == ["euler-10"]  # the differences are 4.5, 4.1, 3.6: 4.07 ± 0.26
    rows = rows_of(values)
    rows.loc[rows["model"] == "euler-5", "sample_seeds"] = "2000:4000"
    assert best_of(rows) == ["euler-10", "euler-5"]  # 4.1 ± 10.3
    rows = rows_of(values)
    rows.loc[rows["model"] == "euler-5", "seed"] += 1
    assert best_of(rows) == ["euler-10", "euler-5"]
    rows = rows_of(values)
    assert best_of(rows[rows["seed"] < 2]) == []  # for two pairs, p is 0.03 and 0.09: all tie
    crossing = values | {"euler-5": [30.5, 49.1, 19.9]}  # -0.5, 4.1, -0.1: 1.17 ± 2.55
    assert best_of(rows_of(crossing)) == ["euler-10", "euler-5"]


def test_draws_of_the_same_seeds_are_compared_draw_by_draw():
    rows = rows_of({"a": [12.0], "b": [13.0], "c": [30.0]})
    several = {"a": [10.0, 12.0, 14.0], "b": [11.0, 13.1, 14.9], "c": [29.0, 30.0, 31.0]}
    rows = rows.assign(fd_classifier_values=[several[model] for model in rows["model"]], fd_classifier_draw_std=2.0)
    assert best_of(rows) == ["a"]
    rows["sample_seeds"] = ["0:6000", "6000:12000", "0:6000"]
    assert best_of(rows) == ["a", "b"]


def test_draws_of_one_training_are_not_trainings():
    rows = rows_of({"own": [95.0, 100.0, 105.0], "published": [114.0], "other": [250.0]})
    assert best_of(rows) == ["own", "published"]  # p is 0.14, with the variance of the own trainings for both
    rows["fd_classifier_values"] = [None] * 3 + [[113.5, 114.0, 114.5], None]
    rows["fd_classifier_draw_std"] = [None] * 3 + [0.5, None]
    assert best_of(rows) == ["own", "published"]
    assert "with a single training, s is between draws" in compare(rows, FD).remarks[0]


def test_the_rule_of_ties_is_told_as_it_is_applied():
    def told(values, **columns):
        return " ".join(compare(rows_of(values).assign(**columns), FD).remarks)

    draws = {"fd_classifier_values": [[0.9, 1.1], [1.9, 2.1]], "fd_classifier_draw_std": 0.14}
    groups = {"fd_classifier_without": [[0.9, 1.0, 1.1], [1.9, 2.0, 2.1]]}
    single, both = {"a": [1.0], "b": [2.0]}, {"a": [1.0], "b": [2.0], "c": [3.0, 3.1]}
    assert "between draws with different sampling seeds. This" in told(single, **draws)
    assert "t, draw by draw where two rows have the same seeds" in told(single, **draws)
    assert "t, group by group where two rows have the same sample seeds" in told(single, **draws, **groups)
    assert "between draws with different sampling seeds. This" in told(single, **draws, **groups)
    groups["fd_classifier_without"] += [None, None]
    assert "Two single trainings are compared by their images. This does not include" in told(both, **groups)

    assert "Student's t, seed by seed where two rows have the same seeds, at 5%" in told(
        {"a": [1, 2, 3], "b": [1, 2, 4]}
    )
    assert "small differences mean nothing" in told({"a": [1.0], "b": [2.0]})


def test_the_highlight_is_the_best_number_of_its_column_and_names_all_that_tie():
    slow, fast, other = [9.0, 9.4, 9.8], [8.9, 9.6, 9.2], [60.0, 61.0, 62.0]
    rows = rows_of({"slow": [1.0, 1.1, 1.2], "fast": [5.0, 5.1, 5.2], "other": [9.0, 9.1, 9.2]})
    rows[TIME.key] = slow + fast + other
    found = {highlight.column: highlight for highlight in highlights(compare(rows, [*FD, TIME]))}
    assert (found[TIME].text, found[TIME].names) == ("9.23 s", ["fast", "slow"])
    assert found[FD[0]].names == ["slow"]


def test_times_that_all_trainings_share_tie_by_their_own_repeats():
    rows = rows_of({"a": [1.0, 1.1, 1.2], "b": [5.0, 5.1, 5.2], "c": [9.0, 9.1, 9.2]})
    rows[TIME.key] = [7.0] * 3 + [7.3] * 3 + [9.0] * 3
    repeats = [[7.0, 6.8, 7.2]] * 3 + [[7.3, 7.0, 7.6]] * 3 + [[9.0, 8.9, 9.1]] * 3
    rows[f"{TIME.key}_repeats"] = repeats
    table = compare(rows, [*FD, TIME])
    assert {row.name: (row.cells[TIME.key].best, row.cells[TIME.key].std) for row in table.rows} == {
        "a": (True, None),
        "b": (True, None),
        "c": (False, None),
    }


def test_rows_of_identical_samples_say_so():
    rows = rows_of({"a": [3.0, 3.1], "b": [3.0, 3.1], "c": [4.0, 4.1]})
    rows["samples_sha256"] = ["aa", "bb", "aa", "bb", "aa", "cc"]
    table = compare(rows, FD)
    same = "the same images as {}: identical samples, not two results"
    assert {row.name: row.remarks for row in table.rows} == {"a": [same.format("b")], "b": [same.format("a")], "c": []}
    assert [row.name for row in table.rows if row.cells["fd_classifier"].best] == ["a", "b"]
    rows["samples_sha256"] = [None, "bb"] * 3  # unknown images equal no others
    assert not any(row.remarks for row in compare(rows, FD).rows)


def test_nothing_is_the_best_where_all_tie():
    assert marked([1.0, 1.0], "higher") == [False, False]
    assert marked([1.0], "higher") == [False]
    assert marked([None, None], "higher") == [False, False]


def test_rows_are_sorted_by_the_headline_and_only_final_checkpoints_are_compared(demo):
    table = table_of(demo)
    assert [row.name for row in table.rows][:4] == [
        "DDPM, ddpm-100",
        "DDPM, ddim-25",
        "DDPM, dpm-solver-10",
        "Cold diffusion",
    ]
    assert {row.checkpoint for row in table.rows} == {"final"}
    assert [column.label for column in table.columns][:3] == ["FD-classifier (2k)", "Classifier score", "KID ×10³"]
    best = {key: [row.name for row in table.rows if row.cells[key].best] for key in ("fd_classifier", TIME.key, "nfe")}
    assert best == {"fd_classifier": ["DDPM, ddpm-100"], TIME.key: ["Autoencoder"], "nfe": []}
    first = table.rows[0].cells
    assert (first["fd_classifier"].text, first["kid_classifier"].text, first[TIME.key].text) == (
        "11.7",
        "13.0",
        "≈ 1:10:10",
    )
    assert first["kid_classifier"].value == 11.7 / 900
    assert table.floor["fd_classifier"].text == "3.40"
    assert table.floor[TIME.key].text == "–"


def test_several_seeds_give_mean_and_standard_deviation(tmp_path):
    table = table_of(write_results(tmp_path, models=FEW, seeds=(0, 1, 2)))
    cell = table.rows[0].cells["fd_classifier"]
    assert cell.text == "12.2 ± 0.5"
    assert cell.std == pytest.approx(0.5)
    assert "from 11.7, 12.2, 12.7" in cell.title
    assert "3 training seeds" in " ".join(table.remarks)


def test_the_caption_counts_the_trainings_that_there_are():
    uneven = {"a": [10.0, 11.0, 12.0], "b": [20.0], "c": []}
    rows = rows_of(uneven)
    (caption,) = compare(rows, FD).remarks[:1]
    assert caption.startswith("Mean ± standard deviation s over 3 training seeds. Ties")
    rows["fd_classifier_without"] = [None, None, None, [19.0, 20.0, 21.0]]
    (caption,) = compare(rows, FD).remarks[:1]
    assert caption.startswith("Mean ± standard deviation s over 3 training seeds; with a single training, s is ")
    planned = rows_of({"a": [10.0, None, None], "b": [20.0, None, None]})  # one of three seeds ran
    assert "seeds" not in " ".join(compare(planned, FD).remarks)


def test_what_holds_for_every_row_is_said_once():
    rows = rows_of({"a": [10.0], "b": [20.0]}).assign(remarks=[["lossy", "odd", "slow"], ["lossy", "slow"]])
    table = compare(rows, FD)
    assert "Every row: lossy; slow." in table.remarks
    assert [row.remarks for row in table.rows] == [["odd"], []]
    assert compare(rows[:1], FD).rows[0].remarks == ["lossy", "odd", "slow"]


def test_many_rows_that_have_not_begun_are_folded():
    names = ["a", "b", *(f"later-{number}" for number in range(6))]
    rows = rows_of({name: [10.0] for name in names}).assign(missing=[None, None, *[NOT_BEGUN] * 6])
    rows.loc[2:, "fd_classifier"] = None
    table = compare(rows, FD)
    assert table.opened == [True, True, *[False] * 6]
    assert table.unfolded == "those whose training has begun"
    assert all(compare(rows[:-1], FD).opened)  # too few to fold
    assert all(compare(rows[2:], FD).opened)  # nothing has begun


def test_notes_stand_where_they_hold(demo):
    table = table_of(demo)
    assert table.notes["precision_classifier"] == [STAND_IN, "k = 3"]
    gan = next(row for row in table.rows if row.model == "gan")
    assert gan.cells["fd_classifier"].notes == ["the covariance has rank 120 of 128"]
    assert not any(row.cells["fd_classifier"].notes for row in table.rows if row.model != "gan")
    assert list(table.footnotes.values()) == list("abcdef")
    rows = read_results(demo / "preflight.json", demo).rows
    rows = final_rows(rows.assign(fd_classifier_note=[f"rank {number}; biased" for number in range(len(rows))]))
    table = compare(rows, table.columns)
    assert table.notes["fd_classifier"] == [STAND_IN, "biased"]
    assert [row.cells["fd_classifier"].notes[0] for row in table.rows if row.model in ("gan", "lsgan")] == [
        "rank 3",
        "rank 0",
    ]
    assert [letters(number) for number in (1, 26, 27, 52, 53, 703)] == ["a", "z", "aa", "az", "ba", "aaa"]


def test_a_row_from_another_number_of_samples_says_so(demo):
    results = read_results(demo / "preflight.json", demo)
    rows = results.rows.assign(num_fake=[1000.0] + [2000.0] * (len(results.rows) - 1))
    table = compare(final_rows(rows), comparison_columns(results.metrics, "fd_classifier"), None, 2000)
    said = {row.model: row.cells["fd_classifier"].notes for row in table.rows}
    assert "from 1k samples, where the suite asks for 2k" in said["gan"]
    assert said["vae"] == []


def test_reconstructions_of_real_images_are_never_the_best(demo):
    results = read_results(demo / "preflight.json", demo)
    columns = comparison_columns(results.metrics, "fd_classifier")
    first, *others = compare(final_rows(results.rows), columns).rows
    second = next(row for row in others if row.model != first.model)
    rows = results.rows.assign(generates=results.rows["model"] != first.model)
    table = compare(final_rows(rows), columns)
    assert table.rows[0].name == second.name
    assert table.rows[0].cells["fd_classifier"].best
    given = [row for row in table.rows if row.model == first.model]
    assert table.rows[-len(given) :] == given
    assert not any(cell.best for row in given for cell in row.cells.values())


def test_no_time_is_the_best_across_devices(demo):
    results = read_results(demo / "preflight.json", demo)
    rows = results.rows.assign(device=["GPU"] + [DEVICE] * (len(results.rows) - 1))
    table = compare(final_rows(rows), comparison_columns(results.metrics, "fd_classifier"))
    assert not any(row.cells[TIME.key].best for row in table.rows)
    assert any(row.cells["fd_classifier"].best for row in table.rows)
    assert "different devices" in " ".join(table.remarks)


def test_labels_name_the_features_where_there_are_several():
    keys = ["fd_classifier", "fid_clean", "fid_infinity_clean", "kid_clean", "kid_efficientnet"]
    keys += ["precision_classifier", "precision_dinov2", "recall_classifier", "fd_inception-clean-unofficial"]
    keys += ["inception_score_clean", "inception_score_legacy"]
    labels = {column.key: column.label for column in detail_columns(keys, "fd_efficientnet", 50_000)}
    assert labels == {
        "fd_efficientnet": "FD-EfficientNet (50k)",
        "fd_classifier": "FD-classifier (50k)",
        "fid_clean": "FID (clean, 50k)",
        "fid_infinity_clean": "FID∞ (clean)",
        "kid_clean": "KID (clean) ×10³",
        "kid_efficientnet": "KID-EfficientNet ×10³",
        "precision_classifier": "Precision-classifier",
        "precision_dinov2": "Precision-DINOv2",
        "recall_classifier": "Recall",
        "fd_inception-clean-unofficial": "FD-inception-clean (other weights, 50k)",
        "inception_score_clean": "IS (clean)",
        "inception_score_legacy": "IS (legacy)",
    } | {column.key: column.label for column in COSTS + DETAILS}


def test_the_comparison_has_every_distance_and_other_metrics_in_the_features_of_the_headline():
    keys = ["fid_clean", "fid_legacy", "fd_efficientnet", "fid_infinity_clean", "fid_infinity_legacy"]
    keys += ["kid_clean", "kid_legacy", "inception_score_clean", "classifier_score"]
    columns = [column.label for column in comparison_columns(keys, "fid_legacy", 50_000) if column not in COSTS]
    assert columns == [
        *("FID (legacy, 50k)", "FID (clean, 50k)", "FD-EfficientNet (50k)", "FID∞ (legacy)"),
        *("IS", "Classifier score", "KID ×10³"),
    ]


def test_numbers_that_are_no_fid_or_say_little_are_marked_as_such():
    def notes(key, **dataset):
        return " | ".join(comparison_columns([key], key, None, dataset)[0].notes)

    cifar = {"name": "cifar10", "num_classes": 10, "image_shape": [3, 32, 32]}
    digits = {"name": "mnist", "num_classes": 10, "image_shape": [1, 28, 28]}
    birds = {"name": "cub", "num_classes": 200, "image_shape": [3, 32, 32]}
    assert notes("fd_classifier", **digits) == STAND_IN
    assert "EfficientNet-Lite0" in notes("fd_efficientnet", **cifar)
    assert "no FID" in notes("fd_inception-legacy-unofficial", **cifar)
    assert [notes("fid_clean", **dataset) for dataset in (cifar, birds)] == ["", ""]
    assert "greyscale images are outside" in notes("fid_clean", **digits)
    assert [bool(notes("inception_score_clean", **dataset)) for dataset in (cifar, birds, digits)] == [0, 1, 1]
    row = {"family": "GAN", "checkpoint": "final", "sampler": "default", "sampler_label": "default", "seed": 0}
    scores = {"a": 5.0, "b": 6.0}
    rows = pd.DataFrame([row | {"model": m, "label": m, "inception_score_clean": scores[m]} for m in scores])
    best = [
        [row.cells["inception_score_clean"].best for row in compare(rows, columns).rows]
        for columns in (comparison_columns([], "inception_score_clean", None, dataset) for dataset in (cifar, birds))
    ]
    assert best == [[True, False], [False, False]]


def test_remarks_stand_at_the_names_of_their_rows(demo, pages):
    table = table_of(demo)
    assert {row.model: row.remarks for row in table.rows if row.remarks} == {"autoencoder": [PRIOR]}
    assert PRIOR in table.footnotes
    source = (pages / "demo.html").read_text()
    letter = table.footnotes[PRIOR]
    mark = f'<sup class="marks"><a href="#note-{letter}" aria-label="Note {letter}">{letter}</a></sup>'
    assert re.search(
        rf'<th scope="row" class="text"><a href="#model-autoencoder">Autoencoder</a>{re.escape(mark)}', source
    )
    assert f'<p class="note">{sentence(PRIOR)}</p>' in source
    rows = pd.read_csv(pages / "demo.csv").set_index("model")["remarks"]
    assert rows["autoencoder"] == PRIOR
    assert rows[["vae"]].isna().all()
    summary = {row["model"]: row["remarks"] for row in read_json(pages / "demo.json")["rows"]}
    assert (summary["autoencoder"], summary["vae"]) == ([PRIOR], [])


def test_a_remark_of_some_samplers_names_them():
    samplers = {
        "a": {"label": "A", "remarks": ["x", "y"]},
        "b": {"label": "B", "remarks": ["x"]},
        "c": {"remarks": ["x"]},
    }
    assert remarks(ModelPlan(samplers=samplers)) == ["x", "A: y"]
    assert remarks(ModelPlan(samplers={"default": {}})) == []


def test_a_column_names_the_program_whose_number_it_is():
    keys = ["fid_clean", "fid_legacy", "fid_tensorflow", "kid_inception-tensorflow", "kid_classifier", "fd_classifier"]
    columns = detail_columns(keys, "fid_clean")
    said = {column.key: column.definition.rpartition("; the number of ")[2] for column in columns}
    assert said["fid_clean"] == "clean-fid, to 4 digits"
    assert said["fid_legacy"] == "pytorch-fid, to 4 digits"
    assert said["fid_tensorflow"] == "torch-fidelity, to 4 digits"
    assert not any("digits" in said[key] for key in ("kid_classifier", "fd_classifier"))


def test_of_many_ties_the_page_names_three(tmp_path):
    same = (1, 10.0, 60.0, 0.5, 0.5)
    models = {f"m{number}": (f"Model {number}", "A", {"default": same}, {"x": 1}, []) for number in range(6)}
    models["other"] = ("Other", "A", {"default": (1, 10.0, 90.0, 0.5, 0.5)}, {"x": 1}, [])
    text = " ".join(Page(render(write_results(tmp_path, models=models)) / "demo.html").text.split())
    assert "Model 0 · Model 1 · Model 2 and 3 more (a tie)" in text
