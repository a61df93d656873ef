"""A small convolutional classifier: the evaluator for data sets that Inception was not made for, such as digits.

Its 128 penultimate activations are the feature space of `fd_classifier` and its neighbours, its logits give the
classifier score. It trains within minutes on one CPU thread. Measured there: 98.4 to 98.8 % on 1,000 digits after 10
epochs of 4,000 (three seeds, 30 s); 99.4 % on MNIST's 10,000 after 3 epochs of 60,000 (130 s).
"""

import logging
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from genbench.errors import InputError
from genbench.files.weights import load_tensors, save_tensors
from genbench.images import from_array, to_images
from genbench.machine.progress import Progress
from genbench.networks.classifier import Classifier
from genbench.tensors import Pixels, image_layout

log = logging.getLogger(__name__)


def train_classifier(
    pixels: NDArray[np.uint8],
    y: NDArray[np.integer[Any]],
    num_classes: int,
    *,
    epochs: int = 10,
    seed: int = 0,
    batch_size: int = 64,
    learning_rate: float = 5e-3,
    max_shift: int = 2,
    device: torch.device | str = "cpu",
) -> Classifier:
    """Train on images (N, H, W, C) uint8 with labels (N,) by Adam, one cycle of the learning rate, and small shifts.

    Deterministic by seed for one device and number of threads. Returns the classifier in eval mode, on `device`.
    Raises InputError for labels that do not fit.
    """
    check_labels(pixels, y, num_classes)
    count, height, width, channels = pixels.shape
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier(channels=channels, height=height, width=width, num_classes=num_classes)
    classifier.to(device, memory_format=image_layout(device)).train()  # type: ignore[call-overload]
    data, targets = from_array(pixels).to(device), torch.from_numpy(y.astype(np.int64)).to(device)

    batch_size = min(batch_size, count)
    batches = count // batch_size
    optimizer = torch.optim.Adam(classifier.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=epochs * batches)
    with (
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        Progress(epochs * batches, "steps", name="classifier") as progress,
    ):
        for epoch in range(epochs):
            for indices in torch.randperm(count, generator=random).split(batch_size)[:batches]:
                shifts = torch.randint(-max_shift, max_shift + 1, (len(indices), 2), generator=random)
                batch = shifted(data[indices.to(device)], shifts.to(device))
                loss = F.cross_entropy(classifier(to_images(batch)), targets[indices.to(device)])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                progress.update()
            log.info("classifier: epoch %d of %d, loss %.4f", epoch + 1, epochs, loss.item())
    return classifier.eval()


def shifted(pixels: Pixels, shifts: Tensor) -> Pixels:
    """Move image i of (N, H, W, C) by shifts[i] = (down, right) pixels; the border repeats the edge."""
    count, height, width, _ = pixels.shape
    rows = (torch.arange(height, device=pixels.device) - shifts[:, :1]).clamp(0, height - 1)  # (N, H)
    columns = (torch.arange(width, device=pixels.device) - shifts[:, 1:]).clamp(0, width - 1)  # (N, W)
    images = torch.arange(count, device=pixels.device)
    return pixels[images[:, None, None], rows[:, :, None], columns[:, None, :]]


@torch.inference_mode()
def accuracy(classifier: Classifier, pixels: NDArray[np.uint8], y: NDArray[np.integer[Any]]) -> float:
    """Share of images (N, H, W, C) uint8 whose largest logit is at their label (N,)."""
    check_labels(pixels, y, classifier.head.out_features)
    device = classifier.head.weight.device
    correct = 0
    for start in range(0, len(pixels), 500):
        logits = classifier(to_images(from_array(pixels[start : start + 500]).to(device)))
        correct += int((logits.argmax(dim=1).cpu().numpy() == y[start : start + 500]).sum())
    return correct / len(pixels)


def save_classifier(path: str | os.PathLike[str], classifier: Classifier, info: Mapping[str, Any]) -> str:
    """Write weights and JSON-able `info` as safetensors, atomically; returns the SHA-256 of the weights."""
    return save_tensors(path, classifier.state_dict(), {**info, "classifier": classifier.spec})


def load_classifier(
    path: str | os.PathLike[str], device: torch.device | str = "cpu"
) -> tuple[Classifier, dict[str, Any]]:
    """Rebuild the classifier that `save_classifier` wrote, in eval mode; and its info, with `sha256` of the weights.

    Raises InputError, naming the file, when it is missing, damaged, or holds something else.
    """
    tensors, info = load_tensors(path, device)
    if missing := [key for key in ("classifier", "test_accuracy") if key not in info]:
        raise InputError(f"{path}: no {missing[0]} in the file; expected one written by train_classifier.py")
    with torch.device("meta"):  # no time spent on initial weights
        classifier = Classifier(**info["classifier"])
    classifier.load_state_dict(tensors, assign=True)
    return classifier.eval().requires_grad_(False), info


def check_labels(pixels: NDArray[Any], y: NDArray[Any], num_classes: int) -> None:
    """Raise InputError unless images are uint8 (N, H, W, C) with N integer labels below `num_classes`."""
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) == 0:
        raise InputError(f"classifier: images: found {pixels.dtype} {pixels.shape}, expected uint8 (N, H, W, C)")
    if y.dtype.kind not in "iu" or y.shape != pixels.shape[:1]:
        raise InputError(f"classifier: labels: found {y.dtype} {y.shape}, expected integers ({len(pixels)},)")
    if y.min() < 0 or y.max() >= num_classes:
        raise InputError(f"classifier: labels: found {y.min()} to {y.max()}, expected 0 to {num_classes - 1}")
