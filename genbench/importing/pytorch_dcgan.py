"""The DCGAN of the PyTorch tutorial: state dicts of its Generator and its Discriminator.

Each is one nn.Sequential called `main`, in the order of networks/dcgan.py.
"""

from typing import Any

import torch

from genbench.errors import InputError, place
from genbench.importing.source import Imported, Path, State, check_shapes
from genbench.importing.states import read_content, state_of
from genbench.models import build
from genbench.ranges import Side


def dcgan(
    path: Path, *, discriminator: str | None = None, image_size: Side | None = None, key: str | None = None
) -> Imported:
    """The generator of PyTorch's DCGAN tutorial.

    discriminator: Path of the discriminator's state dict, which sampling does not need.
    image_size: Side of the data's images, if the network's own is a multiple of it (see genbench/models/gan.py).
    key: The state dict to read, if the file holds several.
    """
    what = "the generator of PyTorch's DCGAN tutorial"
    content, read = read_content(path)
    generator, taken = state_of(content, path, key)
    convolutions = [value for name, value in generator.items() if name.startswith("main.") and value.ndim == 4]
    if len(convolutions) < 2:
        raise InputError(f"{path}: not the weights of {what}: expected keys such as main.0.weight and main.3.weight")
    first, last = convolutions[0], convolutions[-1]
    size = first.shape[2] * 2 ** (len(convolutions) - 1)  # every layer except the first doubles the sides
    states: dict[str, tuple[State, Path, str]] = {"generator": (generator, path, what)}
    entry: dict[str, Any] = {
        "class": "gan.GAN",
        "latent_size": first.shape[0],
        "generator": {"class": "dcgan.Generator", "channels": last.shape[0]},
        "discriminator": None,
    }
    if discriminator is not None:
        content, more = read_content(discriminator)
        state, read = state_of(content, discriminator)[0], [*read, *more]
        what = f"the tutorial's discriminator for images of {last.shape[1]}x{size}x{size}"
        states["discriminator"] = (state, discriminator, what)
        if "main.0.weight" in state:
            entry["discriminator"] = {"class": "dcgan.Discriminator", "channels": state["main.0.weight"].shape[0]}
        else:
            check_shapes(state, {"main.0.weight": ()}, discriminator, what)

    if image_size not in (None, size):
        entry["image_size"], size = size, image_size
    image_shape = (last.shape[1], size, size)
    with place(path), torch.device("meta"):
        model = build(entry, image_shape)
    tensors: State = {}
    for name, (state, file, what) in states.items():
        ours = model.get_submodule(name).state_dict()
        check_shapes(state, {key.replace("layers.", "main."): tuple(v.shape) for key, v in ours.items()}, file, what)
        tensors |= {f"{name}.{key.replace('main.', 'layers.')}": value for key, value in state.items()}
    note = f"the {' and the '.join(states)} as saved{f' in {taken}' if taken else ''}"
    return Imported(entry, image_shape, tensors, read, "raw", note)
