"""Several records on one page: their authors, their devices, and their disagreements."""

from pathlib import Path

import pytest
from made_up import EVIL, FEW, ROOT, Page, check_page, write_results

from genbench.errors import InputError
from genbench.records.reference import Reference
from genbench.references.files import write_reference
from genbench.reporting.merged import Merged, merge
from genbench.reporting.numerals import one_line
from genbench.reporting.recorded import write_record

WHERE = "GPU <i>evil</i>"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("records")
    return write_record(write_results(folder, models=FEW, seeds=(0, 1, 2)), folder / "a.json")[0]


def moved(record: Reference, name: str, **shifts: float) -> Reference:
    """Another person's record: other samples, another device, and numbers that are shifted for some models."""
    draws = [
        draw.model_copy(
            update={"samples_sha256": f"{name} {draw.samples_sha256}", "device": WHERE}
            | {
                "metrics": {
                    "fd_classifier": draw.metrics["fd_classifier"] + shifts.get(draw.model, 0) + 0.1 * draw.seed**2
                }
            }
        )
        for draw in record.draws
    ]
    return record.model_copy(update={"name": name, "draws": draws})


def test_who_and_where_stand_beside_each_number_and_disagreement_is_marked(record: Reference, tmp_path: Path) -> None:
    evil = one_line(EVIL)
    others = {"b": moved(record, evil), "c": moved(record, evil, vae=30.0)}
    paths = [tmp_path / f"{name}.json" for name in "abc"]
    for path, one in zip(paths, [record, *others.values()], strict=True):
        write_reference(path, one)
    merged = merge(paths, tmp_path / "page.html", ROOT / "report")
    assert merged.sentence == "5 of 5 rows are in several of the 3 records; in 1 of them they disagree."
    page: Page = check_page(tmp_path / "page.html")
    assert f"differs from a, {' '.join(evil.split())} (2)" in page.text
    assert WHERE in page.text
    lines = dict(merged.rows)["VAE"]
    assert [line.differs for line in lines] == [[f"{evil} (3)"], [f"{evil} (3)"], ["a", f"{evil} (2)"]]


def test_single_trainings_of_other_processors_are_undecided_not_agreed(record: Reference, tmp_path: Path) -> None:
    alone = record.model_copy(update={"draws": [draw for draw in record.draws if draw.seed == 0]})
    for name, one in (("a", alone), ("b", moved(alone, "b", vae=300.0))):
        write_reference(tmp_path / f"{name}.json", one)
    merged = merge([tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "page.html", ROOT / "report")
    several = "5 of 5 rows are in several of the 2 records"
    assert merged.sentence == f"{several}; nowhere do they disagree, and 5 cannot be decided."
    assert "undecided against b" in check_page(tmp_path / "page.html").text


def test_records_that_do_not_belong_together_are_refused(record: Reference) -> None:
    other = record.model_copy(update={"suite": "mnist"})
    with pytest.raises(InputError, match=r"b\.json: suite: found 'mnist', expected 'demo' as in a\.json"):
        Merged({"a.json": record, "b.json": other})
    with pytest.raises(InputError, match="records: found 1, expected from 2 to 20"):
        Merged({"a.json": record})
    with pytest.raises(InputError, match="metric: found 'fd'"):
        Merged({"a.json": record, "b.json": record}, "fd")
