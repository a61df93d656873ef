"""Draw what a model can show of itself beside samples, such as reconstructions: ten images in a row."""

import argparse
from pathlib import Path

from genbench.machine.command_line import add_device_argument, json_argument, label_log, run
from genbench.machine.devices import claim_gpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, metavar="FILE", help="model.safetensors or a snapshot")
    parser.add_argument(
        "--picture", required=True, metavar="NAME", help="a name in the `pictures` of the model's class"
    )
    parser.add_argument("--images", required=True, metavar="FILE.npz", help="held-out images, from prepare_data.py")
    parser.add_argument(
        "--labels",
        type=json_argument,
        metavar="JSON",
        help='lists of objects such as [["red cube", "gray sphere"]], in turn, instead of the images\' own',
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    add_device_argument(parser)
    args = parser.parse_args()

    label_log(args.out)
    claim_gpu(args.device)
    import numpy as np
    import torch

    from genbench.data import load_image_set
    from genbench.data.objects import OBJECTS, multi_hot, parse_labels
    from genbench.errors import place
    from genbench.images import to_images, to_pixels
    from genbench.machine.devices import pick_device
    from genbench.models import Batch
    from genbench.processes.noise import Noise
    from genbench.sampling.checkpoint import load_model
    from genbench.sampling.grids import choose, grid, save_png
    from genbench.schema import unknown_name

    device = pick_device(args.device, args.threads)
    model, _ = load_model(args.model, device)
    if args.picture not in model.pictures:
        raise unknown_name(f"{args.model}: picture", args.picture, model.pictures)
    data = load_image_set(args.images)
    chosen = choose(len(data.images))[:50]
    labels = data.labels[chosen]
    if args.labels:
        with place("--labels"):
            sets = parse_labels(args.labels).sets
        labels = np.resize(multi_hot(sets), (len(chosen), len(OBJECTS)))
    x0 = to_images(torch.from_numpy(data.images[chosen]).to(device))
    batch = Batch(x0, torch.from_numpy(labels).to(device), Noise(torch.arange(len(x0), device=device)))
    with torch.inference_mode():
        drawn = getattr(model, args.picture)(batch)
    save_png(args.out, grid(to_pixels(drawn).cpu().numpy(), columns=10))


if __name__ == "__main__":
    run(main)
