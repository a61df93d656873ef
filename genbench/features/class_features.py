"""The data set's own classifier as an extractor: features of the domain, if ImageNet's mean little there (R16)."""

from typing import TYPE_CHECKING

from genbench.errors import InputError
from genbench.features.extraction import Extractor

if TYPE_CHECKING:
    import torch


def load(path: str | None, device: "torch.device | str") -> Extractor:
    """The mean over space of the classifier's last activations, and its logits.

    path: a file written by train_classifier.py. Raises InputError if it is not given, missing or damaged.
    """
    from genbench.features.class_training import load_classifier
    from genbench.images import to_images
    from genbench.networks.classifier import FEATURES

    if path is None:
        raise InputError("extractor 'classifier': expected classifier:PATH, a file written by train_classifier.py")
    classifier, info = load_classifier(path, device)

    def network(pixels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor | None"]:
        features = classifier.features(to_images(pixels))
        return features, classifier.head(features)

    shape = classifier.spec["height"], classifier.spec["width"], classifier.spec["channels"]
    kept = {"test_accuracy": info["test_accuracy"]}
    return Extractor("classifier", FEATURES, info["sha256"], network, shape, info=kept)
