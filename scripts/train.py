"""Train one model of a suite; stop and run again to continue."""

import argparse
import os
from pathlib import Path

from genbench.machine.command_line import add_device_argument, json_argument, label_log, run
from genbench.machine.devices import claim_gpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=json_argument, required=True, help='JSON {"model": ..., "training": ...} or @file'
    )
    parser.add_argument("--data", required=True, metavar="FILE.npz", help="training images, from prepare_data.py")
    parser.add_argument("--held-out", metavar="FILE.npz", help="images that training: validate_every looks at")
    parser.add_argument("--first-stage", type=Path, metavar="model.safetensors", help="for models of two stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="model.safetensors")
    parser.add_argument("--snapshots", default="", metavar="STEP,STEP,...", help="steps at which to keep the model too")
    parser.add_argument(
        "--save-seconds",
        type=float,
        default=float(os.environ.get("GENBENCH_SAVE_SECONDS", "60")),
        help="save at least this often while training",
    )
    parser.add_argument("--fresh", action="store_true", help="begin anew even if there is a save to continue from")
    parser.add_argument("--threads", type=int, help="CPU threads, of all ranks together (default: torch's)")
    add_device_argument(parser)
    args = parser.parse_args()

    label_log(args.out)
    claim_gpu(args.device)
    from genbench.data import load_image_set
    from genbench.machine.devices import pick_device
    from genbench.training.folder import train

    device = pick_device(args.device, args.threads)
    data = load_image_set(args.data)
    train(
        args.spec,
        data.images,
        data.labels,
        data_sha256=data.info["sha256"],
        seed=args.seed,
        out=args.out,
        snapshots=[int(step) for step in args.snapshots.split(",") if step],
        held_out=load_image_set(args.held_out) if args.held_out else None,
        first_stage=args.first_stage,
        device=device,
        save_seconds=args.save_seconds,
        fresh=args.fresh,
    )


if __name__ == "__main__":
    run(main)
