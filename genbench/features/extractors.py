"""Every extractor by its name, with what is known of it before it is loaded."""

from typing import TYPE_CHECKING

from genbench.construction import unknown_name
from genbench.features import classifier, efficientnet
from genbench.features.extraction import Extractor, ExtractorKind
from genbench.metrics import metric_keys

if TYPE_CHECKING:
    import torch

EXTRACTORS: dict[str, ExtractorKind] = {
    "classifier": ExtractorKind(dim=128, metrics=metric_keys("classifier", logits=True), load=classifier.load),
    "efficientnet": ExtractorKind(dim=1280, metrics=metric_keys("efficientnet", logits=False), load=efficientnet.load),
}


def load_extractor(spec: str, device: "torch.device | str" = "cpu") -> Extractor:
    """The extractor that `NAME` or `NAME:PATH` stands for, such as `classifier:classifier.safetensors`.

    Raises InputError for an unknown name, and for weights that are missing or damaged.
    """
    name, _, path = spec.partition(":")
    if name not in EXTRACTORS:
        raise unknown_name("extractor", name, EXTRACTORS)
    return EXTRACTORS[name].load(path or None, device)
