"""`genbench sample`: images from a trained model, as one picture, an npz or a folder."""

import shutil
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

from genbench import own_code
from genbench.errors import InputError, place, reader_has
from genbench.machine.command_line import range_argument
from genbench.machine.devices import claim_gpu, pick_device


@reader_has("flags")
def command(
    model: Annotated[
        Path, typer.Argument(help="A model.safetensors, a run's folder, or another project's checkpoint.")
    ],
    out: Annotated[Path, typer.Option(help="NAME.png for one picture, NAME.npz, or a folder for one PNG per seed.")],
    seeds: Annotated[str, typer.Option(metavar="START:STOP", help="One image is drawn for each seed.")] = "0:64",
    method: Annotated[str | None, typer.Option(help="The sampling method, such as ddim.")] = None,
    steps: Annotated[int | None, typer.Option(help="The number of sampling steps.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Any other option of the model's sampler; repeatable.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images per batch. By default as many as there are seeds, at most 500.")
    ] = None,
    condition: Annotated[
        Path | None, typer.Option(help="Input of the model, by seed: a prepared split, or label sets as JSON.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Format of another project's checkpoint, such as ddgan.")] = None,
    checkpoint_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Settings that such a checkpoint lacks; repeatable.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that genbench did not draw.")] = False,
    device: Annotated[
        Literal["auto", "cuda", "mps", "cpu"], typer.Option(help="auto takes a GPU if there is one.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, max=4096, help="CPU threads; by default torch's.")] = None,
) -> None:
    """Draw images from a trained model: image i depends only on the model, the sampler's options and seed i.

    The output records the batch size and everything else that images depend on. Another batch size gives the same
    images to within one grey level. A run that was stopped continues where it stopped.
    """
    from genbench.sampling import outputs

    wanted = _range(seeds)
    chosen = {key: value for key, value in (("method", method), ("steps", steps)) if value is not None}
    sampler = own_code.complete(chosen | _options(option or (), "--option"))
    outputs.kind_of(out)
    if not force:
        outputs.check_free(out)
    claim_gpu(device)  # before torch is imported
    on = pick_device(device, threads)
    from genbench.files.locks import locked
    from genbench.importing.load import open_model
    from genbench.sampling.draw import draw, fitting_batch_size, make_ready, read_condition

    of_checkpoint = _options(checkpoint_option or (), "--checkpoint-option")
    loaded, info = open_model(model, own_code.complete(format), of_checkpoint, device=on)
    with place(model):
        ready = make_ready(loaded, sampler, read_condition(condition), on)
        if ready.unavailable is not None:
            raise InputError(ready.unavailable)
    size = batch_size or fitting_batch_size(wanted)
    parts, lock = out.with_name(f".{out.name}.parts"), out.with_name(f".{out.name}.lock")
    with locked(lock, f"drawing {out}"):
        drawn = draw(loaded, info, ready, seeds=wanted, batch_size=size, device=on, parts=parts)
        assert drawn is not None
        outputs.write_images(out, *drawn, wanted)
        shutil.rmtree(parts)
        lock.unlink()
    typer.echo(f"{out}: {len(wanted):,} images of the seeds {seeds}, in batches of {size}, NFE {drawn[1].nfe}")


def _range(text: str) -> range:
    try:
        return range_argument(text)
    except ArgumentTypeError as error:
        raise InputError(f"--seeds: {error}") from None


def _options(given: Sequence[str], flag: str) -> dict[str, Any]:
    """KEY=VALUE pairs, with values in YAML."""
    found = {}
    for pair in given:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InputError(f"{flag}: found {pair!r}, expected KEY=VALUE, such as eta=0.5")
        try:
            found[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise InputError(f"{flag}: {key}: found {text!r}, expected a value as in YAML") from None
    return found
