"""The comparison as files for a paper: all numbers, and names that stay plain text in every format."""

import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from made_up import EVIL, FEW, STAND_IN, Page, render, report_of, table_of, write_results

from genbench.files.artifacts import read_json, write_json
from genbench.reporting.drawing import COLOURS, pdf_file
from genbench.reporting.exports import as_json, comma_separated, escape_markdown, latex, markdown, stacked
from genbench.reporting.latex import escape_latex
from genbench.reporting.origins import code_versions, older_code, origins_of
from genbench.reporting.published import PUBLISHED, published_beside
from genbench.reporting.results import read_results

CIFAR = {"name": "cifar10", "image_shape": [3, 32, 32], "num_train": 50_000}


@pytest.fixture
def table(demo):
    return table_of(demo)


@pytest.fixture
def evil(table):
    """A table whose first and best row has a hostile name."""
    return replace(table, rows=[replace(table.rows[0], label=EVIL, sampler_label="a|b & c_d"), *table.rows[1:]])


def test_csv_and_json_have_every_number_in_full(table):
    lines = list(csv.DictReader(io.StringIO(comma_separated(table))))
    rows = json.loads(as_json(table))["rows"]
    assert len(lines) == len(rows) == len(table.rows)
    for line, row, shown in zip(lines, rows, table.rows, strict=True):
        assert (line["model"], line["budget"]) == (row["model"], row["budget"]) == (shown.label, "toy size")
        for key in ("fd_classifier", "seconds_per_50k", "seconds_per_image", "peak_memory_bytes"):
            assert float(line[key]) == row["values"][key]["value"] == shown.cells[key].value
    columns = json.loads(as_json(table))["columns"]
    assert columns["fd_classifier"]["notes"][0] == STAND_IN
    assert json.loads(as_json(table))["real_images"]["fd_classifier"]["value"] == 3.4


def test_latex_is_a_booktabs_table_with_as_many_cells_in_every_row(evil):
    text = latex(evil)
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [2, 3, 2]
    for part in text.split(r"\begin{tabular}")[1:]:  # quality, and costs
        widths = {len(re.findall(r"(?<!\\)&", line)) for line in part.splitlines() if line.endswith(r"\\")}
        assert len(widths) == 1
    assert r"\textbf{11.7}" in text
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert r"a\textbar{}b \& c\_d" in text
    assert r"\textless{}script\textgreater{}" in text
    assert "toy size" in text
    assert "a stand-in for Inception's: no FID" in text


# Labels that users write, and the text on the page; None if it is not compared, such as a "?" for a missing letter.
LABELS = {
    "[ours] DDPM": "[ours] DDPM",
    "*ours": "*ours",
    "* [2] ours": "* [2] ours",
    'Model "A"': 'Model "A"',
    r"C:\runs\new": r"C:\runs\new",
    "50% & $5 #1": "50% & $5 #1",
    "a_b ^c ~d": None,  # an underscore is drawn as a line
    "{x} }{": "{x} }{",
    "a--b ---c": "a--b ---c",
    "β-VAE, η = 0.5": "β-VAE, η = 0.5",
    "\u03c3\u0302, T→∞, ≤ 5 ± 2": None,
    "é Ö ñ ç å ş ğ ő ž": None,
    "İstanbul ß Łódź": None,
    "\u201cquoted\u201d \u2018x\u2019 – … don't": None,
    "模型 😀": None,
    "<a> | b": "<a> | b",
    "10³ x₂ ½": None,
    "%": "%",
    "\\": "\\",
    "&": "&",
    "": "",
}


LIKENESS = {0x2C6: "^", 0x2DC: "~", 0x2019: "'"}  # the fonts' replacements


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
def test_latex_takes_the_table_as_it_is(demo, evil, tmp_path):
    """The tables compile in an empty article with only the packages that their first line names."""
    rows = [replace(evil.rows[0], label=label, sampler_label=label, budget=None) for label in LABELS]
    budgets = [replace(row, budget=row.label) for row in rows]
    remarked = [replace(row, remarks=[f"{row.label}: a note"]) for row in rows[:8]]
    many = [replace(row, remarks=[f"note {number}"]) for number, row in enumerate(evil.rows * 12)]  # several pages
    tables = [table_of(demo), evil, *(replace(evil, rows=several) for several in (rows, budgets, remarked, many))]
    for number, table in enumerate(tables):
        (tmp_path / f"table{number}.tex").write_text(latex(table), encoding="utf-8")
    inputs = "".join(rf"\input{{table{number}}}\clearpage" for number in range(len(tables)))
    document = rf"\documentclass{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}{inputs}\end{{document}}"
    (tmp_path / "paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-3000:]
    for complaint in ("Overfull \\hbox", "Missing character", "Float too large"):
        assert complaint not in done.stdout + (tmp_path / "paper.log").read_text(errors="replace")
    if shutil.which("pdftotext"):
        command = ["pdftotext", "-f", "3", "-l", "3", "-layout", "paper.pdf", "-"]
        text = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
        printed = {re.split("  +", line.strip())[0].translate(LIKENESS) for line in text.splitlines()}
        assert {label for label in LABELS.values() if label} - printed == set()


def test_letters_that_the_fonts_lack_are_named(evil):
    text = latex(replace(evil, rows=[replace(evil.rows[0], label="模型甲?"), replace(evil.rows[0], label="模型乙")]))
    assert text.splitlines()[1] == "% printed as ?: 乙 型 模 甲"
    assert "A question mark stands for a letter that LaTeX's default fonts lack (4 of them).\\par" in text
    assert "printed as ?" not in latex(replace(evil, rows=[replace(evil.rows[0], label="β-VAE?")]))


def test_latex_and_markdown_escape_what_they_would_obey():
    assert escape_latex(r"100% \input{x} ~^ $a$ #1") == (
        r"100\% \textbackslash{}input\{x\} \textasciitilde{}\textasciicircum{} \$a\$ \#1"
    )
    assert escape_latex("[a] *b*") == "{[}a{]} {*}b{*}"  # else options of a \\ before them
    assert escape_latex('"a" `b') == r"{\ttfamily\char34}a{\ttfamily\char34} \`{}b"
    assert escape_latex("a--b, ''") == "a-{}-b, '{}'"
    assert escape_latex("é ő ï ß β ∞ ± ₂ ④ 模") == r"\'{e} \H{o} \"{\i} {\ss} $\beta$ $\infty$ $\pm$ $_2$ 4 ?"
    assert escape_latex("\u03c3\u0302, ᾱ") == r"$\hat{\sigma}$, $\bar{\alpha}$"
    assert escape_latex("1\u20072\u00a03\u202f4") == "1 2 3 4"  # Unicode spaces
    assert stacked("IS [of\nours] ↓", 4).count(r"\\ [") == 0  # would be an option of \\
    assert escape_latex("e\u0301") == escape_latex("é")  # composed or decomposed
    assert escape_markdown("[a](b) *c* `d` <e> | f\ng") == r"\[a\](b) \*c\* \`d\` &lt;e&gt; \| f g"


def test_markdown_is_one_table_whose_rows_have_as_many_cells(evil):
    lines = [line for line in markdown(evil).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(evil.rows) + 1  # headings, the rule below them, real images
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "**11.7**" in lines[2]
    assert "<script>" not in markdown(evil)


def test_plots_are_files_of_their_own(pages):
    folder = pages / "demo/plots"
    names = {path.stem for path in folder.iterdir()}
    assert {"quality-against-time", "quality-against-network-evaluations", "training-gan-losses"} <= names
    assert all((folder / f"{name}.{kind}").exists() for name in names for kind in ("pdf", "svg"))
    svg = (folder / "quality-against-time.svg").read_text()
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg" width="')
    assert "var(" not in svg
    assert COLOURS["var(--hue-1)"] in svg
    assert {path.name for path in (pages / "demo").iterdir() if path.is_file()} == {
        "numbers.json", "record.json", *(f"comparison.{kind}" for kind in ("csv", "json", "md", "tex")),
    }  # fmt: skip


def test_a_plot_is_the_same_pdf_whenever_it_is_written(demo):
    plot = report_of(demo).plots["quality-against-time"]
    pdf = pdf_file(plot)
    assert pdf.startswith(b"%PDF-1.")
    assert b"/Type42" in pdf or b"/FontFile2" in pdf  # font types that publishers accept
    assert pdf_file(plot) == pdf


def test_published_numbers_stand_beside_rows_of_their_family_on_their_data_set_alone(demo):
    table = report_of(demo).table
    assert published_beside({"name": "mnist"}, table) == []
    assert published_beside(CIFAR | {"num_train": 5000}, table) == []  # a part, such as one class of ten
    found = {beside.family: beside for beside in published_beside(CIFAR, table)}
    assert [row.label for row, _ in found["GAN"].here] == ["WGAN-GP", "LSGAN", "GAN"]
    assert all(fid == "" for _, fid in found["GAN"].here)  # their features are a classifier's: no FID
    assert found["DDGAN"].here == []
    assert sum(len(beside.rows) for beside in found.values()) == len(PUBLISHED["cifar10"])
    assert all(row.source["url"].startswith("https://") for row in PUBLISHED["cifar10"])


def test_published_numbers_stand_beside_the_fid_of_the_same_resizer(tmp_path):
    folder = write_results(tmp_path / "results", "cifar10", FEW, images=np.zeros((1, 28, 28), np.uint8))
    for path in folder.glob("*/seed0/*/*/metrics.json"):
        record = read_json(path)
        distance = record["metrics"].pop("fd_classifier") | {"note": None}
        record["metrics"] |= {"fid_clean": distance | {"value": 1.0}, "fid_legacy": distance}
        write_json(path, record)
    preflight = read_json(folder / "preflight.json")
    preflight["dataset"] |= CIFAR
    write_json(folder / "preflight.json", preflight | {"headline": "fid_clean"})
    page = Page(render(folder) / "cifar10.html")
    assert "FID (legacy, 2k), best rows of the family" in page.text
    assert "StudioGAN's benchmark 61.3 GAN toy size DCGAN 37.7" in page.text  # the number and its row
    assert "https://arxiv.org/abs/2112.07804" in page.values("href", "a")


def test_models_of_older_code_are_named(demo):
    origins = read_results(demo / "preflight.json", demo).provenance
    asked = []

    def is_current(stage, model, code):
        asked.append((stage, model))
        return code == "ab" * 32

    assert older_code(origins, is_current) == []
    assert {("training", "gan"), ("sampling", "gan"), ("evaluation", "gan")} <= set(asked)
    changed = origins.assign(code_sha256=["cd" * 32 if model == "gan" else "ab" * 32 for model in origins["model"]])
    assert older_code(changed, is_current) == ["gan"]


def test_versions_of_the_code_are_counted_within_one_stage_of_one_model(demo):
    origins = read_results(demo / "preflight.json", demo).provenance
    by_stage = origins.assign(code_sha256=origins["stage"])  # each stage has different code
    assert code_versions(by_stage) == 1
    several = origins.groupby(["stage", "model"]).filter(lambda files: len(files) > 1)  # models with several samplers
    by_stage.loc[several.index[0], "code_sha256"] = "another"
    assert code_versions(by_stage) == 2


def test_a_row_tells_all_that_makes_it_again(demo):
    draw = next(draw for draw in report_of(demo).draws if draw["model"] == "gan")
    told = dict(origins_of(draw))
    assert told["Training seed"] == "0"
    assert (told["Sample seeds"], told["Sampling batch"], told["Precision"]) == ("0:2000", "500", "fp32")
    assert (told["Weights"], told["Data"]) == ("0d" * 32, "da" * 32)
