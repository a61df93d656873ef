"""The commands and the program of docs/evaluate.md, run on small folders of images."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from checkouts import ROOT
from PIL import Image

from genbench.commands import app
from genbench.features import EXTRACTORS, Extractor
from genbench.features.extraction import ExtractorKind

# The document's commands, in an order in which each finds the files that it needs.
LINES = [
    "genbench features photos/ --extractor efficientnet --statistics photos-efficientnet.npz",
    "genbench evaluate samples/ --real photos/",
    "genbench evaluate samples/ --real photos/ --features efficientnet --metrics fid,kid,precision",
    "genbench evaluate samples.npz --real photos/ --features efficientnet --json",
    "genbench evaluate samples.npz --real photos/ --features efficientnet --out evaluation/",
    "genbench evaluate samples.npz --real photos-efficientnet.npz --features efficientnet",
]
DIM = 16


def few_features(path: str | None, device: object) -> Extractor:
    """A replacement for EfficientNet whose features are means over tiles: so few that few images are enough."""

    def network(pixels: torch.Tensor) -> tuple[torch.Tensor, None]:
        tiles = torch.nn.functional.adaptive_avg_pool2d(pixels.permute(0, 3, 1, 2).float(), 4)
        return tiles.mean(dim=1).flatten(1), None

    return Extractor("efficientnet", DIM, "ef" * 32, network)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("evaluate")
    for number, name in enumerate(("samples", "photos")):
        images = np.random.default_rng(number).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
        (folder / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / name / f"{i}.png")
        np.savez(folder / f"{name}.npz", arr_0=images)
    kind = EXTRACTORS["efficientnet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(EXTRACTORS, "efficientnet", ExtractorKind(DIM, kind.metrics, few_features))
        patch.setattr("genbench.evaluation.comparison.DEFAULT", ("efficientnet",))
        yield folder


@pytest.mark.parametrize("line", LINES)
def test_every_command_does_what_the_document_says(line: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = (ROOT / "docs/evaluate.md").read_text(encoding="utf-8")
    assert f"\n{line}\n" in document
    with pytest.raises(SystemExit) as ended:
        app.call(shlex.split(line)[1:])
    assert not ended.value.code
    said = capsys.readouterr().out
    if "--json" in line:
        assert '"fd_efficientnet"' in said
    elif "evaluate" in line:
        assert "FD-EfficientNet (60) ↓" in said
        assert ("against the statistics in photos-efficientnet.npz" in said) == ("photos-efficientnet" in line)
        assert ("Recall" in said) == ("--metrics" not in line and "photos-efficientnet" not in line)
    if "--out" in line:
        assert (folder / "evaluation/index.html").exists()


def test_the_program_does_what_the_document_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = (ROOT / "docs/evaluate.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    exec(program, {})
    said = capsys.readouterr().out
    assert "fd_efficientnet" in said
    assert "FD∞ is left out" in said
