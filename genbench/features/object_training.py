"""Which of many objects does an image show? ResNet-18 with one output per object, the evaluator of conditional models.

The NYCU course's evaluator of iCLEVR, trained here (K. He et al., arXiv 1512.03385; binary cross-entropy), or the
course's own weights. Its top-k accuracy on real images that it was not trained on is the ceiling for generated ones.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from genbench.data.objects import OBJECTS
from genbench.errors import InputError
from genbench.features.supervised import train_supervised
from genbench.files.artifacts import sha256_file
from genbench.files.weights import load_tensors, load_torch_file, save_tensors
from genbench.images import from_array, to_images
from genbench.networks.object_classifier import COURSE_SIZE, ObjectClassifier
from genbench.tensors import image_layout

BATCH = 250


def train_object_classifier(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    *,
    epochs: int = 4,
    seed: int = 0,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    precision: Literal["fp32", "bf16"] = "fp32",
    device: torch.device | str = "cpu",
) -> ObjectClassifier:
    """Train on images (N, H, W, 3) uint8 with zeros and ones (N, K), as `train_supervised` does, with random mirroring.

    precision: of the forward and backward passes; bf16 takes half the time on CPUs that have it. Raises InputError for
    data that do not fit.
    """
    check_multi_hot(pixels, labels)

    def make() -> ObjectClassifier:
        network = ObjectClassifier(labels.shape[1])
        # Outputs start at the objects' log odds: otherwise, the first epoch is spent on learning how rare they are.
        share = torch.from_numpy(labels.mean(axis=0)).float().clamp(0.01, 0.99)
        network.get_parameter("fc.bias").data.copy_(share.logit())
        return network

    return train_supervised(
        make,
        pixels,
        torch.from_numpy(labels.astype(np.float32)),
        F.binary_cross_entropy_with_logits,
        name="object classifier",
        epochs=epochs,
        seed=seed,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warm_up=0.15,
        mirror=True,
        precision=precision,
        device=device,
    )


@torch.inference_mode()
def object_scores(network: ObjectClassifier, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network's logits for images (N, H, W, 3) uint8, float32 (N, K), computed in batches."""
    device = next(network.parameters()).device
    parts = [network(to_images(from_array(part).to(device))).cpu() for part in _batches(pixels)]
    return torch.cat(parts).float().numpy()


def save_object_classifier(path: str | os.PathLike[str], network: ObjectClassifier, info: Mapping[str, Any]) -> str:
    """Write weights and JSON-serialisable `info` as safetensors, atomically; returns the SHA-256 of the weights."""
    num_classes = int(network.fc.out_features)
    return save_tensors(path, network.state_dict(), {**info, "object_classifier": {"num_classes": num_classes}})


def load_object_classifier(
    path: str | os.PathLike[str], device: torch.device | str = "cpu"
) -> tuple[ObjectClassifier, dict[str, Any]]:
    """The network that `save_object_classifier` wrote, or the course's checkpoint.pth, in eval mode, and its info.

    info: `sha256` (of the weights, or of the course's file), `class_names`, `image_size`, and its `accuracy`, None for
    the course's. Raises InputError, naming the file, if it is missing, damaged, or contains something else.
    """
    if Path(path).suffix in (".pth", ".pt"):
        state = _read_course(path)
        found: dict[str, Any] = {
            "sha256": sha256_file(path),
            "class_names": list(OBJECTS),
            "image_size": COURSE_SIZE,
            "accuracy": None,
            "object_classifier": {"num_classes": len(OBJECTS)},
        }
    else:
        state, found = load_tensors(path, device)
        if "object_classifier" not in found:
            raise InputError(f"{path}: no classifier of objects; expected one written by train_object_classifier.py")
    network = ObjectClassifier(found["object_classifier"]["num_classes"])
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        words = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not the weights of a ResNet-18 with an output for each object ({words})") from None
    network.to(device, memory_format=image_layout(device))
    return network.eval().requires_grad_(False), found


def check_multi_hot(pixels: NDArray[Any], labels: NDArray[Any]) -> None:
    """Raise InputError unless images are uint8 (N, H, W, 3) with labels of zeros and ones (N, K)."""
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3 or len(pixels) < 2:
        raise InputError(
            f"object classifier: images: found {pixels.dtype} {pixels.shape}, expected at least 2, uint8 (N, H, W, 3)"
        )
    if labels.ndim != 2 or len(labels) != len(pixels) or not np.isin(labels, (0, 1)).all():
        raise InputError(
            f"object classifier: labels: found {labels.dtype} {labels.shape}, expected zeros and ones "
            f"({len(pixels)}, K), of a data set whose images have several labels, such as shapes or iclevr"
        )


def _batches(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]


def _read_course(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The weights in the course's checkpoint.pth, whose fc is Sequential(Linear, Sigmoid); ours is the Linear.

    Nothing in the file is executed (weights_only).
    """
    content: Any = load_torch_file(path)
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: found no weights at the key 'model', expected the course's checkpoint.pth")
    # The sigmoid has no weights, and does not change the order of scores.
    return {name.replace("fc.0.", "fc."): value for name, value in state.items()}
