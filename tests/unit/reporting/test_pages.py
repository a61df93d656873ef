"""Pages are complete, load nothing from elsewhere, and show hostile names as text."""

import re
import shutil
from types import SimpleNamespace
from typing import Any

import jinja2
import made_up
import pytest
from docutils.core import publish_parts
from made_up import (
    EVIL,
    FEW,
    MODELS,
    PRIOR,
    PROVENANCE,
    ROOT,
    STAND_IN,
    check_page,
    render,
    report_of,
    write_results,
)

from genbench.errors import InputError
from genbench.files.artifacts import read_json, write_json
from genbench.reporting import samples, sections, table
from genbench.reporting.compared import anchors
from genbench.reporting.curves import learning_curve
from genbench.reporting.kept import Kept
from genbench.reporting.origins import abbreviate
from genbench.reporting.page import cite, sentence
from genbench.reporting.publish import publish, publish_unfinished
from genbench.reporting.report import Report
from genbench.reporting.results import read_results
from genbench.reporting.sections import flatten


def test_the_page_has_everything_in_it(pages):
    page = check_page(pages / "demo.html")
    for text in [
        STAND_IN,
        PRIOR,
        "Handwritten digits, toy size",
        "FD-classifier (2k)",
        "≈ 1:10:10",
        "toy size",
        "How to reproduce",
        "ab" * 6,
    ]:
        assert text in page.text
    assert "uv run snakemake" in page.text
    assert f"git checkout {PROVENANCE['genbench_commit']}" in page.text
    assert "the covariance has rank 120 of 128" in page.text
    assert "optimizer.betas 0.5, 0.999" in page.text
    assert page.values("aria-sort") == ["ascending"]
    # Strips and grids including those of real images, then checkpoints, then pictures.
    assert len(page.values("src", "img")) == 2 * (9 + 1) + (5 + 3 + 6) + 5
    assert all(page.values("alt", "img"))


def test_definitions_stand_at_headings_and_in_their_section(pages):
    page = check_page(pages / "demo.html")
    assert any("Share of generated images inside the manifold" in title for title in page.values("title", "th"))
    assert "Share of generated images inside the manifold of the real ones." in page.text
    assert f"{11.7!r}" in page.values("title", "span")


def test_pictures_have_captions_and_can_be_enlarged(pages):
    page = check_page(pages / "demo.html")
    for caption in (
        "Held-out images, and below each its reconstruction",
        "From one image to another",
        "From noise to images: a sample in each row",
        "Denoising strip",
    ):
        assert caption in page.text
    assert {f"picture-{number}" for number in ("1-1",)} <= set(page.values("id"))
    assert "VAE: Held-out images, and below each its reconstruction" in page.values("alt", "img")


def test_curves_of_training_and_of_held_out_images_stand_in_the_section_of_a_model(demo):
    results = read_results(demo / "preflight.json", demo)
    curves = dict(next(section for section in Report(results, demo).sections if section.name == "VAE").curves)
    assert list(curves) == ["Losses", "kl", "reconstruction"]
    assert all(f">{name}<" in curves["kl"] for name in ("training", "held-out images"))


def test_columns_of_snapshots_say_how_many_samples_judged_them(pages):
    page = check_page(pages / "demo.html")
    assert "step-200 500 samples" in page.text
    assert "where the suite asks for" not in page.text


def test_a_page_of_twenty_models_with_many_snapshots_is_below_ten_megabytes(tmp_path, monkeypatch):
    drawn = []

    def like_the_first(*arguments, **options):  # all curves are equally large, and drawing takes longest
        drawn[:] = drawn or [learning_curve(*arguments, **options)]
        return drawn[0]

    monkeypatch.setattr(sections, "learning_curve", like_the_first)
    names = [f"model-{number}" for number in range(20)]
    monkeypatch.setattr(made_up, "CHECKPOINTS", dict.fromkeys(names, ("step-100", "step-200", "final")))
    monkeypatch.setattr(made_up, "PICTURES", dict.fromkeys(names, ("reconstructions", "interpolation")))
    path = render(write_results(tmp_path, models={name: (name, *MODELS["vae"][1:]) for name in names})) / "demo.html"
    assert 2_000_000 < path.stat().st_size < 10_000_000
    check_page(path)


def test_of_many_rows_the_best_of_each_model_are_open_and_all_are_on_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "MANY_ROWS", 5)
    monkeypatch.setattr(table, "OPEN_MODELS", 3)
    monkeypatch.setattr(samples, "MANY_ROWS", 5)
    folder = write_results(tmp_path)
    (folder / "vae/seed0/training.json").unlink()
    report = report_of(folder)
    rows = report.table.rows
    opened = [row.name for row, opened in zip(rows, report.table.opened, strict=True) if opened]
    assert opened[0] == "DDPM, ddpm-100"
    assert {"Cold diffusion", "WGAN-GP", "VAE"} <= set(opened)  # rows of the best models, and one without numbers
    assert not {"GAN", "LSGAN"} & set(opened)  # neither among the best models nor the best in a column
    page = check_page(render(folder) / "demo.html")
    assert page.text.count("Show all 9 rows") == 1
    assert page.values("class", "tr").count("more") == len(rows) - len(opened)
    assert all(row.sampler in page.text for row in rows)
    assert len([name for name in page.values("id") if re.fullmatch(r"grid-\d+", name)]) == len(opened) - 1
    assert "../demo/gan/seed0/final/default/grid.png" in page.values("href", "a")


def test_what_is_kept_is_made_once_and_again_where_it_is_damaged(tmp_path):
    made = []

    def get(kept, text):
        return kept.get(lambda: made.append(text) or text.encode(), text, b"options")

    kept = Kept(tmp_path / "kept")
    assert [get(kept, "a"), get(kept, "b"), get(kept, "a")] == [b"a", b"b", b"a"]
    assert made == ["a", "b"]
    for path in (tmp_path / "kept").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    kept = Kept(tmp_path / "kept")
    assert get(kept, "a") == b"a"
    assert made == ["a", "b", "a"]
    kept.forget()
    assert len(list((tmp_path / "kept").iterdir())) == 1  # b was not requested
    assert get(Kept(), "a") == b"a"
    (tmp_path / "file").write_text("no folder")
    assert get(Kept(tmp_path / "file"), "c") == b"c"


def test_the_index_of_one_suite_is_its_page(pages):
    assert (pages / "index.html").read_bytes() == (pages / "demo.html").read_bytes()


def test_pages_are_a_function_of_the_results(demo, pages):
    before = {path: path.read_bytes() for path in pages.rglob("*") if path.is_file()}
    render(demo)
    assert {path: path.read_bytes() for path in pages.rglob("*") if path.is_file()} == before


def test_the_page_states_what_has_changed_since_the_last_run(tmp_path):
    models = {name: MODELS[name] for name in ("gan", "lsgan", "vae")}
    out = render(write_results(tmp_path, models=models))
    assert "Since the last run" not in check_page(out / "demo.html").text
    folder = write_results(tmp_path, models={name: MODELS[name] for name in ("gan", "vae", "wgan-gp")})
    path = folder / "gan/seed0/final/default/metrics.json"
    metrics = read_json(path)
    metrics["metrics"]["fd_classifier"]["value"] = 58.0
    metrics["metrics"]["recall_classifier"]["value"] = 0.5
    write_json(path, metrics)
    text = check_page(render(folder) / "demo.html").text
    assert "Since the last run 1 new, 1 changed, 1 gone, 1 same" in text
    assert "results made until 2025-01-02 03:04" in text
    assert "GAN changed by -3.3 61.3 58.0 Recall 0.420 → 0.500" in text
    assert "LSGAN gone 55.8 –" in text
    assert "Unchanged: VAE." in text
    before = (out / "demo.html").read_bytes()
    assert (render(folder) / "demo.html").read_bytes() == before
    for damaged in ("[", "[]", '{"now": {"time": "2025-01-02"}, "before": null}', '{"now": null}'):
        (out / "demo/numbers.json").write_text(damaged)
        assert "Since the last run" not in check_page(render(folder) / "demo.html").text


def test_the_index_shows_every_suite(hostile):
    index = check_page(hostile / "index.html")
    links = index.values("href", "a")
    assert {"plain.html", "hostile.html", "plain.csv", "plain.html#model-vae", "hostile.html#model-vae"} <= set(links)
    for suite, models in (("plain", 2), ("hostile", 2)):  # in navigation, button, heading and each row
        assert index.text.count(f"Handwritten digits, toy size ({suite})") == 3 + models
    assert len(index.values("src", "img")) == 2 * (2 + 1)


def test_the_index_passes_over_what_is_not_a_summary(tmp_path, caplog):
    folder = write_results(tmp_path, models={"gan": MODELS["gan"]}, optional=False)
    write_json(tmp_path / "report/other.json", {"format": "something else"})
    out = render(folder)
    assert (out / "index.html").read_bytes() == (out / "demo.html").read_bytes()
    assert "other.json" in caplog.text


@pytest.mark.parametrize("name", ["hostile.html", "index.html"])
def test_hostile_names_are_text(hostile, name):
    page = check_page(hostile / name)
    shown = " ".join(EVIL.replace("\x00", "\ufffd").split())
    assert shown in page.text.replace("\x00", "\ufffd")
    assert any("<script>alert(1)" in title for title in page.texts if title.endswith("50.0 s"))  # a point's tooltip
    assert read_json(hostile / "hostile.json")["rows"][-1]["label"] == EVIL


def test_a_suite_without_any_optional_data_renders(tmp_path):
    out = render(write_results(tmp_path, models=FEW, optional=False))
    page = check_page(out / "demo.html")
    assert "61.3" in page.text
    assert "nan" not in page.text.lower().split()
    assert not page.values("src", "img")


def test_a_model_that_is_not_sampled_is_told_of_all_the_same(tmp_path):
    folder = write_results(tmp_path, models={"gan": ("GAN", "GAN", {}, {"generator": 1000}, [])})
    assert "No model of this suite is sampled." in check_page(render(folder) / "demo.html").text


def test_a_suite_needs_a_name_that_a_file_can_have(tmp_path):
    folder = write_results(tmp_path, models={"gan": MODELS["gan"]}, optional=False)
    write_json(folder / "preflight.json", read_json(folder / "preflight.json") | {"suite": "../demo"})
    with pytest.raises(InputError, match=r"\.\./demo"):
        render(folder)


def test_only_web_addresses_become_links():
    assert str(cite({"title": "<b>", "url": "javascript:alert(1)"})) == "&lt;b&gt;"
    assert 'href="https://example.org/&#34;"' in str(cite({"title": "a", "url": 'https://example.org/"'}))
    assert 'href="https://arxiv.org/abs/1706.08500"' in str(cite("Heusel et al. 2017, arXiv 1706.08500"))
    assert str(cite("<i> arXiv 1")) == "&lt;i&gt; arXiv 1"


def test_names_become_anchors_that_all_differ():
    assert anchors(["wgan-gp", "a b", "a<b", "a-b"]) == {
        "wgan-gp": "model-wgan-gp",
        "a b": "model-a-b",
        "a<b": "model-a-b-2",
        "a-b": "model-a-b-3",
    }
    assert abbreviate("0123456789abcdef+changes") == "0123456789ab+changes"


def test_a_recipe_is_flat():
    spec = {"a": {"b": [1, 2.5], "c": None, "d": {}}, "e": True, "f": []}
    assert list(flatten(spec)) == [("a.b", "1, 2.5"), ("a.c", "none"), ("a.d", "defaults"), ("e", "yes"), ("f", "none")]
    assert [sentence(text) for text in ("", "a b", "Is it?")] == ["", "A b.", "Is it?"]


def test_the_script_says_in_one_line_what_is_missing(tmp_path, script):
    options = ("--report", tmp_path / "report", "--results", tmp_path, "--preflight", tmp_path / "preflight.json")
    assert script("render_report", *options, code=2) == f"error: {tmp_path / 'preflight.json'}: no such file\n"


def test_templates_that_are_not_there_are_named(demo, tmp_path):
    shutil.copy(ROOT / "report/style.css", tmp_path)
    with pytest.raises(InputError, match=r"page\.js: no such file"):
        publish(demo / "preflight.json", demo, tmp_path / "out", tmp_path)


@pytest.mark.parametrize("path", sorted((ROOT / "report/captions").glob("*.rst")), ids=lambda path: path.stem)
def test_captions_are_valid_for_the_names_that_a_suite_can_have(path):
    wildcards = SimpleNamespace(suite="demo", model="wgan-gp_", seed="0", checkpoint="step-300_", sampler="ddim+25.0_")
    wildcards.picture, wildcards.labels = "reconstructions", "new_test"
    snakemake = SimpleNamespace(wildcards=wildcards, params={"results": "results/demo"})
    text = (
        jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(path.read_text()).render(snakemake=snakemake)
    )
    body = publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["body"]
    assert "{" not in body


def poisoned(value: Any, text: str) -> Any:
    """Return `value` with every string replaced, except for those that name files."""
    if isinstance(value, dict):
        kept = ("suite", "headline", "checkpoints", "pictures", "extractors", "mode", "step")
        return {key: part if key in kept else poisoned(part, text) for key, part in value.items()}
    if isinstance(value, list):
        return [poisoned(part, text) for part in value]
    return text if isinstance(value, str) else value


SCRIPT = "javascript:alert(1)//' onmouseover='alert(1)' x='--><!--><script>alert(1)</script> arXiv 2006.11239</a><u>"


@pytest.mark.parametrize("text", [EVIL, SCRIPT])
def test_every_string_of_every_record_is_text(tmp_path, text):
    folder = write_results(tmp_path, models={name: MODELS[name] for name in ("gan", "ddpm")})
    for path in folder.rglob("*.json"):
        write_json(path, poisoned(read_json(path), text))
    out = render(folder)
    for name in ("demo.html", "index.html"):
        page = check_page(out / name)
        assert " ".join(text.replace("\x00", "\ufffd").split()) in page.text.replace("\x00", "\ufffd")


def test_an_unfinished_suite_has_pages_that_are_out_of_date_for_snakemake(tmp_path):
    folder = write_results(tmp_path / "results", "toy", {"vae": MODELS["vae"]})
    sources = [path for path in folder.rglob("*") if path.is_file()]
    out = tmp_path / "report"
    page = publish_unfinished({"toy": sources, "absent": [folder / "x"]}, folder.parent, out, ROOT / "report")
    assert page == out / "index.html"
    assert page.exists()
    assert (out / "toy.html").stat().st_mtime < min(path.stat().st_mtime for path in sources)
    assert publish_unfinished({"absent": [folder / "x"]}, folder.parent, out, ROOT / "report") is None
