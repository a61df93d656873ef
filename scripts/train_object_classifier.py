"""Train the classifier of a data set's objects, the evaluator of conditional models, and measure its own accuracy."""

import argparse
import logging
import time
from pathlib import Path

from genbench.machine.command_line import add_device_argument, label_log, run
from genbench.machine.devices import claim_gpu

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-train", required=True, metavar="train.npz", help="from prepare_data.py")
    parser.add_argument("--data-test", required=True, metavar="test.npz", help="of other scenes than train.npz")
    parser.add_argument("--out", type=Path, required=True, metavar="object_classifier.safetensors")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--precision", choices=["fp32", "bf16"], default="fp32", help="bf16 is faster where there is hardware"
    )
    parser.add_argument("--min-accuracy", type=float, metavar="SHARE", help="fail below this accuracy on test.npz")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    add_device_argument(parser)
    args = parser.parse_args()
    if args.epochs < 1:
        parser.error(f"--epochs: found {args.epochs}, expected at least 1")

    label_log(args.out)
    claim_gpu(args.device)
    from genbench.data import load_image_set
    from genbench.data.objects import COLOURS
    from genbench.errors import InputError
    from genbench.features.object_training import (
        check_multi_hot,
        object_scores,
        save_object_classifier,
        train_object_classifier,
    )
    from genbench.machine import provenance
    from genbench.machine.devices import device_label, pick_device
    from genbench.metrics import count_objects, wilson_interval

    device = pick_device(args.device, args.threads)
    train, test = load_image_set(args.data_train), load_image_set(args.data_test)
    if train.class_names != test.class_names or train.images.shape[1:] != test.images.shape[1:]:
        raise InputError(f"{args.data_train} and {args.data_test}: expected the same classes and size of images")
    for path, data in ((args.data_train, train), (args.data_test, test)):
        try:
            check_multi_hot(data.images, data.labels)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    started = time.perf_counter()
    network = train_object_classifier(
        train.images, train.labels, epochs=args.epochs, seed=args.seed, precision=args.precision, device=device
    )
    seconds = time.perf_counter() - started
    counts = count_objects(object_scores(network, test.images), test.labels, len(COLOURS))
    low, high = wilson_interval(counts.hits, counts.objects)
    log.info(
        f"top-k accuracy {counts.accuracy:.4f} ({counts.hits} of {counts.objects} objects, 95 % interval {low:.4f} to "
        f"{high:.4f}) on {len(test.images)} held-out images after {args.epochs} epochs, {seconds:.0f} s"
    )
    if args.min_accuracy is not None and counts.accuracy < args.min_accuracy:
        raise InputError(
            f"{args.data_train}: the classifier of objects reaches an accuracy of {counts.accuracy:.4f}, expected at "
            f"least {args.min_accuracy}; train longer (--epochs) or accept less (--min-accuracy)"
        )
    info = {
        "accuracy": counts.accuracy,
        "interval": [low, high],
        "counts": counts._asdict(),
        "class_names": list(train.class_names),
        "image_size": train.images.shape[1],
        "training": {"epochs": args.epochs, "seed": args.seed, "seconds": seconds, "device": device_label(device)}
        | {"precision": args.precision},
        "data_sha256": {"train": train.info["sha256"], "test": test.info["sha256"]},
        "provenance": provenance.collect("torch", "torchvision", "numpy", "safetensors"),
    }
    save_object_classifier(args.out, network, info)


if __name__ == "__main__":
    run(main)
