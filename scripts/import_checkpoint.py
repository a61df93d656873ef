"""Turn another project's checkpoint into a model.safetensors, to be sampled and evaluated like one trained here."""

import argparse
from pathlib import Path

from genbench.command_line import json_argument, run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="ddgan: netG_EPOCH.pth or content.pth of the authors' training. "
        "dcgan: a state dict of the PyTorch tutorial's Generator. Options, where the checkpoint does not say it: "
        'ddgan {"image_size": 32, "timesteps": 4}; dcgan {"image_size": 64, "discriminator": "netD.pth"}.',
    )
    parser.add_argument("--format", required=True, metavar="NAME", help="dcgan or ddgan")
    parser.add_argument("--in", dest="path", required=True, metavar="PATH", help="the checkpoint")
    parser.add_argument("--out", type=Path, required=True, metavar="model.safetensors")
    parser.add_argument(
        "--options", type=json_argument, default={}, metavar="JSON", help="what the checkpoint does not say, or @file"
    )
    parser.add_argument(
        "--record", type=Path, metavar="training.json", help="where the weights come from, for the report"
    )
    args = parser.parse_args()

    from genbench.artifacts import write_json
    from genbench.importing import import_checkpoint

    info = import_checkpoint(args.format, args.path, args.out, **args.options)
    if args.record:
        keys = ("weights", "imported", "provenance")
        write_json(args.record, {key: info[key] for key in keys} | {"model_sha256": info["sha256"]})
    print(f"{args.out}: {info['model']['class']} for images of shape {info['image_shape']}, {info['imported']['note']}")


if __name__ == "__main__":
    run(main)
