"""The arithmetic of the benchmarks: alternating rounds, ratios, kept results, and the table in a document."""

from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.__main__ import all_works, measure_all
from benchmarks.comparison import Comparison, NotAtHandError, Setting, Work, measure


def test_both_sides_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now, order = [0.0], []

    def work(name: str, seconds: list[float]) -> str:
        now[0] += seconds[order.count(name)]
        order.append(name)
        return name

    monkeypatch.setattr("benchmarks.comparison.cpu_seconds", lambda: now[0])
    slow, fast = [9.0, 4.0, 6.0, 5.0], [9.0, 2.0, 1.0, 1.0]  # the first round warms up
    comparison = Comparison(
        theirs=lambda: work("theirs", slow),
        ours={"fp32": lambda: work("ours", fast)},
        rounds=3,
        remark="{} and {}".format,
    )
    (found,) = measure(comparison)
    assert order == ["theirs", "ours"] * 4
    assert (found["theirs"], found["ours"], found["ratio"]) == (5.0, 1.0, 5.0)
    assert (found["low"], found["high"], found["remark"]) == (2.0, 6.0, "theirs and ours")


def test_what_was_measured_is_kept_and_written_into_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(setting: Setting) -> Comparison:
        raise NotAtHandError("needs --peers")

    def broken(setting: Setting) -> Comparison:
        return Comparison(theirs=lambda: 1 / 0, ours={"fp32": lambda: None})

    monkeypatch.setattr(table, "RESULTS", tmp_path / "results")
    done = Comparison(theirs=lambda: sum(range(9999)), ours={"fp32": lambda: None}, remark=lambda *_: "the same")
    works = [Work("a", "add", "them", lambda setting: done), Work("b", "b", "c", missing), Work("d", "d", "e", broken)]
    reasons = measure_all(works, Setting(peers=None, before=None, folder=tmp_path), 1)
    assert reasons == {"b": "needs --peers", "d": "ZeroDivisionError: division by zero"}

    path = tmp_path / "speed.md"
    path.write_text(f"# Speed\n\n{table.BEGIN}\nold\n{table.END}\nmore\n", encoding="utf-8")
    table.write(path, table.markdown(works, reasons))
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Speed\n")
    assert text.endswith(f"{table.END}\nmore\n")
    assert "old" not in text
    assert "| add | them | fp32 | " in text
    assert "| the same |" in text
    assert "not measured: needs --peers" in text
    table.write(path, table.markdown(works, {}))  # from the kept results
    assert "| add | them | fp32 | " in path.read_text(encoding="utf-8")


def test_each_kind_of_machine_has_its_own_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    times = {"ours": 2.0, "theirs": 3.0, "ratio": 1.5, "low": 1.4, "high": 1.6, "remark": ""}
    about = {"precision": "fp32", "batch_size": 8, "packages": {}, "commit": "c", "before": None, "threads": 1}
    for machine, work in (("Old", "a"), ("New", "a"), ("New", "b")):
        monkeypatch.setattr(table, "machine", lambda machine=machine: machine)
        for day in ("2026-01-01", "2026-01-02"):  # the last measurement counts
            table.keep({"name": work, **times, **about, "machine": machine, "start": day})
    works = [
        Work(name, f"work {name}", "them", lambda setting: Comparison(theirs=sum, ours={})) for name in ("a", "b", "c")
    ]
    _, new, old = table.markdown(works, {"c": "no peer"}).split("| work | peer")
    assert new.count("work a") == new.count("work b") == old.count("work a") == 1
    assert "New, 1 thread; genbench c; 2026-01-02" in new
    assert "work b" not in old
    assert "work c, beside them, was not measured: no peer" in old


def test_rows_have_names_of_their_own() -> None:
    names = [work.name for work in all_works()]
    assert len(set(names)) == len(names)
