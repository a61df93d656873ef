"""How many of the objects that a conditional model was asked for do its samples show, by a classifier of objects?"""

import argparse
import logging
from pathlib import Path
from typing import Any

from genbench.machine.command_line import add_device_argument, label_log, run
from genbench.machine.devices import claim_gpu

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--evaluator", required=True, metavar="FILE", help="from train_object_classifier.py, or the course's .pth"
    )
    parser.add_argument("--samples", required=True, metavar="samples.npz", help="an image for each label set, in order")
    parser.add_argument("--labels", required=True, metavar="FILE.json", help="label sets; or test, or new_test")
    parser.add_argument("--draws", type=int, default=1, help="how many draws with other seeds the samples hold in turn")
    parser.add_argument("--out", type=Path, required=True, metavar="accuracy.json")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    add_device_argument(parser)
    args = parser.parse_args()
    if args.draws < 1:
        parser.error(f"--draws: found {args.draws}, expected at least 1")

    label_log(args.out)
    claim_gpu(args.device)
    from genbench.data.objects import COLOURS, OBJECTS, labels_path, multi_hot, read_labels
    from genbench.errors import InputError
    from genbench.features import check_images, load_images
    from genbench.features.object_training import load_object_classifier, object_scores
    from genbench.files.artifacts import array_sha256, sha256_file, write_json
    from genbench.machine import provenance
    from genbench.machine.devices import device_label, pick_device
    from genbench.metrics import object_accuracy

    device = pick_device(args.device, args.threads)
    labels_file = labels_path(args.labels, Path())
    labels = read_labels(labels_file)
    images, images_info = load_images(args.samples)
    if reason := images_info.get("unavailable"):  # nothing was drawn: the report says why
        write_json(args.out, {"metrics": {}, "evaluator": {}, "unavailable": reason})
        return
    expected = args.draws * len(labels.sets)
    if len(images) != expected:
        raise InputError(
            f"{args.samples}: found {len(images)} images, expected {expected}: one for each of the {len(labels.sets)} "
            f"label sets of {labels_file} in {args.draws} draws (--draws)"
        )
    network, info = load_object_classifier(args.evaluator, device)
    if tuple(info["class_names"]) != OBJECTS:
        raise InputError(f"{args.evaluator}: a classifier of other objects than the 24 of {labels_file}")
    size = info["image_size"]
    if images.shape[1:] != (size, size, 3):
        raise InputError(
            f"{args.samples}: found images of shape (H, W, C) = {images.shape[1:]}, expected {(size, size, 3)}, "
            f"what {args.evaluator} was trained on"
        )
    try:
        stats, warnings = check_images(images)
    except InputError as error:
        raise InputError(f"{args.samples}: {error}") from None
    scores = object_scores(network, images)
    ceiling = info["accuracy"]
    result: dict[str, Any] = {
        "metrics": object_accuracy(scores, multi_hot(labels.sets), len(COLOURS), args.draws),
        "evaluator": {"sha256": info["sha256"], "accuracy": ceiling, "interval": info.get("interval")},
        "labels": {"name": labels_file.name, "sha256": sha256_file(labels_file)},
        "samples_sha256": array_sha256(images),
        "num_fake": len(labels.sets),
        "image_stats": stats,
        "warnings": warnings,
        "options": {"draws": args.draws},
        "device": device_label(device),
        "provenance": provenance.collect("torch", "torchvision", "numpy"),
    }
    write_json(args.out, result)
    found = result["metrics"]["object_accuracy"]
    real = "unknown" if ceiling is None else f"{ceiling:.4f}"
    log.info("object accuracy %.4f (%s); the evaluator's own on real images: %s", found["value"], found["note"], real)


if __name__ == "__main__":
    run(main)
