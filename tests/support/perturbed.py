"""Toy models whose networks do not output zeros, and batches of toy images."""

from collections.abc import Mapping
from typing import Any

import torch
from entries import IMAGE_SHAPE, blobs

from genbench.models import Batch, Model, build
from genbench.processes.noise import Noise


def perturbed(entry: Mapping[str, Any], scale: float) -> Model:
    """Return an entry's model with noise on its weights, since layers that begin at 0 hide other layers."""
    torch.manual_seed(0)
    model = build(entry, IMAGE_SHAPE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return model.eval()


def batch_of_blobs(size: int) -> Batch:
    """Blobs in [-1, 1] without labels."""
    images = torch.from_numpy(blobs(size)[0]).permute(0, 3, 1, 2) / 127.5 - 1
    return Batch(images, torch.zeros(size, dtype=torch.int64), Noise(torch.arange(size), key=1))
