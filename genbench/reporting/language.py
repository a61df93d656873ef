"""The page of a suite of language models: its table, learning curves, texts, and where the results come from.

Its rows are on no page with image models, since the two cannot be compared.
"""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import pandas as pd

from genbench.files.artifacts import write_json
from genbench.records.language import LanguageTraining, Perplexity, TextCounts, Texts
from genbench.records.record import read_record
from genbench.reporting.curves import compare_curves
from genbench.reporting.drawing import Plot
from genbench.reporting.missing import UNREADABLE, reason, unreadable
from genbench.reporting.numerals import count, duration, memory, plus_minus, significant
from genbench.reporting.page import environment
from genbench.reporting.publish import write_text
from genbench.reporting.report import FORMAT

log = logging.getLogger(__name__)

WIDE, NARROW = (8.0, 3.4), (4.6, 3.2)  # inches
COLUMNS = {  # heading and definition
    "per_word": ("Perplexity per word", "exp of the negative log-likelihood of the test text, divided by its words"),
    "per_token": ("per token", "the same divided by its tokens; compares only models of one tokenizer"),
    "bits_per_byte": ("Bits per byte", "the same in bits, divided by the bytes of the text"),
    "parameters": ("Parameters", "weights of a network; of an n-gram model, the n-grams that it counts"),
    "trained": ("Tokens learned", "tokens of the training text, in every epoch"),
    "training": ("Training", "time of training, or of counting; other jobs may have run beside it"),
    "memory": ("Memory", "most memory that training took; of an n-gram model, counting and scoring"),
    "scoring": ("Scores 1,000 tokens", "time to score so many tokens of the test text"),
    "writing": ("Writes 1,000 tokens", "time to draw so many, several texts at once"),
}


class Run(NamedTuple):
    """The records of one training, or of one counting for an n-gram model, which has only a score."""

    seed: int
    score: Perplexity
    training: LanguageTraining | None
    texts: Texts | None
    history: Sequence[Mapping[str, Any]]


class Row(NamedTuple):
    """A model in the table: its text and number in each column."""

    name: str
    label: str
    description: str
    cells: Mapping[str, str]
    values: Mapping[str, float]


class LanguageReport:
    """The content of the page. suite: with all defaults filled in; results: the folder of its results."""

    def __init__(self, suite: Mapping[str, Any], results: Path) -> None:
        self.suite, self.columns = suite, COLUMNS
        self.counts = read_record(results / "text/text.json", TextCounts)
        self.runs: dict[str, list[Run]] = {}
        self.missing: list[tuple[str, str]] = []  # a model, and why it or one of its seeds has no numbers
        for name, entry in suite["models"].items():
            self.runs[name], reasons = _runs(suite, results / name, entry)
            self.missing += [(entry["label"], why) for why in reasons]
        rows = [_row(name, suite["models"][name], runs) for name, runs in self.runs.items() if runs]
        self.rows = sorted(rows, key=lambda row: row.values["per_word"])
        scores = ("per_word", "per_token", "bits_per_byte")
        self.best = {key: min((row.values[key] for row in rows), default=math.nan) for key in scores}
        self.curves = [self._curves(size) for size in (WIDE, NARROW)]

    def _curves(self, size: tuple[float, float]) -> Plot | None:
        """Perplexity per token of the training text and the held-out text, against the tokens learned."""
        points = [
            {
                "name": f"{self.suite['models'][name]['label']}, {what}",
                "seed": run.seed,
                "x": line["tokens_seen"],
                "value": math.exp(min(line[key][part], 50.0)),
            }
            for name, runs in self.runs.items()
            for run in runs
            for what, key, part in (("training text", "losses", "network"), ("held-out text", "validation", "loss"))
            for line in run.history
            if key in line
        ]
        if not points:
            return None
        return compare_curves(pd.DataFrame(points), "tokens learned", "perplexity per token", size)

    @property
    def texts(self) -> list[tuple[str, Texts]]:
        """The texts of each network's first seed."""
        found = [(self.suite["models"][name]["label"], runs[0].texts) for name, runs in self.runs.items() if runs]
        return [(label, texts) for label, texts in found if texts is not None]

    @property
    def origins(self) -> list[tuple[str, str, str, str, str, str]]:
        """For each run its model, seed, device, commit, code, and the hash of its weights."""
        return [
            (
                self.suite["models"][name]["label"],
                str(run.seed),
                run.score.device,
                str((run.score.provenance and run.score.provenance.genbench_commit) or "–")[:12],
                str((run.score.provenance and run.score.provenance.code_sha256) or "–")[:12],
                str(run.score.model_sha256 or "–")[:12],
            )
            for name, runs in self.runs.items()
            for run in runs
        ]

    @property
    def packages(self) -> list[tuple[str, str]]:
        """The packages used for scoring, with their versions."""
        found = [run.score.provenance for runs in self.runs.values() for run in runs]
        return sorted({pair for provenance in found if provenance for pair in provenance.packages.items()})

    def summary(self) -> dict[str, Any]:
        """What the index and the end of a run show of the suite."""
        shown = ("per_word", "per_token", "scoring")
        lines = [
            f"  {place}. {row.label}: perplexity {row.cells['per_word']} per word, {row.cells['per_token']} per token"
            for place, row in enumerate(self.rows, start=1)
        ]
        lines += [f"  without numbers: {label}: {why}" for label, why in self.missing]
        return {
            "format": FORMAT,
            "kind": "language",
            "suite": self.suite["name"],
            "title": self.suite["title"],
            "description": self.suite["description"],
            "headings": [COLUMNS[key][0] for key in shown],
            "rows": [[row.label, *(row.cells[key] for key in shown)] for row in self.rows],
            "lines": lines,
        }

    def table(self) -> pd.DataFrame:
        """Every run with its numbers."""
        return pd.DataFrame(
            {"model": name, "label": self.suite["models"][name]["label"], "seed": run.seed}
            | {key: value for key, value in run.score.content().items() if key != "provenance"}
            for name, runs in self.runs.items()
            for run in runs
        )


def _runs(suite: Mapping[str, Any], folder: Path, entry: Mapping[str, Any]) -> tuple[list[Run], list[str]]:
    """The scored runs of a model, and the reasons why others were not scored or have no texts."""
    runs, reasons = list[Run](), list[str]()
    seeds = suite["seeds"] if "training" in entry else suite["seeds"][:1]
    for seed in seeds:
        run, several = folder / f"seed{seed}", f"seed {seed}: " * (len(seeds) > 1)
        trained = None if "ngram" in entry else reason(run, "training.json", ("logs/train.log",), "training")
        if why := trained or reason(run, "perplexity.json", ("logs/evaluate.log",), "scoring"):
            reasons.append(several + why)
            continue
        unwritten = None if "ngram" in entry else reason(run, "texts.json", ("logs/sample.log",), "writing texts")
        reasons += [several + unwritten] if unwritten else []
        try:
            score = read_record(run / "perplexity.json", Perplexity)
            training, texts, lines = None, None, list[str]()
            if "ngram" not in entry:
                training = read_record(run / "training.json", LanguageTraining)
                texts = None if unwritten else read_record(run / "texts.json", Texts)
                lines = (run / "history.jsonl").read_text(encoding="utf-8").splitlines()
            runs.append(Run(seed, score, training, texts, [json.loads(line) for line in lines]))
        except UNREADABLE as error:
            reasons.append(several + unreadable("result", error, folder.parent))
    return runs, reasons


def _row(name: str, entry: Mapping[str, Any], runs: Sequence[Run]) -> Row:
    """A model's means over its seeds, with standard deviations."""
    cells, values = dict[str, str](), dict[str, float]()

    def put(key: str, found: Sequence[float | None], text: Any) -> None:
        known = [value for value in found if value is not None]
        if not known:
            cells[key] = "–"
            return
        values[key] = fmean(known)
        mean = text(values[key])
        cells[key] = plus_minus(mean, stdev(known)) if text is significant and len(known) > 1 else mean

    put("per_word", [run.score.perplexity_per_word for run in runs], significant)
    put("per_token", [run.score.perplexity_per_token for run in runs], significant)
    put("bits_per_byte", [run.score.bits_per_byte for run in runs], significant)
    put("parameters", [run.score.parameters for run in runs], count)
    put("trained", [run.training.tokens_seen if run.training else None for run in runs], count)
    put("training", [run.training.seconds if run.training else run.score.fit_seconds for run in runs], duration)
    put("memory", [(run.training or run.score).peak_memory_bytes for run in runs], memory)
    put("scoring", [run.score.seconds_per_1000_tokens for run in runs], duration)
    put("writing", [run.texts.seconds_per_1000_tokens if run.texts else None for run in runs], duration)
    return Row(name, entry["label"], entry["description"], cells, values)


def publish_language(suite: Mapping[str, Any], results: Path, out_dir: Path, template_dir: Path) -> None:
    """Write {suite}.html, {suite}.csv (a row per run) and {suite}.json (the summary) into `out_dir`."""
    report = LanguageReport(suite, results)
    name = suite["name"]
    page = environment(template_dir).get_template("language.html.j2").render(report=report, suite=suite)
    write_text(out_dir / f"{name}.html", page)
    write_text(out_dir / f"{name}.csv", report.table().to_csv(index=False))
    write_json(out_dir / f"{name}.json", report.summary())
    if report.missing:
        log.warning("%s: %d of its runs or texts are missing; each states its reason", name, len(report.missing))
    log.info("%s: %d rows; the page is %s", name, len(report.rows), out_dir / f"{name}.html")
