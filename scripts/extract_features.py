"""Compute the features of a set of images, real or generated, after checking that they are images."""

import argparse
from pathlib import Path

from genbench.machine.command_line import add_device_argument, label_log, run
from genbench.machine.devices import claim_gpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", required=True, metavar="FILE.npz", help="a prepared data set, or samples")
    parser.add_argument("--extractor", required=True, metavar="NAME[:PATH]", help="such as classifier:FILE.safetensors")
    parser.add_argument("--out", type=Path, required=True, metavar="features.npz")
    parser.add_argument("--batch-size", type=int, help="images at a time (default: the extractor's)")
    parser.add_argument(
        "--weights-dir",
        type=Path,
        metavar="DIR",
        help="where published weights are, or are downloaded to (default: $GENBENCH_WEIGHTS, or resources/weights)",
    )
    parser.add_argument(
        "--any-weights",
        action="store_true",
        help="accept other weights than the published ones; the metrics are then named fd_NAME-unofficial, never fid",
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    add_device_argument(parser)
    args = parser.parse_args()
    if args.batch_size is not None and args.batch_size < 1:
        parser.error(f"--batch-size: found {args.batch_size}, expected at least 1")

    label_log(args.out)
    claim_gpu(args.device)
    import numpy as np

    from genbench.data import load_images
    from genbench.errors import InputError
    from genbench.features import check_images, extract, load_extractor, save_features
    from genbench.files.artifacts import array_sha256
    from genbench.machine import provenance
    from genbench.machine.devices import device_label, pick_device
    from genbench.metrics import Features

    device = pick_device(args.device, args.threads)
    images, images_info = load_images(args.images)
    if reason := images_info.get("unavailable"):  # nothing was drawn: the report says why
        name = args.extractor.partition(":")[0]
        info = {"extractor": {"name": name, "sha256": None}, "images_sha256": None, "unavailable": reason}
        save_features(args.out, Features(np.empty((0, 0), np.float32), None, info))
        return
    extractor = load_extractor(args.extractor, device, args.weights_dir, args.any_weights)
    try:
        stats, warnings = check_images(images)
        features, logits = extract(images, extractor, args.batch_size, device)
    except InputError as error:
        raise InputError(f"{args.images}: {error}") from None
    info = {
        "extractor": {"name": extractor.name, "dim": extractor.dim, "sha256": extractor.sha256, **extractor.info},
        "images_sha256": array_sha256(images),
        "num_images": len(images),
        "image_stats": stats,
        "warnings": warnings,
        "batch_size": args.batch_size or extractor.batch_size,
        "device": device_label(device),
        "provenance": provenance.collect("torch", "numpy"),
    }
    save_features(args.out, Features(features, logits, info))


if __name__ == "__main__":
    run(main)
