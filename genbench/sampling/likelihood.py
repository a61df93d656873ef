"""Bits per dimension of held-out images under a model that bounds their likelihood: see variational_bound.py."""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from genbench.errors import InputError
from genbench.images import from_array, to_images
from genbench.machine.progress import Progress
from genbench.processes.noise import Noise
from genbench.records.likelihood import Likelihood, Terms
from genbench.tensors import Images, PerImage


@runtime_checkable
class HasLikelihood(Protocol):
    """A model with a bound on -log2 p(x0)."""

    image_shape: tuple[int, int, int]

    def timesteps(self, steps: int | None, spacing: str, respacing: str | None) -> list[int]: ...

    def bits_per_dim(self, x0: Images, noise: Noise, *, steps: int | None = None) -> tuple[PerImage, Tensor]: ...


def check_likelihood(model: object, steps: int | None) -> list[int]:
    """The times of the bound's terms. Raises InputError if there are none, or fewer than `steps`."""
    if getattr(model, "data_scale", 1) != 1:
        raise InputError("found a model with a data_scale, whose bound is not computed here; expected data_scale: 1")
    if not isinstance(model, HasLikelihood) or getattr(model, "num_classes", None):
        raise InputError(
            f"found a model of class {type(model).__name__}, which bounds no likelihood of an image; "
            "expected a diffusion model without classes"
        )
    return model.timesteps(steps, "linspace", None)


def bits_per_dim(
    model: object, images: np.ndarray, *, steps: int | None, batch_size: int, device: torch.device
) -> Likelihood:
    """Mean and standard error over `images`, uint8 (N, H, W, C), of the bound in bits per dimension, with its terms.

    Image i gets the noise of seed i. steps: how many of the model's T, evenly spaced; None for all. Raises InputError
    for a model without such a bound, and for images of another shape.
    """
    times = check_likelihood(model, steps)
    assert isinstance(model, HasLikelihood)
    shape = (images.shape[3], *images.shape[1:3])
    if shape != tuple(model.image_shape) or len(images) < 2:
        raise InputError(
            f"found {len(images)} images of shape (C, H, W) = {shape}, expected at least 2 of "
            f"{tuple(model.image_shape)}"
        )
    priors, terms = [], []
    with Progress(len(images), "images") as progress, torch.inference_mode():
        for start in range(0, len(images), batch_size):
            x0 = to_images(from_array(images[start : start + batch_size]).to(device))
            prior, steps_terms = model.bits_per_dim(
                x0, Noise(torch.arange(start, start + len(x0), device=device)), steps=steps
            )
            priors.append(prior.cpu().double())
            terms.append(steps_terms.cpu().double())
            progress.update(len(x0))
    prior, by_step = torch.cat(priors), torch.cat(terms)
    total = prior + by_step.sum(1)
    return Likelihood(
        bits_per_dim=float(total.mean()),
        standard_error=float(total.std() / len(total) ** 0.5),
        prior=float(prior.mean()),
        terms=Terms(t=times, bits_per_dim=by_step.mean(0).tolist()),
        images=len(images),
        steps=len(times),
        noise_seeds=f"0:{len(images)}",
    )
