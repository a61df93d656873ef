"""Language models: perplexity against transformers' own loss, training to the same bits, texts by seed, bad input."""

import functools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hub_server import HUB, REVISION, running

from genbench.commands import language, render_language_report
from genbench.data import texts
from genbench.data.texts import count_words
from genbench.errors import InputError
from genbench.files.artifacts import git_sha1
from genbench.files.weights import load_tensors
from genbench.language import training
from genbench.language.models import load_model, untrained
from genbench.language.ngrams import DISCOUNT, NgramModel
from genbench.language.perplexity import evaluate, token_losses
from genbench.language.sampling import write_texts
from genbench.language.text import encode, load_tokenizer, prepare_text
from genbench.records.language import perplexities
from genbench.reporting.language import publish_language
from genbench.reporting.publish import publish_index, publish_unfinished
from genbench.suites.language_check import check_suite
from genbench.suites.load import load_suite, load_suites
from genbench.suites.prefetch import fetchers
from genbench.training.windows import overlapping

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
TRAIN = " = Lobsters = \n The lobster is blue , and the <unk> is red . \n" * 12 + " Ünïcödé ist 1 @.@ 5 – 2 m . \n" * 6
TEST = "\n The lobster is red – and 3 @.@ 5 m long . \n <unk> </unk> 龙虾 \n" * 3
OPT = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 32, "max_position_embeddings": 24,
    "dropout": 0.2,
}  # fmt: skip
RECIPE = {
    "epochs": 12, "batch_size": 8, "accumulate": 2, "window": 16, "log_every": 5, "validate_every": 20,
    "validate_windows": 2, "precision": "fp32", "optimizer": {"algorithm": "adamw", "lr": 0.01, "decay": "linear"},
}  # fmt: skip
SUITE: dict[str, Any] = {
    "kind": "language",
    "title": "Toy <b>text</b>",
    "text": {"train": "train.txt", "valid": "valid.txt", "test": "test.txt", "label": "Toy"},
    "tokenizer": {"vocab_size": 300},
    "evaluation": {"window": 16, "stride": 8, "batch_size": 3},
    "samples": {"prompts": ["<script>", "The lobster"], "texts": 5, "tokens": 6, "batch_size": 2},
    "models": {
        "bigram": {"ngram": {"order": 2}},
        "opt": {"label": "<i>OPT</i>", "model": OPT, "training": RECIPE},
    },
}


def changed(path: str, value: object) -> dict[str, Any]:
    """SUITE with the value at a dotted path replaced, or removed if `value` is `...`."""
    suite = part = json.loads(json.dumps(SUITE))
    *parents, last = path.split(".")
    for parent in parents:
        part = part.setdefault(parent, {})
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return suite


def loaded(folder: Path, suite: dict[str, Any]) -> dict[str, Any]:
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(suite))
    return load_suite(path)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread, as in trainings that run as separate commands: the bits depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the texts, and results/toy of the whole suite."""
    folder = tmp_path_factory.mktemp("language")
    (folder / "train.txt").write_text(TRAIN)
    (folder / "valid.txt").write_text(TEST)
    (folder / "test.txt").write_text(TEST)
    suite = loaded(folder, SUITE)
    results = folder / "results/toy"
    prepare_text(suite["text"], suite["tokenizer"], folder, results / "text")
    tokens, run = results / "text/tokens.safetensors", results / "opt/seed0"
    train(folder, run / "model.safetensors")
    evaluate(
        tokens, run / "perplexity.json", suite["evaluation"], model=run / "model.safetensors", order=None, device=CPU
    )
    evaluate(tokens, results / "bigram/seed0/perplexity.json", suite["evaluation"], model=None, order=2, device=CPU)
    write_texts(
        run / "model.safetensors", results / "text/tokenizer", suite["samples"], range(5), run / "texts.json", CPU
    )
    return folder


def train(folder: Path, out: Path, **options: Any) -> None:
    entry = loaded(folder, SUITE)["models"]["opt"]
    spec = {key: entry[key] for key in ("model", "training")}
    tokens = folder / "results/toy/text/tokens.safetensors"
    training.train(spec, tokens, out, data_root=folder, seed=0, device=CPU, **options)


# --- Perplexity -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "window", "stride"), [(100, 16, 8), (97, 16, 16), (10, 16, 4), (50, 24, 1)])
def test_every_token_but_the_first_is_scored_once(length: int, window: int, stride: int) -> None:
    found = list(overlapping(length, window, stride))
    scored = [place for _, end, first in found for place in range(first, end)]
    assert scored == list(range(1, length))
    assert all(end - begin <= window and begin < first for begin, end, first in found)
    assert all(first - begin >= window - stride for begin, _, first in found[1:-1] if stride < window)


def test_perplexity_is_that_of_transformers_own_loss_on_the_same_windows(made: Path) -> None:
    tokens = load_tensors(made / "results/toy/text/tokens.safetensors")[0]["test"]
    network, _ = load_model(made / "results/toy/opt/seed0/model.safetensors", CPU)
    total, count = 0.0, 0
    for begin, end, first in overlapping(len(tokens), 16, 8):
        ids = tokens[begin:end].long()[None]
        labels = ids.clone()
        labels[:, : first - begin] = -100
        with torch.no_grad():
            total += float(network(input_ids=ids, labels=labels).loss) * (end - first)
        count += end - first
    ours = token_losses(network, tokens, 16, 8, 3)
    assert count == len(ours) == len(tokens) - 1
    found = perplexities(ours.tolist(), 10, 20)
    assert found["perplexity_per_token"] == pytest.approx(math.exp(total / count), rel=1e-5)
    assert found["perplexity_per_word"] == pytest.approx(math.exp(total / 10), rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(total / 20 / math.log(2), rel=1e-5)


def test_a_network_that_knows_nothing_has_the_size_of_the_vocabulary_for_its_perplexity() -> None:
    from transformers import OPTConfig

    network = untrained(OPTConfig(vocab_size=50, **OPT | {"word_embed_proj_dim": 16})).eval()
    torch.nn.init.zeros_(network.get_parameter("lm_head.weight"))
    losses = token_losses(network, torch.arange(40), 16, 8, 3)
    assert perplexities(losses.tolist(), 1, 1)["perplexity_per_token"] == pytest.approx(50)


def test_the_record_counts_what_it_says(made: Path) -> None:
    record = json.loads((made / "results/toy/opt/seed0/perplexity.json").read_text())
    reader = load_tokenizer(made / "results/toy/text/tokenizer")
    assert record["words"] == count_words(TEST) == 3 * (12 + 3 + 3)
    assert record["tokens"] == len(encode(reader, TEST)) - 1
    total = record["tokens"] * math.log(record["perplexity_per_token"])
    assert record["perplexity_per_word"] == pytest.approx(math.exp(total / record["words"]))
    assert reader.decode(encode(reader, TEST)[1:]) == TEST  # bytes: nothing is unknown


def test_n_grams_by_hand() -> None:
    tokens = [0, 1, 2, 1, 2, 1, 3]  # after the beginning, 0, there are three 1s, two 2s and one 3
    counts = {0: 1 / 10, 1: 4 / 10, 2: 3 / 10, 3: 2 / 10}  # each count plus one
    assert NgramModel(1, tokens, 4).losses([0, 1, 3, 0]) == pytest.approx([-math.log(counts[t]) for t in (1, 3, 0)])
    unigram = {0: 1 / 8, 1: 3 / 8, 2: 2 / 8, 3: 2 / 8}  # 1 follows 0 and 2; 2 and 3 follow 1; each count plus one
    after_1 = {token: 2 * DISCOUNT / 3 * share for token, share in unigram.items()}  # 2 follows it twice, 3 once
    after_1 |= {2: after_1[2] + (2 - DISCOUNT) / 3, 3: after_1[3] + (1 - DISCOUNT) / 3}
    assert sum(after_1.values()) == pytest.approx(1)
    model = NgramModel(2, tokens, 4)
    assert [model.losses([1, token])[0] for token in range(4)] == pytest.approx(
        [-math.log(after_1[token]) for token in range(4)]
    )


def test_n_grams_are_those_of_nltk_and_sum_to_one() -> None:
    from nltk.lm.smoothing import KneserNey

    tokens = [7, *(int(token) for token in torch.randint(6, (60,), generator=torch.Generator().manual_seed(1)))]
    model = NgramModel(4, tokens, 8)
    theirs = KneserNey(None, model.counter, order=4, discount=DISCOUNT)  # slow: walks over all n-grams each time
    seen = [context for n in (2, 3, 4) for context in model.counter[n] if context[0] < 7]
    assert len(seen) > 50
    for context in seen:
        alpha, gamma = theirs.alpha_gamma(3, context)
        assert model._score(3, context) == pytest.approx(alpha + gamma * model._score(3, context[1:]))
    assert model._score(3, ()) == theirs.unigram_score(3)
    beginning = tuple(tokens[:3])  # nothing comes before it
    for context in [(), (1,), (2, 3), (0, 5, 2), beginning, beginning[:2], beginning[:1]]:
        assert sum(model._score(token, context) for token in range(8)) == pytest.approx(1)


# --- Training ---------------------------------------------------------------------------------------------------------


def test_a_training_that_was_killed_and_stopped_ends_with_the_same_bits(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, state = tmp_path / "model.safetensors", tmp_path / "training/state.safetensors"
    entry = loaded(made, SUITE)["models"]["opt"]
    spec = json.dumps({key: entry[key] for key in ("model", "training")})
    command = [sys.executable, str(ROOT / "scripts/language.py"), "train", "--spec", spec, "--out", str(out)]
    command += ["--tokens", str(made / "results/toy/text/tokens.safetensors"), "--data-root", str(made)]
    killed = subprocess.Popen([*command, "--device", "cpu", "--threads", "1", "--save-seconds", "0"])
    while not state.exists() and killed.poll() is None:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    before = load_tensors(state)[1]["step"]
    advance, stop = training.TextRun._advance, before + 3

    def stopped(run: training.TextRun) -> None:
        if run.trainer.step == stop:
            os.kill(os.getpid(), signal.SIGTERM)
        advance(run)

    monkeypatch.setattr(training.TextRun, "_advance", stopped)
    with pytest.raises(SystemExit) as left:
        train(made, out)
    assert left.value.code == 128 + signal.SIGTERM
    assert load_tensors(state)[1]["step"] == stop + 1
    monkeypatch.undo()
    train(made, out)
    whole = made / "results/toy/opt/seed0"
    records = [json.loads((folder / "training.json").read_text()) for folder in (whole, tmp_path)]
    assert records[0]["steps"] > stop + 1
    assert records[0]["model_sha256"] == records[1]["model_sha256"]
    assert [record["resumed"] for record in records] == [0, 2]
    histories = [(folder / "history.jsonl").read_text() for folder in (whole, tmp_path)]
    plain = [re.sub(r'"seconds": [\d.]+', "", history) for history in histories]
    assert plain[0] == plain[1]
    assert not state.exists()


def test_it_learns_and_its_history_says_so(made: Path) -> None:
    lines = [json.loads(line) for line in (made / "results/toy/opt/seed0/history.jsonl").read_text().splitlines()]
    losses = [line["losses"]["network"] for line in lines if "losses" in line]
    assert losses[0] > math.log(300) - 1
    assert losses[-1] < 0.7 * losses[0]
    assert [line["step"] for line in lines if "validation" in line] == [20, 33]


def test_accumulation_changes_nothing_but_rounding(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = loaded(tmp_path, changed("models.opt.model.dropout", 0.0))["models"]["opt"]
    found = []
    for accumulate in (1, 4):
        spec = {"model": entry["model"], "training": entry["training"] | {"accumulate": accumulate}}
        tokens = made / "results/toy/text/tokens.safetensors"
        run = training.TextRun(spec, tokens, tmp_path / str(accumulate), data_root=made, seed=0, device=CPU)
        found.append([float(run.trainer.advance()[0]["network"]) for _ in range(4)])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


# --- Texts ------------------------------------------------------------------------------------------------------------


def test_any_split_of_the_seeds_gives_the_same_texts(made: Path, tmp_path: Path) -> None:
    run, tokenizer = made / "results/toy/opt/seed0", made / "results/toy/text/tokenizer"
    whole = json.loads((run / "texts.json").read_text())["texts"]
    parts = []
    for seeds in (range(3), range(3, 5)):
        path = tmp_path / "texts.json"
        write_texts(run / "model.safetensors", tokenizer, loaded(made, SUITE)["samples"], seeds, path, CPU)
        parts += json.loads(path.read_text())["texts"]
    assert sorted(parts, key=lambda text: (text["prompt"], text["seed"])) == sorted(
        whole, key=lambda text: (text["prompt"], text["seed"])
    )
    assert len({text["text"] for text in whole}) > 5


def test_a_prompt_that_leaves_no_places_is_refused(made: Path, tmp_path: Path) -> None:
    samples = loaded(tmp_path, changed("samples.prompts", ["lobster " * 30]))["samples"]
    run = made / "results/toy"
    with pytest.raises(InputError, match=r"samples: found a prompt of \d+ tokens and 6 more, expected at most 24 tog"):
        write_texts(run / "opt/seed0/model.safetensors", run / "text/tokenizer", samples, range(1), tmp_path / "x", CPU)


# --- Suites -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "models.opt.model.vocab_size",
            200,
            "models: opt: model: vocab_size: found 200 in the model and 300 tokens of",
        ),
        ("text.train", "empty.txt", "empty.txt: found no text, expected some words"),
        ("text.test", "latin.txt", "latin.txt: found the byte 0xfc at position 1, expected text in UTF-8"),
        ("text.test", "utf16.txt", "utf16.txt: found the byte 0x00 at position 1, expected text in UTF-8"),
        ("text.train", "none.txt", "text: key 'train': found 'none.txt', and there is no such file or folder"),
        ("text.train", ".", "expected a file of text"),
        ("titel", "x", r"unknown key: found 'titel' \(did you mean 'title'"),
        ("kind", "langage", r"kind: found 'langage' \(did you mean 'language'"),
        ("kind", 3, "kind: found 3; expected one of: language"),
        ("models.opt.model.width", 3, "models: opt: model: unknown key: found 'width'"),
        ("models.opt.training.optimizer", {"rate": 1}, "models: opt: training: optimizer: unknown key: found 'rate'"),
        ("models.opt.training.window", 99, "models: opt: training: window: found 99 tokens, expected at most 24"),
        (
            "samples.prompts",
            ["The", "lobster " * 30],
            r"models: opt: samples: prompts: found one of \d+ tokens and 6 more, ex",
        ),
        ("evaluation.window", 99, "models: opt: evaluation: found 99 tokens, expected at most 24"),
        (
            "models.opt.training.accumulate",
            3,
            "training: key 'accumulate': found 3, expected a divisor of batch_size 8",
        ),
        ("models.opt.model.num_attention_heads", 3, "num_attention_heads: found 3, expected a divisor of hidden_size"),
        ("models.opt.training", ..., "models: opt: key 'training' is missing: this model has random weights"),
        ("models.opt.ngram", {"order": 2}, "models: opt: found ngram and model of ngram, model, pretrained; expected"),
        ("models.bigram.training", RECIPE, "models: bigram: found training beside ngram, which only counts"),
        ("models.bigram.ngram.order", 0, "models: bigram: ngram: order: found 0, expected at least 1"),
        ("tokenizer", {}, "tokenizer: found none of vocab_size, published; expected one of them"),
        ("tokenizer.published", {"hub": HUB}, "key 'revision' is missing"),
        ("models.opt", {"pretrained": {"path": "."}}, "models: opt: pretrained: .*no configuration that transformers"),
    ],
)
def test_bad_input_is_one_line(made: Path, path: str, value: object, message: str) -> None:
    (made / "empty.txt").write_text(" \n")
    (made / "latin.txt").write_bytes("Hürde".replace("H", "H", 1).encode("latin-1"))
    (made / "utf16.txt").write_bytes("Hallo".encode("utf-16-le"))
    with pytest.raises(InputError, match=message) as error:
        check_suite(loaded(made, changed(path, value)), made, "toy.yaml", fetch=False)
    assert "\n" not in str(error.value)


def test_a_published_model_comes_from_the_hub_at_one_commit(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, root = tmp_path / "www" / HUB / REVISION, tmp_path / "root"
    network, _ = load_model(made / "results/toy/opt/seed0/model.safetensors", CPU)
    network.half().save_pretrained(repository)  # type: ignore[operator]
    load_tokenizer(made / "results/toy/text/tokenizer").save_pretrained(repository)
    (repository / "README.md").write_text("what needs no download")
    source = {"hub": HUB, "revision": REVISION}
    models = {"published": {"pretrained": source}, "tuned": {"pretrained": source, "training": RECIPE | {"epochs": 1}}}
    suite = loaded(made, SUITE | {"tokenizer": {"published": source}, "models": models})
    assert check_suite(suite, made, "toy.yaml", fetch=False) == {"published": None, "tuned": None}
    with running(tmp_path / "www", monkeypatch) as hub:
        for fetch in fetchers(suite, root):
            fetch()
        asked = len(hub.asked)
        for name in ("train.txt", "valid.txt", "test.txt"):
            (root / name).write_text((made / name).read_text())
        weights = sum(weight.numel() for weight in network.parameters())
        assert check_suite(suite, root, "toy.yaml", fetch=True) == {"published": weights, "tuned": weights}
        prepare_text(suite["text"], suite["tokenizer"], root, tmp_path / "text")
        tokens = tmp_path / "text/tokens.safetensors"
        for name, entry in suite["models"].items():
            spec = {key: entry[key] for key in ("pretrained", "training") if key in entry}
            training.train(spec, tokens, tmp_path / name / "m.safetensors", data_root=root, seed=0, device=CPU)
        assert len(hub.asked) == asked
    assert not [path for path in hub.asked if "README" in path]
    assert torch.equal(
        load_tensors(tokens)[0]["test"], load_tensors(made / "results/toy/text/tokens.safetensors")[0]["test"]
    )
    published, tuned = (load_model(tmp_path / name / "m.safetensors", CPU)[0] for name in models)
    expected = dict(network.named_parameters())
    for name, weight in published.named_parameters():
        assert weight.dtype == torch.float32  # from a file in float16
        assert torch.equal(weight, expected[name].float())
    assert not torch.equal(tuned.get_parameter("lm_head.weight"), published.get_parameter("lm_head.weight"))


@pytest.mark.parametrize(
    "layout",
    [
        {"do_layer_norm_before": False},
        {"word_embed_proj_dim": 8},
        {"do_layer_norm_before": False, "word_embed_proj_dim": 8},
    ],
)
def test_every_layout_of_opt_is_scored_and_tuned_as_transformers_does(
    made: Path, tmp_path: Path, layout: dict[str, Any]
) -> None:
    """OPT-350M has both: norms after its layers, and narrower embeddings, with a projection on each side."""
    from transformers import AutoModelForCausalLM, OPTConfig, OPTForCausalLM

    torch.manual_seed(0)
    config = OPTConfig(**OPT | {"vocab_size": 300, "word_embed_proj_dim": 16} | layout, init_std=0.3)
    OPTForCausalLM(config).half().save_pretrained(tmp_path / "opt")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "opt", dtype=torch.float32)
    tokens = made / "results/toy/text/tokens.safetensors"
    test, found = load_tensors(tokens)[0]["test"], {}
    entries = {"published": {"pretrained": {"path": "opt"}}}
    entries["tuned"] = entries["published"] | {"training": RECIPE | {"epochs": 1}}
    for name, entry in loaded(tmp_path, changed("models", entries))["models"].items():
        spec = {key: entry[key] for key in ("pretrained", "training") if key in entry}
        training.train(spec, tokens, tmp_path / name / "m.safetensors", data_root=tmp_path, seed=0, device=CPU)
        network, _ = load_model(tmp_path / name / "m.safetensors", CPU)
        found[name] = token_losses(network, test, 16, 8, 3)
        assert network.state_dict().keys() == theirs.state_dict().keys()
    expected = []
    for begin, end, first in overlapping(len(test), 16, 8):
        with torch.no_grad():
            logits = theirs.eval()(input_ids=test[begin:end].long()[None]).logits[0, first - begin - 1 : -1]
        expected.append(torch.nn.functional.cross_entropy(logits, test[first:end].long(), reduction="none"))
    assert torch.allclose(found["published"], torch.cat(expected).double(), rtol=1e-5, atol=1e-5)
    assert found["tuned"].mean() < found["published"].mean() - 0.1


def test_wikitext_is_fetched_where_it_is_missing_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, root = "wikitext-2/valid.txt", tmp_path / "root"
    (tmp_path / "wikitext-2").mkdir()
    (tmp_path / name).write_text(TRAIN)
    suite = changed("text", {"train": name, "test": "wikitext-2/test.txt", "label": "WikiText-2"}) | {"name": "toy"}
    with running(tmp_path, monkeypatch):
        monkeypatch.setattr(texts, "WIKITEXT2", f"{os.environ['HF_ENDPOINT']}/")
        assert texts.text_file(name, root, "train", fetch=False) is None
        with pytest.raises(InputError, match=r"valid.txt: missing, and could not be down.*found git's hash"):
            texts.text_file(name, root, "train")
        for path in suite["text"]["train"], suite["text"]["test"]:
            (tmp_path / path).write_text(TRAIN)
            monkeypatch.setitem(texts.PUBLISHED, path, git_sha1(tmp_path / path))
        assert [fetch() for fetch in fetchers(suite, root)] == [root / name, root / "wikitext-2/test.txt"]
    found = texts.read_texts(suite["text"], root, fetch=False)
    assert found is not None
    assert found["train"] + found["valid"] == found["test"] == TRAIN
    assert found["valid"].count("\n") == 1  # valid has 1 of the 30 lines
    (root / name).write_text("another text")
    with pytest.raises(InputError, match=r"text: .*valid.txt: found git's hash \w+, expected \w+, that of"):
        texts.text_file(name, root, "train")


def test_two_kinds_of_suites_are_of_one_run() -> None:
    found = load_suites(["demo", "wikitext2"], {"seeds": [3, 4], "num_samples": None})
    demo, text = found.values()
    assert "kind" not in demo
    assert text["kind"] == "language"
    assert demo["seeds"] == text["seeds"] == [3, 4]


# --- The page ---------------------------------------------------------------------------------------------------------


def test_the_page_has_every_row_and_escapes_what_models_write(made: Path) -> None:
    suite = loaded(made, SUITE) | {"published": [{"method": "A <b>", "perplexity": 9.87, "source": "arXiv 1609.07843"}]}
    report = made / "results/report"
    for name in ("toy", "other"):
        publish_language(suite | {"name": name}, made / "results/toy", report, ROOT / "report")
    publish_index(report, ROOT / "report")
    page, index = ((report / name).read_text() for name in ("toy.html", "index.html"))
    for text in (page, index):
        assert "&lt;i&gt;OPT&lt;/i&gt;" in text
        assert "Toy &lt;b&gt;text&lt;/b&gt;" in text
        assert "<i>OPT" not in text
        assert "bigram" in text
    assert "<strong>&lt;script&gt;</strong>" in page
    assert page.count("<script>") == 1  # the page's own
    assert "9.87" in page
    assert "https://arxiv.org/abs/1609.07843" in page
    assert page.count('<svg viewBox="') == 2
    assert 'id="all"' not in index  # the table of images
    score = json.loads((made / "results/toy/opt/seed0/perplexity.json").read_text())
    assert str(score["perplexity_per_word"]) in (report / "toy.csv").read_text()


def test_an_unfinished_suite_has_a_page_of_what_there_is(made: Path, tmp_path: Path) -> None:
    suite = loaded(made, changed("models.other", {"model": OPT, "training": RECIPE})) | {"name": "toy"}
    results, report = tmp_path / "results", tmp_path / "report"
    shutil.copytree(made / "results/toy", results / "toy")
    (results / "toy/opt/seed0/texts.json").unlink()
    (results / "toy/other/seed0/logs").mkdir(parents=True)
    (results / "toy/other/seed0/logs/train.log").write_text("error: the loss is not finite at step 3\n")
    publish = functools.partial(publish_language, suite, results / "toy", report, ROOT / "report")
    sources = [results / "toy/bigram/seed0/perplexity.json"]
    publish_unfinished({"toy": sources}, results, report, ROOT / "report", {"toy": publish})
    page, summary = ((report / name).read_text() for name in ("toy.html", "toy.json"))
    for text in (page, summary):
        assert "training failed: the loss is not finite at step 3" in text
        assert "writing texts has not begun: there is no texts.json" in text
    assert len(json.loads(summary)["rows"]) == 2
    assert (report / "toy.html").stat().st_mtime < sources[0].stat().st_mtime


def test_every_step_of_the_rules_has_the_flags_of_its_command() -> None:
    text = (ROOT / "rules/language.smk").read_text()
    calls = re.findall(r"scripts/(\w+)\.py (?:(\w+) )?(.*?)2>&1", text.replace('"\n        "', ""), re.DOTALL)
    found = {}
    for script, step, line in calls:
        flags = set(re.findall(r"--[a-z-]+", line)) | ({"--model"} if "params.scored" in line else set())
        found[step or script] = flags
        whole = {"language": language.parser, "render_language_report": render_language_report.parser}[script]()
        steps = [action for action in whole._actions if isinstance(action.choices, dict)]
        actions = steps[0].choices[step]._actions if steps else whole._actions
        assert flags <= {name for action in actions for name in action.option_strings}, script
        assert {action.option_strings[0] for action in actions if action.required} <= flags, script
    assert found.keys() == {"prepare", "train", "evaluate", "sample", "render_language_report"}
