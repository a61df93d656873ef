"""Compare samples with those that another network of the same model drew from the same seeds, image by image."""

import argparse
from pathlib import Path
from typing import Any

from genbench.errors import InputError
from genbench.features import load_images
from genbench.files.artifacts import write_json
from genbench.machine import provenance
from genbench.machine.command_line import run
from genbench.metrics import psnr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, metavar="samples.npz", help="of a quantised network")
    parser.add_argument("--reference", type=Path, required=True, metavar="samples.npz", help="of the float32 network")
    parser.add_argument("--out", type=Path, required=True, metavar="paired.json")
    args = parser.parse_args()

    (images, info), (reference, reference_info) = load_images(args.samples), load_images(args.reference)
    result: dict[str, Any] = {"reference_sha256": reference_info.get("samples_sha256")}
    if reason := info.get("unavailable"):  # nothing was drawn: the report says why
        result["unavailable"] = reason
    else:
        for key in ("seeds", "options", "condition", "model_sha256"):
            if info.get(key) != reference_info.get(key):
                raise InputError(
                    f"{args.samples}: {key}: found {info.get(key)!r}, expected {reference_info.get(key)!r} as of "
                    f"{args.reference}: only samples of the same seeds and model are compared image by image"
                )
        ratios = psnr(images, reference)
        result |= {
            "psnr": float(ratios.mean()),
            "psnr_std": float(ratios.std()),
            "psnr_min": float(ratios.min()),
            "num_images": len(images),
            "identical_images": int((images == reference).all(axis=(1, 2, 3)).sum()),
        }
    write_json(args.out, result | {"provenance": provenance.collect("numpy")})


if __name__ == "__main__":
    run(main)
