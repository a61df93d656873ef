"""Images to features: the networks in whose eyes real and generated images are compared, and the files between.

Features are computed once for each set of images, in float32 and without shortcuts, and kept with the hashes of the
images and of the network's weights. Torch is imported only where a network runs: evaluation reads these files without.
"""

import hashlib
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genbench.artifacts import atomic_path
from genbench.construction import unknown_name
from genbench.errors import InputError
from genbench.metrics import Features, metric_keys

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

SMALLEST_SPAN = 16  # grey levels between the darkest and the brightest: fewer are no image
NARROW_SPAN = 128
FEW_DISTINCT = 0.5


@dataclass(frozen=True)
class Extractor:
    """A network that turns uint8 images (N, H, W, C) into features (N, dim) and logits (N, K), or None for them.

    sha256: of its weights. image_shape: the (H, W, C) that it takes, None for any. info: what else to keep of it.
    """

    name: str
    dim: int
    sha256: str
    network: Callable[["torch.Tensor"], tuple["torch.Tensor", "torch.Tensor | None"]]
    image_shape: tuple[int, int, int] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, pixels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor | None"]:
        return self.network(pixels)


@dataclass(frozen=True)
class ExtractorKind:
    """What is known of an extractor before it is loaded: features, the metrics that it gives, and how to load it.

    load: (path of the weights or None, device) -> Extractor.
    """

    dim: int
    metrics: list[str]
    load: Callable[[str | None, "torch.device | str"], Extractor]


def load_extractor(spec: str, device: "torch.device | str" = "cpu") -> Extractor:
    """The extractor that `NAME` or `NAME:PATH` stands for, such as `classifier:classifier.safetensors`.

    Raises InputError for an unknown name, and for weights that are missing or damaged.
    """
    name, _, path = spec.partition(":")
    if name not in EXTRACTORS:
        raise unknown_name("extractor", name, EXTRACTORS)
    return EXTRACTORS[name].load(path or None, device)


def extract(
    images: NDArray[np.uint8], extractor: Extractor, batch_size: int = 500, device: "torch.device | str" = "cpu"
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Features (N, D) and logits (N, K) or None of all images (N, H, W, C), the last partial batch included.

    In float32 without TF32 or autocast. The batch size changes them by rounding only (1e-5).
    Raises InputError when the extractor takes other images, and for features that are not finite.
    """
    import torch
    from tqdm import tqdm

    if extractor.image_shape is not None and images.shape[1:] != extractor.image_shape:
        raise InputError(
            f"images of shape (H, W, C) = {images.shape[1:]}; the extractor {extractor.name!r} was made for "
            f"{extractor.image_shape}"
        )
    device = torch.device(device)
    log.info("%s: features of %d images", extractor.name, len(images))
    features, logits = [], []
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            tqdm(total=len(images), desc=extractor.name, unit="image", disable=None) as bar,
        ):
            for start in range(0, len(images), batch_size):
                batch = torch.from_numpy(images[start : start + batch_size]).to(device)
                batch_features, batch_logits = extractor(batch)
                features.append(batch_features.float().cpu().numpy())
                if batch_logits is not None:
                    logits.append(batch_logits.float().cpu().numpy())
                bar.update(len(batch))
    finally:
        torch.set_float32_matmul_precision(precision)
    found = np.concatenate(features)
    if not np.isfinite(found).all():
        raise InputError(f"the extractor {extractor.name!r} gave features that are NaN or infinite")
    return found, np.concatenate(logits) if logits else None


# --- The images' own guards -------------------------------------------------------------------------------------------


def check_images(images: NDArray[Any]) -> tuple[dict[str, Any], list[str]]:
    """Check that images are images; returns {"min", "max", "mean", "dtype", "distinct"} and a list of warnings.

    images: uint8 (N, H, W, C) with C = 1 or 3. Raises InputError on another dtype or shape, on values that are all the
    same, that span no range or look like floats cast to bytes, and on images that are all the same. Warnings are for a
    narrow range and for many duplicates.
    """
    if images.dtype != np.uint8:
        raise InputError(
            f"images: found dtype {images.dtype}, expected uint8 (floats: scale to 0..255 and round first)"
        )
    if images.ndim != 4 or images.shape[3] not in (1, 3) or images.size == 0:
        raise InputError(f"images: found shape {images.shape}, expected (N, H, W, C) with C = 1 or 3")
    counts = np.zeros(256, dtype=np.int64)
    digests = set()
    for image in images:
        counts += np.bincount(image.ravel(), minlength=256)
        digests.add(hashlib.blake2b(image.tobytes(), digest_size=16).digest())
    values = np.flatnonzero(counts)
    low, high = int(values[0]), int(values[-1])
    if low == high:
        raise InputError(
            f"images: every value is {low}, expected images (floats in [-0.5, 0.5] or [0, 1) become this "
            "when they are cast to uint8 without scaling)"
        )
    # -1, 0, 1 as uint8 are 255, 0, 1. Two-level images, of 0 and 255 alone, are possible.
    if set(values.tolist()) <= {0, 1, 2, 3, 253, 254, 255} and not set(values.tolist()) <= {0, 255}:
        raise InputError(
            f"images: the only values are {values.tolist()}: floats cast to uint8 without scaling; expected 0..255"
        )
    if high - low < SMALLEST_SPAN:
        raise InputError(f"images: values span {low} to {high}, expected a range of at least {SMALLEST_SPAN} levels")
    if len(digests) == 1 and len(images) > 1:
        raise InputError(f"images: all {len(images)} are the same, expected images that differ")
    warnings = []
    if high - low < NARROW_SPAN:
        warnings.append(f"pixel values span only {low} to {high} of 0 to 255")
    if len(digests) < FEW_DISTINCT * len(images):
        warnings.append(f"only {len(digests)} of {len(images)} images are distinct")
    mean = float(counts @ np.arange(256)) / images.size
    stats = {"min": low, "max": high, "mean": mean, "dtype": str(images.dtype), "distinct": len(digests)}
    return stats, warnings


# --- Files ------------------------------------------------------------------------------------------------------------


def load_images(path: str | os.PathLike[str]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Images and info of an npz: a prepared data set (key `images`) or samples (key `arr_0`, OpenAI's convention).

    The images are as found; `check_images` checks them. Raises InputError, naming the file, when it can't be read.
    """
    arrays = _read_npz(path, ("images", "arr_0", "info"))
    if "images" not in arrays and "arr_0" not in arrays:
        raise InputError(f"{path}: found neither the key 'images' of a data set nor the key 'arr_0' of samples")
    info = _read_info(path, arrays["info"]) if "info" in arrays else {}
    return arrays["images"] if "images" in arrays else arrays["arr_0"], info


def save_features(path: str | os.PathLike[str], found: Features) -> None:
    """Write features, logits where there are some, and info as an uncompressed npz, whole or not at all."""
    arrays = {"features": found.features, "info": np.array(json.dumps(found.info, allow_nan=False))}
    if found.logits is not None:
        arrays["logits"] = found.logits
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_features(path: str | os.PathLike[str]) -> Features:
    """Read what `save_features` wrote.

    Raises InputError, naming the file, when it is missing, damaged or something else.
    """
    arrays = _read_npz(path, ("features", "logits", "info"))
    if "features" not in arrays or "info" not in arrays:
        raise InputError(f"{path}: not a file of features; expected one written by extract_features.py")
    features, logits, info = arrays["features"], arrays.get("logits"), _read_info(path, arrays["info"])
    extractor = info.get("extractor")
    if not (isinstance(extractor, dict) and {"name", "sha256"} <= extractor.keys() and "images_sha256" in info):
        raise InputError(
            f"{path}: info: found keys {sorted(info)}, expected extractor (name, sha256) and images_sha256"
        )
    for key, array in {"features": features, "logits": logits}.items():
        if array is not None and (array.dtype != np.float32 or array.ndim != 2 or len(array) != len(features)):
            raise InputError(
                f"{path}: {key}: found {array.dtype} {array.shape}, expected float32 ({len(features)}, ...)"
            )
    return Features(features, logits, info)


def _read_npz(path: str | os.PathLike[str], keys: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Those arrays of an npz that it has among `keys`; without pickle."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in keys if key in arrays}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not an npz file, or damaged ({error})") from None


def _read_info(path: str | os.PathLike[str], text: NDArray[Any]) -> dict[str, Any]:
    try:
        info = json.loads(str(text))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: info: not valid JSON ({error})") from None
    if not isinstance(info, dict):
        raise InputError(f"{path}: info: found {type(info).__name__}, expected a JSON object")
    return info


# --- The extractors ---------------------------------------------------------------------------------------------------


def _load_classifier_extractor(path: str | None, device: "torch.device | str") -> Extractor:
    """The data set's own classifier: the mean over space of its last activations, and its logits."""
    from genbench.classifier import FEATURES, load_classifier
    from genbench.images import to_images

    if path is None:
        raise InputError("extractor 'classifier': expected classifier:PATH, a file written by train_classifier.py")
    classifier, info = load_classifier(path, device)

    def network(pixels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor | None"]:
        features = classifier.features(to_images(pixels))
        return features, classifier.head(features)

    shape = classifier.spec["height"], classifier.spec["width"], classifier.spec["channels"]
    return Extractor("classifier", FEATURES, info["sha256"], network, shape, {"test_accuracy": info["test_accuracy"]})


EXTRACTORS: dict[str, ExtractorKind] = {
    "classifier": ExtractorKind(
        dim=128, metrics=metric_keys("classifier", logits=True), load=_load_classifier_extractor
    ),
}
