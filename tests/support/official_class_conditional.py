"""OpenAI's class-conditional U-Nets, of improved and guided diffusion, to compare with ours: weights by formula.

    python tests/support/official_class_conditional.py IMPROVED GUIDED tests/support/data/class_conditional.json

writes the outputs and samples of their networks, from checkouts of github.com/openai/improved-diffusion and
github.com/openai/guided-diffusion. Tests compare ours with this file, without the checkouts.
"""

import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from official_ddgan import uniform, weights
from official_improved_diffusion import Draws, importable, rounded
from torch import Tensor, nn

CLASSES, SIZE, T = 3, 16, 25
COMMON = {
    "in_channels": 3, "model_channels": 32, "num_res_blocks": 1, "attention_resolutions": (2,), "num_heads": 4,
    "channel_mult": (1, 2, 2), "num_classes": CLASSES, "use_scale_shift_norm": True, "out_channels": 6,
}  # fmt: skip
# Names and values of the arguments of their UNetModel, by project.
NETWORKS: dict[str, dict[str, Any]] = {
    "improved": COMMON,
    "guided": COMMON | {"image_size": SIZE},
    "guided, blocks that resample": COMMON
    | {"image_size": SIZE, "resblock_updown": True, "use_new_attention_order": True, "num_head_channels": 16},
}


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Four images x_t, the network's times, and classes."""
    return 2 * uniform("x_t", (4, 3, SIZE, SIZE)), torch.tensor([0, 1, 500, 999]), torch.tensor([0, 1, 2, 0])


def official_network(repository: str, name: str) -> nn.Module:
    whose = f"{name.partition(',')[0]}_diffusion"
    with importable(repository):
        network = __import__(f"{whose}.unet", fromlist=["UNetModel"]).UNetModel(**NETWORKS[name]).eval()
    network.load_state_dict(weights({name: tuple(v.shape) for name, v in network.state_dict().items()}))
    return network


def official_samples(repository: str, name: str, network: nn.Module) -> Tensor:
    """Return four samples of the classes 0, 1, 2 and 0, drawn with all T steps of the cosine schedule."""
    whose = f"{name.partition(',')[0]}_diffusion"
    with importable(repository):
        script = __import__(f"{whose}.script_util", fromlist=["create_gaussian_diffusion"])
    process = script.create_gaussian_diffusion(steps=T, learn_sigma=True, noise_schedule="cosine")
    draws = Draws(4)
    with mock.patch("torch.randn_like", lambda x: draws.normal(*x.shape[1:])):
        return process.p_sample_loop(
            network,
            (4, 3, SIZE, SIZE),
            noise=draws.normal(3, SIZE, SIZE),
            device="cpu",
            model_kwargs={"y": inputs()[2]},
        )


if __name__ == "__main__":
    numbers: dict[str, Any] = {
        "note": "What the class-conditional U-Nets of github.com/openai/improved-diffusion (commit 1bc7bbb) and "
        "github.com/openai/guided-diffusion (commit 22e0df8) answer and draw with the weights and inputs of "
        "tests/support/official_class_conditional.py, which wrote this file. Every third pixel each way."
    }
    for name in NETWORKS:
        repository = sys.argv[1] if name == "improved" else sys.argv[2]
        network = official_network(repository, name)
        x_t, t, y = inputs()
        with torch.no_grad():
            answers = {"answers": network(x_t, t, y=y), "samples": official_samples(repository, name, network)}
        numbers[name] = {key: rounded(value) for key, value in answers.items()}
    Path(sys.argv[3]).write_text(json.dumps(numbers) + "\n", encoding="utf-8")
