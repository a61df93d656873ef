"""Quantised networks in the report: paired with float32; rows for schemes that a machine lacks."""

import pandas as pd
import pytest
from made_up import MODELS, ROOT, check_page, report_of, write_results

from genbench.files.artifacts import read_json, write_json
from genbench.reporting.publish import publish

REASON = "this processor does not compute in <float16>"


@pytest.fixture(scope="module")
def quantised(tmp_path_factory):
    """Results with a DDPM, one of whose samplers is quantised in two schemes; this machine lacks one of them."""
    name, family, samplers, parameters, logged = MODELS["ddpm"]
    first = samplers["ddim-25"]
    more = {"ddim-25-bf16": (25, 533.0, first[2] + 0.25, *first[3:]), "ddim-25-fp16": first}
    models = {"vae": MODELS["vae"], "ddpm": (name, family, samplers | more, parameters, logged)}
    folder = write_results(tmp_path_factory.mktemp("quantised"), models=models, seeds=(0, 1))
    preflight = read_json(folder / "preflight.json")
    for scheme in ("bf16", "fp16"):
        option = preflight["models"]["ddpm"]["samplers"][f"ddim-25-{scheme}"]
        option["quantisation"] = {"scheme": scheme, "sampler": "ddim-25"}
    write_json(folder / "preflight.json", preflight)
    for place in (folder / "ddpm").glob("seed*/*/*"):
        if place.name == "ddim-25-bf16":
            sizes = {"network_bytes": 1_048_576, "network_bytes_fp32": 2_097_152, "conversion_seconds": 0.1}
            timing = read_json(place / "timing.json") | {"precision": "bf16", "quantisation": sizes}
            write_json(place / "timing.json", timing)
            write_json(place / "paired.json", {"psnr": 41.5, "psnr_std": 2.0, "psnr_min": 33.0, "identical_images": 0})
        if place.name == "ddim-25-fp16":
            write_json(place / "timing.json", {"unavailable": REASON, "precision": "fp16"})
            write_json(place / "paired.json", {"unavailable": REASON})
            write_json(place / "metrics.json", {"metrics": {}, "extractors": {}, "unavailable": REASON})
    return folder


def test_the_table_is_paired(quantised):
    table = report_of(quantised).schemes
    assert [found.scheme for found in table.rows] == ["fp32", "bf16", "fp16"]
    fp32, bf16, fp16 = (found.row.cells for found in table.rows)
    assert (fp32["network_bytes"].text, bf16["network_bytes"].text) == ("2 MiB", "1 MiB")
    assert bf16["psnr"].value == 41.5
    assert fp32["psnr"].value is None
    assert bf16["fd_classifier_delta"].value == pytest.approx(0.25)
    assert bf16["latency_per_nfe_seconds"].value == pytest.approx(0.0031)
    assert [found.unavailable for found in table.rows] == [None, None, REASON]
    assert fp16["fd_classifier"].value is None


def test_pages_say_what_was_not_drawn(quantised, tmp_path):
    publish(quantised / "preflight.json", quantised, tmp_path, ROOT / "report")
    page = check_page(tmp_path / "demo.html")
    assert f"Not drawn: {REASON}" in page.text
    rows = pd.read_csv(tmp_path / "demo.csv")
    final = rows[(rows["checkpoint"] == "final") & (rows["seed"] == 1)].set_index("sampler")
    assert final.loc["ddim-25-bf16", "fd_classifier_delta"] == pytest.approx(0.25)
    assert final.loc["ddim-25-fp16", "unavailable"] == REASON
    assert final.loc["ddim-25", "network_bytes"] == 2_097_152
    assert "not drawn" in final.loc["ddim-25-fp16", "remarks"]
    assert read_json(tmp_path / "demo.json")["rows"]


def test_studies_leave_quantised_samplers_out(quantised):
    settings = report_of(quantised).settings["ddpm"]
    assert "ddim-25-bf16" not in [setting.row.sampler for setting in settings]


def test_without_quantised_rows_there_is_no_table(demo):
    assert report_of(demo).schemes is None
