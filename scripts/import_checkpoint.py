"""Turn another project's checkpoint into a model.safetensors, to be sampled and evaluated like one trained here."""

import argparse
from pathlib import Path

from genbench.machine.command_line import json_argument, run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="ddgan: netG_EPOCH.pth or content.pth of the authors' training. "
        "dcgan: a state dict of the PyTorch tutorial's Generator. "
        "diffusers: a folder of DDPMPipeline or UNet2DModel, or a file of weights with its config.json beside it. "
        "improved-diffusion: modelSTEP.pt or ema_RATE_STEP.pt of OpenAI's training. "
        "Options, where the checkpoint does not say it: "
        'ddgan {"image_size": 32, "timesteps": 4}; dcgan {"image_size": 64, "discriminator": "netD.pth"}; '
        'diffusers without a scheduler {"timesteps": 1000, "schedule": "linear", "prediction": "eps"}; '
        'improved-diffusion {"image_size": 32, "timesteps": 4000, "schedule": "cosine", "num_heads": 4, '
        '"rescale_timesteps": true, "prediction": "eps"}.',
    )
    parser.add_argument("--format", required=True, metavar="NAME", help="dcgan, ddgan, diffusers or improved-diffusion")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--in", dest="path", metavar="PATH", help="the checkpoint")
    source.add_argument("--hub", metavar="OWNER/NAME@COMMIT", help="or where it is on the model hub, of diffusers")
    parser.add_argument("--data-root", type=Path, default=Path("resources/downloads"), help="where downloads are kept")
    parser.add_argument("--out", type=Path, required=True, metavar="model.safetensors")
    parser.add_argument(
        "--options", type=json_argument, default={}, metavar="JSON", help="what the checkpoint does not say, or @file"
    )
    parser.add_argument(
        "--record", type=Path, metavar="training.json", help="where the weights come from, for the report"
    )
    args = parser.parse_args()

    from genbench.files.artifacts import write_json
    from genbench.files.hub import pretrained_path
    from genbench.importing import import_checkpoint

    path = args.path
    if args.hub is not None:
        hub, _, revision = args.hub.partition("@")
        path = pretrained_path({"format": args.format, "hub": hub, "revision": revision}, args.data_root)
    info = import_checkpoint(args.format, path, args.out, source=args.hub, **args.options)
    if args.record:
        keys = ("weights", "imported", "provenance")
        write_json(args.record, {key: info[key] for key in keys} | {"model_sha256": info["sha256"]})
    print(f"{args.out}: {info['model']['class']} for images of shape {info['image_shape']}, {info['imported']['note']}")


if __name__ == "__main__":
    run(main)
