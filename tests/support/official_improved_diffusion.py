"""The U-Net of OpenAI's improved diffusion, to compare with ours: weights by formula for both, their code if available.

    python tests/support/official_improved_diffusion.py CHECKOUT tests/support/data/improved_diffusion.json

writes the outputs of their network, from a checkout of github.com/openai/improved-diffusion. Tests compare ours with
this file, without the checkout.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from official_ddgan import uniform, weights
from torch import Tensor, nn

from genbench.processes.noise import Noise

# Names and values of the arguments of their UNetModel, and the sides of the images.
TINY = {
    "learned variance": {
        "image_size": 16, "in_channels": 3, "model_channels": 32, "out_channels": 6, "num_res_blocks": 2,
        "attention_resolutions": (2, 4), "channel_mult": (1, 1, 2), "use_scale_shift_norm": True, "num_heads": 4,
    },
    "fixed variance": {
        "image_size": 8, "in_channels": 1, "model_channels": 32, "out_channels": 1, "num_res_blocks": 1,
        "attention_resolutions": (1,), "channel_mult": (1, 2), "use_scale_shift_norm": False, "num_heads": 2,
    },
    "other heads on the way up": {
        "image_size": 8, "in_channels": 1, "model_channels": 32, "out_channels": 1, "num_res_blocks": 1,
        "attention_resolutions": (1,), "channel_mult": (1, 2), "use_scale_shift_norm": True, "num_heads": 4,
        "num_heads_upsample": 1,
    },
}  # fmt: skip
CIFAR10 = {
    "image_size": 32, "in_channels": 3, "model_channels": 128, "num_res_blocks": 3, "attention_resolutions": (2, 4),
    "channel_mult": (1, 2, 2, 2), "use_scale_shift_norm": True, "num_heads": 4,
}  # fmt: skip
FULL_SIZE = {
    "CIFAR-10, learned variance": CIFAR10 | {"out_channels": 6},
    "CIFAR-10, fixed variance": CIFAR10 | {"out_channels": 3},
    "one head, added embedding": CIFAR10
    | {"out_channels": 3, "model_channels": 64, "num_heads": 1, "num_res_blocks": 2, "use_scale_shift_norm": False},
}
T = 4000
# Options of their processes, besides 25 steps of the linear schedule.
PROCESSES = {
    "fixed variance": {"their default": {}, "sigma_small": {"sigma_small": True}, "xstart": {"predict_xstart": True}},
    "learned variance": {"learn_sigma": {"learn_sigma": True}},
}


def inputs(options: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Four images x_t and their times in 1..T."""
    size = options["image_size"]
    return 2 * uniform("x_t", (4, options["in_channels"], size, size)), torch.tensor([1, 2, 1234, T])


@contextmanager
def importable(repository: str) -> Iterator[None]:
    sys.path.insert(0, repository)
    try:
        yield
    finally:
        sys.path.remove(repository)


def official_network(repository: str, options: Mapping[str, Any]) -> nn.Module:
    """Their U-Net, with weights by formula, even in layers that training begins at zero."""
    with importable(repository):
        from improved_diffusion.unet import UNetModel
    network = UNetModel(**{name: value for name, value in options.items() if name != "image_size"}).eval()
    network.load_state_dict(weights({name: tuple(v.shape) for name, v in network.state_dict().items()}))
    return network


def official_process(repository: str, steps: int, schedule: str, learn_sigma: bool) -> Any:
    """Their diffusion process of `steps` times, which rescales them to 1000."""
    with importable(repository):
        from improved_diffusion.script_util import create_gaussian_diffusion
    return create_gaussian_diffusion(
        steps=steps, noise_schedule=schedule, learn_sigma=learn_sigma, rescale_timesteps=True
    )


def rounded(values: Tensor) -> Any:
    """Return every third pixel in both directions, as JSON."""
    return values[:, :, ::3, ::3].numpy().astype(float).round(5).tolist()


class Draws(Noise):
    """Noise for a chain, one tensor per call, the same for their process and for ours."""

    def __init__(self, images: int) -> None:
        super().__init__(torch.arange(images))
        self.images, self.count = images, 0

    def normal(self, *shape: int) -> Tensor:
        self.count += 1
        return 2 * uniform(f"draw {self.count}", (self.images, *shape))


def official_chain(repository: str, name: str, **options: bool) -> dict[str, Tensor]:
    """Return samples of their process with a TINY network, and its bits per dimension of the images in `inputs`."""
    network = official_network(repository, TINY[name])
    with importable(repository):
        from improved_diffusion.script_util import create_gaussian_diffusion
    process = create_gaussian_diffusion(steps=25, rescale_timesteps=True, **options)
    x0 = inputs(TINY[name])[0].clamp(-1, 1)
    draws = Draws(len(x0))
    with mock.patch("torch.randn_like", lambda x: draws.normal(*x.shape[1:])):
        samples = process.p_sample_loop(network, tuple(x0.shape), noise=draws.normal(*x0.shape[1:]), device="cpu")
        draws.count = 0
        bits = process.calc_bpd_loop(network, x0)["total_bpd"]
    return {"samples": samples[:2, :, ::3, ::3], "bits per dimension": bits}


@torch.no_grad()
def official_answers(network: nn.Module, options: Mapping[str, Any]) -> Tensor:
    """Return their network's output for `inputs`, with times scaled like their rescale_timesteps."""
    x_t, t = inputs(options)
    return network(x_t, (t - 1).float() * (1000.0 / T))


if __name__ == "__main__":
    note = (
        "What the U-Net of github.com/openai/improved-diffusion (commit 1bc7bbb) answers with the weights and inputs "
        "of tests/support/official_improved_diffusion.py, which wrote this file. Every third pixel each way."
    )
    numbers = {}
    for name, options in TINY.items():
        answers = official_answers(official_network(sys.argv[1], options), options)
        numbers[name] = rounded(answers)
    for name, processes in PROCESSES.items():
        for process, options in processes.items():
            chain = official_chain(sys.argv[1], name, **options)
            numbers[f"{name}, {process}"] = {k: v.numpy().astype(float).round(5).tolist() for k, v in chain.items()}
    Path(sys.argv[2]).write_text(json.dumps({"note": note, **numbers}) + "\n", encoding="utf-8")
