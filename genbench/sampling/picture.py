"""Pictures that a model can draw besides samples, such as reconstructions."""

import os
from collections.abc import Sequence

import numpy as np
import torch

from genbench.data import choose, load_image_set
from genbench.data.objects import OBJECTS, multi_hot, parse_labels
from genbench.errors import place, unknown_name
from genbench.images import to_images, to_pixels
from genbench.models import Batch
from genbench.processes.noise import Noise
from genbench.sampling.checkpoint import load_model
from genbench.sampling.grids import grid, save_png


def draw_picture(
    model: str | os.PathLike[str],
    picture: str,
    images: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    labels: Sequence[Sequence[str]] | None = None,
    device: torch.device | str = "cpu",
) -> None:
    """Draw one of the `pictures` of a model's class, with ten images per row, as a PNG.

    model: a model.safetensors or a snapshot. images: a prepared split, of which the model gets 50. labels: lists of
    objects such as [["red cube", "gray sphere"]], used in turn instead of the images' own labels. Raises InputError for
    a picture that the class does not draw, and for unknown objects.
    """
    device = torch.device(device)
    loaded, _ = load_model(model, device)
    if picture not in loaded.pictures:
        raise unknown_name(f"{model}: picture", picture, loaded.pictures)
    data = load_image_set(images)
    chosen = choose(len(data.images))[:50]
    y = data.labels[chosen]
    if labels:
        with place("--labels"):
            sets = parse_labels(labels).sets
        y = np.resize(multi_hot(sets), (len(chosen), len(OBJECTS)))
    x0 = to_images(torch.from_numpy(data.images[chosen]).to(device))
    batch = Batch(x0, torch.from_numpy(y).to(device), Noise(torch.arange(len(x0), device=device)))
    with torch.inference_mode():
        drawn = getattr(loaded, picture)(batch)
    save_png(out, grid(to_pixels(drawn).cpu().numpy(), columns=10))
