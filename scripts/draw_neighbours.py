"""Draw samples, and below each the training image that is nearest to it: what was learnt by heart can be seen."""

import argparse
import re
from pathlib import Path

from genbench.machine.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, required=True, metavar="metrics.json", help="evaluated with --holdout")
    parser.add_argument("--headline", required=True, metavar="KEY", help="the metric whose features tell what is near")
    parser.add_argument("--samples", required=True, metavar="samples.npz")
    parser.add_argument("--train", required=True, metavar="train.npz", help="the training images")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    args = parser.parse_args()

    import numpy as np

    from genbench.data import load_image_set, load_images
    from genbench.errors import InputError
    from genbench.files.artifacts import read_json
    from genbench.sampling.grids import blank, grid, save_png

    evaluation = read_json(args.metrics)
    if "unavailable" in evaluation:  # nothing was drawn: the report says why
        save_png(args.out, blank(*load_image_set(args.train).images.shape[1:]))
        return
    metrics = evaluation["metrics"]
    found = {key: metric for key, metric in metrics.items() if "neighbours" in metric}
    if not found:
        raise InputError(f"{args.metrics}: found no nearest training images; expected an evaluation with --holdout")
    features = re.sub("^[a-z]+_", "", args.headline)  # fid_clean: clean
    chosen = next((metric for key, metric in found.items() if key.endswith(features)), next(iter(found.values())))
    nearest = chosen["neighbours"]["index"][:30]
    samples, _ = load_images(args.samples)
    train = load_image_set(args.train).images
    rows = [
        row
        for start in range(0, len(nearest), 10)
        for row in (samples[start : start + 10], train[nearest[start : start + 10]])
    ]
    rows = [row for row in rows if len(row) == 10] or rows
    save_png(args.out, grid(np.concatenate(rows), columns=10))


if __name__ == "__main__":
    run(main)
