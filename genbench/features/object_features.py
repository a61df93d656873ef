"""The classifier of a data set's objects as an extractor: features of the domain, for images with several labels."""

from typing import TYPE_CHECKING

from genbench.errors import InputError
from genbench.features.extraction import Extractor

if TYPE_CHECKING:
    import torch

DIM = 512  # of a ResNet-18


def load(path: str | None, device: "torch.device | str") -> Extractor:
    """The mean over space of the ResNet's last activations.

    path: a file written by train_object_classifier.py. Raises InputError if it is not given, missing or damaged.
    """
    from genbench.features.object_training import load_object_classifier
    from genbench.images import to_images

    if path is None:
        raise InputError("extractor 'objects': expected objects:PATH, a file written by train_object_classifier.py")
    classifier, info = load_object_classifier(path, device)

    def network(pixels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor | None"]:
        return classifier.features(to_images(pixels)), None

    size = info["image_size"]
    kept = {"test_accuracy": info["accuracy"]}
    return Extractor("objects", DIM, info["sha256"], network, (size, size, 3), info=kept)
