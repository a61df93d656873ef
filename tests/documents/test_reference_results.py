"""The README's table and the gallery, made from records of results."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genbench.errors import InputError
from genbench.records.plan import DataSet
from genbench.records.reference import (
    FORMAT,
    RecordedDraw,
    RecordedModel,
    RecordedSampler,
    RecordedTraining,
    Reference,
)
from genbench.references.files import read_reference, write_reference
from tools import gallery, reference_results

LABELS = {"fast": "Fast", "slow": None}
NUMBERS = {  # family, budget, sampler: one number per seed
    ("A", 1e12, "slow"): (30.0, 32.0),
    ("A", 4e12, "slow"): (9.0, 11.0),
    ("A", 4e12, "fast"): (10.0, 12.0),
    ("B", 1e12, "slow"): (20.0, 20.0),
    ("B", 4e12, "slow"): (8.0, 8.4),
    ("Half", 1e12, "slow"): (1.0, 1.0),
}


def record(numbers=NUMBERS) -> Reference:
    found = {(family, budget) for family, budget, _ in numbers}
    models = {
        f"{family}-{budget:.0g}": RecordedModel(
            series=family,
            spec={"training": {"flops": budget}},
            samplers={
                name: RecordedSampler(label=LABELS[name], nfe={"fast": 2, "slow": 20}[name])
                for f, b, name in sorted(numbers)
                if (f, b) == (family, budget)
            },
        )
        for family, budget in sorted(found)
    }
    draws = [
        RecordedDraw(
            model=f"{family}-{budget:.0g}",
            seed=seed,
            sampler=sampler,
            metrics={"fd_classifier": value},
            device="A CPU",
            seconds_per_50k=80.0 if (family, budget) != ("B", 4e12) else 90.0,  # slower, as if other jobs ran beside it
        )
        for (family, budget, sampler), values in numbers.items()
        for seed, value in enumerate(values)
    ]
    return Reference(
        format=FORMAT,
        suite="equal",
        title="Equal",
        headline="fd_classifier",
        num_samples=2000,
        dataset=DataSet(name="digits", image_shape=[1, 4, 4]),
        models=models,
        draws=draws,
        trainings=[
            RecordedTraining(model=model, seed=seed, device="A CPU")
            for model, seed in sorted({(draw.model, draw.seed) for draw in draws})
        ],
    )


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "reference").mkdir()
    for tool in (reference_results, gallery):
        monkeypatch.setattr(tool, "ROOT", tmp_path)
    return tmp_path


def test_the_best_row_of_each_family_stands_at_each_budget(root: Path) -> None:
    write_reference(root / "reference/equal.json", record())
    head, _, *rows, empty, caption = reference_results.reference_table("equal")
    assert head == "| FD-classifier (2k) at | 1T FLOPs | 4T FLOPs | time for 50,000 images |"
    assert rows == [
        "| B | 20.0 ± 0.0 | 8.20 ± 0.28 | 0:01:20 |",
        "| A, slow | 31.0 ± 1.4 | 10.0 ± 1.4 | 0:01:20 |",
        "| Half | 1.00 ± 0.00 | – | 0:01:20 |",  # better at a lower budget
    ]
    assert not empty
    assert "lower is better; 2,000 samples; mean of 2 trainings, ± their standard deviation." in caption
    assert caption.endswith(" Times are the lowest of each network, on: A CPU.")


def test_one_training_has_no_spread(root: Path) -> None:
    write_reference(root / "reference/equal.json", record({key: values[:1] for key, values in NUMBERS.items()}))
    _, _, *rows, _, caption = reference_results.reference_table("equal")
    assert rows[0] == "| B | 20.0 | 8.00 | 0:01:20 |"
    assert caption.endswith("2,000 samples; one training each. Times are the lowest of each network, on: A CPU.")
    head, _, row, *_, caption = reference_results.reference_table("equal", times=False)
    assert head == "| FD-classifier (2k) at | 1T FLOPs | 4T FLOPs |"
    assert row == "| B | 20.0 | 8.00 |"
    assert caption.endswith("one training each. Made on: A CPU.")


def test_the_best_row_stands_within_each_number_of_evaluations(root: Path) -> None:
    write_reference(root / "reference/equal.json", record())
    head, _, *rows, _, caption = reference_results.few_steps_table("equal")
    assert head.startswith("| evaluations | 1T FLOPs | FD-classifier (2k) | time for 50,000 | 4T FLOPs | ")
    assert rows == [
        "| 1 | – | – | – | – | – | – |",
        "| 2 | – | – | – | **A, Fast** | 11.0 ± 1.4 | 0:01:20 |",
        "| 3 to 4 | – | – | – | – | – | – |",
        "| 5 to 10 | – | – | – | – | – | – |",
        "| 11 to 50 | **Half** | 1.00 ± 0.00 | 0:01:20 | **B** | 8.20 ± 0.28 | 0:01:20 |",
        "| 51 or more | – | – | – | – | – | – |",
    ]
    assert "mean of 2 trainings" in caption


def test_a_record_without_budgets_has_no_table(root: Path) -> None:
    found = record()
    for model in found.models.values():
        del model.spec["training"]
    write_reference(root / "reference/equal.json", found)
    with pytest.raises(InputError, match=r"reference/equal\.json: models: found no training with a budget"):
        list(reference_results.reference_table("equal"))


def test_the_gallery_has_the_first_samples_of_each_family(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, pictures = root / "results/equal", root / "pictures"
    monkeypatch.setattr(gallery, "PICTURES", pictures)
    monkeypatch.setattr(gallery, "PAGE", root / "gallery.md")
    monkeypatch.setattr("sys.argv", ["gallery.py", str(results)])
    other = "## Other\n\n```bash\ngenbench run other\n```\n\n| ![Other](images/gallery/other/a.webp) |\n"
    old = "## Equal\n\n```bash\ngenbench run equal\n```\n\nold\n"
    gallery.PAGE.write_text(f"# Results\n\n{old}\n{other}")
    for name in ("equal/gone", "other/a"):
        path = pictures / f"{name}.webp"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    found = record()
    write_reference(root / "reference/equal.json", found)
    for number, draw in enumerate(found.draws):
        grid = gallery.grid_of(results, draw)
        grid.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((10 * 4, 10 * 4 + 9 * 2), number, np.uint8)).save(grid)
    (results / "benchmarks").mkdir()
    (results / "benchmarks/train.tsv").write_text("s\th:m:s\n1800\t0:30:00\n")
    gallery.main()
    text = gallery.PAGE.read_text()
    assert text.startswith(gallery.HEAD)
    assert "genbench run equal" in text
    assert "old" not in text
    assert text.endswith(f"\n{other}")  # other suites' sections and pictures stay, in their order
    assert sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.webp")) == [
        "equal/a.webp",
        "equal/b.webp",
        "equal/half.webp",
        "other/a.webp",
    ]
    assert "10 trainings and 12 sets of 2,000 samples took 0:30:00, if one job ran at a time: 1 job on A CPU." in text
    assert "| A, slow | ![Samples of A](images/gallery/equal/a.webp) | 31.0<br>10.0 |" in text
    with Image.open(pictures / "equal/a.webp") as picture:
        assert picture.size == (10 * 4 + 9 * 2, 4 + 2 + 4)
        assert np.asarray(picture.convert("L"))[[0, -1], 0].tolist() == [0, 2]


RECORDS = sorted((Path(__file__).parents[2] / "reference").rglob("*.json"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_record_can_be_read_and_is_small(path: Path) -> None:
    assert read_reference(path, path.stem).draws
    assert path.stat().st_size < 300_000
