"""Convert a model.safetensors to a checkpoint of another project."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="diffusers: a folder for DDPMPipeline.from_pretrained, of a diffusion model whose network is unet.UNet. "
        "edm: a safetensors file for NVlabs/edm, of an EDM whose network is songunet.SongUNet.",
    )
    parser.add_argument("--model", type=Path, required=True, metavar="model.safetensors", help="or a snapshot")
    parser.add_argument("--format", required=True, metavar="NAME", help="diffusers or edm")
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help="a new folder, or for edm a file")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the checkpoint, and say so."""
    args = parser().parse_args(arguments)
    from genbench.importing.export import export_checkpoint

    export_checkpoint(args.format, args.model, args.out)
    print(f"{args.out}: {args.model} in the format {args.format}")
