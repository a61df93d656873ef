"""Suites of made-up results and their pages."""

import pytest
from made_up import HOSTILE, MODELS, render, write_results


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
