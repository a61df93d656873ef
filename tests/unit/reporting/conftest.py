"""Suites of made-up results and their pages."""

import functools
import importlib
import io
import pickle
from types import FunctionType

import pytest
from made_up import HOSTILE, MODELS, render, write_results

from genbench.reporting import publish
from genbench.reporting.columns import TIME

# The functions that draw plots, and the modules that call them.
DRAWN_BY = {
    "learning_curve": ["sections"],
    "compare_curves": ["compute", "noise_schedules", "sampler_studies", "snapshots"],
    "quality_against_cost": ["plots"],
    "draw_schedules": ["noise_schedules"],
}


@pytest.fixture(scope="module", autouse=True)
def plots_as_pdf():
    """PDFs take nearly half the time of a report, so they are drawn only by the tests of them (test_exports.py)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "pdf_file", lambda plot, characters: b"%PDF, but not here")
        yield


class Pickler(pickle.Pickler):
    """Pickles functions, such as those of metrics, as their place in the code."""

    def reducer_override(self, value):
        return (str, (repr(value.__code__),)) if isinstance(value, FunctionType) else NotImplemented


def bytes_of(value):
    buffer = io.BytesIO()
    Pickler(buffer).dump(value)
    return buffer.getvalue()


def plotted(table, size, cost=TIME):
    """Return what quality_against_cost reads of a table, which excludes remarks and other columns."""
    lead = table.columns[0]
    keys = [key for key in (lead.key, cost.key) if key in [column.key for column in table.columns]]

    def numbers(cells):
        return [(cells[key].value, cells[key].std, cells[key].text) for key in keys]

    rows = [(row.name, row.model, row.label, row.family, row.generates, *numbers(row.cells)) for row in table.rows]
    return lead, keys, rows, table.floor and (table.floor[lead.key].value, table.floor[lead.key].text), size, cost


@pytest.fixture(scope="session", autouse=True)
def equal_plots_drawn_once():
    """Plots take most of the remaining time, and most tests report largely the same numbers."""
    drawn = {}

    def once(draw):
        @functools.wraps(draw)
        def plot(*arguments, **options):
            of_table = draw.__name__ == "quality_against_cost"
            key = bytes_of((draw.__name__, plotted(*arguments, **options) if of_table else (arguments, options)))
            if key not in drawn:
                drawn[key] = draw(*arguments, **options)
            return drawn[key]

        return plot

    with pytest.MonkeyPatch.context() as patch:
        for name, modules in DRAWN_BY.items():
            for module in modules:
                module = importlib.import_module(f"genbench.reporting.{module}")
                patch.setattr(module, name, once(getattr(module, name)))
        yield


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def pages(demo):
    return render(demo)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The pages of two suites, one of them hostile."""
    root = tmp_path_factory.mktemp("hostile")
    render(write_results(root, "plain", {"vae": MODELS["vae"], "gan": MODELS["gan"]}))
    return render(write_results(root, "hostile", HOSTILE))
