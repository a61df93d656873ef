"""The networks of NVlabs' EDM, to compare with ours: weights by formula for both, and their code if available.

    python tests/support/official_edm.py CHECKOUT tests/support/data/edm.json

writes the outputs of their networks, from a checkout of github.com/NVlabs/edm (whose licence keeps it out of this
repository). Tests compare ours with this file, without the checkout.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from official_ddgan import uniform, weights
from official_improved_diffusion import importable
from torch import Tensor, nn

DDPMPP = {
    "model_type": "SongUNet", "embedding_type": "positional", "encoder_type": "standard", "decoder_type": "standard",
    "channel_mult_noise": 1, "resample_filter": [1, 1],
}  # fmt: skip
NCSNPP = DDPMPP | {
    "embedding_type": "fourier", "encoder_type": "residual", "channel_mult_noise": 2, "resample_filter": [1, 3, 3, 1],
}  # fmt: skip
_TINY = {
    "img_resolution": 16, "img_channels": 3, "model_channels": 16, "channel_mult": [1, 2], "num_blocks": 1,
    "attn_resolutions": [16],
}  # fmt: skip
# Arguments of their EDMPrecond.
TINY: dict[str, dict[str, Any]] = {
    "DDPM++": DDPMPP | _TINY | {"label_dim": 4, "augment_dim": 9},
    "NCSN++": NCSNPP | _TINY | {"channel_mult": [1, 1, 2], "decoder_type": "skip"},
    "ADM": _TINY
    | {
        "model_type": "DhariwalUNet", "label_dim": 4, "model_channels": 128, "channel_mult": [1, 1],
        "img_resolution": 8, "attn_resolutions": [4],
    },
}  # fmt: skip
_CIFAR10 = {"img_resolution": 32, "img_channels": 3, "channel_mult": [2, 2, 2], "dropout": 0.13}
FULL_SIZE: dict[str, dict[str, Any]] = {
    "DDPM++, CIFAR-10": DDPMPP | _CIFAR10,
    "NCSN++, CIFAR-10": NCSNPP | _CIFAR10,
    "DDPM++, CIFAR-10, classes": DDPMPP | _CIFAR10 | {"label_dim": 10, "augment_dim": 9},
    "NCSN++, CIFAR-10, classes": NCSNPP | _CIFAR10 | {"label_dim": 10, "augment_dim": 9},
}


def inputs(arguments: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Two images x, their times ln(sigma) / 4, and their labels if the network has classes."""
    side, classes = arguments["img_resolution"], arguments.get("label_dim", 0)
    labels = torch.eye(classes)[[1, 3]] if classes else None
    return 2 * uniform("x", (2, arguments["img_channels"], side, side)), torch.tensor([-1.5, 1.0]), labels


def augmentations(arguments: Mapping[str, Any]) -> Tensor | None:
    """The images' augmentation, if the network has a layer for it."""
    size = arguments.get("augment_dim", 0)
    return uniform("augment", (2, size)) if size else None


def official_network(repository: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Return their EDMPrecond with weights by formula; its filters are constants."""
    with importable(repository):
        from training.networks import EDMPrecond
    network = EDMPrecond(**arguments).eval()
    shapes = {name: tuple(v.shape) for name, v in network.model.state_dict().items() if "resample_filter" not in name}
    network.model.load_state_dict(weights(shapes), strict=False)
    return network


@torch.no_grad()
def official_answers(network: nn.Module, arguments: Mapping[str, Any]) -> Tensor:
    """The network's output for `inputs`."""
    return network.model(*inputs(arguments), augmentations(arguments))


@torch.no_grad()
def official_samples(repository: str, network: nn.Module, arguments: Mapping[str, Any]) -> Tensor:
    """Return samples of the first two classes from two latents, by generate.py's edm_sampler with its defaults."""
    side, classes = arguments["img_resolution"], arguments.get("label_dim", 0)
    with importable(repository):
        from generate import edm_sampler
    latents = 2 * uniform("latents", (2, arguments["img_channels"], side, side))
    return edm_sampler(network, latents, torch.eye(classes)[:2] if classes else None)


if __name__ == "__main__":
    note = (
        "What the networks of github.com/NVlabs/edm (commit 008a4e5) answer with the weights and inputs of "
        "tests/support/official_edm.py, which wrote this file. Every third pixel each way."
    )
    numbers: dict[str, Any] = {"note": note}
    for name, arguments in TINY.items():
        answers = official_answers(official_network(sys.argv[1], arguments), arguments)
        numbers[name] = answers[:, :, ::3, ::3].numpy().astype(float).round(5).tolist()
    network = official_network(sys.argv[1], TINY["DDPM++"])
    samples = official_samples(sys.argv[1], network, TINY["DDPM++"])
    numbers["DDPM++, 18 steps"] = samples[:, :, ::3, ::3].numpy().astype(float).round(5).tolist()
    Path(sys.argv[2]).write_text(json.dumps(numbers) + "\n", encoding="utf-8")
