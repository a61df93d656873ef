"""The best row within each number of network evaluations."""

from pathlib import Path

from made_up import Page, check_page, render, report_of, write_results

from genbench.files.artifacts import read_json, write_json
from genbench.reporting.few_steps import FewSteps

# By sampler: NFE, seconds for 50,000 images, FD, precision and recall. Each seed adds 0.5 to FD.
MODELS = {
    "gan": ("GAN", "A", {"default": (1, 10.0, 60.0, 0.5, 0.5)}, {"x": 1}, []),
    "flow": ("Flow", "B", {"one": (1, 12.0, 60.01, 0.5, 0.5), "ten": (10, 100.0, 20.0, 0.5, 0.5)}, {"x": 1}, []),
    "ddpm": ("DDPM", "C", {"five": (5, 60.0, 40.0, 0.5, 0.5), "all": (250, 2500.0, 10.0, 0.5, 0.5)}, {"x": 1}, []),
}


def best_of(few: FewSteps, budget: float | None = None) -> dict[int | None, tuple[str, list[str]]]:
    found = {limit: best[budget] for limit, best in few.best.items() if budget in best}
    return {limit: (best.row.name, [row.name for row in best.ties]) for limit, best in found.items()}


def test_the_page_names_the_best_row_within_each_number_of_evaluations_and_its_ties(tmp_path: Path) -> None:
    folder = write_results(tmp_path, models=MODELS, seeds=(0, 1, 2))
    few = report_of(folder).few_steps
    assert few is not None
    assert few.budgets == [None]
    one = ("GAN", ["Flow, one"])
    assert best_of(few) == {
        1: one,
        2: one,
        4: one,
        10: ("Flow, ten", []),
        50: ("Flow, ten", []),
        None: ("DDPM, all", []),
    }
    page = render(folder) / "demo.html"
    check_page(page)
    assert "≤ 10 Flow, ten 20.5 ± 0.5" in " ".join(Page(page).text.split())


def test_rows_of_one_training_budget_are_compared_with_each_other(tmp_path: Path) -> None:
    folder = write_results(tmp_path, models=MODELS)
    plan = read_json(folder / "preflight.json")
    for name, budget in (("gan", 1e12), ("flow", 1e12), ("ddpm", 4e12)):
        plan["models"][name]["series"] = name
        plan["models"][name]["spec"]["training"] = {"flops": budget}
    write_json(folder / "preflight.json", plan)
    few = report_of(folder).few_steps
    assert few is not None
    assert few.budgets == [1e12]
    assert best_of(few, 1e12)[None] == ("Flow, ten", [])


def test_where_all_rows_take_as_many_evaluations_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert report_of(write_results(tmp_path, models={"gan": MODELS["gan"]})).few_steps is None
