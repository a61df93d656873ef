"""`genbench evaluate`: how good images are, from folders, archives, arrays, data sets or published statistics."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genbench.errors import InputError, reader_has
from genbench.machine.command_line import object_argument

if TYPE_CHECKING:
    from genbench.evaluation import Evaluation

ARROWS = {"lower": " ↓", "higher": " ↑", None: ""}
Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]


@reader_has("flags")
def command(
    fake: Annotated[
        str,
        typer.Argument(metavar="FAKE", help="Generated images: a folder, archive, npz, npy, features or statistics."),
    ],
    real: Annotated[str, typer.Option(help="Real images: the same, or the name of a data set, such as cifar10.")],
    test: Annotated[str | None, typer.Option(help="Held-out real images, which show memorised samples.")] = None,
    metrics: Annotated[str | None, typer.Option(help="Metrics, such as fid,kid,precision; by default all.")] = None,
    features: Annotated[
        str | None,
        typer.Option(help="Extractors, NAME or NAME:PATH; by default inception-clean,efficientnet."),
    ] = None,
    options: Annotated[str, typer.Option(help='Options, as JSON: {"kid_subset_size": 100}, or @file.')] = "{}",
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON, for programs.")] = False,
    out: Annotated[Path | None, typer.Option(help="A folder for a page, metrics.json, pictures and features.")] = None,
    layout: Annotated[Literal["NHWC", "NCHW"] | None, typer.Option(help="Axes of arrays, if ambiguous.")] = None,
    channels: Annotated[int | None, typer.Option(help="Convert every image to 1 or 3.")] = None,
    image_size: Annotated[int | None, typer.Option(min=1, help="Resize every image to this side of a square.")] = None,
    filter: Annotated[Filter | None, typer.Option(help="Filter of that resize; by default bicubic.")] = None,
    split: Annotated[Literal["train", "test"], typer.Option(help="Split of a data set.")] = "train",
    data_root: Annotated[Path, typer.Option(help="Folder of raw data sets.")] = Path("resources/downloads"),
    weights_root: Annotated[
        Path | None, typer.Option(help="Folder of weights: by default $GENBENCH_WEIGHTS, or resources/weights.")
    ] = None,
    any_weights: Annotated[bool, typer.Option("--any-weights", help="Accept other weights: never called FID.")] = False,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images per batch.")] = None,
    device: Annotated[
        Literal["auto", "cuda", "mps", "cpu"], typer.Option(help="auto takes a GPU if there is one.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, max=4096, help="CPU threads.")] = None,
) -> None:
    """Show every metric that FAKE and --real allow, as a table.

    Any number and any size of images is accepted. Statistics are an npz with mu and sigma; --features then names the
    network and resize that made them. A line names each metric that is left out because images or weights are missing.
    """
    try:
        given = object_argument(options)
    except argparse.ArgumentTypeError as error:
        raise InputError(f"--options: {error}") from None
    asked = _channels(channels)
    from genbench.machine.devices import claim_gpu, pick_device

    claim_gpu(device)
    place = pick_device(device, threads)
    from genbench.evaluation import evaluate

    found = evaluate(
        fake,
        real,
        test=test,
        metrics=_names(metrics),
        features=_names(features),
        options=given,
        layout=layout,
        channels=asked,
        image_size=image_size,
        filter=filter,
        split=split,
        out=out,
        data_root=data_root,
        weights_root=weights_root,
        any_weights=any_weights,
        batch_size=batch_size,
        device=place,
    )
    if as_json:
        missing = {"missing": found.missing} if found.missing else {}
        typer.echo(json.dumps(found.record.content() | missing, indent=2, ensure_ascii=False))
    else:
        show(found, out)


def _channels(number: int | None) -> Literal[1, 3] | None:
    if number not in (None, 1, 3):
        raise InputError(f"--channels: found {number}, expected 1 or 3")
    return None if number is None else 1 if number == 1 else 3


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def show(found: "Evaluation", out: Path | None) -> None:
    """Print the table, its notes, and where the page is."""
    from genbench.commands.table import show_rows

    show_rows(
        [
            {
                "metric": f"{line.column.label}{ARROWS[line.column.direction]}",
                "value": line.cell.text,
                "95 %": line.interval,
                "±": line.std,
                "real": line.metric.n_real or "–",
                "generated": line.metric.n_fake or "–",
                "features": line.extractor,
                "notes": ",".join(found.marks(line.cell.notes)),
            }
            for line in found.lines
        ]
    )
    for text in [*found.texts(), *([f"page: {out / 'index.html'}"] if out else [])]:
        typer.echo(text)
