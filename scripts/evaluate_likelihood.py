"""Bits per dimension of held-out images: a diffusion model's variational bound on -log2 p, with its terms."""

import argparse
from pathlib import Path

from genbench.errors import place
from genbench.machine.command_line import add_device_argument, label_log, run
from genbench.machine.devices import claim_gpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, metavar="FILE", help="model.safetensors or a snapshot")
    parser.add_argument("--images", required=True, metavar="FILE.npz", help="held-out images, from prepare_data.py")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N images alone (default: all)")
    parser.add_argument("--steps", default="all", metavar="S", help="of the model's T, evenly spaced (default: all)")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    add_device_argument(parser)
    args = parser.parse_args()
    if args.steps != "all" and not args.steps.isdecimal():
        parser.error(f"--steps: found {args.steps!r}, expected a number or all")

    label_log(args.out)
    claim_gpu(args.device)
    from genbench.data import load_image_set
    from genbench.files.artifacts import array_sha256, write_json
    from genbench.machine import provenance
    from genbench.machine.devices import device_label, pick_device
    from genbench.sampling.checkpoint import load_model
    from genbench.sampling.likelihood import bits_per_dim

    device = pick_device(args.device, args.threads)
    model, info = load_model(args.model, device)
    data = load_image_set(args.images)
    images = data.images[: args.limit]
    steps = None if args.steps == "all" else int(args.steps)
    with place(args.model):
        record = bits_per_dim(model, images, steps=steps, batch_size=args.batch_size, device=device)
    record |= {
        "split": data.info.get("split"),
        "images_sha256": array_sha256(images),
        "model_sha256": info["sha256"],
        "device": device_label(device),
        "provenance": provenance.collect("torch", "numpy", "safetensors"),
    }
    write_json(args.out, record)


if __name__ == "__main__":
    run(main)
