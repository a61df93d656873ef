"""Inception networks with random weights in the file formats of the published ones, for tests and for measuring speed.

Their distances are not FIDs. The two files hold the same network.
"""

from pathlib import Path
from unittest.mock import patch

import torch
from pytorch_fid import inception
from torch import Tensor, nn


def random_state(seed: int = 0) -> dict[str, Tensor]:
    """Weights with pytorch-fid's names, scaled to keep the size of activations from layer to layer."""
    with (  # the network's shapes, without its weights
        patch.object(inception, "load_state_dict_from_url", lambda url, progress: {}),
        patch.object(nn.Module, "load_state_dict", lambda self, state: None),
    ):
        model = inception.fid_inception_v3()
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if value.dim() > 1:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        elif name.endswith(("bn.weight", "running_var")):
            value.uniform_(0.5, 1.5, generator=generator)
        elif value.is_floating_point():
            value.normal_(0, 0.1, generator=generator)
    return model.state_dict()


def save_legacy(path: Path, state: dict[str, Tensor]) -> None:
    """The file that pytorch-fid downloads."""
    torch.save(state, path)


class _Archive(nn.Module):
    """What clean-fid expects in its TorchScript archive: `layers`, from scaled images to features, and `output`."""

    def __init__(self, layers: nn.Module, output: nn.Linear) -> None:
        super().__init__()
        self.layers, self.output = layers, output

    def forward(self, images: Tensor) -> Tensor:
        return self.output(self.layers(images))


def save_clean(path: Path, state: dict[str, Tensor]) -> None:
    """The file that clean-fid downloads."""
    with patch.object(inception, "load_state_dict_from_url", lambda url, progress: state):
        model = inception.InceptionV3(resize_input=False, normalize_input=False).eval()
    layers = nn.Sequential(*(layer for block in model.blocks for layer in block), nn.Flatten())
    output = nn.Linear(2048, 1008)
    output.load_state_dict({"weight": state["fc.weight"], "bias": state["fc.bias"]})
    with torch.no_grad():
        traced = torch.jit.trace(layers, torch.zeros(2, 3, 299, 299))
    torch.jit.save(torch.jit.script(_Archive(traced, output)), path)
