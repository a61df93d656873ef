"""The classifiers that come with genbench, in reference/classifiers: all machines then measure with the same features.

Training the same classifier on another kind of processor gives other weights, and other distances in its features.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genbench.features.class_training import load_classifier
from genbench.machine.checkout import ROOT

FOLDER = ROOT / "reference" / "classifiers"


def packaged_classifier(
    data_sha256: Mapping[str, str], recipe: Mapping[str, Any]
) -> tuple[Path, dict[str, Any]] | None:
    """The file whose classifier was trained on these images with this recipe, and its info; None if there is none.

    data_sha256: of the training and test images. recipe: epochs and seed.
    """
    for path in sorted(FOLDER.glob("*.safetensors")):
        _, info = load_classifier(path)
        if info["data_sha256"] == data_sha256 and recipe.items() <= info["training"].items():
            return path, info
    return None
