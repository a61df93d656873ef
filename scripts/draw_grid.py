"""Draw 100 images of a set, in an order drawn once and for all, as one picture."""

import argparse
from pathlib import Path

from genbench.machine.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, metavar="FILE.npz", help="a split from prepare_data.py")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    args = parser.parse_args()

    from genbench.data import load_image_set
    from genbench.sampling.grids import choose, grid, save_png

    images = load_image_set(args.images).images
    save_png(args.out, grid(images[choose(len(images))[:100]], columns=10))


if __name__ == "__main__":
    run(main)
