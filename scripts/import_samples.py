"""Take samples that were drawn elsewhere into the pipeline: the same files as scripts/sample.py writes."""

import argparse
import json
from pathlib import Path

from genbench.machine.command_line import label_log, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in", dest="path", type=Path, required=True, metavar="PATH", help=".npz, folder or archive")
    parser.add_argument("--count", type=int, required=True, help="how many: the first ones are taken")
    parser.add_argument("--like", required=True, metavar="FILE.npz", help="a prepared data set, for the images' shape")
    parser.add_argument("--out", type=Path, required=True, metavar="samples.npz")
    parser.add_argument("--timing", type=Path, required=True, metavar="FILE.json", help="what is known of their making")
    parser.add_argument("--grid", type=Path, required=True, metavar="FILE.png", help="a picture of the first 100")
    args = parser.parse_args()

    label_log(args.out)
    import numpy as np

    from genbench.data import load_image_set
    from genbench.data.given import given_samples
    from genbench.files.artifacts import atomic_path, write_json
    from genbench.machine import provenance
    from genbench.sampling.grids import grid, save_png

    height, width, channels = load_image_set(args.like).images.shape[1:]
    images, info = given_samples(args.path, args.count, (channels, height, width))
    timing = {
        "num_samples": len(images),
        "seconds_per_50k": None,  # unknown: they were not drawn here
        "images_per_second": None,
        "given": True,
        **info,
        "provenance": provenance.collect("numpy", "pillow"),
    }
    save_png(args.grid, grid(images[:100], columns=10))
    write_json(args.timing, timing)
    with atomic_path(args.out) as temporary:
        np.savez(temporary, arr_0=images, info=json.dumps(timing))


if __name__ == "__main__":
    run(main)
