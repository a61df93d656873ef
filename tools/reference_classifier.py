#!/usr/bin/env python
"""Train the classifier that comes with genbench for a prepared data set, resources/NAME, and write it to reference/."""

import argparse
import logging
from pathlib import Path

from genbench.features.class_training import load_classifier, save_classifier
from genbench.features.evaluators import make_classifier
from genbench.features.packaged_classifiers import FOLDER
from genbench.machine.command_line import run
from genbench.machine.devices import pick_device

OF_THIS_MACHINE = ("platform", "command", "time")  # removed: nobody else needs them


def main() -> None:
    """Write reference/classifiers/NAME.safetensors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of the data set, whose images `genbench run` or prepare_data.py has prepared")
    parser.add_argument("--resources", type=Path, default=Path("resources"))
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    path, images = FOLDER / f"{args.name}.safetensors", args.resources / args.name
    device = pick_device("cpu", threads=1)
    info = make_classifier(images / "train.npz", images / "test.npz", path, min_accuracy=0.9, own=True, device=device)
    classifier, _ = load_classifier(path)
    provenance = {key: value for key, value in info["provenance"].items() if key not in OF_THIS_MACHINE}
    save_classifier(path, classifier, info | {"provenance": provenance})


if __name__ == "__main__":
    run(main)
