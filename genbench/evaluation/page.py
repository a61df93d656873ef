"""An evaluation as a page: its table, images of both sides, and the real images nearest to the generated ones."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genbench.data import choose
from genbench.evaluation.materials import Materials
from genbench.evaluation.results import Evaluation
from genbench.evaluation.sides import Side
from genbench.features import load_features
from genbench.files.artifacts import atomic_path, write_json
from genbench.metrics import nearest
from genbench.reporting.page import environment
from genbench.reporting.pictures import embed
from genbench.reporting.sections import Strip
from genbench.sampling.grids import grid, save_png
from genbench.sampling.sheets import above_their_neighbours

SHOWN = 100  # images of each side
NEIGHBOURS = 30  # generated images above their nearest real ones
LARGEST = 96  # pixels of an image's side in a picture
MOST_BYTES = 2_000_000  # of a picture in the page


def publish(
    folder: Path, evaluation: Evaluation, fake: Side, real: Side, materials: Sequence[Materials], templates: Path
) -> None:
    """Write metrics.json, table.csv, pictures and index.html into `folder`.

    materials: the first that has features of both sides is used to find the real images nearest to generated ones.
    """
    write_json(folder / "metrics.json", evaluation.record.content())
    with atomic_path(folder / "table.csv") as temporary:
        evaluation.table.to_csv(temporary)
    pictures = []
    for name, side in (("generated", fake), ("real", real)):
        if side.images is not None:
            chosen = side.images[choose(len(side.images))[:SHOWN]]
            save_png(folder / f"{name}.png", grid(small(chosen), columns=10))
            pictures.append((f"{name}.png", f"{side.name[:1].upper()}{side.name[1:]}", "in a random order"))
    if (near := near_to(fake, real, materials)) is not None:
        extractor, sheet = near
        save_png(folder / "neighbours.png", sheet)
        told = f"generated images, and below each the real one that is nearest in the features of {extractor}"
        pictures.append(("neighbours.png", "Nearest real images", told))
    sheets = []
    for file, name, told in pictures:
        with Image.open(folder / file) as image:
            picture = embed(image.convert("RGB"), MOST_BYTES)
        sheets.append((Strip(name, picture, Path(file).stem), f"{name}: {told}", told))
    template = environment(templates).get_template("evaluation.html.j2")
    page = template.render(evaluation=evaluation, fake=fake, real=real, sheets=sheets, record=record_of(evaluation))
    with atomic_path(folder / "index.html") as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")


def near_to(fake: Side, real: Side, materials: Sequence[Materials]) -> tuple[str, NDArray[np.uint8]] | None:
    """The extractor, and a picture of the first generated images above their nearest real ones; None without both."""
    both = [each for each in materials if {"real", "fake"} <= each.files.keys()]
    if not both or fake.images is None or real.images is None:
        return None
    features = {role: load_features(both[0].files[role]).features for role in ("real", "fake")}
    if len(features["real"]) != len(real.images) or len(features["fake"]) != len(fake.images):
        return None  # features made of other images
    _, indices = nearest(features["real"], features["fake"][:NEIGHBOURS])
    drawn, found = small(fake.images[:NEIGHBOURS]), real.images[indices]
    return both[0].name, above_their_neighbours(drawn, fitted(found, *drawn.shape[1:3]), range(len(drawn)))


def small(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (N, H, W, C) in colour, reduced if they are large, for a picture of many."""
    height, width = images.shape[1:3]
    scale = min(1, LARGEST / max(height, width))
    return fitted(images, max(1, round(height * scale)), max(1, round(width * scale)))


def fitted(images: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Images (N, H, W, C) in colour and of this size, for pictures only."""
    coloured = np.broadcast_to(images, (*images.shape[:3], 3))
    if images.shape[1:3] == (height, width):
        return coloured
    resized = [Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR) for image in coloured]
    return np.stack([np.asarray(image) for image in resized])


def record_of(evaluation: Evaluation) -> list[tuple[str, str]]:
    """What reproduces the numbers, by name: hashes, options, and the version of the code."""
    record = evaluation.record
    found = [("Real images", record.reference_sha256), ("Generated images", record.samples_sha256)]
    found += [(name, str(about.get("sha256"))) for name, about in record.extractors.items()]
    found += [
        (f"Statistics of {name}", f"{about['file']}, {about['sha256']}")
        for name, about in (record.published or {}).items()
    ]
    found += [("Options", json.dumps(record.options))] if record.options else []
    if record.provenance:
        found += [("Code", record.provenance.code_sha256), ("Commit", record.provenance.genbench_commit)]
        found += [("Time", record.provenance.time)]
    return [(name, value) for name, value in found if value]
