"""Turn another project's checkpoint into a model.safetensors, to be sampled and evaluated like one trained here."""

import argparse
from pathlib import Path

from genbench.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="ddgan: netG_EPOCH.pth or content.pth of the authors' training. "
        "dcgan: a state dict of the PyTorch tutorial's Generator.",
    )
    parser.add_argument("--format", required=True, metavar="NAME", help="dcgan or ddgan")
    parser.add_argument("--in", dest="path", required=True, metavar="PATH", help="the checkpoint")
    parser.add_argument("--out", type=Path, required=True, metavar="model.safetensors")
    parser.add_argument("--image-size", type=int, help="side of the images, where the checkpoint does not say it")
    parser.add_argument("--timesteps", type=int, help="ddgan: denoising steps T, unless the checkpoint says it")
    parser.add_argument("--discriminator", metavar="PATH", help="dcgan: the tutorial's Discriminator, to keep it too")
    args = parser.parse_args()

    from genbench.importing import import_checkpoint

    options = {"image_size": args.image_size, "timesteps": args.timesteps, "discriminator": args.discriminator}
    info = import_checkpoint(args.format, args.path, args.out, **options)
    print(f"{args.out}: {info['model']['class']} for images of shape {info['image_shape']}, {info['imported']['note']}")


if __name__ == "__main__":
    run(main)
