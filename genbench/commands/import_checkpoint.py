"""Convert another project's checkpoint to a model.safetensors, which is sampled and evaluated like one trained here."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from genbench import own_code
from genbench.errors import reader_has
from genbench.machine.command_line import object_argument

FORMATS = (
    "ddgan: netG_EPOCH.pth or content.pth of the authors' training. "
    "dcgan: a state dict of the PyTorch tutorial's Generator. "
    "diffusers: a folder of DDPMPipeline or UNet2DModel, or a file of weights with its config.json beside it. "
    "edm: a safetensors file that docs/checkpoints.md makes of a network of NVlabs/edm. "
    "improved-diffusion, guided-diffusion: modelSTEP.pt or ema_RATE_STEP.pt of OpenAI's training. "
    "lucidrains: model-MILESTONE.pt of denoising-diffusion-pytorch's Trainer, or a state dict of its Unet. "
    "state-dict: any file of tensors. "
    "Options that the checkpoint may lack: "
    'ddgan {"image_size": 32, "timesteps": 4}; dcgan {"image_size": 64, "discriminator": "netD.pth"}; '
    'diffusers without a scheduler {"timesteps": 1000, "schedule": "linear", "prediction": "eps"}; '
    'improved-diffusion {"image_size": 32, "timesteps": 4000, "schedule": "cosine", "num_heads": 4, '
    '"num_heads_upsample": -1, "sigma_small": false, '
    '"rescale_timesteps": true, "prediction": "eps"}; '
    'lucidrains {"image_size": 32}, and for a state dict "timesteps", "schedule", "prediction", "version"; '
    'state-dict {"model": {"class": ...}, "image_shape": [3, 32, 32], "rename": {"^net": "denoiser"}}; '
    'for a file with several state dicts {"key": "ema"}.'
)


def parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=FORMATS)
    parser.add_argument("--format", required=True, metavar="NAME", help="format of the file, see below")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--in", dest="path", metavar="PATH", help="the checkpoint")
    source.add_argument("--hub", metavar="OWNER/NAME@COMMIT", help="or its place on the model hub, for diffusers")
    parser.add_argument("--data-root", type=Path, default=Path("resources/downloads"), help="folder of downloads")
    parser.add_argument("--out", type=Path, required=True, metavar="model.safetensors")
    parser.add_argument(
        "--options",
        type=object_argument,
        default={},
        metavar="JSON",
        help="settings that the checkpoint lacks, or @file",
    )
    parser.add_argument(
        "--record", type=Path, metavar="training.json", help="the origin of the weights, for the report"
    )
    parser.add_argument("--hand-in", action="store_true", help="write any fault as the result instead of failing")
    return parser


@reader_has("flags")
def main(arguments: Sequence[str] | None = None) -> None:
    """Write model.safetensors, and say what is in it."""
    args = parser().parse_args(arguments)
    from genbench.importing import import_pretrained

    info = import_pretrained(
        own_code.complete(args.format),
        args.out,
        path=args.path,
        hub=args.hub,
        data_root=args.data_root,
        options=own_code.complete(args.options),
        record=args.record,
        hand_in=args.hand_in,
    )
    print(f"{args.out}: {info['model']['class']} for images of shape {info['image_shape']}, {info['imported']['note']}")
