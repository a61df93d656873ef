"""The likelihood of a file of held-out images under a checkpoint, as a record for likelihood.json."""

import os

import torch

from genbench.data import load_image_set
from genbench.errors import place
from genbench.files.artifacts import array_sha256
from genbench.machine.devices import device_label
from genbench.records.likelihood import Likelihood
from genbench.records.provenance import Provenance
from genbench.sampling.checkpoint import load_model
from genbench.sampling.likelihood import bits_per_dim


def evaluate_likelihood(
    model: str | os.PathLike[str],
    images: str | os.PathLike[str],
    *,
    limit: int | None = None,
    steps: int | None = None,
    batch_size: int = 100,
    device: torch.device | str = "cpu",
) -> Likelihood:
    """Bits per dimension of `limit` held-out images (None: of all), with the bound's terms and their sources.

    model: a model.safetensors or a snapshot. images: a prepared split, of which the first images are used, or, if it is
    sorted by class, some of all classes. steps: how many of the model's T, evenly spaced; None for all. Raises
    InputError for a model without a bound, and for images of another shape.
    """
    device = torch.device(device)
    loaded, info = load_model(model, device)
    data = load_image_set(images)
    pixels = data.images[data.representative_order()[:limit]]
    with place(model):
        bound = bits_per_dim(loaded, pixels, steps=steps, batch_size=batch_size, device=device)
    return Likelihood(
        **bound.content(),
        split=data.info.get("split"),
        images_sha256=array_sha256(pixels),
        model_sha256=info["sha256"],
        device=device_label(device),
        provenance=Provenance.collect("torch", "numpy", "safetensors", kind="likelihood", model=info["model"]),
    )
