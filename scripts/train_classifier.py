"""Train the classifier of one data set, an evaluator where Inception does not fit, and measure its test accuracy."""

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
    parser.add_argument("--data-test", required=True, metavar="test.npz")
    parser.add_argument("--out", type=Path, required=True, metavar="classifier.safetensors")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--min-accuracy", type=float, metavar="SHARE", help="fail below this test accuracy")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    add_device_argument(parser)
    args = parser.parse_args()
    if args.epochs < 1:
        parser.error(f"--epochs: found {args.epochs}, expected at least 1")

    label_log(args.out)
    claim_gpu(args.device)
    from genbench.data import load_image_set
    from genbench.errors import InputError
    from genbench.features.class_training import accuracy, save_classifier, train_classifier
    from genbench.machine import provenance
    from genbench.machine.devices import device_label, pick_device

    device = pick_device(args.device, args.threads)
    train, test = load_image_set(args.data_train), load_image_set(args.data_test)
    if train.multi_label:
        raise InputError(
            f"{args.data_train}: found images with several labels, expected one class each; use another extractor "
            "than 'classifier', and train_object_classifier.py"
        )
    if train.class_names != test.class_names or train.images.shape[1:] != test.images.shape[1:]:
        raise InputError(f"{args.data_train} and {args.data_test}: expected the same classes and size of images")
    started = time.perf_counter()
    classifier = train_classifier(
        train.images, train.labels, len(train.class_names), epochs=args.epochs, seed=args.seed, device=device
    )
    seconds = time.perf_counter() - started
    test_accuracy = accuracy(classifier, test.images, test.labels)
    log.info("classifier: test accuracy %.4f after %d epochs, %.0f s", test_accuracy, args.epochs, seconds)
    if args.min_accuracy is not None and test_accuracy < args.min_accuracy:
        raise InputError(
            f"{args.data_train}: the classifier reaches a test accuracy of {test_accuracy:.4f}, expected at least "
            f"{args.min_accuracy}; train longer (--epochs) or accept less (--min-accuracy)"
        )
    info = {
        "test_accuracy": test_accuracy,
        "class_names": list(train.class_names),
        "training": {"epochs": args.epochs, "seed": args.seed, "seconds": seconds, "device": device_label(device)},
        "data_sha256": {"train": train.info["sha256"], "test": test.info["sha256"]},
        "provenance": provenance.collect("torch", "numpy", "safetensors"),
    }
    save_classifier(args.out, classifier, info)


if __name__ == "__main__":
    run(main)
