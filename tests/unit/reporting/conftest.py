"""Suites of made-up results and their pages."""

import pytest
from made_up import HOSTILE, MODELS, render, write_results

from genbench.reporting import publish


@pytest.fixture(scope="module", autouse=True)
def plots_as_pdf():
    """Nearly half the time of a report goes into PDFs: they are drawn where a test looks at one (test_exports.py)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "pdf_file", lambda plot, characters: b"%PDF, but not here")
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
