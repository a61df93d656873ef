"""The DDGAN authors' networks, to compare with ours: weights by formula for both, and the authors' code if available.

    python tests/support/official_ddgan.py CHECKOUT tests/support/data/ddgan.json

writes the outputs of the authors' networks, from a checkout of github.com/NVlabs/denoising-diffusion-gan (whose licence
keeps it out of this repository). Tests compare our networks with this file, without the checkout.
"""

import argparse
import hashlib
import json
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

# Small networks with every kind of layer. Names and values are those of the authors' command line.
TINY = {
    "image_size": 16, "num_channels": 2, "num_channels_dae": 8, "ch_mult": [1, 2, 3], "num_res_blocks": 1,
    "attn_resolutions": (8,), "nz": 5, "z_emb_dim": 12, "n_mlp": 2, "ngf": 4, "t_emb_dim": 10,
}  # fmt: skip
CIFAR10 = {
    "image_size": 32, "num_channels": 3, "num_channels_dae": 128, "ch_mult": [1, 2, 2, 2], "num_res_blocks": 2,
    "attn_resolutions": (16,), "nz": 100, "z_emb_dim": 256, "n_mlp": 4, "ngf": 64, "t_emb_dim": 256,
}  # fmt: skip
DISCRIMINATOR_SIZE = 32  # the image side for the authors' discriminator of small images


def uniform(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return numbers in [-1, 1) that depend only on `name`: Philox gives the same on every machine."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    bits = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return torch.from_numpy(((bits >> np.uint64(11)) * 2.0**-52 - 1).astype(np.float32).reshape(shape))


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights that keep the variance (even in layers that training begins at zero), and vectors around 0 or 1."""
    values = {}
    for name, shape in shapes.items():
        scale = (3 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.3
        centre = 1.0 if len(shape) == 1 and name.endswith("weight") else 0.0
        values[name] = centre + scale * uniform(name, shape)
    return values


def inputs(options: Mapping[str, Any]) -> dict[str, Tensor]:
    """Eight images, latents and times for the generator (x, z, t), eight pairs for the discriminator (x_s, x_t, t)."""
    channels, size = options["num_channels"], options["image_size"]
    shape, pair = (8, channels, size, size), (8, channels, DISCRIMINATOR_SIZE, DISCRIMINATOR_SIZE)
    drawn = {"x": uniform("x", shape), "z": 2 * uniform("z", (8, options["nz"]))}
    return drawn | {"x_s": uniform("x_s", pair), "x_t": uniform("x_t", pair), "t": torch.arange(8) % 4}


def official_networks(repository: str, options: Mapping[str, Any]) -> tuple[nn.Module, nn.Module]:
    """The authors' generator and discriminator on the CPU, where they do not need their CUDA extensions."""
    defaults = {
        "centered": True, "conditional": True, "dropout": 0.0, "embedding_type": "positional", "fir": True,
        "fir_kernel": [1, 3, 3, 1], "fourier_scale": 16.0, "not_use_tanh": False, "progressive": "none",
        "progressive_combine": "sum", "progressive_input": "residual", "resamp_with_conv": True,
        "resblock_type": "biggan", "skip_rescale": True,
    }  # fmt: skip
    import torch.utils.cpp_extension

    sys.path.insert(0, repository)
    try:
        with mock.patch.object(torch.utils.cpp_extension, "load", return_value=types.SimpleNamespace()):
            from score_sde.models.discriminator import Discriminator_small
            from score_sde.models.ncsnpp_generator_adagn import NCSNpp
    finally:
        sys.path.remove(repository)
    discriminator = Discriminator_small(
        nc=2 * options["num_channels"], ngf=options["ngf"], t_emb_dim=options["t_emb_dim"], act=nn.LeakyReLU(0.2)
    )
    return NCSNpp(argparse.Namespace(**defaults, **options)).eval(), discriminator.eval()


@torch.no_grad()
def official_answers(repository: str, options: Mapping[str, Any]) -> dict[str, Tensor]:
    """x0_hat (8, C, H, W) of the authors' generator and logits (8,) of their discriminator."""
    given = inputs(options)
    networks = official_networks(repository, options)
    for network in networks:
        network.load_state_dict(weights({name: tuple(v.shape) for name, v in network.state_dict().items()}))
    generator, discriminator = networks
    return {
        "x0_hat": generator(given["x"], given["t"], given["z"]),
        "logits": discriminator(given["x_s"], given["t"], given["x_t"]).view(-1),
    }


if __name__ == "__main__":
    answers = official_answers(sys.argv[1], TINY)
    note = (
        "What the networks of github.com/NVlabs/denoising-diffusion-gan (commit 6818ded) answer with the weights and "
        "inputs of tests/support/official_ddgan.py, which wrote this file. x0_hat: every third pixel each way."
    )
    numbers = {
        "x0_hat": answers["x0_hat"][:, :, ::3, ::3].numpy().round(6).astype(float).round(6).tolist(),
        "logits": answers["logits"].numpy().astype(float).round(5).tolist(),
    }
    Path(sys.argv[2]).write_text(json.dumps({"note": note, **numbers}) + "\n", encoding="utf-8")
